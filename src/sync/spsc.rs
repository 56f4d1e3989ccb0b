//! An unbounded queue from one thread to another, of records in chunks, published in batches.
//!
//! What a message costs here is the cache lines that pass between two processors. So an item of few bytes goes in
//! as a record of these, back to back with the next, and only what has no such form as a whole item: besides the
//! lines, memory that one thread allocates and another frees costs both a lock of the allocator.
//!
//! One word carries both how much is published and whether the reader has gone to sleep, so that the writer
//! learns from the very operation that publishes whether somebody has to be woken.

use super::prim::{Arc, AtomicPtr, AtomicU64, Cell, Ordering};
use std::alloc::{self, Layout};
use std::marker::PhantomData;
use std::{mem, ptr, slice};

/// The unit of all positions: a record begins with a word that says what it is.
const WORD: usize = size_of::<u64>();
/// What a chunk takes of memory besides its records.
const HEAD: usize = size_of::<Chunk>();
/// Bytes for records in a chunk. A queue begins with the smallest, goes on with the next, and with the one after that
/// where it would be full after a few records.
#[cfg(not(loom))]
const SIZES: [usize; 4] =
    [(1 << 10) - HEAD, (4 << 10) - HEAD, (16 << 10) - HEAD, (64 << 10) - HEAD];
#[cfg(loom)]
const SIZES: [usize; 2] = [10 * WORD, 12 * WORD];
const SMALLEST: usize = SIZES[0];
const LARGEST: usize = SIZES[SIZES.len() - 1];
/// So many records should have room in a chunk.
const RECORDS: usize = if cfg!(loom) { 2 } else { 12 };
/// So many drained chunks are kept for the writer at most, and so many bytes.
#[cfg(not(loom))]
const SPARE: usize = 16;
#[cfg(loom)]
const SPARE: usize = 1;
const SPARE_BYTES: usize = if cfg!(loom) { LARGEST } else { 128 << 10 };

/// Set in `published` by a reader that found nothing and will not look again by itself.
const ASLEEP: u64 = 1;

/// The first word of a record: its kind, for bytes their length and tag, and in the upper half its size.
const WHOLE: u64 = 0;
const BYTES: u64 = 1;
/// No record: the next one is in the next chunk.
const ELSEWHERE: u64 = 2;
const KIND: u64 = 3;
const LENGTH_SHIFT: u32 = 8;
const TAG_SHIFT: u32 = 24;
const SIZE_SHIFT: u32 = 32;

/// The head of a chunk; the records follow it in the same allocation.
#[repr(C, align(64))]
struct Chunk {
    next: AtomicPtr<Chunk>,
    /// Bytes for records.
    size: usize,
    /// One for each word, for loom to watch: an access to a record is one to its first word.
    #[cfg(loom)]
    watched: [Cell<()>; LARGEST / WORD],
}

impl Chunk {
    fn allocate(size: usize) -> *mut Chunk {
        let layout = Chunk::layout(size);
        // SAFETY: the layout has room for at least the head.
        let chunk = unsafe { alloc::alloc(layout) }.cast::<Chunk>();
        if chunk.is_null() {
            alloc::handle_alloc_error(layout);
        }
        let head = Chunk {
            next: AtomicPtr::new(ptr::null_mut()),
            size,
            #[cfg(loom)]
            watched: std::array::from_fn(|_| Cell::new(())),
        };
        // SAFETY: fresh memory, aligned for the head and large enough.
        unsafe { chunk.write(head) };
        chunk
    }

    /// Gives a chunk's memory back; what its records hold is not looked at.
    ///
    /// # Safety
    /// `chunk` came from [`Chunk::allocate`], and nobody uses it any more.
    unsafe fn free(chunk: *mut Chunk) {
        // SAFETY: the caller's promise; the layout is that of its allocation.
        unsafe {
            let layout = Chunk::layout((*chunk).size);
            ptr::drop_in_place(chunk);
            alloc::dealloc(chunk.cast(), layout);
        }
    }

