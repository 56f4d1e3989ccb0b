//! Whether to look again for a moment before sleeping: a wake-up costs more than the message, if the
//! message comes soon and there is a processor to spare.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long to look.
const SPIN: Duration = Duration::from_micros(25);
/// How long at most where ZMQ_BUSY_POLL says how long: nobody looks at the caller's deadline meanwhile.
const LONGEST: Duration = Duration::from_millis(1);
/// Without credit, one wait in so many tries all the same, and of more each time that was in vain: on a busy machine
/// whoever gives way may get the processor back milliseconds later.
const PROBE: u32 = 64;
const RAREST_PROBE: u32 = 128;
/// Where both ends sleep, an answer takes as long as it takes to wake the other end up, and neither finds anything in
/// [`SPIN`]. So one try in so many, and of more each time that came to nothing, looks for longer, ...
const REACH: Duration = Duration::from_micros(150);
const LONG_TRY: u32 = 8;
const RAREST_LONG_TRY: u32 = 128;
/// ... and so many waits after it. If the other end is one of ours it tries within that, finds an answer soon, as this
/// end is awake, and goes on: then this end finds its own soon. What is long in coming earns nothing.
const COURTSHIP: u32 = 2 * RAREST_PROBE;
/// A wait in vain takes so many of them.
const REBUFF: u32 = COURTSHIP / 2;
/// Who gave way and was away for so long has no processor to spare.
const AWAY: Duration = Duration::from_micros(100);
/// How often to ask how many processors this thread may use.
const REFRESH: u32 = 1024;

static SPINNERS: AtomicUsize = AtomicUsize::new(0);

/// One socket's experience with spinning.
#[derive(Debug)]
pub(super) struct Spin {
    credit: i8,
    waits: u32,
    probe: u32,
    /// Tries without credit until the next long one, and how many those are.
    until_long: u32,
    long_try: u32,
    /// Waits left that look for long.
    courting: u32,
    /// The last look was in vain: by now the other end sleeps too, if it waits for this one.
    missed: bool,
    processors: usize,
    wish: Wish,
}

impl Default for Spin {
    fn default() -> Spin {
        Spin {
            credit: 0,
            waits: 0,
            probe: PROBE,
            until_long: 1,
            long_try: LONG_TRY,
            courting: 0,
            missed: false,
            processors: 0,
            wish: Wish::None,
        }
    }
}

/// What ZMQ_BUSY_POLL says.
#[derive(Clone, Copy, Debug, Default)]
enum Wish {
    /// Spin where it pays.
    #[default]
    None,
    Never,
    /// At every wait, for so long.
    Always(Duration),
}

/// How a wait begins.
#[derive(Debug)]
pub(super) enum Turn {
    /// Sleep.
    Sleep,
    /// As many spin as may, but one of them may be about to stop: give way so many times, until a moment.
    Queue(u8, Instant),
    /// Look again until a moment.
    Spin(Spinning),
}

impl Turn {
    /// Whether this wait does not look again before it sleeps.
    pub(super) fn sleeps(&self) -> bool {
        matches!(self, Turn::Sleep)
    }
}

/// A permission to spin until a moment.
#[derive(Debug)]
pub(super) struct Spinning {
    until: Instant,
    /// What is found after this was long in coming.
    soon: Instant,
    /// When the last look was.
    looked: Instant,
}

impl Spin {
    /// Heeds ZMQ_BUSY_POLL: below 0 this socket's callers never spin; above, they do at every wait and for so many
    /// microseconds, a thousand at most; at 0 they do where it pays.
    pub(super) fn set_wish(&mut self, microseconds: i32) {
        self.wish = match u64::try_from(microseconds) {
            Err(_) => Wish::Never,
            Ok(0) => Wish::None,
            Ok(wish) => Wish::Always(Duration::from_micros(wish).min(LONGEST)),
        };
    }

    /// Asks for permission at the beginning of a wait.
    pub(super) fn begin(&mut self) -> Turn {
        const PATIENCE: u8 = 3;
        self.waits = self.waits.wrapping_add(1);
        if self.processors == 0 || self.waits.is_multiple_of(REFRESH) {
            self.processors = crate::sys::thread::processors();
        }
        let tries = match self.wish {
            Wish::None => {
                self.credit > 0 || self.courting > 0 || self.waits.is_multiple_of(self.probe)
            }
            Wish::Never => false,
            Wish::Always(_) => true,
        };
        if !tries || self.processors < 2 {
            return Turn::Sleep;
        }
        let time = self.time();
        self.claim(time).map_or_else(|| Turn::Queue(PATIENCE, Instant::now() + SPIN), Turn::Spin)
    }

