//! Waiting for sockets: registering with their mailboxes, taking their connections over, sleeping.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Socket;
use super::core::Core;
use crate::base::Error;
use crate::pipe::turn::Turn;
use crate::pipe::{Driver, Notice, PipeKey, Pulled};
use crate::sync::{Mailbox, Waker};
use crate::sys::{PollFd, SignalMask};

/// A socket with more connections than this leaves them to the I/O thread: poll(2) over many descriptors
/// costs more than the wake-up it saves.
const MOST_ATTENDED: usize = 64;

/// A connection in the hands of its socket's callers.
pub(super) struct Attended {
    key: PipeKey,
    driver: Arc<dyn Driver>,
    stream: Arc<dyn AsRawFd + Send + Sync>,
}

impl Attended {
    fn input(&self) -> PollFd {
        PollFd::new(self.stream.as_raw_fd(), libc::POLLIN)
    }
}

/// One wait of one thread, over any number of sockets.
pub(super) struct Wait {
    waker: Arc<Waker>,
    mailboxes: Vec<Arc<Mailbox<Notice>>>,
    turns: Vec<(Arc<Turn>, Arc<Vec<Attended>>)>,
    /// As the last sleep left them: the waker's, those of the connections, others.
    fds: Vec<PollFd>,
    mask: Option<SignalMask>,
}

impl Wait {
    pub(super) fn new() -> Wait {
        let waker = Waker::acquire();
        waker.set_polling(false);
        waker.arm();
        Wait { waker, mailboxes: Vec::new(), turns: Vec::new(), fds: Vec::new(), mask: None }
    }

    /// While this sleeps these signals are blocked, and no others.
    pub(super) fn set_mask(&mut self, mask: Option<SignalMask>) {
        self.mask = mask;
    }

    /// Wakes up for news of this socket; with `reading` also takes its connections over. The socket has
    /// to be looked at again after this.
    pub(super) fn join(&mut self, core: &mut Core, reading: bool) {
        core.mailbox.watch(&self.waker);
        self.mailboxes.push(core.mailbox.clone());
        core.attended_over = false;
        if reading {
            self.attend(core);
        }
    }

    /// Takes over connections that this wait does not have yet.
    fn attend(&mut self, core: &mut Core) {
        if core.mailbox.has_descriptor() || core.pipes.len() > MOST_ATTENDED {
            let list = std::mem::take(&mut core.attended);
            list.iter().for_each(|attended| attended.driver.give_back());
            return;
        }
        if self.waker.prepare_polling().is_err() {
            return;
        }
        let turn = core.owner.turn.clone();
        turn.enter();
        let mut list = Vec::new();
        for id in core.pipes.ids() {
            let Some(key) = core.pipes.key(id) else { continue };
            if let Some(driver) = core.pipes.get(id).and_then(|pipe| pipe.driver())
                && let Some(stream) = driver.attend()
            {
                list.push(Attended { key, driver: driver.clone(), stream });
            }
        }
        core.attended = Arc::new(list);
        self.turns.push((turn, core.attended.clone()));
    }

    /// Connections came or went: takes stock anew of one socket's.
    pub(super) fn refresh(&mut self, core: &mut Core) {
        self.leave_turns();
        self.fds.clear();
        core.attended_over = false;
        self.attend(core);
    }

    /// What the last sleep found out about the connections of the one socket that is waited for, with
    /// these; None when it did not ask. Another thread's wait may have made another list meanwhile.
    fn marks(&self) -> Option<(Arc<Vec<Attended>>, &[PollFd])> {
        let asked = self.fds.iter().any(|fd| fd.revents() != 0);
        let (_, list) = self.turns.first()?;
        self.fds.get(1..).filter(|_| asked).map(|marks| (list.clone(), marks))
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
        self.fds.clear();
        let mut attended = self.turns.iter().flat_map(|(_, list)| list.iter()).peekable();
        if attended.peek().is_none() && others.is_empty() && self.mask.is_none() {
            return self.waker.wait(limit);
        }
        let own = self.waker.prepare_polling()?;
        self.fds.push(PollFd::new(own, libc::POLLIN));
        self.fds.extend(attended.map(Attended::input));
        let before = self.fds.len();
        self.fds.extend_from_slice(others);
        self.waker.set_polling(true);
        // A wake-up that saw us not polling went to the futex word, which is looked at here.
        let result = self.waker.wait_with(&mut self.fds, limit, self.mask.as_ref());
        self.waker.set_polling(false);
        others.copy_from_slice(&self.fds[before..]);
        result
    }

    /// Before the conditions are looked at again.
    pub(super) fn rearm(&self) {
        self.waker.arm();
    }

    fn leave_turns(&mut self) {
        for (turn, list) in self.turns.drain(..) {
            if turn.leave() {
                list.iter().for_each(|attended| attended.driver.rewatch());
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
        /// Reading so few to see what is there costs no more than asking first.
        const FEW: usize = 2;
        if self.attended.is_empty() {
            return false;
        }
        let mut fds = std::mem::take(&mut self.fds);
        fds.clear();
        if self.attended.len() > FEW {
            fds.extend(self.attended.iter().map(Attended::input));
            if crate::sys::poll(&mut fds, Some(Duration::ZERO)).is_err() {
                fds.clear();
            }
        }
        let any = self.pull_marked(own, &self.attended.clone(), &fds);
        self.fds = fds;
        any
    }

    /// As [`Core::pull`], from those of `list` that have something to say; without marks from all.
    fn pull_marked(&mut self, own: usize, list: &Arc<Vec<Attended>>, marks: &[PollFd]) -> bool {
        self.owner.turn.touch();
        let (mut any, mut over) = (false, 0);
        for (n, attended) in list.iter().enumerate() {
            if marks.get(n).is_some_and(|mark| mark.revents() == 0) {
                continue;
            }
            match attended.driver.pull() {
                Pulled::Messages => {
                    if let Some(id) = self.pipes.resolve(attended.key) {
                        self.pattern.readable(&mut self.pipes, id);
                        any = true;
                    }
                }
                Pulled::Nothing => {}
                Pulled::Over => over += 1,
            }
        }
        self.attended_over |= over > 0;
        if over == list.len() && Arc::ptr_eq(list, &self.attended) {
            self.attended = Arc::default();
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
                match wait.marks() {
                    Some((list, marks)) => core.pull_marked(1, &list, marks),
                    None => core.pull(1),
                };
                wait.fds.clear();
            }
            if let Attempt::Done(value) = attempt(&mut core)? {
                core.spin.end(&turn);
                core.sweep();
                return Ok(value);
            }
            if core.spin.again(&mut turn) {
                continue;
            }
            if reading && (known != core.pipes.len() || core.attended_over) {
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
