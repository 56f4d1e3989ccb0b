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

/// A permission to spin until a moment.
pub(super) struct Spinning {
    until: Instant,
}

impl Spin {
    /// Asks for permission at the beginning of a wait.
    pub(super) fn begin(&mut self) -> Option<Spinning> {
        self.waits = self.waits.wrapping_add(1);
        if self.processors == 0 || self.waits % REFRESH == 0 {
            self.processors = std::thread::available_parallelism().map_or(1, usize::from);
        }
        if self.credit <= 0 && self.waits % PROBE != 0 {
            return None;
        }
        let others = SPINNERS.fetch_add(1, Ordering::Relaxed);
        if others + 1 >= self.processors {
            SPINNERS.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Spinning { until: Instant::now() + SPIN })
    }

    /// Learns from a spin whether it paid.
    pub(super) fn learn(&mut self, found: bool) {
        self.credit = if found { (self.credit + 1).min(8) } else { (self.credit - 1).max(-4) };
    }
}

impl Spinning {
    /// Gives way to others, then says whether to look again.
    pub(super) fn again(&self) -> bool {
        std::thread::yield_now();
        Instant::now() < self.until
    }
}

impl Drop for Spinning {
    fn drop(&mut self) {
        SPINNERS.fetch_sub(1, Ordering::Relaxed);
    }
}
