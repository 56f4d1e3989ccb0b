//! One socket as its user sees it: blocking send and receive, endpoints, options, polling, monitors,
//! proxies.
//!
//! A [`Socket`] is a handle into a table; its state is a `Core` under a lock. Calls from two
//! threads at once are serialised; a caller that waits leaves the lock. What the types do is in
//! `pattern`, what connections do in `conn`.

mod about;
mod core;
mod endpoints;
mod express;
mod monitor;
mod options;
mod poll;
pub mod poller;
mod proxy;
mod room;
mod spin;
#[cfg(test)]
mod testing;
mod transfer;
mod wait;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::base::Error;
use crate::conn::Workers;
use crate::hub::Hub;
use crate::options::{ContextDefaults, SocketType};
use crate::pattern;
use crate::pipe::Notice;
use crate::sync::handles::{Guard, Stale, Table};
use crate::sync::{Lock, Mailbox};

pub use crate::sys::SignalMask;
pub use about::About;
pub use poll::{PollItem, Target, poll, poll_masked};
pub use proxy::proxy;

use self::core::Core;

static SOCKETS: Table<Box<Core>> = Table::readable(2);

/// What a socket needs of its context.
pub struct Environment {
    /// inproc names.
    pub hub: Arc<Hub>,
    /// The context was shut down or is being terminated: every call but close fails with ETERM.
    pub stopping: AtomicBool,
    serials: AtomicU64,
    workers: Lock<Option<Arc<Workers>>>,
    start: Box<dyn Fn() -> Result<Workers, Error> + Send + Sync>,
}

impl Environment {
    /// Surroundings for the sockets of one context; `start` makes the I/O threads when the first
    /// connection needs them.
    pub fn new(start: Box<dyn Fn() -> Result<Workers, Error> + Send + Sync>) -> Environment {
        Environment {
            hub: Arc::default(),
            stopping: AtomicBool::new(false),
            serials: AtomicU64::new(1),
            workers: Lock::new(None),
            start,
        }
    }

    /// The I/O threads, started on first use. Where starting fails the next call tries again.
    fn workers(&self) -> Result<Arc<Workers>, Error> {
        let mut workers = self.workers.lock();
        if let Some(running) = &*workers {
            return Ok(running.clone());
        }
        let started = Arc::new((self.start)()?);
        *workers = Some(started.clone());
        Ok(started)
    }

    /// Ends the I/O threads; every socket must be gone.
    pub fn stop_workers(&self) {
        let workers = self.workers.lock().take();
        if let Some(workers) = workers {
            workers.stop();
        }
    }

    /// The I/O threads, if any connection has needed them yet.
    pub fn running_workers(&self) -> Option<Arc<Workers>> {
        self.workers.lock().clone()
    }

    fn next_serial(&self) -> u64 {
        self.serials.fetch_add(1, Ordering::Relaxed)
    }
}

/// A handle to a socket, live or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Socket(usize);

/// What [`open`] gives the context: the handle for C and the mailbox to ring at shutdown.
pub struct Opened {
    /// The handle.
    pub handle: usize,
    /// The socket's mailbox.
    pub mailbox: Arc<Mailbox<Notice>>,
    /// What is told of it.
    pub about: Arc<About>,
}

/// Makes a socket of a type; `token` is dropped when nothing of it is left, also in the background.
pub fn open(
    environment: Arc<Environment>,
    socket_type: SocketType,
    defaults: ContextDefaults,
    token: Box<dyn std::any::Any + Send + Sync>,
) -> Result<Opened, Error> {
    let options = crate::options::Options::new(socket_type, defaults);
    let pattern = pattern::create(socket_type, &options);
    let core = Core::new(environment, options, pattern, token);
    let (mailbox, about) = (core.mailbox.clone(), core.about.clone());
    let handle = SOCKETS.insert(Box::new(core))?;
    Ok(Opened { handle, mailbox, about })
}

/// The socket behind a handle that the next call checks anyway: for the calls that come often.
#[inline]
pub fn unchecked(handle: usize) -> Socket {
    Socket(handle)
}

