//! A lock for what one thread has nearly always: that thread takes it without an atomic operation.
//!
//! Whoever took it often enough in a row is favoured: it says that it is inside with a plain store, and looks whether it
//! is favoured still. Another thread ends the favour first, and makes sure with a barrier on all processors that one of
//! the two saw the other. That costs microseconds; the more often it happens, the longer a thread waits for favour.

use std::mem;
use std::ops::{Deref, DerefMut};

use super::brief::{BriefGuard, BriefLock, Patience};
use super::prim::{AtomicBool, AtomicUsize, Cell, Ordering};
use crate::sys;

/// So many times in a row a thread takes the lock before it is favoured.
#[cfg(not(loom))]
const EARNED: u32 = 512;
#[cfg(loom)]
const EARNED: u32 = 1;
/// Each time favour ended it takes so many times as often, up to a bound: all its ends together cost a lock no more
/// than a few barriers.
const DEARER: u32 = if cfg!(loom) { 2 } else { 8 };
const EARNED_MOST: u32 = 1 << 21;
/// So many threads may be favoured in the life of a lock, one after the other.
#[cfg(not(loom))]
const LANES: usize = 4;
#[cfg(loom)]
const LANES: usize = 2;

/// A mutual exclusion lock that is held briefly, and mostly by the same thread.
#[derive(Debug)]
pub struct BiasedLock<T> {
    /// The thread that is favoured and its lane, 0 for none. Set by that thread, within `record`; cleared by any within
    /// `record`.
    favoured: AtomicUsize,
    /// The thread with this lane has the value, or is about to find that it is favoured no more.
    inside: [AtomicBool; LANES],
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
    /// Whose flag each in `inside` is. Who lost the favour may have been stopped between its look at it and its flag, for
    /// however long: the flag is never another's.
    lanes: [usize; LANES],
}

// SAFETY: the value is reached only by the one holder of the lock: see `lock_as`.
unsafe impl<T: Send> Sync for BiasedLock<T> {}

/// The value of a [`BiasedLock`], until dropped. Two words, to be handed on in registers.
#[derive(Debug)]
pub struct BiasedGuard<'a, T> {
    lock: &'a BiasedLock<T>,
    /// The favoured thread's flag. Without, this guard has `record` too.
    inside: Option<&'a AtomicBool>,
}

impl<T> BiasedLock<T> {
    /// A lock around `value`.
    pub fn new(value: T) -> BiasedLock<T> {
        BiasedLock {
            favoured: AtomicUsize::new(0),
            inside: std::array::from_fn(|_| AtomicBool::new(false)),
            record: BriefLock::new(Record {
                last: 0,
                streak: 0,
                needed: EARNED,
                lanes: [0; LANES],
            }),
            value: Cell::new(value),
        }
    }

