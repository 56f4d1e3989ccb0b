//! Who has connected and not proven anything yet: a bound on how many of them one I/O thread serves.
//!
//! Only the counting is here; sessions enter and leave, and send away whom they are told to.

use std::collections::BTreeSet;

/// Handshakes of accepted connections in progress at a time. Far more than come together when every
/// client of a large server reconnects.
const MOST: usize = 16 * 1024;

/// The keys of accepted sessions whose handshake is not done.
#[derive(Default)]
pub(super) struct Strangers(BTreeSet<usize>);

impl Strangers {
    /// One more. Answers whom to send away for it: the one that came first, as keys only grow.
    pub(super) fn enter(&mut self, key: usize) -> Option<usize> {
        self.0.insert(key);
        if self.0.len() > MOST { self.0.pop_first() } else { None }
    }

    /// It is no stranger any more, or it is gone.
    pub(super) fn leave(&mut self, key: usize) {
        self.0.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_come_is_the_first_to_go() {
        let mut strangers = Strangers::default();
        for key in 10..10 + MOST {
            assert_eq!(strangers.enter(key), None);
        }
        strangers.leave(10);
        assert_eq!(strangers.enter(9_000_000), None, "a place was free");
        assert_eq!(strangers.enter(9_000_001), Some(11));
        strangers.leave(11);
        assert_eq!(strangers.enter(9_000_002), Some(12));
    }
}
