//! Who has connected and not proven anything yet: a bound on how many of them the I/O threads of a context serve
//! together.
//!
//! Only the counting is here; sessions enter and leave, and whoever is told to sends others away.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::worker::Worker;
use crate::sync::Lock;

/// Handshakes of accepted connections in progress at a time. Far more than come together when every
/// client of a large server reconnects.
const MOST: usize = 16 * 1024;

/// Who has taken longer than this over a handshake has had time enough, where others wait for a descriptor.
const SLOW: Duration = Duration::from_secs(1);

/// The accepted sessions of a context whose handshake is not done.
#[derive(Default)]
pub struct Strangers(Lock<Crowd<Arc<Worker>>>);

/// Where to find a session: its I/O thread, and its key there.
pub(super) type Whereabouts = (Arc<Worker>, usize);

impl Strangers {
    /// One more, who leaves when its place is dropped; and whom to send away for it, if there are too many.
    pub(super) fn enter(
        self: &Arc<Self>,
        worker: &Arc<Worker>,
        key: usize,
        now: Instant,
    ) -> (Place, Option<Whereabouts>) {
        let (number, displaced) = self.0.lock().enter(worker.clone(), key, now);
        (Place { strangers: self.clone(), number }, displaced)
    }

    /// There are no descriptors left for those who want to come in: answers whom to send away, at most `count`,
    /// as far as somebody has been slow.
    pub(super) fn give_way(&self, count: usize, now: Instant) -> Vec<Whereabouts> {
        let mut crowd = self.0.lock();
        std::iter::from_fn(|| crowd.give_way(now)).take(count).collect()
    }
}

/// A stranger's place in the crowd.
pub(super) struct Place {
    strangers: Arc<Strangers>,
    number: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.strangers.0.lock().leave(self.number);
    }
}

/// Strangers by the order in which they came, with when that was. `W` names an I/O thread.
struct Crowd<W> {
    next: u64,
    present: BTreeMap<u64, (W, usize, Instant)>,
}

impl<W> Crowd<W> {
    /// One more: its number, and whom to send away for it, which is the one that came first.
    fn enter(&mut self, worker: W, key: usize, now: Instant) -> (u64, Option<(W, usize)>) {
        let number = self.next;
        self.next += 1;
        self.present.insert(number, (worker, key, now));
        let displaced = if self.present.len() > MOST { self.present.pop_first() } else { None };
        (number, displaced.map(|(_, (worker, key, _))| (worker, key)))
    }

    /// Sends the first away if it is slow. Who is quick is spared: a crowd of honest peers would do nothing but
    /// come and go.
    fn give_way(&mut self, now: Instant) -> Option<(W, usize)> {
        let oldest = self.present.first_entry()?;
        let slow = now.saturating_duration_since(oldest.get().2) >= SLOW;
        slow.then(|| oldest.remove()).map(|(worker, key, _)| (worker, key))
    }

    /// It is no stranger any more, or it is gone.
    fn leave(&mut self, number: u64) {
        self.present.remove(&number);
    }
}

impl<W> Default for Crowd<W> {
    fn default() -> Self {
        Crowd { next: 0, present: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_to_come_is_the_first_to_go() {
        let (mut crowd, now) = (Crowd::default(), Instant::now());
        // Keys are the I/O threads' own: these are given out on four of them.
        let numbers: Vec<u64> = (0..MOST)
            .map(|n| {
                let (number, displaced) = crowd.enter(n % 4, n / 4, now);
                assert_eq!(displaced, None);
                number
            })
            .collect();
        crowd.leave(numbers[0]);
        assert_eq!(crowd.enter(0, 9_000_000, now).1, None, "a place was free");
        assert_eq!(crowd.enter(0, 9_000_001, now).1, Some((1, 0)));
        crowd.leave(numbers[1]);
        crowd.leave(numbers[2]);
        assert_eq!(crowd.enter(3, 9_000_002, now).1, None, "a place was free");
        assert_eq!(crowd.enter(3, 9_000_003, now).1, Some((3, 0)));
        assert_eq!(crowd.enter(3, 9_000_004, now).1, Some((0, 1)));
        assert_eq!(crowd.present.len(), MOST);
    }

    #[test]
    fn only_the_slow_give_way() {
        let (mut crowd, start) = (Crowd::default(), Instant::now());
        assert_eq!(crowd.give_way(start), None);
        crowd.enter('a', 1, start);
        crowd.enter('b', 1, start + SLOW);
        assert_eq!(crowd.give_way(start + SLOW / 2), None);
        assert_eq!(crowd.give_way(start + SLOW), Some(('a', 1)));
        assert_eq!(crowd.give_way(start + SLOW), None);
        assert_eq!(crowd.give_way(start + 2 * SLOW), Some(('b', 1)));
        assert_eq!(crowd.give_way(start + 9 * SLOW), None);
    }
}
