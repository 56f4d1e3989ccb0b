//! An unbounded queue from one thread to another, of records in chunks, published in batches.
//!
//! What a message costs here is the cache lines that pass between two processors. So a small item goes in
//! as a record of its bytes, back to back with the next, and only what has no such form as a whole item.
//!
//! One word carries both how much is published and whether the reader has gone to sleep, so that the writer
//! learns from the very operation that publishes whether somebody has to be woken.

use super::prim::{Arc, AtomicPtr, AtomicU64, Cell, Ordering};
use std::cell::UnsafeCell;
use std::marker::PhantomData;
use std::mem::{self, MaybeUninit};
use std::{ptr, slice};

/// The unit of all positions: a record begins with a word that says what it is.
const WORD: usize = size_of::<u64>();
#[cfg(not(loom))]
const CHUNK: usize = 4096 - 64;
#[cfg(loom)]
const CHUNK: usize = 10 * WORD;
/// So many drained chunks are kept for the writer.
#[cfg(not(loom))]
const SPARE: usize = 16;
#[cfg(loom)]
const SPARE: usize = 1;

/// Set in `published` by a reader that found nothing and will not look again by itself.
const ASLEEP: u64 = 1;

/// The first word of a record: its kind, for small items length and tag, and in the upper half its size.
const WHOLE: u64 = 0;
const SMALL: u64 = 1;
/// No record: the next one is in the next chunk.
const ELSEWHERE: u64 = 2;
const KIND: u64 = 3;
const LENGTH_SHIFT: u32 = 8;
const TAG_SHIFT: u32 = 16;
const SIZE_SHIFT: u32 = 32;

#[repr(C, align(64))]
struct Chunk {
    words: UnsafeCell<[MaybeUninit<u64>; CHUNK / WORD]>,
    next: AtomicPtr<Chunk>,
    /// One for each word, for loom to watch: an access to a record is one to its first word.
    #[cfg(loom)]
    watched: [Cell<()>; CHUNK / WORD],
}

impl Chunk {
    fn allocate() -> *mut Chunk {
        Box::into_raw(Box::new(Chunk {
            words: UnsafeCell::new([MaybeUninit::uninit(); CHUNK / WORD]),
            next: AtomicPtr::new(ptr::null_mut()),
            #[cfg(loom)]
            watched: std::array::from_fn(|_| Cell::new(())),
        }))
    }

    /// The word at a position in bytes, for writing.
    ///
    /// # Safety
    /// `chunk` is live and `at` below [`CHUNK`].
    #[inline(always)]
    unsafe fn writable(chunk: *mut Chunk, at: usize) -> *mut u64 {
        // SAFETY: the caller's promise.
        unsafe {
            #[cfg(loom)]
            (&(*chunk).watched)[at / WORD].with_mut(|_| ());
            (&raw mut (*chunk).words).cast::<u8>().add(at).cast::<u64>()
        }
    }

    /// The word at a position in bytes, for reading.
    ///
    /// # Safety
    /// As for [`Chunk::writable`].
    #[inline(always)]
    unsafe fn readable(chunk: *mut Chunk, at: usize) -> *const u64 {
        // SAFETY: the caller's promise.
        unsafe {
            #[cfg(loom)]
            (&(*chunk).watched)[at / WORD].with(|_| ());
            (&raw const (*chunk).words).cast::<u8>().add(at).cast::<u64>()
        }
    }
}

/// What writer and reader each write, on lines of their own.
#[repr(C)]
struct Shared<T> {
    published: Published,
    /// The first chunk, made by the first write; null in a queue that was never used.
    first: AtomicPtr<Chunk>,
    /// Drained chunks on their way back to the writer, each slot filled and emptied in turn.
    spare: [AtomicPtr<Chunk>; SPARE],
    /// Where the reader stopped, once it is gone.
    reader: Cell<Position>,
    /// What the writer left unpublished, once it is gone.
    unpublished: AtomicU64,
    items: PhantomData<T>,
}

/// Bytes of records published since the beginning (always even), plus [`ASLEEP`].
#[repr(align(128))]
struct Published(AtomicU64);