    /// For how long this wait may look.
    fn time(&mut self) -> Duration {
        if let Wish::Always(time) = self.wish {
            return time;
        }
        if self.credit > 0 {
            return if self.missed { REACH } else { SPIN };
        }
        if self.courting > 0 {
            self.courting -= 1;
            return REACH;
        }
        self.until_long -= 1;
        if self.until_long > 0 {
            return SPIN;
        }
        // Whether it comes to something shows later.
        self.long_try = (2 * self.long_try).min(RAREST_LONG_TRY);
        self.until_long = self.long_try;
        self.courting = COURTSHIP;
        REACH
    }

    /// Says whether to look again before sleeping.
    pub(super) fn again(&mut self, turn: &mut Turn) -> bool {
        match turn {
            Turn::Sleep => false,
            Turn::Queue(0, _) => {
                *turn = Turn::Sleep;
                false
            }
            Turn::Queue(left, until) => {
                *left -= 1;
                std::thread::yield_now();
                if Instant::now() >= *until {
                    // Others had more to do than to look for a moment. What came meanwhile is no merit of looking.
                    *turn = Turn::Sleep;
                    self.learn(false);
                    return false;
                }
                if let Some(spinning) = self.claim(SPIN) {
                    *turn = Turn::Spin(spinning);
                }
                true
            }
            Turn::Spin(spinning) => {
                std::thread::yield_now();
                let goes_on = self.goes_on(spinning, Instant::now());
                if !goes_on {
                    *turn = Turn::Sleep;
                }
                goes_on
            }
        }
    }

    /// Whether one who gave way and is back by `now` looks again.
    fn goes_on(&mut self, spinning: &mut Spinning, now: Instant) -> bool {
        let insists = matches!(self.wish, Wish::Always(_));
        let away = !insists && now.duration_since(spinning.looked) >= AWAY;
        spinning.looked = now;
        if now < spinning.until && !away {
            return true;
        }
        if away {
            self.learn(false);
            (self.courting, self.missed) = (0, false);
        } else if spinning.is_long() && self.credit <= 0 {
            self.courting = self.courting.saturating_sub(REBUFF);
        } else {
            self.learn(false);
        }
        false
    }

    /// The wait is over: learns whether spinning paid.
    pub(super) fn end(&mut self, turn: &Turn) {
        match turn {
            Turn::Sleep => {}
            Turn::Spin(spinning) if spinning.is_long() && Instant::now() > spinning.soon => {
                self.missed = false;
            }
            Turn::Spin(_) | Turn::Queue(..) => self.learn(true),
        }
    }

    fn claim(&self, time: Duration) -> Option<Spinning> {
        let others = SPINNERS.fetch_add(1, Ordering::Relaxed);
        if others + 1 < self.processors {
            let now = Instant::now();
            return Some(Spinning { until: now + time, soon: now + SPIN.min(time), looked: now });
        }
        SPINNERS.fetch_sub(1, Ordering::Relaxed);
        None
    }

    fn learn(&mut self, found: bool) {
        self.missed = !found;
        if found {
            (self.credit, self.probe) = ((self.credit + 1).min(8), PROBE);
            self.long_try = LONG_TRY;
            return;
        }
        if self.credit <= 0 {
            self.probe = (self.probe * 2).min(RAREST_PROBE);
        }
        self.credit = (self.credit - 1).max(-4);
    }
}