    const fn layout(size: usize) -> Layout {
        match Layout::from_size_align(HEAD + size, align_of::<Chunk>()) {
            Ok(layout) => layout,
            Err(_) => panic!("sizes are constants"),
        }
    }

    /// The word at a position in bytes, for writing.
    ///
    /// # Safety
    /// `chunk` is live and `at` below its size.
    #[inline(always)]
    unsafe fn writable(chunk: *mut Chunk, at: usize) -> *mut u64 {
        // SAFETY: the caller's promise.
        unsafe {
            #[cfg(loom)]
            (&(*chunk).watched)[at / WORD].with_mut(|_| ());
            chunk.cast::<u8>().add(HEAD + at).cast::<u64>()
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
            chunk.cast::<u8>().add(HEAD + at).cast::<u64>()
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
    /// The size of `chunk`.
    end: usize,
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
    /// The size of `chunk`.
    end: usize,
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
        assert!(
            align_of::<T>() <= WORD && WORD + size_of::<T>().next_multiple_of(WORD) <= SMALLEST
        );
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
    let (chunk, at, end) = (ptr::null_mut(), 0, 0);
    let sender = Sender { shared: shared.clone(), chunk, at, end, pending: 0, turn: 0 };
    (sender, Receiver { shared, chunk, at, end, read: 0, known: 0, turn: 0 })
}

impl<T> Sender<T> {
    /// An item of bytes has at most so many.
    pub const BYTES_MAX: usize = if cfg!(loom) { SMALLEST - WORD } else { 4096 };
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

    /// Appends an item of bytes, invisible until [`Sender::publish`]. Those beyond [`Sender::BYTES_MAX`] are
    /// cut off.
    #[inline(always)]
    pub fn push_bytes(&mut self, tag: u8, bytes: &[u8]) {
        debug_assert!(bytes.len() <= Self::BYTES_MAX);
        let length = bytes.len().min(Self::BYTES_MAX);
        let size = WORD + length.next_multiple_of(WORD);
        let place = self.reserve(size);
        let head = BYTES
            | (length as u64) << LENGTH_SHIFT
            | u64::from(tag) << TAG_SHIFT
            | (size as u64) << SIZE_SHIFT;
        // SAFETY: as in `push`; the record has room for the bytes, in whole words.
        unsafe {
            place.write(head);
            if length > COPIED_INLINE {
                place.add(1).cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), length);
            } else if length > 0 {
                copy_small(bytes.as_ptr(), place.add(1).cast(), length);
            }
        }
    }

