//! An unbounded queue from one thread to another, in chunks, published in batches.
//!
//! One word carries both the count of published items and whether the reader has gone to sleep, so that
//! the writer learns from the very operation that publishes whether somebody has to be woken.

use super::prim::{Arc, AtomicPtr, AtomicU64, Cell, Ordering};
use std::mem::MaybeUninit;
use std::ptr;

#[cfg(not(loom))]
const CHUNK: usize = 62;
#[cfg(loom)]
const CHUNK: usize = 2;

/// Set in `published` by a reader that found nothing and will not look again by itself.
const ASLEEP: u64 = 1;
/// One item in `published`.
const ONE: u64 = 2;

/// Aligned so that an item of a cache line's size lies in one.
#[repr(align(64))]
struct Chunk<T> {
    slots: [Cell<MaybeUninit<T>>; CHUNK],
    next: AtomicPtr<Chunk<T>>,
}

impl<T> Chunk<T> {
    fn allocate() -> *mut Chunk<T> {
        Box::into_raw(Box::new(Chunk {
            slots: std::array::from_fn(|_| Cell::new(MaybeUninit::uninit())),
            next: AtomicPtr::new(ptr::null_mut()),
        }))
    }
}

struct Shared<T> {
    /// Items published since the beginning, times two, plus [`ASLEEP`].
    published: AtomicU64,
    /// The first chunk, made by the first write; null in a queue that was never used.
    first: AtomicPtr<Chunk<T>>,
    /// A drained chunk on its way back to the writer.
    spare: AtomicPtr<Chunk<T>>,
    /// Where the reader stopped, once it is gone.
    reader: Cell<Position<T>>,
    /// What the writer left unpublished, once it is gone.
    unpublished: AtomicU64,
}

struct Position<T> {
    chunk: *mut Chunk<T>,
    at: usize,
    read: u64,
}

impl<T> Clone for Position<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Position<T> {}

// SAFETY: the raw parts are reached through the two ends, whose rules are stated below.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

/// The writing end.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
    chunk: *mut Chunk<T>,
    at: usize,
    /// Written and not yet published.
    pending: u64,
}

/// The reading end.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    chunk: *mut Chunk<T>,
    at: usize,
    read: u64,
    /// What `published` said when last looked at.
    known: u64,
}

// SAFETY: each end is used by one thread at a time; slots pass from writer to reader by the
// release/acquire pair on `published`, chunks back by the pair on `spare`.
unsafe impl<T: Send> Send for Sender<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Receiver<T> {}

/// A new queue. It allocates nothing for items until the first one is written.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        published: AtomicU64::new(0),
        first: AtomicPtr::new(ptr::null_mut()),
        spare: AtomicPtr::new(ptr::null_mut()),
        reader: Cell::new(Position { chunk: ptr::null_mut(), at: 0, read: 0 }),
        unpublished: AtomicU64::new(0),
    });
    let sender = Sender { shared: shared.clone(), chunk: ptr::null_mut(), at: 0, pending: 0 };
    (sender, Receiver { shared, chunk: ptr::null_mut(), at: 0, read: 0, known: 0 })
}

impl<T> Sender<T> {
    /// Appends an item, invisible until [`Sender::publish`].
    #[inline]
    pub fn push(&mut self, item: T) {
        if self.chunk.is_null() || self.at == CHUNK {
            self.grow();
        }
        self.fetch_ahead();
        // SAFETY: `chunk` is live (freed only by the reader after it passed the link to the next
        // chunk, or at the end), and slot `at` is unpublished, so only this writer touches it.
        unsafe { (*self.chunk).slots[self.at].with_mut(|slot| (*slot).write(item)) };
        self.at += 1;
        self.pending += 1;
    }

    /// Makes everything pushed visible; true when the reader sleeps and has to be woken by the caller.
    #[inline]
    pub fn publish(&mut self) -> bool {
        if self.pending == 0 {
            return false;
        }
        let before = self.shared.published.fetch_add(self.pending * ONE, Ordering::AcqRel);
        self.pending = 0;
        if before & ASLEEP == 0 {
            return false;
        }
        // Only the reader sets the flag and it does so once per sleep: clearing it here makes this
        // publisher the one that wakes.
        self.shared.published.fetch_and(!ASLEEP, Ordering::AcqRel);
        true
    }

