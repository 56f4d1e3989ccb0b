//! How a thread sleeps and is woken: by futex where it waits on memory only, by an eventfd where it also
//! waits on descriptors.
//!
//! The protocol against lost wake-ups is always the same: the sleeper arms its waker, registers it, looks
//! once more at what it waits for, and only then sleeps; the other side changes the state first and then
//! calls [`Waiters::wake`]. Both sides have a sequentially consistent fence between their two steps.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::prim::{AtomicBool, AtomicU32, AtomicUsize, Ordering, fence};
use crate::base::Error;
use crate::sync::Lock;
use crate::sys::{EventFd, PerProcess, PollFd, SignalMask, poll_masked};

const ARMED: u32 = 0;
const WOKEN: u32 = 1;

/// What one sleeping thread waits on.
#[derive(Debug, Default)]
pub struct Waker {
    state: AtomicU32,
    /// The sleeper waits in poll(2), not on `state`.
    polling: AtomicBool,
    event: OnceLock<EventFd>,
}

impl Waker {
    /// A waker that nobody knows yet.
    pub fn new() -> Waker {
        Waker::default()
    }

    /// One from the pool of this process; give it back with [`Waker::release`].
    pub fn acquire() -> Arc<Waker> {
        // A child must not share descriptors with its parent's sleeping threads, so it has a pool of its own.
        POOL.get().lock().pop().unwrap_or_default()
    }

    /// Back into the pool. A late wake-up may still come and costs its next user one look.
    pub fn release(waker: Arc<Waker>) {
        const KEPT: usize = 64;
        let mut idle = POOL.get().lock();
        if idle.len() < KEPT {
            idle.push(waker);
        }
    }

    /// Forgets earlier wake-ups.
    #[inline]
    pub fn arm(&self) {
        self.state.store(ARMED, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Whether a wake-up came since [`Waker::arm`].
    #[inline]
    pub fn woken(&self) -> bool {
        self.state.load(Ordering::Acquire) == WOKEN
    }

    /// Wakes the thread that waits here, or the next one to wait.
    pub fn wake(&self) {
        if self.state.swap(WOKEN, Ordering::SeqCst) == WOKEN {
            return;
        }
        // Against `set_polling`: one of the two sees the other's store.
        fence(Ordering::SeqCst);
        if self.polling.load(Ordering::SeqCst) {
            if let Some(event) = self.event.get() {
                event.notify();
            }
        } else {
            futex::wake(&self.state);
        }
    }

    /// Sleeps until woken; `Again` after `timeout`, `Interrupted` on a signal.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<(), Error> {
        if self.woken() {
            return Ok(());
        }
        futex::wait(&self.state, ARMED, timeout)
    }

    /// The descriptor that [`Waker::wait_with`] needs; made on first use.
    pub fn prepare_polling(&self) -> Result<RawFd, Error> {
        if self.event.get().is_none() {
            let made = EventFd::new()?;
            // A second maker cannot exist: one thread owns the waker while it waits.
            let _lost = self.event.set(made);
        }
        self.event.get().map(AsRawFd::as_raw_fd).ok_or(Error::NoMemory)
    }

    /// Says that from now on the owner waits in poll(2). Call before registering.
    pub fn set_polling(&self, polling: bool) {
        self.polling.store(polling, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Sleeps until woken or until one of `fds` has something to say. `fds[0]` must be the descriptor of
    /// [`Waker::prepare_polling`]. With `mask` these signals are blocked meanwhile, and no others.
    pub fn wait_with(
        &self,
        fds: &mut [PollFd],
        timeout: Option<Duration>,
        mask: Option<&SignalMask>,
    ) -> Result<(), Error> {
        if self.woken() {
            return Ok(());
        }
        let ready = poll_masked(fds, timeout, mask)?;
        if let (Some(first), Some(event)) = (fds.first(), self.event.get())
            && first.revents() != 0
        {
            event.drain();
        }
        if ready == 0 { Err(Error::Again) } else { Ok(()) }
    }
}

#[cfg(not(loom))]
mod futex {
    pub(super) use crate::sys::{futex_wait as wait, futex_wake as wake};
}

/// Under loom nobody really sleeps: its tests look at the state instead.
#[cfg(loom)]
mod futex {
    use super::{AtomicU32, Duration, Error};

    pub(super) fn wait(_: &AtomicU32, _: u32, _: Option<Duration>) -> Result<(), Error> {
        Ok(())
    }

    pub(super) fn wake(_: &AtomicU32) {}
}

static POOL: PerProcess<Lock<Vec<Arc<Waker>>>> = PerProcess::new();

/// The threads that wait for one thing.
#[derive(Debug, Default)]
pub struct Waiters {
    count: AtomicUsize,
    list: Lock<Vec<Arc<Waker>>>,
}

impl Waiters {
    /// Adds a sleeper; it must look at its condition again after this.
    pub fn add(&self, waker: &Arc<Waker>) {
        self.list.lock().push(waker.clone());
        self.count.fetch_add(1, Ordering::SeqCst);
        fence(Ordering::SeqCst);
    }

    /// Removes a sleeper (one registration of it).
    pub fn remove(&self, waker: &Arc<Waker>) {
        let mut list = self.list.lock();
        if let Some(at) = list.iter().position(|w| Arc::ptr_eq(w, waker)) {
            list.swap_remove(at);
            self.count.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// How many there are.
    #[inline]
    pub fn count(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// Wakes them all. The state they wait for must have been changed before.
    #[inline]
    pub fn wake(&self) {
        fence(Ordering::SeqCst);
        if self.count.load(Ordering::SeqCst) != 0 {
            self.wake_all();
        }
    }

    #[cold]
    fn wake_all(&self) {
        // Not under the lock: who wakes up takes it first thing.
        let (first, others) = {
            let list = self.list.lock();
            let mut sleepers = list.iter().cloned();
            (sleepers.next(), sleepers.collect::<Vec<_>>())
        };
        for waker in first.iter().chain(&others) {
            waker.wake();
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc as LoomArc;
    use loom::sync::atomic::AtomicBool as LoomBool;
    use loom::thread;

    /// The teller changes the state and wakes; the sleeper registers and looks again. One of them sees
    /// the other, in every interleaving.
    #[test]
    fn loom_a_registered_sleeper_is_woken_or_sees_the_news() {
        loom::model(|| {
            let waiters = LoomArc::new(Waiters::default());
            let news = LoomArc::new(LoomBool::new(false));
            let (tell, told) = (waiters.clone(), news.clone());
            let teller = thread::spawn(move || {
                told.store(true, Ordering::Release);
                tell.wake();
            });
            let waker = Arc::new(Waker::new());
            waker.arm();
            waiters.add(&waker);
            let seen = news.load(Ordering::Acquire);
            teller.join().unwrap();
            assert!(seen || waker.woken(), "asleep, with news");
        });
    }

    /// A waker that switches from the futex to poll(2) is woken in the way it then waits, or sees that it
    /// was woken before it waits.
    #[test]
    fn loom_a_wake_up_during_the_switch_to_polling_is_seen() {
        loom::model(|| {
            let waker = LoomArc::new(Waker::new());
            waker.arm();
            let other = waker.clone();
            let teller = thread::spawn(move || {
                // What `wake` does, telling which way it would have gone.
                other.state.swap(WOKEN, Ordering::SeqCst);
                fence(Ordering::SeqCst);
                other.polling.load(Ordering::SeqCst)
            });
            waker.set_polling(true);
            let seen = waker.woken();
            let by_descriptor = teller.join().unwrap();
            assert!(seen || by_descriptor, "waits in poll, woken by futex");
        });
    }
}