    /// The place of the next record of `size` bytes, which is no more than the largest chunk has.
    #[inline(always)]
    fn reserve(&mut self, size: usize) -> *mut u64 {
        if self.at + size > self.end {
            self.grow(size);
        }
        self.fetch_ahead(size);
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

    /// Asks for lines, as many as a record of `size` bytes takes, to come before their turn does: the reader
    /// had them last, and fetching them from there is most of what a message costs.
    #[inline(always)]
    fn fetch_ahead(&self, size: usize) {
        const AHEAD: usize = 256;
        /// Fewer lines come with those that were asked for; more would have gone again by their turn.
        const SEVERAL: std::ops::Range<usize> = 128..2560;
        fetch::<true>(self.chunk, self.at + AHEAD);
        if SEVERAL.contains(&size) {
            self.fetch_further(size);
        }
    }

    #[inline(never)]
    fn fetch_further(&self, size: usize) {
        let begin = self.at + size;
        let end = (begin + size + LINE).min(self.end);
        (begin..end).step_by(LINE).for_each(|at| fetch::<true>(self.chunk, at));
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, record: usize) {
        let wanted = self.next_size(record);
        let fresh = self.take_spare(wanted).unwrap_or_else(|| Chunk::allocate(wanted));
        if self.chunk.is_null() {
            self.shared.first.store(fresh, Ordering::Release);
        } else {
            // SAFETY: the writer's chunk is live, see `reserve`; the word at `at`, if the chunk has one,
            // belongs to this writer until the next record is published.
            unsafe {
                if self.at < self.end {
                    Chunk::writable(self.chunk, self.at).write(ELSEWHERE);
                }
                (*self.chunk).next.store(fresh, Ordering::Release);
            }
        }
        self.chunk = fresh;
        self.at = 0;
        // SAFETY: a chunk's size never changes, and nobody has this one yet.
        self.end = unsafe { (*fresh).size };
    }

    /// The size of the next chunk, the first record in which has this one.
    fn next_size(&self, record: usize) -> usize {
        let fits = |size: &&usize| **size >= record;
        let comfortable = |size: &&usize| **size >= (record * RECORDS).max(SIZES[1]);
        let least = SIZES.iter().find(fits).unwrap_or(&LARGEST);
        let best = SIZES.iter().find(comfortable).unwrap_or(&LARGEST);
        let next = SIZES.iter().find(|size| **size > self.end).unwrap_or(&LARGEST);
        *least.max(best.min(next))
    }

    /// A drained chunk of at least this size.
    fn take_spare(&mut self, wanted: usize) -> Option<*mut Chunk> {
        loop {
            let slot = &self.shared.spare[self.turn];
            let chunk = slot.load(Ordering::Acquire);
            if chunk.is_null() {
                return None;
            }
            slot.store(ptr::null_mut(), Ordering::Release);
            self.turn = (self.turn + 1) % SPARE;
            // SAFETY: the reader left it to this end, which alone has it now.
            unsafe {
                if (*chunk).size >= wanted {
                    return Some(chunk);
                }
                Chunk::free(chunk);
            }
        }
    }
}

impl<T> Receiver<T> {
    /// Puts the next item into `place`, one of bytes by `make` from its tag and these; false, with `place`
    /// left alone, when the last look ([`Receiver::ready`]) saw no more.
    #[inline(always)]
    pub fn pop_into(&mut self, place: &mut T, make: impl FnOnce(&mut T, u8, &[u8])) -> bool {
        if !self.at_hand() {
            return false;
        }
        let (record, head) = self.next_record();
        self.pass(head);
        if head & KIND == BYTES {
            // SAFETY: the record is one of bytes; its chunk lives until the reader leaves it, which happens in
            // a later call at the earliest.
            make(place, (head >> TAG_SHIFT) as u8, unsafe { bytes_of(record, head) });
        } else {
            // SAFETY: a published record of this kind holds an item after its first word, and was passed.
            *place = unsafe { record.add(1).cast::<T>().read() };
        }
        true
    }

    /// Gives the tag and the bytes of the next item to `take`, which says whether it is done with them; false,
    /// and nothing is taken, also when the last look saw no more, or that item has no such form.
    #[inline(always)]
    pub fn pop_bytes(&mut self, take: impl FnOnce(u8, &[u8]) -> bool) -> bool {
        if !self.at_hand() {
            return false;
        }
        let (record, head) = self.next_record();
        let taken = head & KIND == BYTES && {
            // SAFETY: the record is one of bytes, in a chunk that this end has not left.
            take((head >> TAG_SHIFT) as u8, unsafe { bytes_of(record, head) })
        };
        if taken {
            self.pass(head);
            // Where many queues are read in turn, nobody else asks for the next line in time. Only for one that
            // was published whole: the writer is not done with others.
            if self.known - self.read > 2 * LINE as u64 {
                fetch::<false>(self.chunk, self.at + LINE);
            }
        }
        taken
    }

    /// The next record and its first word; one must be at hand.
    #[inline(always)]
    fn next_record(&mut self) -> (*const u64, u64) {
        debug_assert!(self.at_hand());
        if self.at == self.end {
            self.advance();
        }
        // SAFETY: a look saw more bytes published (acquire) than were read: the next record is here, or a
        // word that says that it begins the next chunk. The chunk is live until the reader has left it.
        let record = unsafe { Chunk::readable(self.chunk, self.at) };
        // SAFETY: as above.
        let head = unsafe { record.read() };
        if head != ELSEWHERE {
            return (record, head);
        }
        self.advance();
        // SAFETY: as above.
        unsafe {
            let record = Chunk::readable(self.chunk, self.at);
            (record, record.read())
        }
    }

