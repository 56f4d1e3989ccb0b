//! Whose turn it is to read a socket's connections: the thread that waits on the socket, or the I/O thread.
//!
//! A waiting caller takes the connections of its socket over. It does not give them back when it leaves:
//! the I/O thread looks once a tick whether the socket is still in use and takes them back when it is not.
//! A caller that stays inside for long lets the I/O thread sleep too; whoever then leaves wakes it.

use crate::sync::Lock;

/// The turn of one socket.
#[derive(Debug, Default)]
pub struct Turn(Lock<State>);

#[derive(Debug, Default)]
struct State {
    inside: u32,
    epoch: u64,
    /// The I/O threads stopped looking because a caller was inside.
    unwatched: bool,
}

/// What the I/O thread should do with a taken connection.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// In use: look again after a tick.
    Keep(u64),
    /// A caller sits inside: stop looking, it will call.
    Sleep,
    /// Nobody is interested any more: take it back.
    Reclaim,
}

impl Turn {
    /// A caller begins to wait.
    pub fn enter(&self) {
        let mut state = self.0.lock();
        state.inside += 1;
        state.epoch += 1;
    }

    /// A caller reads without waiting: the connections are still in use.
    pub fn touch(&self) {
        self.0.lock().epoch += 1;
    }

    /// The caller leaves; true when the I/O threads have to be told to look again.
    #[must_use]
    pub fn leave(&self) -> bool {
        let mut state = self.0.lock();
        state.inside = state.inside.saturating_sub(1);
        state.epoch += 1;
        std::mem::take(&mut state.unwatched)
    }

    /// The I/O thread looks; `seen` is what [`Verdict::Keep`] said the last time.
    pub fn look(&self, seen: Option<u64>) -> Verdict {
        let mut state = self.0.lock();
        if seen != Some(state.epoch) {
            Verdict::Keep(state.epoch)
        } else if state.inside > 0 {
            state.unwatched = true;
            Verdict::Sleep
        } else {
            Verdict::Reclaim
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_socket_is_kept_and_a_left_one_reclaimed() {
        let turn = Turn::default();
        turn.enter();
        assert!(!turn.leave());
        let Verdict::Keep(seen) = turn.look(None) else { panic!("first look") };
        assert_eq!(turn.look(Some(seen)), Verdict::Reclaim);
        turn.enter();
        let Verdict::Keep(seen) = turn.look(Some(seen)) else { panic!("moved on") };
        assert_eq!(turn.look(Some(seen)), Verdict::Sleep);
        assert!(turn.leave(), "who leaves must call the I/O thread back");
        assert!(matches!(turn.look(Some(seen)), Verdict::Keep(_)));
    }
}
