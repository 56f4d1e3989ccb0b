//! Deadlines by key. Entries are never taken out early: who was woken looks at its own deadlines again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// A heap of (deadline, key).
#[derive(Debug, Default)]
pub struct Timers(BinaryHeap<Reverse<(Instant, usize)>>);

impl Timers {
    /// Asks for a call at `when`.
    pub fn schedule(&mut self, when: Instant, key: usize) {
        self.0.push(Reverse((when, key)));
    }

    /// Time until the first deadline.
    pub fn until_next(&self, now: Instant) -> Option<Duration> {
        self.0.peek().map(|Reverse((when, _))| when.saturating_duration_since(now))
    }

    /// The next key that is due.
    pub fn pop_due(&mut self, now: Instant) -> Option<usize> {
        match self.0.peek() {
            Some(Reverse((when, _))) if *when <= now => self.0.pop().map(|Reverse((_, key))| key),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_come_in_order() {
        let start = Instant::now();
        let mut timers = Timers::default();
        for (ms, key) in [(30, 3), (10, 1), (20, 2)] {
            timers.schedule(start + Duration::from_millis(ms), key);
        }
        assert_eq!(timers.until_next(start), Some(Duration::from_millis(10)));
        assert_eq!(timers.pop_due(start), None);
        let later = start + Duration::from_millis(20);
        assert_eq!([timers.pop_due(later), timers.pop_due(later)], [Some(1), Some(2)]);
        assert_eq!(timers.pop_due(later), None);
    }
}
