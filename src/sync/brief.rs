//! A lock for critical sections of nanoseconds: one atomic operation to take it, a plain store to leave it.
//!
//! Nobody sleeps on it. Who finds it taken looks again, gives way, and after a while pauses for real, so
//! that a holder of lower priority gets to run.

use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::prim::{AtomicBool, Cell, Ordering, spin_loop};

/// A mutual exclusion lock that is held briefly.
#[derive(Debug)]
pub struct BriefLock<T> {
    taken: AtomicBool,
    value: Cell<T>,
}

// SAFETY: the value is reached only by the one holder of the lock.
unsafe impl<T: Send> Sync for BriefLock<T> {}

/// The value of a [`BriefLock`], until dropped.
#[derive(Debug)]
pub struct BriefGuard<'a, T>(&'a BriefLock<T>);

impl<T> BriefLock<T> {
    /// A lock around `value`.
    #[cfg(not(loom))]
    pub const fn new(value: T) -> BriefLock<T> {
        BriefLock { taken: AtomicBool::new(false), value: Cell::new(value) }
    }

    /// A lock around `value`.
    #[cfg(loom)]
    pub fn new(value: T) -> BriefLock<T> {
        BriefLock { taken: AtomicBool::new(false), value: Cell::new(value) }
    }

    /// Waits for the lock.
    #[inline]
    pub fn lock(&self) -> BriefGuard<'_, T> {
        if !self.try_take() {
            self.wait();
        }
        BriefGuard(self)
    }

    /// Takes the lock if nobody has it.
    #[inline]
    pub fn try_lock(&self) -> Option<BriefGuard<'_, T>> {
        self.try_take().then(|| BriefGuard(self))
    }

    /// A guard in place of one that was forgotten.
    ///
    /// # Safety
    /// A guard of this lock was forgotten, and this is called once for it.
    #[inline]
    pub(super) unsafe fn regain(&self) -> BriefGuard<'_, T> {
        BriefGuard(self)
    }

    #[inline]
    fn try_take(&self) -> bool {
        self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn wait(&self) {
        let mut patience = Patience::default();
        while self.taken.load(Ordering::Relaxed) || !self.try_take() {
            patience.pause();
        }
    }
}

/// How to wait for what takes nanoseconds unless its holder does not get to run.
#[derive(Debug, Default)]
pub(super) struct Patience {
    turn: u32,
}

impl Patience {
    pub(super) fn pause(&mut self) {
        const LOOKS: u32 = 32;
        const YIELDS: u32 = 64;
        const PAUSE: Duration = Duration::from_micros(50);
        self.turn = self.turn.saturating_add(1);
        if cfg!(loom) || self.turn < LOOKS {
            spin_loop();
        } else if self.turn < YIELDS {
            std::thread::yield_now();
        } else {
            std::thread::sleep(PAUSE);
        }
    }
}

impl<T: Default> Default for BriefLock<T> {
    fn default() -> BriefLock<T> {
        BriefLock::new(T::default())
    }
}

impl<T> Deref for BriefGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard holds the lock.
        self.0.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for BriefGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard holds the lock.
        self.0.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for BriefGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn one_holder_at_a_time() {
        static COUNT: BriefLock<u64> = BriefLock::new(0);
        const EACH: u64 = 50_000;
        let threads: Vec<_> = (0..4)
            .map(|_| std::thread::spawn(|| (0..EACH).for_each(|_| *COUNT.lock() += 1)))
            .collect();
        threads.into_iter().for_each(|t| t.join().expect("no panic"));
        assert_eq!(*COUNT.lock(), 4 * EACH);
    }
}