#[derive(Clone, Copy)]
struct Position {
    chunk: *mut Chunk,
    at: usize,
    read: u64,
}

// SAFETY: the raw parts are reached through the two ends, whose rules are stated below.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

/// The writing end.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
    chunk: *mut Chunk,
    at: usize,
    /// Bytes written and not yet published.
    pending: u64,
    /// Which slot the next spare chunk comes from.
    turn: usize,
}

/// The reading end.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    chunk: *mut Chunk,
    at: usize,
    read: u64,
    /// What `published` said when last looked at.
    known: u64,
    /// Which slot the next drained chunk goes to.
    turn: usize,
}

// SAFETY: each end is used by one thread at a time; records pass from writer to reader by the
// release/acquire pair on `published`, chunks back by the pairs on `spare`.
unsafe impl<T: Send> Send for Sender<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Send for Receiver<T> {}

/// A new queue. It allocates nothing for items until the first one is written.
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    const {
        assert!(align_of::<T>() <= WORD && WORD + size_of::<T>().next_multiple_of(WORD) <= CHUNK);
    }
    let shared = Arc::new(Shared {
        published: Published(AtomicU64::new(0)),
        first: AtomicPtr::new(ptr::null_mut()),
        spare: std::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())),
        reader: Cell::new(Position { chunk: ptr::null_mut(), at: 0, read: 0 }),
        unpublished: AtomicU64::new(0),
        items: PhantomData,
    });
    // At the end of no chunk, where the first one is fetched as any other.
    let (chunk, at) = (ptr::null_mut(), CHUNK);
    let sender = Sender { shared: shared.clone(), chunk, at, pending: 0, turn: 0 };
    (sender, Receiver { shared, chunk, at, read: 0, known: 0, turn: 0 })
}

impl<T> Sender<T> {
    /// A small item has at most so many bytes.
    pub const SMALL_MAX: usize = if CHUNK > 64 { 64 } else { CHUNK - WORD };
    const WHOLE_SIZE: usize = WORD + size_of::<T>().next_multiple_of(WORD);

    /// Appends a whole item, invisible until [`Sender::publish`].
    #[inline]
    pub fn push(&mut self, item: T) {
        let place = self.reserve(Self::WHOLE_SIZE);
        // SAFETY: `reserve` gave room for this record, which only this writer touches until it is
        // published; the item's alignment is that of a word at most (asserted by `channel`).
        unsafe {
            place.write(WHOLE | (Self::WHOLE_SIZE as u64) << SIZE_SHIFT);
            place.add(1).cast::<T>().write(item);
        }
    }

    /// Appends the bytes of a small item, invisible until [`Sender::publish`]. Those beyond
    /// [`Sender::SMALL_MAX`] are cut off.
    #[inline(always)]
    pub fn push_small(&mut self, tag: u8, bytes: &[u8]) {
        debug_assert!(bytes.len() <= Self::SMALL_MAX);
        let length = bytes.len().min(Self::SMALL_MAX);
        let size = WORD + length.next_multiple_of(WORD);
        let place = self.reserve(size);
        let head = SMALL
            | (length as u64) << LENGTH_SHIFT
            | u64::from(tag) << TAG_SHIFT
            | (size as u64) << SIZE_SHIFT;
        // SAFETY: as in `push`; the record has room for the bytes, in whole words.
        unsafe {
            place.write(head);
            if length > 0 {
                copy_small(bytes.as_ptr(), place.add(1).cast(), length);
            }
        }
    }

    /// The place of the next record of `size` bytes.
    #[inline(always)]
    fn reserve(&mut self, size: usize) -> *mut u64 {
        if self.at + size > CHUNK {
            self.grow();
        }
        self.fetch_ahead();
        // SAFETY: `chunk` is live (freed only by the reader after it passed the link to the next
        // chunk, or at the end), and a record fits from `at` on.
        let place = unsafe { Chunk::writable(self.chunk, self.at) };
        self.at += size;
        self.pending += size as u64;
        place
    }

