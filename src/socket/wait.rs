//! Waiting for sockets: registering with their mailboxes, taking their connections over, sleeping.

use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Socket;
use super::core::Core;
use super::room::Blocked;
use crate::base::Error;
use crate::pipe::turn::{Farewell, Turn};
use crate::pipe::{Driver, Notice, PipeKey, Pulled, left};
use crate::sync::{Mailbox, Waker};
use crate::sys::{self, PollFd, SignalMask};

/// A socket with more connections than this leaves them to the I/O thread: poll(2) over many descriptors
/// costs more than the wake-up it saves.
const MOST_ATTENDED: usize = 64;

/// A connection in the hands of its socket's callers.
#[derive(Clone)]
pub(super) struct Attended {
    key: PipeKey,
    driver: Arc<dyn Driver>,
    stream: Stream,
}

impl Attended {
    fn input(&self) -> PollFd {
        PollFd::new(self.stream.as_raw_fd(), libc::POLLIN)
    }

    /// Whether it is the same connection of the same pipe: that can be lost and made anew.
    fn is(&self, key: PipeKey, stream: &Stream) -> bool {
        self.key == key && Arc::ptr_eq(&self.stream, stream)
    }
}

type Stream = Arc<dyn AsRawFd + Send + Sync>;

/// Whose turn it is with the connections of one socket, and those with the number of their list.
struct Held {
    turn: Arc<Turn>,
    number: u64,
    list: Arc<Vec<Attended>>,
}

