//! Waiting for sockets: registering with their mailboxes, taking their connections over, sleeping.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Socket;
use super::core::Core;
use crate::base::Error;
use crate::pipe::turn::Turn;
use crate::pipe::{Driver, Notice};
use crate::sync::{Mailbox, Waker};
use crate::sys::PollFd;

/// A socket with more connections than this leaves them to the I/O thread: poll(2) over many descriptors
/// costs more than the wake-up it saves.
const MOST_ATTENDED: usize = 16;

/// One wait of one thread, over any number of sockets.
pub(super) struct Wait {
    waker: Arc<Waker>,
    mailboxes: Vec<Arc<Mailbox<Notice>>>,
    turns: Vec<(Arc<Turn>, Vec<Arc<dyn Driver>>)>,
    streams: Vec<Arc<dyn AsRawFd + Send + Sync>>,
    fds: Vec<PollFd>,
}

impl Wait {
    pub(super) fn new() -> Wait {
        let waker = Waker::acquire();
        waker.set_polling(false);
        waker.arm();
        Wait {
            waker,
            mailboxes: Vec::new(),
            turns: Vec::new(),
            streams: Vec::new(),
            fds: Vec::new(),
        }
    }

    /// Wakes up for news of this socket; with `reading` also takes its connections over. The socket has
    /// to be looked at again after this.
    pub(super) fn join(&mut self, core: &mut Core, reading: bool) {
        core.mailbox.watch(&self.waker);
        self.mailboxes.push(core.mailbox.clone());
        if reading {
            self.attend(core);
        }
    }

    /// Takes over connections that this wait does not have yet.
    fn attend(&mut self, core: &mut Core) {
        if core.mailbox.has_descriptor() || core.pipes.len() > MOST_ATTENDED {
            return;
        }
        if self.waker.prepare_polling().is_err() {
            return;
        }
        let turn = core.owner.turn.clone();
        turn.enter();
        let mut drivers = Vec::new();
        for (_, pipe) in core.pipes.iter_mut() {
            if let Some(driver) = pipe.driver()
                && let Some(stream) = driver.attend()
            {
                self.streams.push(stream);
                drivers.push(driver.clone());
            }
        }
        core.attended |= !drivers.is_empty();
        self.turns.push((turn, drivers));
    }

    /// Connections came or went: takes stock anew of one socket's.
    pub(super) fn refresh(&mut self, core: &mut Core) {
        self.leave_turns();
        self.streams.clear();
        self.attend(core);
    }

    /// Sleeps until there may be news, a descriptor of `others` has something to say, or the deadline.
    /// `others` are given back with what happened.
    pub(super) fn sleep(
        &mut self,
        others: &mut [PollFd],
        deadline: Option<Instant>,
    ) -> Result<(), Error> {
        let limit = match deadline {
            None => None,
            Some(at) => match at.checked_duration_since(Instant::now()) {
                Some(left) if left > Duration::ZERO => Some(left),
                _ => return Err(Error::Again),
            },
        };
        if self.streams.is_empty() && others.is_empty() {
            return self.waker.wait(limit);
        }
        let own = self.waker.prepare_polling()?;
        self.fds.clear();
        self.fds.push(PollFd::new(own, libc::POLLIN));
        self.fds.extend(self.streams.iter().map(|s| PollFd::new(s.as_raw_fd(), libc::POLLIN)));
        let before = self.fds.len();
        self.fds.extend_from_slice(others);
        self.waker.set_polling(true);
        // A wake-up that saw us not polling went to the futex word, which is looked at here.
        let result = self.waker.wait_with(&mut self.fds, limit);
        self.waker.set_polling(false);
        others.copy_from_slice(&self.fds[before..]);
        result
    }

    /// Before the conditions are looked at again.
    pub(super) fn rearm(&self) {
        self.waker.arm();
    }

    fn leave_turns(&mut self) {
        for (turn, drivers) in self.turns.drain(..) {
            if turn.leave() {
                drivers.iter().for_each(|driver| driver.rewatch());
            }
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.leave_turns();
        for mailbox in self.mailboxes.drain(..) {
            mailbox.unwatch(&self.waker);
        }
        Waker::release(std::mem::take(&mut self.waker));
    }
}

impl Core {
    /// Reads connections that are in our hands; true when messages came. Other threads that wait on this
    /// socket, beside `own` waits of the caller, hear of them: the kernel has nothing more to tell.
    pub(super) fn pull(&mut self, own: usize) -> bool {
        if !self.attended {
            return false;
        }
        self.owner.turn.touch();
        let mut any = false;
        for id in self.pipes.ids() {
            let Some(driver) = self.pipes.get(id).and_then(|pipe| pipe.driver().cloned()) else {
                continue;
            };
            if driver.pull() {
                self.pattern.readable(&mut self.pipes, id);
                any = true;
            }
        }
        if any {
            self.mailbox.ring_others(own);
        }
        any
    }

    /// Writes out what was left for later: the caller is about to wait.
    pub(super) fn flush_left(&mut self) {
        const FEW: usize = 64;
        if self.pipes.len() <= FEW {
            self.pipes.iter_mut().for_each(|(_, pipe)| pipe.flush_left());
        }
    }
}

/// When a call with this timeout in milliseconds (below 0: none) gives up.
pub(super) fn deadline(timeout_ms: i64) -> Option<Instant> {
    let ms = u64::try_from(timeout_ms).ok()?;
    Instant::now().checked_add(Duration::from_millis(ms))
}

/// What a waiting call tries between sleeps.
pub(super) enum Attempt<T> {
    /// It is done.
    Done(T),
    /// Nothing yet.
    Later,
}

impl Socket {
    /// Repeats `attempt` under the socket's lock until it is done, fails, or time is up (EAGAIN). While
    /// this waits the lock is free.
    pub(super) fn wait_for<T>(
        self,
        reading: bool,
        deadline: Option<Instant>,
        mut attempt: impl FnMut(&mut Core) -> Result<Attempt<T>, Error>,
    ) -> Result<T, Error> {
        let mut core = self.enter()?;
        core.flush_left();
        let mut wait = Wait::new();
        wait.join(&mut core, reading);
        let mut known = core.pipes.len();
        let mut turn = core.spin.begin();
        loop {
            core.check()?;
            core.process();
            if reading {
                core.pull(1);
            }
            if let Attempt::Done(value) = attempt(&mut core)? {
                core.spin.end(&turn);
                core.sweep();
                return Ok(value);
            }
            if core.spin.again(&mut turn) {
                continue;
            }
            if reading && known != core.pipes.len() {
                known = core.pipes.len();
                wait.refresh(&mut core);
                continue;
            }
            drop(core);
            wait.sleep(&mut [], deadline)?;
            wait.rearm();
            core = self.enter()?;
        }
    }
}