    /// Makes everything pushed visible; true when the reader sleeps and has to be woken by the caller.
    #[inline]
    pub fn publish(&mut self) -> bool {
        if self.pending == 0 {
            return false;
        }
        let before = self.shared.published.0.fetch_add(self.pending, Ordering::AcqRel);
        self.pending = 0;
        if before & ASLEEP == 0 {
            return false;
        }
        // Only the reader sets the flag and it does so once per sleep: clearing it here makes this
        // publisher the one that wakes.
        self.shared.published.0.fetch_and(!ASLEEP, Ordering::AcqRel);
        true
    }

    /// Asks for a line to come before its turn does: the reader had it last, and fetching it from there is
    /// most of what a message costs.
    #[inline(always)]
    fn fetch_ahead(&self) {
        #[cfg(all(target_arch = "x86_64", not(loom)))]
        {
            use std::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
            const AHEAD: usize = 256;
            let line = self.chunk.cast::<i8>().wrapping_add((self.at + AHEAD).min(CHUNK - 1));
            // SAFETY: a prefetch is a hint and reads nothing.
            unsafe { _mm_prefetch::<_MM_HINT_ET0>(line) };
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self) {
        let fresh = self.take_spare().unwrap_or_else(Chunk::allocate);
        if self.chunk.is_null() {
            self.shared.first.store(fresh, Ordering::Release);
        } else {
            // SAFETY: the writer's chunk is live, see `reserve`; the word at `at`, if the chunk has one,
            // belongs to this writer until the next record is published.
            unsafe {
                if self.at < CHUNK {
                    Chunk::writable(self.chunk, self.at).write(ELSEWHERE);
                }
                (*self.chunk).next.store(fresh, Ordering::Release);
            }
        }
        self.chunk = fresh;
        self.at = 0;
    }

    fn take_spare(&mut self) -> Option<*mut Chunk> {
        let slot = &self.shared.spare[self.turn];
        let chunk = slot.load(Ordering::Acquire);
        if chunk.is_null() {
            return None;
        }
        slot.store(ptr::null_mut(), Ordering::Release);
        self.turn = (self.turn + 1) % SPARE;
        Some(chunk)
    }
}

impl<T> Receiver<T> {
    /// Puts the next item into `place`, a small one by `make` from its tag and its bytes; false, with `place`
    /// left alone, when the last look ([`Receiver::ready`]) saw no more.
    #[inline(always)]
    pub fn pop_into(&mut self, place: &mut T, make: impl FnOnce(&mut T, u8, &[u8])) -> bool {
        if !self.at_hand() {
            return false;
        }
        if self.at == CHUNK {
            self.advance();
        }
        // SAFETY: a look saw more bytes published (acquire) than were read: the next record is here, or a
        // word that says that it begins the next chunk. The chunk is live until the reader has left it.
        let mut record = unsafe { Chunk::readable(self.chunk, self.at) };
        // SAFETY: as above.
        let mut head = unsafe { record.read() };
        if head == ELSEWHERE {
            self.advance();
            // SAFETY: as above.
            (record, head) = unsafe {
                let record = Chunk::readable(self.chunk, self.at);
                (record, record.read())
            };
        }
        let size = head >> SIZE_SHIFT;
        self.at += size as usize;
        self.read += size;
        if head & KIND == SMALL {
            let length = usize::from((head >> LENGTH_SHIFT) as u8);
            // SAFETY: the record's first word says how many bytes follow it; its chunk lives until the
            // reader leaves it, which happens in a later call at the earliest.
            let bytes = unsafe { slice::from_raw_parts(record.add(1).cast(), length) };
            make(place, (head >> TAG_SHIFT) as u8, bytes);
        } else {
            // SAFETY: a published record of this kind holds an item after its first word, and was passed.
            *place = unsafe { record.add(1).cast::<T>().read() };
        }
        true
    }

    /// Whether the last look saw more than was taken since.
    #[inline]
    pub fn at_hand(&self) -> bool {
        self.read != self.known
    }

    /// Whether an item is there: looks unless one is at hand. Does not go to sleep.
    #[inline]
    pub fn ready(&mut self) -> bool {
        if self.at_hand() {
            return true;
        }
        self.known = self.shared.published.0.load(Ordering::Acquire) & !ASLEEP;
        self.read != self.known
    }