    /// Waits for the lock.
    #[inline]
    pub fn lock(&self) -> BiasedGuard<'_, T> {
        self.lock_as(sys::this_thread())
    }

    /// Takes the lock if nobody has it; nobody is favoured after that.
    #[inline]
    pub fn try_lock(&self) -> Option<BiasedGuard<'_, T>> {
        self.try_lock_as(sys::this_thread())
    }

    #[inline(always)]
    fn lock_as(&self, me: usize) -> BiasedGuard<'_, T> {
        let favoured = self.favoured.load(Ordering::Relaxed);
        // Who is inside already and comes again, from a signal handler, waits as with any lock.
        if let Some(inside) = self.inside.get(favoured ^ me)
            && !inside.load(Ordering::Relaxed)
        {
            inside.store(true, Ordering::Relaxed);
            light_barrier();
            if self.favoured.load(Ordering::Relaxed) == favoured {
                return BiasedGuard { lock: self, inside: Some(inside) };
            }
            inside.store(false, Ordering::Release);
        }
        self.lock_plainly(me)
    }

    #[cold]
    fn lock_plainly(&self, me: usize) -> BiasedGuard<'_, T> {
        let mut record = self.record.lock();
        self.end_favour(&mut record);
        let mut patience = Patience::default();
        while self.is_inside() {
            patience.pause();
        }
        self.granted(record, me)
    }

    fn try_lock_as(&self, me: usize) -> Option<BiasedGuard<'_, T>> {
        let mut record = self.record.try_lock()?;
        self.end_favour(&mut record);
        (!self.is_inside()).then(|| self.granted(record, me))
    }

    /// After this the favoured thread is seen inside, or sees that it is not favoured any more.
    fn end_favour(&self, record: &mut Record) {
        if self.favoured.load(Ordering::Relaxed) != 0 {
            self.favoured.store(0, Ordering::Relaxed);
            heavy_barrier();
            record.needed = record.needed.saturating_mul(DEARER).min(EARNED_MOST);
            record.streak = 0;
        }
    }

    fn is_inside(&self) -> bool {
        self.inside.iter().any(|inside| inside.load(Ordering::Acquire))
    }

    fn granted<'a>(&'a self, mut record: BriefGuard<'a, Record>, me: usize) -> BiasedGuard<'a, T> {
        record.streak = if record.last == me { record.streak.saturating_add(1) } else { 1 };
        record.last = me;
        mem::forget(record);
        BiasedGuard { lock: self, inside: None }
    }

    /// The thread that was here last has earned favour. Not before it is done with the value: from now on it may come again
    /// from a signal handler.
    #[cold]
    fn favour(&self, record: &mut Record) {
        record.streak = 0;
        let me = record.last;
        if !is_background()
            && me.is_multiple_of(LANES)
            && let Some(lane) = record.lanes.iter().position(|lane| [me, 0].contains(lane))
            && has_barriers()
        {
            record.lanes[lane] = me;
            self.favoured.store(me + lane, Ordering::Relaxed);
        }
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

/// I/O threads look after so many connections that nobody should have to end their favour on each.
fn is_background() -> bool {
    !cfg!(loom) && sys::thread::is_background()
}

#[cfg(not(loom))]
fn has_barriers() -> bool {
    sys::has_barrier_everywhere()
}
#[cfg(loom)]
fn has_barriers() -> bool {
    true
}

impl<T: Default> Default for BiasedLock<T> {
    fn default() -> BiasedLock<T> {
        BiasedLock::new(T::default())
    }
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
        match self.inside {
            Some(inside) => inside.store(false, Ordering::Release),
            None => {
                // SAFETY: `granted` forgot the guard of the record for this one.
                let mut record = unsafe { self.lock.record.regain() };
                if record.streak >= record.needed {
                    self.lock.favour(&mut record);
                }
            }
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
        assert_eq!(lock.record.lock().needed, DEARER * EARNED);
        until_favoured(&lock);
    }

    #[test]
    fn a_background_thread_is_not_favoured() {
        let lock = BiasedLock::new(0);
        until_favoured(&lock);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                sys::thread::begin_background();
                (0..10 * DEARER * EARNED).for_each(|_| *lock.lock() += 1);
            });
        });
        assert_eq!(lock.favoured.load(Ordering::Relaxed), 0);
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

    // Threads, by their numbers.
    const ONE: usize = 8;
    const TWO: usize = 16;
    const THREE: usize = 24;

    /// A lock that favours ONE, and counts.
    fn favouring_one() -> Arc<BiasedLock<i32>> {
        let lock = Arc::new(BiasedLock::new(0));
        *lock.lock_as(ONE) += 1;
        assert_eq!(lock.favoured.load(Ordering::Relaxed), ONE);
        lock
    }

    /// One thread is favoured and comes again, another ends the favour: never are both inside, which the cell checks, and
    /// nothing is forgotten.
    #[test]
    fn loom_the_favoured_thread_and_another_exclude_each_other() {
        loom::model(|| {
            let lock = favouring_one();
            let other = lock.clone();
            let comer = thread::spawn(move || *other.lock_as(TWO) += 1);
            *lock.lock_as(ONE) += 1;
            comer.join().unwrap();
            assert_eq!(*lock.lock_as(ONE), 3);
        });
    }

    /// The same of one who does not wait: it may go away with the favour ended and the favoured one inside still.
    #[test]
    fn loom_who_does_not_wait_never_comes_in_beside_another() {
        loom::model(|| {
            let lock = favouring_one();
            let other = lock.clone();
            let comer = thread::spawn(move || {
                let came = other.try_lock_as(TWO).map(|mut value| *value += 1).is_some();
                *other.lock_as(TWO) += 1;
                i32::from(came) + 1
            });
            *lock.lock_as(ONE) += 1;
            let added = comer.join().unwrap();
            assert_eq!(*lock.lock_as(ONE), 2 + added);
        });
    }

    /// Who lost the favour, and learns it late, does not hide the next favoured thread from a third.
    #[test]
    fn loom_a_favour_that_moved_on_is_kept_apart_from_the_one_before() {
        let mut model = loom::model::Builder::new();
        model.preemption_bound = Some(2);
        model.max_branches = 10_000;
        model.check(|| {
            let lock = favouring_one();
            let (second, third) = (lock.clone(), lock.clone());
            let second = thread::spawn(move || {
                // Two to earn it, now that it was lost once, and one with it.
                (0..3).for_each(|_| *second.lock_as(TWO) += 1);
            });
            let third = thread::spawn(move || *third.lock_as(THREE) += 1);
            *lock.lock_as(ONE) += 1;
            second.join().unwrap();
            third.join().unwrap();
            assert_eq!(*lock.lock_as(ONE), 6);
        });
    }
}
