//! Whose turn it is to read a socket's connections: the thread that waits on the socket, or the I/O thread.
//!
//! A waiting caller takes the connections of its socket over. It does not give them back when it leaves:
//! the I/O thread looks once a tick whether the socket is still in use and takes them back when it is not.
//! A caller that stays inside for long lets the I/O thread sleep too; whoever then leaves wakes it.
//!
//! A caller may come back in cycles longer than a tick, one that serves many sockets in turn for example: then
//! taking connections back and over again would be most of the work. So who comes back soon is left alone for
//! longer the next time.
//!
//! Callers wait with a list of connections each. Connections come while somebody waits, so that lists differ;
//! the newest one has every connection that is taken. Once nobody inside has that one, those who stay cannot
//! be trusted with all of them: whoever leaves last with it gives its connections back.

use std::time::{Duration, Instant};

use crate::sync::Lock;

/// Who comes back so soon after the connections were taken back was taken for gone too early.
const SOON: Duration = Duration::from_millis(8);
/// Then they are left for longer, up to so many looks without a call.
const LONGEST: u8 = 8;

/// The turn of one socket.
#[derive(Debug, Default)]
pub struct Turn(Lock<State>);

#[derive(Debug, Default)]
struct State {
    inside: u32,
    epoch: u64,
    /// The I/O threads stopped looking because a caller was inside.
    unwatched: bool,
    /// The number of the newest list.
    list: u64,
    /// How many of those inside have it.
    holders: u32,
    /// Looks without a call, beyond the first, until the connections are taken back.
    patience: u8,
    /// When they were taken back.
    reclaimed: Option<Instant>,
}

/// What the I/O thread saw when it looked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Seen {
    epoch: u64,
    /// Looks since anything had changed.
    idle: u8,
}

/// What the I/O thread should do with a taken connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// In use: look again after a tick.
    Keep(Seen),
    /// A caller sits inside: stop looking, it will call.
    Sleep,
    /// Nobody is interested any more: take it back.
    Reclaim,
}

/// What a caller that leaves has to do with the connections of its list.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Farewell {
    /// Nothing.
    Silent,
    /// Tell the I/O threads to look again.
    Rewatch,
    /// Give them back: others stay, who do not have all of them.
    GiveBack,
}

impl Turn {
    /// A caller begins to wait, with the newest list as far as it knows: the number of that.
    pub fn enter(&self) -> u64 {
        let mut state = self.0.lock();
        state.inside += 1;
        state.epoch += 1;
        state.holders += 1;
        if let Some(at) = state.reclaimed.take() {
            let soon = at.elapsed() < SOON;
            state.patience = if soon { (2 * state.patience + 1).min(LONGEST - 1) } else { 0 };
        }
        state.list
    }

    /// The caller that has just entered found connections that the newest list does not have, and made one
    /// that has them all: its number.
    pub fn renew(&self) -> u64 {
        let mut state = self.0.lock();
        state.list += 1;
        state.holders = 1;
        state.list
    }

    /// A caller reads without waiting: the connections are still in use.
    pub fn touch(&self) {
        self.0.lock().epoch += 1;
    }

    /// A caller leaves that waited with the list of this number.
    #[must_use]
    pub fn leave(&self, list: u64) -> Farewell {
        let mut state = self.0.lock();
        state.inside = state.inside.saturating_sub(1);
        state.epoch += 1;
        if list != state.list {
            // Somebody else has what it had, or that was given back.
            return Farewell::Silent;
        }
        state.holders = state.holders.saturating_sub(1);
        let unwatched = std::mem::take(&mut state.unwatched);
        if state.holders == 0 && state.inside > 0 {
            Farewell::GiveBack
        } else if unwatched {
            Farewell::Rewatch
        } else {
            Farewell::Silent
        }
    }

    /// The I/O thread looks; `seen` is what [`Verdict::Keep`] said the last time.
    pub fn look(&self, seen: Option<Seen>) -> Verdict {
        let mut state = self.0.lock();
        match seen {
            Some(Seen { epoch, idle }) if epoch == state.epoch => {
                if state.inside > 0 {
                    state.unwatched = true;
                    Verdict::Sleep
                } else if idle < state.patience {
                    Verdict::Keep(Seen { epoch, idle: idle + 1 })
                } else {
                    state.reclaimed = Some(Instant::now());
                    Verdict::Reclaim
                }
            }
            _ => Verdict::Keep(Seen { epoch: state.epoch, idle: 0 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_socket_is_kept_and_a_left_one_reclaimed() {
        let turn = Turn::default();
        let list = turn.enter();
        assert_eq!(turn.leave(list), Farewell::Silent);
        let Verdict::Keep(seen) = turn.look(None) else { panic!("first look") };
        assert_eq!(turn.look(Some(seen)), Verdict::Reclaim);
        let list = turn.enter();
        let Verdict::Keep(seen) = turn.look(Some(seen)) else { panic!("moved on") };
        assert_eq!(turn.look(Some(seen)), Verdict::Sleep);
        assert_eq!(turn.leave(list), Farewell::Rewatch, "who leaves must call the I/O thread back");
        assert!(matches!(turn.look(Some(seen)), Verdict::Keep(_)));
    }

    #[test]
    fn who_comes_back_soon_is_left_alone_for_longer() {
        let turn = Turn::default();
        let visit = || {
            let list = turn.enter();
            assert_eq!(turn.leave(list), Farewell::Silent);
        };
        let looks = || {
            let mut seen = None;
            (0..).find(|_| match turn.look(seen) {
                Verdict::Keep(now) => {
                    seen = Some(now);
                    false
                }
                verdict => verdict == Verdict::Reclaim,
            })
        };
        let counts = [(); 6].map(|()| {
            visit();
            looks().expect("at some time")
        });
        assert_eq!(counts, [1, 2, 4, 8, 8, 8]);
        std::thread::sleep(SOON);
        visit();
        assert_eq!(looks(), Some(1), "after a rest it begins anew");
    }

    #[test]
    fn the_last_one_with_the_newest_list_gives_back_what_others_do_not_have() {
        let turn = Turn::default();
        turn.enter();
        let early = turn.renew();
        assert_eq!(turn.enter(), early, "nothing new: the same list");
        assert_eq!(turn.leave(early), Farewell::Silent, "the other one has it all");
        turn.enter();
        let late = turn.renew();
        assert_eq!(turn.enter(), late);
        assert_eq!(turn.leave(late), Farewell::Silent, "one is left who has it all");
        assert_eq!(turn.leave(late), Farewell::GiveBack);
        assert_eq!(turn.leave(early), Farewell::Silent, "nothing is taken any more");
    }

    #[test]
    fn who_leaves_with_an_old_list_leaves_the_call_to_those_with_the_newest() {
        let turn = Turn::default();
        turn.enter();
        let early = turn.renew();
        turn.enter();
        let late = turn.renew();
        let Verdict::Keep(seen) = turn.look(None) else { panic!("first look") };
        assert_eq!(turn.look(Some(seen)), Verdict::Sleep);
        assert_eq!(turn.leave(early), Farewell::Silent);
        assert_eq!(turn.leave(late), Farewell::Rewatch);
    }
}
