//! An unbounded queue from one thread to another, of records in chunks, published in batches.
//!
//! What a message costs here is the cache lines that pass between two processors. So an item of few bytes goes in
//! as a record of these, back to back with the next, and only what has no such form as a whole item: besides the
//! lines, memory that one thread allocates and another frees costs both a lock of the allocator.
//!
//! One word carries both how much is published and whether the reader has gone to sleep, so that the writer
//! learns from the very operation that publishes whether somebody has to be woken.

use super::chunk::{
    BYTES, Chunk, ELSEWHERE, KIND, LARGEST, LINE, SIZE_SHIFT, SIZES, SMALLEST, WHOLE, WORD,
    bytes_of, fetch, size_of_bytes, tag_of, write_bytes,
};
use super::prim::{Arc, AtomicPtr, AtomicU64, Cell, Ordering};
use std::marker::PhantomData;
use std::{mem, ptr};

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
        let bytes = &bytes[..bytes.len().min(Self::BYTES_MAX)];
        let place = self.reserve(size_of_bytes(bytes.len()));
        // SAFETY: as in `push`.
        unsafe { write_bytes(place, tag, bytes) };
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
    /// Puts the next item into `place`, one of bytes by `make` from its tag and these, which may refuse it; false, with
    /// nothing taken, also when the last look ([`Receiver::ready`]) saw no more.
    #[inline(always)]
    pub fn pop_into(
        &mut self,
        place: &mut T,
        make: impl FnOnce(&mut T, u8, &[u8]) -> bool,
    ) -> bool {
        if !self.at_hand() {
            return false;
        }
        let (record, head) = self.next_record();
        if head & KIND == BYTES {
            // SAFETY: the record is one of bytes; its chunk lives until the reader leaves it, which happens in
            // a later call at the earliest.
            if !make(place, tag_of(head), unsafe { bytes_of(record, head) }) {
                return false;
            }
            self.pass(head);
        } else {
            self.pass(head);
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
            take(tag_of(head), unsafe { bytes_of(record, head) })
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

    /// Of the next item, where it is one of bytes and at hand, its tag.
    pub fn next_tag(&mut self) -> Option<u8> {
        let head = if self.at_hand() { self.next_record().1 } else { WHOLE };
        (head & KIND == BYTES).then(|| tag_of(head))
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

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
