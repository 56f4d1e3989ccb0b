//! A lock for what one thread has nearly always: that thread takes it without an atomic operation.
//!
//! Whoever took it often enough in a row is favoured: it says that it is inside with a plain store, and looks whether it
//! is favoured still. Another thread ends the favour first, and makes sure with a barrier on all processors that one of
//! the two saw the other. That costs microseconds; the more often it happens, the longer a thread waits for favour.

use std::ops::{Deref, DerefMut};

use super::brief::{BriefGuard, BriefLock, Patience};
use super::prim::{AtomicBool, AtomicUsize, Cell, Ordering};
use crate::sys;

/// So many times in a row a thread takes the lock before it is favoured.
#[cfg(not(loom))]
const EARNED: u32 = 64;
#[cfg(loom)]
const EARNED: u32 = 1;
/// No more than this many, however often favour ended.
const EARNED_MOST: u32 = 1 << 20;

/// A mutual exclusion lock that is held briefly, and mostly by the same thread.
#[derive(Debug)]
pub struct BiasedLock<T> {
    /// The thread that is favoured, 0 for none. Set by that thread, within `record`; cleared by any within `record`.
    favoured: AtomicUsize,
    /// The favoured thread has the value.
    inside: AtomicBool,
    /// Whoever is not favoured holds this.
    record: BriefLock<Record>,
    value: Cell<T>,
}

/// Who deserves favour.
#[derive(Debug)]
struct Record {
    last: usize,
    /// How many times in a row `last` was here.
    streak: u32,
    /// How many it takes.
    needed: u32,
}

// SAFETY: the value is reached only by the one holder of the lock: see `lock_as`.
unsafe impl<T: Send> Sync for BiasedLock<T> {}

/// The value of a [`BiasedLock`], until dropped.
#[derive(Debug)]
pub struct BiasedGuard<'a, T> {
    lock: &'a BiasedLock<T>,
    /// None for the favoured thread.
    record: Option<BriefGuard<'a, Record>>,
}

impl<T> BiasedLock<T> {
    /// A lock around `value`.
    pub fn new(value: T) -> BiasedLock<T> {
        BiasedLock {
            favoured: AtomicUsize::new(0),
            inside: AtomicBool::new(false),
            record: BriefLock::new(Record { last: 0, streak: 0, needed: EARNED }),
            value: Cell::new(value),
        }
    }

    /// Waits for the lock.
    #[inline]
    pub fn lock(&self) -> BiasedGuard<'_, T> {
        self.lock_as(sys::this_thread())
    }

    #[inline(always)]
    fn lock_as(&self, me: usize) -> BiasedGuard<'_, T> {
        // Who is inside already and comes again, from a signal handler, waits as with any lock.
        if self.favoured.load(Ordering::Relaxed) == me && !self.inside.load(Ordering::Relaxed) {
            self.inside.store(true, Ordering::Relaxed);
            light_barrier();
            if self.favoured.load(Ordering::Relaxed) == me {
                return BiasedGuard { lock: self, record: None };
            }
            self.inside.store(false, Ordering::Release);
        }
        self.lock_apart(me)
    }

    #[cold]
    fn lock_apart(&self, me: usize) -> BiasedGuard<'_, T> {
        let mut record = self.record.lock();
        if self.favoured.load(Ordering::Relaxed) != 0 {
            self.favoured.store(0, Ordering::Relaxed);
            heavy_barrier();
            let mut patience = Patience::default();
            while self.inside.load(Ordering::Acquire) {
                patience.pause();
            }
            record.needed = record.needed.saturating_mul(2).min(EARNED_MOST);
            record.streak = 0;
        }
        record.streak = if record.last == me { record.streak.saturating_add(1) } else { 1 };
        record.last = me;
        BiasedGuard { lock: self, record: Some(record) }
    }
}

/// Between the favoured thread's "inside" and its look at the favour: the compiler keeps the order, and the processor is
/// made to by the other side's barrier.
#[inline(always)]
fn light_barrier() {
    #[cfg(not(loom))]
    std::sync::atomic::compiler_fence(Ordering::SeqCst);
    #[cfg(loom)]
    super::prim::fence(Ordering::SeqCst);
}

fn heavy_barrier() {
    #[cfg(not(loom))]
    sys::barrier_everywhere();
    #[cfg(loom)]
    super::prim::fence(Ordering::SeqCst);
}

#[cfg(not(loom))]
fn has_barriers() -> bool {
    sys::has_barrier_everywhere()
}
#[cfg(loom)]
fn has_barriers() -> bool {
    true
}

impl<T> Deref for BiasedGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: this guard holds the lock.
        self.lock.value.with(|value| unsafe { &*value })
    }
}

impl<T> DerefMut for BiasedGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: this guard holds the lock.
        self.lock.value.with_mut(|value| unsafe { &mut *value })
    }
}

impl<T> Drop for BiasedGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        match &mut self.record {
            None => self.lock.inside.store(false, Ordering::Release),
            // Here, as the value is not used any more by whoever comes again as the favoured one.
            Some(record) if record.streak >= record.needed => {
                record.streak = 0;
                if has_barriers() {
                    self.lock.favoured.store(record.last, Ordering::Relaxed);
                }
            }
            Some(_) => {}
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn until_favoured(lock: &BiasedLock<u64>) {
        let began = Instant::now();
        while lock.favoured.load(Ordering::Relaxed) != sys::this_thread() {
            assert!(began.elapsed() < Duration::from_secs(30));
            *lock.lock() += 1;
        }
    }

    #[test]
    fn who_comes_often_is_favoured_until_another_comes() {
        let lock = BiasedLock::new(0);
        until_favoured(&lock);
        let before = *lock.lock();
        std::thread::scope(|scope| {
            scope.spawn(|| *lock.lock() += 1);
        });
        assert_eq!(lock.favoured.load(Ordering::Relaxed), 0);
        assert_eq!(*lock.lock(), before + 1);
        assert_eq!(lock.record.lock().needed, 2 * EARNED);
        until_favoured(&lock);
    }

    #[test]
    fn one_holder_at_a_time() {
        const EACH: u64 = 30_000;
        let lock = BiasedLock::new(0);
        until_favoured(&lock);
        let before = *lock.lock();
        std::thread::scope(|scope| {
            for pace in 0..3_u64 {
                let lock = &lock;
                scope.spawn(move || {
                    for turn in 0..EACH {
                        let mut value = lock.lock();
                        let seen = *value;
                        if turn % 1000 == 0 {
                            std::thread::yield_now();
                        }
                        *value = seen + 1;
                        drop(value);
                        // Some come in bursts, so that favour is won and lost.
                        if turn % (1000 + 500 * pace) == 0 {
                            std::thread::sleep(Duration::from_micros(200));
                        }
                    }
                });
            }
        });
        assert_eq!(*lock.lock(), before + 3 * EACH);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;

    /// One thread is favoured and comes twice, another ends the favour: never are both inside, which the cell checks, and
    /// nothing is forgotten.
    #[test]
    fn loom_the_favoured_thread_and_another_exclude_each_other() {
        loom::model(|| {
            let lock = Arc::new(BiasedLock::new(0));
            *lock.lock_as(1) += 1;
            assert_eq!(lock.favoured.load(Ordering::Relaxed), 1);
            let other = lock.clone();
            let comer = thread::spawn(move || *other.lock_as(2) += 1);
            *lock.lock_as(1) += 1;
            comer.join().unwrap();
            assert_eq!(*lock.lock_as(1), 3);
        });
    }
}