    /// Asks for a slot to come before its turn does: the reader had it last, and fetching it from there is
    /// most of what a message costs.
    #[inline(always)]
    fn fetch_ahead(&self) {
        #[cfg(all(target_arch = "x86_64", not(loom)))]
        {
            use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
            const AHEAD: usize = 6;
            let slot = (self.chunk.cast::<T>()).wrapping_add((self.at + AHEAD).min(CHUNK - 1));
            // SAFETY: a prefetch is a hint and reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(slot.cast()) };
        }
    }

    #[cold]
    fn grow(&mut self) {
        let spare = self.shared.spare.swap(ptr::null_mut(), Ordering::AcqRel);
        let fresh = if spare.is_null() { Chunk::allocate() } else { spare };
        if self.chunk.is_null() {
            self.shared.first.store(fresh, Ordering::Release);
        } else {
            // SAFETY: the writer's chunk is live, see `push`.
            unsafe { (*self.chunk).next.store(fresh, Ordering::Release) };
        }
        self.chunk = fresh;
        self.at = 0;
    }
}

impl<T> Receiver<T> {
    /// The next published item.
    #[cfg(test)]
    pub fn pop(&mut self) -> Option<T> {
        let slot = self.next_slot()?;
        // SAFETY: `next_slot` answers each published slot once; the writer never touches it again.
        Some(unsafe { (*slot).with(|slot| (*slot).assume_init_read()) })
    }

    /// Moves the next published item into `place`; false, with `place` left alone, when there is none.
    #[inline]
    pub fn pop_into(&mut self, place: &mut T) -> bool {
        let Some(slot) = self.next_slot() else { return false };
        // SAFETY: `next_slot` answers each published slot once, so the item is ours to move.
        *place = unsafe { (*slot).with(|slot| (*slot).assume_init_read()) };
        true
    }

    /// The slot of the next published item, which is the caller's from now on.
    #[inline]
    fn next_slot(&mut self) -> Option<*const Cell<MaybeUninit<T>>> {
        if !self.ready() {
            return None;
        }
        if self.chunk.is_null() || self.at == CHUNK {
            self.advance();
        }
        // SAFETY: `ready` saw this slot published (acquire); its chunk is live until the reader has left
        // it, which happens in a later call at the earliest.
        let slot = unsafe { ptr::from_ref(&(&(*self.chunk).slots)[self.at]) };
        self.at += 1;
        self.read += 1;
        Some(slot)
    }

    /// Whether an item is there. Does not go to sleep.
    #[inline]
    pub fn ready(&mut self) -> bool {
        if self.read != self.known {
            return true;
        }
        self.known = self.shared.published.load(Ordering::Acquire) >> 1;
        self.read != self.known
    }

    /// As [`Receiver::ready`], but where nothing is there leaves word for the writer: its next publish
    /// answers true.
    #[inline]
    pub fn ready_or_sleep(&mut self) -> bool {
        if self.ready() {
            return true;
        }
        let empty = self.read * ONE;
        match self.shared.published.compare_exchange(
            empty,
            empty | ASLEEP,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => false,
            Err(now) => {
                // Either asleep already, or something came in between.
                self.known = now >> 1;
                self.read != self.known
            }
        }
    }