    /// Leaves the next record, which begins with `head`, behind.
    #[inline(always)]
    fn pass(&mut self, head: u64) {
        let size = head >> SIZE_SHIFT;
        self.at += size as usize;
        self.read += size;
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
        // SAFETY: the chunk is live, and its size never changes.
        self.end = unsafe { (*self.chunk).size };
    }

    fn give_back(&mut self, chunk: *mut Chunk) {
        // SAFETY: nobody but this end knows the chunk.
        let size = unsafe { (*chunk).size };
        // Slots are filled and emptied in turn: where so many may be filled, the one that many turns ago is
        // empty when fewer are.
        let most = (SPARE_BYTES / size).clamp(1, SPARE);
        let tells = (self.turn + SPARE - most) % SPARE;
        let free = |slot: usize| self.shared.spare[slot].load(Ordering::Acquire).is_null();
        if free(self.turn) && free(tells) {
            self.shared.spare[self.turn].store(chunk, Ordering::Release);
            self.turn = (self.turn + 1) % SPARE;
        } else {
            // SAFETY: nobody but this end knows the chunk, and its items are gone.
            unsafe { Chunk::free(chunk) };
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
            // SAFETY: chunks from the reader's position on are owned by this queue alone.
            let end = unsafe { (*chunk).size };
            while at < end && left > 0 {
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
            // SAFETY: as above.
            unsafe {
                let next = (*chunk).next.load(Ordering::Acquire);
                Chunk::free(chunk);
                chunk = next;
            }
        }
        for slot in &mut self.spare {
            let spare = mem::replace(slot, AtomicPtr::new(ptr::null_mut())).load(Ordering::Acquire);
            if !spare.is_null() {
                // SAFETY: a spare chunk holds no items and is linked to nothing.
                unsafe { Chunk::free(spare) };
            }
        }
    }
}

/// The memory that processors pass to each other.
const LINE: usize = 64;

/// Asks for the line at a position of a chunk before it is needed, to be written or only read.
#[inline(always)]
fn fetch<const WRITING: bool>(chunk: *mut Chunk, at: usize) {
    fetch_line::<WRITING>(chunk.cast::<u8>().wrapping_add(HEAD + at));
}

/// Asks for the memory at a position of `bytes`, or shortly behind them, before it is read.
#[inline(always)]
pub fn expect(bytes: &[u8], at: usize) {
    fetch_line::<false>(bytes.as_ptr().wrapping_add(at));
}

#[inline(always)]
fn fetch_line<const WRITING: bool>(line: *const u8) {
    #[cfg(all(target_arch = "x86_64", not(loom)))]
    {
        use std::arch::asm;
        let line = line.addr();
        // SAFETY: a prefetch is a hint and reads nothing. (The one to write has an intrinsic, which becomes one to
        // read where not all processors of a target know it; those that do not ignore it.)
        unsafe {
            if WRITING {
                asm!("prefetchw [{}]", in(reg) line, options(nomem, nostack, preserves_flags));
            } else {
                asm!("prefetcht0 [{}]", in(reg) line, options(nomem, nostack, preserves_flags));
            }
        }
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom))))]
    let _ = line;
}

/// The bytes of a record.
///
/// # Safety
/// It is a published one of [`BYTES`] that begins with `head`, in a chunk which lives on while the bytes are used.
#[inline(always)]
unsafe fn bytes_of<'a>(record: *const u64, head: u64) -> &'a [u8] {
    let length = usize::from((head >> LENGTH_SHIFT) as u16);
    // SAFETY: the record's first word says how many bytes follow it.
    unsafe { slice::from_raw_parts(record.add(1).cast(), length) }
}

/// [`copy_small`] takes up to so many bytes.
const COPIED_INLINE: usize = 64;

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

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
