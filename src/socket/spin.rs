//! Whether to look again for a moment before sleeping: a wake-up costs more than the message, if the
//! message comes soon and there is a processor to spare.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long to look.
const SPIN: Duration = Duration::from_micros(25);
/// How long at most where ZMQ_BUSY_POLL says how long: nobody looks at the caller's deadline meanwhile.
const LONGEST: Duration = Duration::from_millis(1);
/// Without credit, one wait in so many tries all the same.
const PROBE: u32 = 64;
/// How often to ask how many processors this thread may use.
const REFRESH: u32 = 1024;

static SPINNERS: AtomicUsize = AtomicUsize::new(0);

/// One socket's experience with spinning.
#[derive(Debug, Default)]
pub(super) struct Spin {
    credit: i8,
    waits: u32,
    processors: usize,
    wish: Wish,
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
    /// As many spin as may, but one of them may be about to stop: give way so many times.
    Queue(u8),
    /// Look again until a moment.
    Spin(Spinning),
}

/// A permission to spin until a moment.
#[derive(Debug)]
pub(super) struct Spinning {
    until: Instant,
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
            Wish::None => self.credit > 0 || self.waits.is_multiple_of(PROBE),
            Wish::Never => false,
            Wish::Always(_) => true,
        };
        if !tries || self.processors < 2 {
            return Turn::Sleep;
        }
        self.claim().map_or(Turn::Queue(PATIENCE), Turn::Spin)
    }

    /// Says whether to look again before sleeping.
    pub(super) fn again(&mut self, turn: &mut Turn) -> bool {
        match turn {
            Turn::Sleep => false,
            Turn::Queue(0) => {
                *turn = Turn::Sleep;
                false
            }
            Turn::Queue(left) => {
                *left -= 1;
                std::thread::yield_now();
                if let Some(spinning) = self.claim() {
                    *turn = Turn::Spin(spinning);
                }
                true
            }
            Turn::Spin(spinning) => {
                std::thread::yield_now();
                if Instant::now() < spinning.until {
                    return true;
                }
                *turn = Turn::Sleep;
                self.learn(false);
                false
            }
        }
    }

    /// The wait is over: learns whether spinning paid.
    pub(super) fn end(&mut self, turn: &Turn) {
        if !matches!(turn, Turn::Sleep) {
            self.learn(true);
        }
    }

    fn claim(&self) -> Option<Spinning> {
        let others = SPINNERS.fetch_add(1, Ordering::Relaxed);
        if others + 1 < self.processors {
            let time = if let Wish::Always(time) = self.wish { time } else { SPIN };
            return Some(Spinning { until: Instant::now() + time });
        }
        SPINNERS.fetch_sub(1, Ordering::Relaxed);
        None
    }

    fn learn(&mut self, found: bool) {
        self.credit = if found { (self.credit + 1).min(8) } else { (self.credit - 1).max(-4) };
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
        let held: Vec<_> = (0..8).filter_map(|_| ready(4).claim()).collect();
        assert!(held.len() <= 3, "{held:?}");
        drop(held);
        assert!(matches!(ready(1).begin(), Turn::Sleep));
    }

    #[test]
    fn what_does_not_pay_is_left_but_for_a_try_now_and_then() {
        let mut spin = ready(4);
        (0..20).for_each(|_| spin.learn(false));
        let tries = (0..640).filter(|_| !matches!(spin.begin(), Turn::Sleep)).count();
        assert_eq!(tries, 10);
        (0..5).for_each(|_| spin.learn(true));
        assert!(!matches!(spin.begin(), Turn::Sleep));
    }

    #[test]
    fn the_option_decides_where_it_is_set() {
        let mut spin = ready(4);
        spin.set_wish(-1);
        assert!((0..200).all(|_| matches!(spin.begin(), Turn::Sleep)));
        spin.set_wish(i32::MAX);
        spin.credit = -4;
        assert!(!matches!(spin.begin(), Turn::Sleep));
        if let Some(spinning) = spin.claim() {
            assert!(spinning.until <= Instant::now() + LONGEST);
        }
        spin.set_wish(0);
        assert!(matches!(spin.begin(), Turn::Sleep));
    }
}
