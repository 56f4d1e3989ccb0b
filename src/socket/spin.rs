//! Whether to look again for a moment before sleeping: a wake-up costs more than the message, if the
//! message comes soon and there is a processor to spare.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long to look.
const SPIN: Duration = Duration::from_micros(25);
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
    /// Asks for permission at the beginning of a wait.
    pub(super) fn begin(&mut self) -> Turn {
        const PATIENCE: u8 = 3;
        self.waits = self.waits.wrapping_add(1);
        if self.processors == 0 || self.waits.is_multiple_of(REFRESH) {
            self.processors = crate::sys::thread::processors();
        }
        let tries = self.credit > 0 || self.waits.is_multiple_of(PROBE);
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
            return Some(Spinning { until: Instant::now() + SPIN });
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