    #[cold]
    fn advance(&mut self) {
        if self.chunk.is_null() {
            self.chunk = self.shared.first.load(Ordering::Acquire);
        } else {
            let done = self.chunk;
            // SAFETY: the chunk is live, and an item beyond it was published after its link.
            self.chunk = unsafe { (*done).next.load(Ordering::Acquire) };
            // SAFETY: the writer has left this chunk (it linked the next one), all its items are
            // taken, and nobody else knows it.
            unsafe { (*done).next.store(ptr::null_mut(), Ordering::Relaxed) };
            let other = self.shared.spare.swap(done, Ordering::AcqRel);
            if !other.is_null() {
                // SAFETY: taken out of `spare`, so this end is its only owner; its items are gone.
                drop(unsafe { Box::from_raw(other) });
            }
        }
        self.at = 0;
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.unpublished.store(self.pending, Ordering::Release);
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let position = Position { chunk: self.chunk, at: self.at, read: self.read };
        // SAFETY: only the one receiver writes this cell, and only here; it is read when both ends
        // are gone.
        self.shared.reader.with_mut(|place| unsafe { *place = position });
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // SAFETY: both ends are gone (this is the last reference), so nothing is shared any more.
        let Position { mut chunk, mut at, read } = self.reader.with(|place| unsafe { *place });
        let published = self.published.load(Ordering::Acquire) >> 1;
        let mut left = published - read + self.unpublished.load(Ordering::Acquire);
        if chunk.is_null() {
            chunk = self.first.load(Ordering::Acquire);
        }
        while !chunk.is_null() {
            // SAFETY: chunks from the reader's position on are live and owned by this queue alone.
            let owned = unsafe { Box::from_raw(chunk) };
            while at < CHUNK && left > 0 {
                // SAFETY: the next `left` slots from the reader's position hold untaken items.
                owned.slots[at].with_mut(|slot| unsafe { (*slot).assume_init_drop() });
                at += 1;
                left -= 1;
            }
            at = 0;
            chunk = owned.next.load(Ordering::Acquire);
        }
        let spare = self.spare.load(Ordering::Acquire);
        if !spare.is_null() {
            // SAFETY: a spare chunk holds no items and is linked to nothing.
            drop(unsafe { Box::from_raw(spare) });
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Arc as StdArc;

    #[test]
    fn random_operations_agree_with_a_deque() {
        let mut rng = fastrand::Rng::with_seed(7);
        for _ in 0..200 {
            let (mut tx, mut rx) = channel();
            let (mut oracle, mut hidden) = (VecDeque::new(), VecDeque::new());
            let mut asleep = false;
            for step in 0..rng.usize(..2000) {
                match rng.u8(..5) {
                    0 | 1 => {
                        tx.push(Box::new(step));
                        hidden.push_back(step);
                    }
                    2 => {
                        let news = !hidden.is_empty();
                        assert_eq!(tx.publish(), asleep && news);
                        asleep &= !news;
                        oracle.append(&mut hidden);
                    }
                    3 => assert_eq!(rx.pop().map(|b| *b), oracle.pop_front()),
                    _ => {
                        assert_eq!(rx.ready_or_sleep(), !oracle.is_empty());
                        asleep |= oracle.is_empty();
                    }
                }
            }
        }
    }

    #[test]
    fn every_item_is_dropped_once_whoever_leaves_first() {
        for reader_first in [true, false] {
            let token = StdArc::new(());
            let (mut tx, mut rx) = channel();
            for n in 0..500 {
                tx.push(token.clone());
                if n % 3 == 0 {
                    tx.publish();
                }
                if n % 7 == 0 {
                    rx.pop();
                }
            }
            if reader_first {
                drop(rx);
                tx.push(token.clone());
                drop(tx);
            } else {
                drop(tx);
                rx.pop();
                drop(rx);
            }
            assert_eq!(StdArc::strong_count(&token), 1);
        }
    }

    #[test]
    fn two_threads_keep_order_and_never_miss_a_wake_up() {
        let (mut tx, mut rx) = channel();
        let bell = StdArc::new(super::super::Waker::new());
        let heard = bell.clone();
        let writer = std::thread::spawn(move || {
            for n in 0..200_000u32 {
                tx.push(n);
                if tx.publish() {
                    heard.wake();
                }
            }
        });
        let mut expected = 0;
        while expected < 200_000 {
            bell.arm();
            if rx.ready_or_sleep() {
                assert_eq!(rx.pop(), Some(expected));
                expected += 1;
            } else {
                bell.wait(None).ok();
            }
        }
        writer.join().expect("writer");
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    use super::*;
    use loom::sync::Arc as LoomArc;
    use loom::sync::atomic::AtomicBool;
    use loom::thread;

    #[test]
    fn loom_items_arrive_in_order_across_chunks() {
        loom::model(|| {
            let (mut tx, mut rx) = channel();
            let writer = thread::spawn(move || {
                for n in 0..3 {
                    tx.push(n);
                    tx.publish();
                }
            });
            let mut next = 0;
            while let Some(n) = rx.pop() {
                assert_eq!(n, next);
                next += 1;
            }
            writer.join().unwrap();
            while let Some(n) = rx.pop() {
                assert_eq!(n, next);
                next += 1;
            }
            assert_eq!(next, 3);
        });
    }

    #[test]
    fn loom_a_sleeping_reader_is_always_told() {
        loom::model(|| {
            let (mut tx, mut rx) = channel();
            let told = LoomArc::new(AtomicBool::new(false));
            let bell = told.clone();
            let writer = thread::spawn(move || {
                for n in 0..2 {
                    tx.push(n);
                    if tx.publish() {
                        bell.store(true, std::sync::atomic::Ordering::SeqCst);
                    }
                }
            });
            let mut got = 0;
            while rx.ready_or_sleep() {
                rx.pop();
                got += 1;
            }
            // The reader sleeps now. Whatever is missing, the writer must have said so.
            writer.join().unwrap();
            if got < 2 {
                assert!(told.load(std::sync::atomic::Ordering::SeqCst));
            }
        });
    }
}
