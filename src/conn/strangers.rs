//! Who has connected and not proven anything yet: a bound on how many of them one I/O thread serves.
//!
//! Only the counting is here; sessions enter and leave, and send away whom they are told to.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// Handshakes of accepted connections in progress at a time. Far more than come together when every
/// client of a large server reconnects.
const MOST: usize = 16 * 1024;

/// Who has taken longer than this over a handshake has had time enough, where others wait for a descriptor.
const SLOW: Duration = Duration::from_secs(1);

/// The keys of accepted sessions whose handshake is not done, and since when.
#[derive(Default)]
pub(super) struct Strangers(BTreeMap<usize, Instant>);

impl Strangers {
    /// One more. Answers whom to send away for it: the one that came first, as keys only grow.
    pub(super) fn enter(&mut self, key: usize, now: Instant) -> Option<usize> {
        self.0.insert(key, now);
        if self.0.len() > MOST { self.0.pop_first().map(|(key, _)| key) } else { None }
    }

    /// There are no descriptors left for those who want to come in: answers whom to send away, if somebody
    /// has been slow. Who is quick is spared: a crowd of honest peers would do nothing but come and go.
    pub(super) fn give_way(&mut self, now: Instant) -> Option<usize> {
        let oldest = self.0.first_entry()?;
        let slow = now.saturating_duration_since(*oldest.get()) >= SLOW;
        slow.then(|| oldest.remove_entry().0)
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
        let (mut strangers, now) = (Strangers::default(), Instant::now());
        for key in 10..10 + MOST {
            assert_eq!(strangers.enter(key, now), None);
        }
        strangers.leave(10);
        assert_eq!(strangers.enter(9_000_000, now), None, "a place was free");
        assert_eq!(strangers.enter(9_000_001, now), Some(11));
        strangers.leave(11);
        assert_eq!(strangers.enter(9_000_002, now), Some(12));
    }
    #[test]
    fn only_the_slow_give_way() {
        let (mut strangers, start) = (Strangers::default(), Instant::now());
        assert_eq!(strangers.give_way(start), None);
        assert_eq!(strangers.enter(1, start), None);
        assert_eq!(strangers.enter(2, start + SLOW), None);
        assert_eq!(strangers.give_way(start + SLOW / 2), None);
        assert_eq!(strangers.give_way(start + SLOW), Some(1));
        assert_eq!(strangers.give_way(start + SLOW), None);
        assert_eq!(strangers.give_way(start + 2 * SLOW), Some(2));
        assert_eq!(strangers.give_way(start + 9 * SLOW), None);
    }
}
