//! A lock for critical sections of nanoseconds: one atomic operation to take it, a plain store to leave it.
//!
//! Nobody sleeps on it. Who finds it taken looks again, gives way, and after a while pauses for real, so
//! that a holder of lower priority gets to run.

use std::cell::UnsafeCell;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A mutual exclusion lock that is held briefly.
#[derive(Debug, Default)]
pub struct BriefLock<T> {
    taken: AtomicBool,
    value: UnsafeCell<T>,
}

// SAFETY: the value is reached only by the one holder of the lock.
unsafe impl<T: Send> Sync for BriefLock<T> {}

/// The value of a [`BriefLock`], until dropped.
#[derive(Debug)]
pub struct BriefGuard<'a, T>(&'a BriefLock<T>);

impl<T> BriefLock<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> BriefLock<T> {
        BriefLock { taken: AtomicBool::new(false), value: UnsafeCell::new(value) }
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

    #[inline]
    fn try_take(&self) -> bool {
        self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok()
    }

    #[cold]
    fn wait(&self) {
        const LOOKS: u32 = 32;
        const YIELDS: u32 = 64;
        const PAUSE: Duration = Duration::from_micros(50);
        let mut turn = 0;
        loop {
            if !self.taken.load(Ordering::Relaxed) && self.try_take() {
                return;
            }
            turn += 1;
            if turn < LOOKS {
                std::hint::spin_loop();
            } else if turn < YIELDS {
                std::thread::yield_now();
            } else {
                std::thread::sleep(PAUSE);
            }
        }
    }
}

impl<T> Deref for BriefGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard holds the lock.
        unsafe { &*self.0.value.get() }
    }
}

impl<T> DerefMut for BriefGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard holds the lock.
        unsafe { &mut *self.0.value.get() }
    }
}

impl<T> Drop for BriefGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.0.taken.store(false, Ordering::Release);
    }
}

#[cfg(test)]
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
