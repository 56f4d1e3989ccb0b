//! What an I/O thread waits on: a `polling::Poller`, commands from other threads, and timers.
//!
//! On Linux the poller only keeps the set: its own wait takes five system calls, so `waiting` has one of one call.
//!
//! Registrations remove themselves when dropped. A registration without interest is not in the kernel's
//! set at all, so that a hung-up descriptor nobody may read at the moment does not wake anyone.
//! What the events mean is not known here.

mod registration;
mod timers;
#[cfg_attr(target_os = "linux", path = "waiting.rs")]
#[cfg_attr(not(target_os = "linux"), path = "waiting_by_poller.rs")]
mod waiting;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use polling::Poller;

use crate::base::Error;
use crate::sync::Lock;

pub use registration::{Interest, Registration, Source};
pub use timers::Timers;
pub use waiting::Events;

use waiting::Bell;

/// The part of an I/O thread that other threads use.
pub struct Reactor<C> {
    poller: Arc<Poller>,
    bell: Bell,
    commands: Lock<Vec<C>>,
    /// A wake-up is on its way; another would be wasted.
    notified: AtomicBool,
}

/// One ready descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ready {
    /// The key it was registered under.
    pub key: usize,
    /// It can be read, or has hung up.
    pub readable: bool,
    /// It can be written, or has failed.
    pub writable: bool,
}

impl<C> Reactor<C> {
    /// A reactor with its descriptors.
    pub fn new() -> Result<Reactor<C>, Error> {
        let poller = Arc::new(Poller::new()?);
        let bell = Bell::new(&poller)?;
        Ok(Reactor { poller, bell, commands: Lock::default(), notified: AtomicBool::new(false) })
    }

    /// Leaves a command and wakes the I/O thread.
    pub fn send(&self, command: C) {
        self.leave(command);
        self.wake();
    }

    /// Leaves a command for when the I/O thread wakes up the next time.
    pub fn leave(&self, command: C) {
        self.commands.lock().push(command);
    }

    /// Whether commands wait.
    pub fn has_commands(&self) -> bool {
        !self.commands.lock().is_empty()
    }

    /// Wakes the I/O thread.
    pub fn wake(&self) {
        if !self.notified.swap(true, Ordering::SeqCst) {
            self.bell.ring(&self.poller);
        }
    }

    /// Takes the commands left so far.
    pub fn commands(&self) -> Vec<C> {
        self.notified.store(false, Ordering::SeqCst);
        std::mem::take(&mut *self.commands.lock())
    }

    /// Waits for descriptors, commands or the time limit. Only the I/O thread calls this.
    pub fn wait(
        &self,
        events: &mut Events,
        limit: Option<Duration>,
        ready: &mut Vec<Ready>,
    ) -> Result<(), Error> {
        match events.wait(&self.poller, limit, ready) {
            Err(Error::Interrupted) => Ok(()),
            result => result,
        }
    }

    /// A place for one descriptor, not registered yet.
    pub fn registration(&self, key: usize) -> Registration {
        Registration::new(self.poller.clone(), key)
    }
}