    /// As [`Receiver::ready`], but where nothing is there leaves word for the writer: its next publish
    /// answers true.
    #[inline]
    pub fn ready_or_sleep(&mut self) -> bool {
        if self.ready() {
            return true;
        }
        let empty = self.read;
        match self.shared.published.0.compare_exchange(
            empty,
            empty | ASLEEP,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => false,
            Err(now) => {
                // Either asleep already, or something came in between.
                self.known = now & !ASLEEP;
                self.read != self.known
            }
        }
    }

    #[cold]
    #[inline(never)]
    fn advance(&mut self) {
        if self.chunk.is_null() {
            self.chunk = self.shared.first.load(Ordering::Acquire);
        } else {
            let done = self.chunk;
            // SAFETY: the chunk is live, and a record beyond it was published after its link.
            self.chunk = unsafe { (*done).next.load(Ordering::Acquire) };
            // SAFETY: the writer has left this chunk (it linked the next one), all its items are
            // taken, and nobody else knows it.
            unsafe { (*done).next.store(ptr::null_mut(), Ordering::Relaxed) };
            self.give_back(done);
        }
        self.at = 0;
    }

    fn give_back(&mut self, chunk: *mut Chunk) {
        let slot = &self.shared.spare[self.turn];
        if slot.load(Ordering::Acquire).is_null() {
            slot.store(chunk, Ordering::Release);
            self.turn = (self.turn + 1) % SPARE;
        } else {
            // SAFETY: nobody but this end knows the chunk, and its items are gone.
            drop(unsafe { Box::from_raw(chunk) });
        }
    }
}

#[cfg(test)]
impl<T: Default> Receiver<T> {
    fn pop(&mut self) -> Option<T> {
        let mut place = T::default();
        self.ready();
        self.pop_into(&mut place, |_, _, _| panic!("pushed whole")).then_some(place)
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
        let published = self.published.0.load(Ordering::Acquire) & !ASLEEP;
        let mut left = published - read + self.unpublished.load(Ordering::Acquire);
        if chunk.is_null() {
            chunk = self.first.load(Ordering::Acquire);
            at = 0;
        }
        while !chunk.is_null() {
            while at < CHUNK && left > 0 {
                // SAFETY: the next `left` bytes of records from the reader's position on hold untaken items,
                // each begun by its head; this chunk is live.
                let head = unsafe {
                    let place = Chunk::readable(chunk, at);
                    let head = place.read();
                    if head == ELSEWHERE {
                        break;
                    }
                    if head & KIND == WHOLE {
                        drop(place.add(1).cast::<T>().read());
                    }
                    head
                };
                at += (head >> SIZE_SHIFT) as usize;
                left -= head >> SIZE_SHIFT;
            }
            at = 0;
            // SAFETY: chunks from the reader's position on are owned by this queue alone.
            let owned = unsafe { Box::from_raw(chunk) };
            chunk = owned.next.load(Ordering::Acquire);
        }
        for slot in &mut self.spare {
            let spare = mem::replace(slot, AtomicPtr::new(ptr::null_mut())).load(Ordering::Acquire);
            if !spare.is_null() {
                // SAFETY: a spare chunk holds no items and is linked to nothing.
                drop(unsafe { Box::from_raw(spare) });
            }
        }
    }
}

/// Copies `size` bytes without a call to `memcpy`, which costs more than the copy at this size: a few moves of
/// fixed width that may overlap each other. May write up to eight bytes even if there are less to copy.
///
/// # Safety
/// `from` is readable for `size` bytes, at most 64; `to` is aligned to a word and writable for that and for eight
/// bytes; they do not overlap.
#[inline(always)]
pub unsafe fn copy_small(from: *const u8, to: *mut u8, size: usize) {
    let wide = |offset: usize| {
        // SAFETY: used below with 16 bytes left at `offset`.
        unsafe { ptr::copy_nonoverlapping(from.wrapping_add(offset), to.wrapping_add(offset), 16) }
    };
    // SAFETY: every read lies within the first `size` bytes, by the comparison around it, and every write
    // within these or the first word, which exists when there is a byte.
    unsafe {
        if size >= 16 {
            wide(0);
            if size > 32 {
                wide(16);
                if size > 48 {
                    wide(32);
                }
            }
            wide(size - 16);
        } else if size >= 8 {
            let (first, last) = (from.cast::<u64>(), from.add(size - 8).cast::<u64>());
            to.cast::<u64>().write(first.read_unaligned());
            to.add(size - 8).cast::<u64>().write_unaligned(last.read_unaligned());
        } else if size > 0 {
            let word = if size >= 4 {
                let (first, last) = (from.cast::<u32>(), from.add(size - 4).cast::<u32>());
                let (first, last) = (first.read_unaligned().to_le(), last.read_unaligned().to_le());
                u64::from(first) | u64::from(last) << (8 * (size - 4))
            } else {
                let byte = |offset: usize| u64::from(*from.add(offset)) << (8 * offset);
                byte(0) | byte(size / 2) | byte(size - 1)
            };
            to.cast::<u64>().write(word.to_le());
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::sync::Arc as StdArc;

    fn pop_boxed(rx: &mut Receiver<Box<usize>>) -> Option<usize> {
        let mut place = Box::new(0);
        rx.ready();
        let popped = rx.pop_into(&mut place, |place, tag, bytes| {
            assert_eq!(tag, 7);
            let (number, rest) = bytes.split_first_chunk().expect("at least a number");
            assert!(rest.iter().all(|byte| *byte == 1));
            **place = usize::from_ne_bytes(*number);
        });
        popped.then_some(*place)
    }

    #[test]
    fn small_items_of_every_length_arrive_as_they_were() {
        let (mut tx, mut rx) = channel::<Vec<u8>>();
        let bytes: Vec<u8> = (1..=64).collect();
        for round in 0..100 {
            for length in 0..=64 {
                tx.push_small(round, &bytes[..length]);
            }
            tx.push(vec![round]);
            tx.publish();
            assert!(rx.ready());
            let mut got = Vec::new();
            for length in 0..=64 {
                assert!(rx.pop_into(&mut got, |place, tag, bytes| {
                    assert_eq!(tag, round);
                    *place = bytes.to_vec();
                }));
                assert_eq!(got, &bytes[..length]);
            }
            assert!(rx.pop_into(&mut got, |_, _, _| panic!("whole")));
            assert_eq!(got, [round]);
            assert!(!rx.ready());
        }
    }

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
                        if rng.bool() {
                            tx.push(Box::new(step));
                        } else {
                            let bytes = step.to_ne_bytes();
                            tx.push_small(7, &[&bytes[..], &[1; 56][..rng.usize(..57)]].concat());
                        }
                        hidden.push_back(step);
                    }
                    2 => {
                        let news = !hidden.is_empty();
                        assert_eq!(tx.publish(), asleep && news);
                        asleep &= !news;
                        oracle.append(&mut hidden);
                    }
                    3 => assert_eq!(pop_boxed(&mut rx), oracle.pop_front()),
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

    /// The next item, a whole one or one of bytes.
    fn pop(rx: &mut Receiver<[usize; 4]>) -> Option<usize> {
        let mut place = [0; 4];
        rx.ready();
        rx.pop_into(&mut place, |place, tag, bytes| {
            assert_eq!(bytes, [tag; 12]);
            place[0] = tag.into();
        })
        .then_some(place[0])
    }

    /// Two whole items fill a chunk; with one of bytes between them a chunk ends before its last words.
    #[test]
    fn loom_items_arrive_in_order_across_chunks() {
        loom::model(|| {
            let (mut tx, mut rx) = channel();
            let writer = thread::spawn(move || {
                for n in 0..3 {
                    if n == 1 {
                        tx.push_small(1, &[1; 12]);
                    } else {
                        tx.push([n; 4]);
                    }
                    tx.publish();
                }
            });
            let mut next = 0;
            while let Some(n) = pop(&mut rx) {
                assert_eq!(n, next);
                next += 1;
            }
            writer.join().unwrap();
            while let Some(n) = pop(&mut rx) {
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