/// One wait of one thread, over any number of sockets.
pub(super) struct Wait {
    waker: Arc<Waker>,
    mailboxes: Vec<Arc<Mailbox<Notice>>>,
    turns: Vec<Held>,
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
        if !core.pipes.any_wire() && core.attended.is_empty() {
            return;
        }
        if core.mailbox.has_descriptor() || core.pipes.len() > MOST_ATTENDED {
            let list = std::mem::take(&mut core.attended);
            list.iter().for_each(|attended| attended.driver.give_back());
            return;
        }
        if self.waker.prepare_polling().is_err() {
            return;
        }
        let turn = core.owner.turn.clone();
        let mut number = turn.enter();
        let known = &core.attended;
        // As the list that the last wait made, for as long as that turns out to be right.
        let (mut same, mut other) = (0, None::<Vec<Attended>>);
        for id in core.pipes.ids() {
            let Some(key) = core.pipes.key(id) else { continue };
            if let Some(driver) = core.pipes.get(id).and_then(|pipe| pipe.driver())
                && let Some(stream) = driver.attend()
            {
                if other.is_none() && known.get(same).is_some_and(|known| known.is(key, &stream)) {
                    same += 1;
                    continue;
                }
                let list = other.get_or_insert_with(|| known.iter().take(same).cloned().collect());
                list.push(Attended { key, driver: driver.clone(), stream });
            }
        }
        if same < known.len() && other.is_none() {
            other = Some(known.iter().take(same).cloned().collect());
        }
        if let Some(list) = other {
            number = turn.renew();
            core.attended = Arc::new(list);
        }
        self.turns.push(Held { turn, number, list: core.attended.clone() });
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
        let held = self.turns.first()?;
        self.fds.get(1..).filter(|_| asked).map(|marks| (held.list.clone(), marks))
    }

    /// Reads the connections of the one socket that is waited for, after a sleep those that ended it; whether
    /// messages came.
    fn read(&mut self, core: &mut Core) -> bool {
        let any = match self.marks() {
            Some((list, marks)) => core.pull_marked(1, &list, marks),
            None => core.pull(1),
        };
        self.fds.clear();
        any
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
        let mut attended = self.turns.iter().flat_map(|held| held.list.iter()).peekable();
        if attended.peek().is_none() && others.is_empty() && self.mask.is_none() {
            return self.waker.wait(limit);
        }
        /// How long to wait for other descriptors before looking whether anybody called.
        const BLIND: Duration = Duration::from_millis(10);
        // Without a descriptor left nobody can call.
        let Ok(own) = self.waker.prepare_polling() else {
            let most = if self.mailboxes.is_empty() { Duration::MAX } else { BLIND };
            let (time, over) = match limit {
                Some(limit) if limit <= most => (Some(limit), true),
                _ => (Some(most).filter(|most| *most < Duration::MAX), false),
            };
            return match sys::poll_masked(others, time, self.mask.as_ref())? {
                0 if over => Err(Error::Again),
                _ => Ok(()),
            };
        };
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
        for Held { turn, number, list } in self.turns.drain(..) {
            match turn.leave(number) {
                Farewell::Silent => {}
                Farewell::Rewatch => list.iter().for_each(|attended| attended.driver.rewatch()),
                Farewell::GiveBack => list.iter().for_each(|attended| attended.driver.give_back()),
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
        self.express.end_input();
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

    /// Writes out what was left for later: the caller is about to wait. All that this thread left, on whatever
    /// socket, and what another one left on this.
    pub(super) fn flush_left(&mut self) {
        const FEW: usize = 64;
        left::write_out();
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
        // What the caller had in its hands it has just read, and if more is there the sleep ends at once.
        let mut looks = reading && !turn.sleeps();
        let mut blocked = Blocked::default();
        loop {
            core.check()?;
            core.process();
            if looks {
                wait.read(&mut core);
            }
            looks = reading;
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
            let mut fds: &mut [PollFd] = if reading { &mut [] } else { blocked.take(&mut core) };
            if !fds.is_empty() && wait.waker.prepare_polling().is_err() {
                // There is no descriptor left to wait with: the I/O thread writes on.
                blocked = Blocked::default();
                fds = &mut [];
            }
            drop(core);
            wait.sleep(fds, deadline)?;
            wait.rearm();
            blocked.write_on();
            core = self.enter()?;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Msg;
    use crate::options::SocketType;
    use crate::socket::testing::{Bytes, socket};
    use std::io::Write;

    fn soon() -> Option<Instant> {
        Some(Instant::now() + Duration::from_secs(30))
    }

    #[test]
    fn what_a_sleep_found_out_is_about_its_own_connections() {
        let socket = socket(SocketType::Pull);
        let mut core = socket.enter().expect("open");
        let peers = [(); 4].map(|()| Bytes::join(&mut core));
        let [_one, mut middle, _other] = [1, 2, 3].map(|n: usize| peers[n].connect());
        let mut first_wait = Wait::new();
        first_wait.join(&mut core, true);
        middle.write_all(b"x").expect("written");
        first_wait.sleep(&mut [], soon()).expect("woken");
        // Before it has the lock again another thread begins to wait, whose list has one more, in front.
        let _far = peers[0].connect();
        let mut second_wait = Wait::new();
        second_wait.join(&mut core, true);
        assert_eq!(core.attended.len(), 4);
        assert!(first_wait.read(&mut core), "it was woken by the middle one and has to read that");
        let mut msg = Msg::new();
        let core = &mut **core;
        assert_eq!(core.pattern.recv_into(&mut core.pipes, &mut msg), Ok(()));
        assert_eq!(msg.data(), b"x");
    }

    #[test]
    fn connections_that_nobody_inside_has_are_given_back() {
        let socket = socket(SocketType::Pull);
        let mut core = socket.enter().expect("open");
        let peers = [(); 2].map(|()| Bytes::join(&mut core));
        let _first = peers[0].connect();
        let mut stays = Wait::new();
        stays.join(&mut core, true);
        for _ in 0..2 {
            let mut same = Wait::new();
            same.join(&mut core, true);
            assert_eq!(core.attended.len(), 1, "a list of its own would be the same");
            drop(same);
            assert!(peers[0].is_taken());
        }
        // Another one comes, and then the same one anew.
        for n in [1, 1] {
            let _second = peers[n].connect();
            let [mut one, mut other] = [(); 2].map(|()| Wait::new());
            one.join(&mut core, true);
            other.join(&mut core, true);
            assert_eq!(core.attended.len(), 2);
            drop(one);
            assert!(peers[1].is_taken());
            drop(other);
            assert!(!peers[1].is_taken(), "who stays does not know of it");
        }
        stays.refresh(&mut core);
        assert!(peers.iter().all(|peer| peer.is_taken()));
        drop(stays);
        assert!(peers.iter().all(|peer| peer.is_taken()), "until the I/O thread looks");
    }
}
