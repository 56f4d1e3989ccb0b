#![forbid(unsafe_code)]
//! A set of periodic timers on a clock that the caller reads: what is due when, and nothing about
//! calling it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::base::Error;

/// Longer intervals than a century are as good as for ever, and keep sums of times in range.
const LONGEST: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// Periodic timers, each with something of the caller's (`H`: what to call).
pub(super) struct TimerList<H> {
    last_id: i32,
    timers: BTreeMap<i32, Timer<H>>,
    /// The same timers in order of time.
    order: BTreeSet<(Instant, i32)>,
    /// Ids of the cancelled ones among them.
    cancelled: Vec<i32>,
}

struct Timer<H> {
    due: Instant,
    interval: Duration,
    /// A cancelled timer is kept until the next look at the list, and may be set until then without
    /// effect.
    cancelled: bool,
    handler: H,
}

impl<H: Copy> TimerList<H> {
    pub(super) const fn new() -> TimerList<H> {
        TimerList {
            last_id: 0,
            timers: BTreeMap::new(),
            order: BTreeSet::new(),
            cancelled: Vec::new(),
        }
    }

    /// Adds a timer that is due every `interval_ms` from `now` on; its id, never used again.
    pub(super) fn add(
        &mut self,
        interval_ms: usize,
        handler: H,
        now: Instant,
    ) -> Result<i32, Error> {
        let id = self.last_id.checked_add(1).ok_or(Error::NoMemory)?;
        self.last_id = id;
        let interval = interval(interval_ms);
        let due = now + interval;
        self.timers.insert(id, Timer { due, interval, cancelled: false, handler });
        self.order.insert((due, id));
        Ok(id)
    }

    /// Ends a timer; EINVAL when there is none of this id, or no more.
    pub(super) fn cancel(&mut self, id: i32) -> Result<(), Error> {
        match self.timers.get_mut(&id) {
            Some(timer) if !timer.cancelled => {
                timer.cancelled = true;
                self.cancelled.push(id);
                Ok(())
            }
            _ => Err(Error::Invalid),
        }
    }

    /// Changes the interval and starts it anew; EINVAL when there is no such timer.
    pub(super) fn set_interval(
        &mut self,
        id: i32,
        interval_ms: usize,
        now: Instant,
    ) -> Result<(), Error> {
        let timer = self.timers.get_mut(&id).ok_or(Error::Invalid)?;
        timer.interval = interval(interval_ms);
        self.reset(id, now)
    }

    /// Starts the interval anew; EINVAL when there is no such timer.
    pub(super) fn reset(&mut self, id: i32, now: Instant) -> Result<(), Error> {
        let timer = self.timers.get_mut(&id).ok_or(Error::Invalid)?;
        self.order.remove(&(timer.due, id));
        timer.due = now + timer.interval;
        self.order.insert((timer.due, id));
        Ok(())
    }

    /// Milliseconds until the next timer is due, rounded up; `None` without timers.
    pub(super) fn timeout_ms(&mut self, now: Instant) -> Option<u64> {
        self.collect();
        let (due, _) = self.order.first()?;
        let wait = due.saturating_duration_since(now);
        u64::try_from(wait.as_nanos().div_ceil(1_000_000)).ok()
    }

    /// The timers due at `now`, in order of time.
    pub(super) fn due(&mut self, now: Instant) -> Vec<i32> {
        self.collect();
        self.order.iter().take_while(|(due, _)| *due <= now).map(|&(_, id)| id).collect()
    }

    /// If this timer is (still) due at `now`: its handler, and the timer starts anew.
    pub(super) fn fire(&mut self, id: i32, now: Instant) -> Option<H> {
        let timer = self.timers.get(&id).filter(|timer| !timer.cancelled && timer.due <= now)?;
        let handler = timer.handler;
        self.reset(id, now).ok()?;
        Some(handler)
    }

    fn collect(&mut self) {
        for id in self.cancelled.drain(..) {
            if let Some(timer) = self.timers.remove(&id) {
                self.order.remove(&(timer.due, id));
            }
        }
    }
}

fn interval(ms: usize) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    #[test]
    fn due_timers_come_in_order_of_time_and_start_anew() {
        let start = Instant::now();
        let mut list = TimerList::new();
        assert_eq!(list.timeout_ms(start), None);
        assert_eq!(list.add(20, 'a', start), Ok(1));
        assert_eq!(list.add(10, 'b', start), Ok(2));
        assert_eq!(list.timeout_ms(at(start, 4)), Some(6));
        assert!(list.due(at(start, 9)).is_empty());
        let now = at(start, 25);
        assert_eq!(list.timeout_ms(now), Some(0));
        assert_eq!(list.due(now), [2, 1]);
        assert_eq!(list.fire(2, now), Some('b'));
        assert_eq!(list.fire(2, now), None);
        assert_eq!(list.fire(1, now), Some('a'));
        assert_eq!(list.timeout_ms(now), Some(10));
    }

    #[test]
    fn an_interval_of_zero_is_due_at_each_look() {
        let start = Instant::now();
        let mut list = TimerList::new();
        assert_eq!(list.add(0, (), start), Ok(1));
        for _ in 0..3 {
            assert_eq!(list.due(start), [1]);
            assert_eq!(list.fire(1, start), Some(()));
        }
    }

    #[test]
    fn cancelled_timers_never_fire_and_go_at_the_next_look() {
        let start = Instant::now();
        let mut list = TimerList::new();
        assert_eq!(list.add(1, (), start), Ok(1));
        assert_eq!(list.cancel(1), Ok(()));
        assert_eq!(list.cancel(1), Err(Error::Invalid));
        assert_eq!(list.reset(1, start), Ok(()));
        assert_eq!(list.set_interval(1, 5, start), Ok(()));
        assert_eq!(list.fire(1, at(start, 9)), None);
        assert_eq!(list.timeout_ms(start), None);
        assert_eq!(list.reset(1, start), Err(Error::Invalid));
        assert_eq!(list.set_interval(1, 5, start), Err(Error::Invalid));
        assert_eq!(list.add(1, (), start), Ok(2));
    }

    #[test]
    fn intervals_beyond_all_bounds_do_not_overflow() {
        let start = Instant::now();
        let mut list = TimerList::new();
        assert_eq!(list.add(usize::MAX, (), start), Ok(1));
        assert!(list.timeout_ms(start).is_some_and(|ms| ms > 1 << 40));
    }
}