/// The socket behind a handle; ENOTSOCK when it is closed or never was one.
#[inline]
pub fn lookup(handle: usize) -> Result<Socket, Error> {
    // It may be closed by another thread before it is used: the call that follows finds that out too.
    SOCKETS.check(handle).map_err(|_| Error::NotSocket)?;
    Ok(Socket(handle))
}

impl Socket {
    #[inline]
    fn lock(self) -> Result<Guard<'static, Box<Core>>, Error> {
        let mut core = self.lock_express()?;
        core.express.end();
        Ok(core)
    }

    /// The lock, for those who do no more than the call before, as [`express`] has it, or end that by themselves.
    #[inline(always)]
    fn lock_express(self) -> Result<Guard<'static, Box<Core>>, Error> {
        SOCKETS.lock(self.0).map_err(|stale| match stale {
            Stale::Unknown => Error::NotSocket,
            // In the child of a fork nothing inherited works any more; only close does.
            Stale::Inherited => Error::Term,
        })
    }

    /// The lock of a socket whose context lives.
    #[inline(always)]
    fn enter(self) -> Result<Guard<'static, Box<Core>>, Error> {
        let core = self.lock()?;
        core.check()?;
        Ok(core)
    }

    /// As [`Socket::lock_express`], of a socket whose context lives.
    #[inline(always)]
    fn enter_express(self) -> Result<Guard<'static, Box<Core>>, Error> {
        let core = self.lock_express()?;
        core.check()?;
        Ok(core)
    }

    /// Closes the socket (zmq_close(3)): what is queued is sent in the background, within LINGER.
    pub fn close(self) -> Result<(), Error> {
        match SOCKETS.remove(self.0) {
            Ok(core) => {
                core.close();
                Ok(())
            }
            Err(Stale::Inherited) => Ok(()),
            Err(Stale::Unknown) => Err(Error::NotSocket),
        }
    }

    /// Joins a group (zmq_join(3)).
    pub fn join(self, group: &[u8]) -> Result<(), Error> {
        let mut core = self.enter()?;
        core.process();
        let core = &mut **core;
        core.pattern.join(&mut core.pipes, group)
    }

    /// Leaves a group (zmq_leave(3)).
    pub fn leave(self, group: &[u8]) -> Result<(), Error> {
        let mut core = self.enter()?;
        core.process();
        let core = &mut **core;
        core.pattern.leave(&mut core.pipes, group)
    }

    /// Ends the connection to one peer (zmq_disconnect_peer).
    pub fn disconnect_peer(self, routing_id: u32) -> Result<(), Error> {
        let mut core = self.enter()?;
        core.process();
        {
            let core = &mut **core;
            core.pattern.disconnect_peer(&mut core.pipes, routing_id)?;
        }
        core.sweep();
        Ok(())
    }

    /// The poll events that sending to a peer is ready for (zmq_socket_get_peer_state).
    pub fn peer_state(self, routing_id: &[u8]) -> Result<i32, Error> {
        let mut core = self.enter()?;
        core.process();
        let core = &mut **core;
        core.pipes.set_hurried(false);
        core.pattern.peer_state(&mut core.pipes, routing_id)
    }

    /// Asks for a count of the messages in each pipe on the monitor (zmq_socket_monitor_pipes_stats).
    /// EINVAL without a monitor for that, EAGAIN without pipes.
    pub fn pipes_stats(self) -> Result<(), Error> {
        let mut core = self.enter()?;
        if !core.monitor.wants_stats() {
            return Err(Error::Invalid);
        }
        core.process();
        core.tell_stats()
    }

    /// Starts, replaces or (without an address) stops the monitor (zmq_socket_monitor(3)).
    pub fn monitor(
        self,
        address: Option<&str>,
        events: u64,
        version: i32,
        socket_type: i32,
    ) -> Result<(), Error> {
        let core = self.enter()?;
        core.monitor.set_up(address, events, version, socket_type)
    }
}