impl Spinning {
    fn is_long(&self) -> bool {
        self.until > self.soon
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        SPINNERS.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ready(processors: usize) -> Spin {
        Spin { processors, credit: 8, ..Spin::default() }
    }

    #[test]
    fn one_processor_is_left_to_others() {
        let held: Vec<_> = (0..8).filter_map(|_| ready(4).claim(SPIN)).collect();
        assert!(held.len() <= 3, "{held:?}");
        drop(held);
        assert!(matches!(ready(1).begin(), Turn::Sleep));
    }

    #[test]
    fn what_does_not_pay_is_left_but_for_a_try_now_and_then() {
        let mut spin = Spin { until_long: u32::MAX, ..ready(4) };
        let tries = |spin: &mut Spin, waits: u32| {
            (0..waits).filter(|_| !matches!(spin.begin(), Turn::Sleep)).count()
        };
        (0..8).for_each(|_| spin.learn(false));
        assert_eq!(tries(&mut spin, 640), 10);
        (0..20).for_each(|_| spin.learn(false));
        assert_eq!(tries(&mut spin, 10 * RAREST_PROBE), 10);
        spin.learn(true);
        assert_eq!(tries(&mut spin, 640), 10, "still without credit");
        (0..4).for_each(|_| spin.learn(true));
        assert!(!matches!(spin.begin(), Turn::Sleep));
    }

    #[test]
    fn where_both_ends_sleep_one_looks_for_longer_now_and_then() {
        let start = Instant::now();
        let spinning = |until, soon| Spinning { until, soon, looked: start };
        let late = || Turn::Spin(spinning(start + REACH, start));
        let misses = |spin: &mut Spin| !spin.goes_on(&mut spinning(start, start - SPIN), start);
        let mut spin = Spin { credit: 0, ..ready(4) };
        assert_eq!(spin.time(), REACH, "the first try is one");
        for _ in 0..COURTSHIP / 2 {
            spin.end(&late());
            assert_eq!((spin.time(), spin.credit), (REACH, 0), "what comes late keeps it up");
        }
        (0..2).for_each(|_| assert!(misses(&mut spin)));
        let tries = |spin: &mut Spin| (1..).find(|_| spin.time() == REACH);
        for wanted in [2 * LONG_TRY, 4 * LONG_TRY] {
            assert_eq!(
                tries(&mut spin),
                Some(wanted),
                "what comes to nothing is tried ever more rarely"
            );
            (0..2).for_each(|_| assert!(misses(&mut spin)));
        }
        spin.learn(true);
        assert_eq!(spin.time(), SPIN);
        spin.learn(true);
        assert!(misses(&mut spin));
        assert_eq!((spin.credit, spin.time()), (1, REACH), "the other end sleeps by now");
        spin.end(&late());
        assert_eq!((spin.credit, spin.time()), (1, SPIN), "and is awake");
    }

    #[test]
    fn who_was_away_for_long_stops_unless_it_was_told_how_long_to_look() {
        let start = Instant::now();
        let back = |spin: &mut Spin, after| {
            let mut spinning = Spinning { until: start + 10 * AWAY, soon: start, looked: start };
            spin.goes_on(&mut spinning, start + after)
        };
        let mut spin = Spin { credit: 0, courting: COURTSHIP, ..ready(4) };
        assert!(back(&mut spin, AWAY / 2));
        assert_eq!(spin.courting, COURTSHIP);
        assert!(!back(&mut spin, AWAY));
        assert_eq!(spin.courting, 0, "there is no processor to spare");
        spin.set_wish(1000);
        assert!(back(&mut spin, AWAY));
        assert!(!back(&mut spin, 10 * AWAY));
    }

    /// Whoever gives way to somebody who takes longer than one looks for was asleep as far as anybody can tell.
    #[test]
    fn a_queue_ends_when_its_time_has_passed() {
        let mut spin = ready(4);
        let mut turn = Turn::Queue(3, Instant::now());
        assert!(!spin.again(&mut turn));
        assert!(matches!(turn, Turn::Sleep));
        assert_eq!(spin.credit, 7);
        spin.end(&turn);
        assert_eq!(spin.credit, 7, "what was found then is not to its credit");
    }

    #[test]
    fn the_option_decides_where_it_is_set() {
        let mut spin = ready(4);
        spin.set_wish(-1);
        assert!((0..200).all(|_| matches!(spin.begin(), Turn::Sleep)));
        spin.set_wish(i32::MAX);
        spin.credit = -4;
        assert!(!matches!(spin.begin(), Turn::Sleep));
        if let Some(spinning) = spin.claim(LONGEST) {
            assert!(spinning.until <= Instant::now() + LONGEST);
        }
        spin.set_wish(0);
        assert!(matches!(spin.begin(), Turn::Sleep));
    }
}
