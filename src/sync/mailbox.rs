//! A bell and a list: what other threads leave for the owner of a socket.

use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use crate::base::Error;
use crate::sync::{Lock, Waiters, Waker};
use crate::sys::EventFd;

/// Messages for one owner from any thread.
pub struct Mailbox<M> {
    pending: AtomicBool,
    queue: Lock<Vec<M>>,
    waiters: Waiters,
    event: OnceLock<EventFd>,
    bell: Option<Bell>,
}

/// What is called for an owner that never waits.
struct Bell(Box<dyn Fn() + Send + Sync>);

impl<M> Default for Mailbox<M> {
    fn default() -> Self {
        Mailbox {
            pending: AtomicBool::new(false),
            queue: Lock::new(Vec::new()),
            waiters: Waiters::default(),
            event: OnceLock::new(),
            bell: None,
        }
    }
}

impl<M> std::fmt::Debug for Mailbox<M> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mailbox").field("pending", &self.pending).finish_non_exhaustive()
    }
}

impl<M> Mailbox<M> {
    /// A mailbox that calls `bell`, in the thread that posts, for the first message since it was last
    /// emptied.
    pub fn with_bell(bell: impl Fn() + Send + Sync + 'static) -> Mailbox<M> {
        Mailbox { bell: Some(Bell(Box::new(bell))), ..Mailbox::default() }
    }

    /// Leaves a message and wakes whoever waits for one.
    pub fn post(&self, message: M) {
        let first = {
            let mut queue = self.queue.lock();
            queue.push(message);
            self.pending.store(true, Ordering::SeqCst);
            let first = queue.len() == 1;
            if first && let Some(event) = self.event.get() {
                event.notify();
            }
            first
        };
        self.waiters.wake();
        if let (true, Some(Bell(ring))) = (first, &self.bell) {
            ring();
        }
    }

    /// Whether anything was left.
    #[inline]
    pub fn pending(&self) -> bool {
        self.pending.load(Ordering::Acquire)
    }

    /// Takes everything, in order; `into` must be empty.
    pub fn take(&self, into: &mut Vec<M>) {
        let mut queue = self.queue.lock();
        self.pending.store(false, Ordering::SeqCst);
        if let Some(event) = self.event.get() {
            event.drain();
        }
        std::mem::swap(&mut *queue, into);
    }

    /// Takes the newest message back that `wanted` picks, if it was not taken yet.
    pub fn withdraw(&self, wanted: impl Fn(&M) -> bool) -> Option<M> {
        self.take_back(|queue| queue.iter().rposition(wanted))
    }

    /// As [`Mailbox::withdraw`], the oldest one.
    pub fn withdraw_oldest(&self, wanted: impl Fn(&M) -> bool) -> Option<M> {
        self.take_back(|queue| queue.iter().position(wanted))
    }

    fn take_back(&self, find: impl FnOnce(&[M]) -> Option<usize>) -> Option<M> {
        let mut queue = self.queue.lock();
        let at = find(&queue)?;
        let message = queue.remove(at);
        if queue.is_empty() {
            self.pending.store(false, Ordering::SeqCst);
            if let Some(event) = self.event.get() {
                event.drain();
            }
        }
        Some(message)
    }

    /// A descriptor that is readable while messages wait; made on first use.
    pub fn descriptor(&self) -> Result<RawFd, Error> {
        if let Some(event) = self.event.get() {
            return Ok(event.as_raw_fd());
        }
        let made = EventFd::new()?;
        let queue = self.queue.lock();
        if !queue.is_empty() {
            made.notify();
        }
        Ok(self.event.get_or_init(|| made).as_raw_fd())
    }

    /// Whether [`Mailbox::descriptor`] was ever asked for.
    #[inline]
    pub fn has_descriptor(&self) -> bool {
        self.event.get().is_some()
    }

    /// Registers a sleeper; it must look again at what it waits for after this.
    pub fn watch(&self, waker: &Arc<Waker>) {
        self.waiters.add(waker);
    }

    /// Ends [`Mailbox::watch`].
    pub fn unwatch(&self, waker: &Arc<Waker>) {
        self.waiters.remove(waker);
    }

    /// Wakes the sleepers if there are more than the caller's `own`: it has taken in what all wait for.
    #[inline]
    pub fn ring_others(&self, own: usize) {
        if self.waiters.count() > own {
            self.waiters.wake();
        }
    }

    /// Wakes the sleepers without a message.
    pub fn ring(&self) {
        self.waiters.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_descriptor_tells_of_messages_left_before_it_was_made() {
        let mailbox = Mailbox::default();
        mailbox.post(1);
        let fd = mailbox.descriptor().expect("eventfd");
        let readable = |fd| {
            let mut watched = [crate::sys::PollFd::new(fd, libc::POLLIN)];
            crate::sys::poll(&mut watched, Some(std::time::Duration::ZERO)) == Ok(1)
        };
        assert!(readable(fd));
        mailbox.post(2);
        let mut got = Vec::new();
        mailbox.take(&mut got);
        assert_eq!(got, [1, 2]);
        assert!(!readable(fd) && !mailbox.pending());
        mailbox.post(3);
        assert!(readable(fd) && mailbox.pending());
    }

    #[test]
    fn a_message_can_be_withdrawn_until_it_is_taken() {
        let mailbox = Mailbox::default();
        let fd = mailbox.descriptor().expect("eventfd");
        (1..=3).for_each(|n| mailbox.post(n));
        assert_eq!(mailbox.withdraw(|n| *n == 4), None);
        assert_eq!(mailbox.withdraw(|n| *n < 3), Some(2), "the newest of those");
        mailbox.post(2);
        assert_eq!(mailbox.withdraw_oldest(|n| *n > 1), Some(3), "the oldest of those");
        let mut got = Vec::new();
        mailbox.take(&mut got);
        assert_eq!(got, [1, 2], "the others keep their order");
        assert_eq!(mailbox.withdraw(|_| true), None);
        mailbox.post(4);
        assert_eq!(mailbox.withdraw(|n| *n == 4), Some(4));
        let mut watched = [crate::sys::PollFd::new(fd, libc::POLLIN)];
        assert_eq!(crate::sys::poll(&mut watched, Some(std::time::Duration::ZERO)), Ok(0));
        assert!(!mailbox.pending());
    }

    #[test]
    fn a_sleeper_that_looks_after_registering_misses_nothing() {
        let mailbox = Arc::new(Mailbox::default());
        let sender = mailbox.clone();
        let writer = std::thread::spawn(move || (0..20_000).for_each(|n| sender.post(n)));
        let (mut seen, mut batch) = (0, Vec::new());
        while seen < 20_000 {
            let waker = Waker::acquire();
            waker.arm();
            mailbox.watch(&waker);
            if !mailbox.pending() {
                waker.wait(None).ok();
            }
            mailbox.unwatch(&waker);
            Waker::release(waker);
            mailbox.take(&mut batch);
            for n in batch.drain(..) {
                assert_eq!(n, seen);
                seen += 1;
            }
        }
        writer.join().expect("writer");
    }
}
