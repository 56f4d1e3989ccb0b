//! An unbounded queue from one thread to several others, each of which reads all of it: what is written is laid down
//! once, and its memory goes when the last of them has passed it.
//!
//! All are there from the beginning. Records, chunks and the word that publishes are those of [`super::spsc`], but that
//! the word also says when the queue is over, and that items which are not bytes are [`Counted`]: each reader takes its
//! share, and those of readers who left go with the chunk.

use super::Lock;
use super::chunk::{
    BYTES, Chunk, ELSEWHERE, KIND, LINE, SIZE_SHIFT, SIZES, WHOLE, WORD, bytes_of, fetch,
    size_of_bytes, tag_of, write_bytes,
};
use super::prim::{Arc, AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::sync::OnceLock;

/// Set in `published` by readers that found nothing and will not look again by themselves.
const ASLEEP: u64 = 1;
/// Nothing more will come.
const OVER: u64 = 2;
const FLAGS: u64 = ASLEEP | OVER;

/// Chunks grow to this size: one that somebody has not passed is kept whole.
const LARGEST: usize = SIZES[if cfg!(loom) { 1 } else { 2 }];

/// An item whose users are counted, in memory that they share.
///
/// # Safety
/// Of what [`Counted::counted`] returns as many copies may be made as it was asked for, bit by bit the same, and each is an
/// item of its own, for any thread.
pub unsafe trait Counted: Send + Sized {
    /// This item for so many users more. None where it cannot be had that way.
    fn counted(&self, users: u32) -> Option<ManuallyDrop<Self>>;
}

/// In a record of a counted item, behind its first word: where the one before it in the same chunk is, as `Stretch::items`
/// has it. The item comes after that.
const BEFORE: usize = 1;
const ITEM: usize = 2;

/// A chunk in the row of those that some reader, or the writer, has not passed.
struct Stretch<I> {
    chunk: *mut Chunk,
    next: OnceLock<Arc<Stretch<I>>>,
    /// Bytes of records before it.
    begin: u64,
    /// Where the last counted item is, plus one; 0: there are none.
    items: AtomicUsize,
    shared: Arc<Shared>,
    counted: PhantomData<I>,
}

// SAFETY: the chunk is the stretch's own; who may access which of its records is stated at both ends. Items go to any thread.
unsafe impl<I: Send> Send for Stretch<I> {}
// SAFETY: as above.
unsafe impl<I: Send> Sync for Stretch<I> {}

impl<I> Stretch<I> {
    fn new(size: usize, begin: u64, shared: Arc<Shared>) -> Arc<Stretch<I>> {
        Arc::new(Stretch {
            chunk: Chunk::allocate(size),
            next: OnceLock::new(),
            begin,
            items: AtomicUsize::new(0),
            shared,
            counted: PhantomData,
        })
    }

    fn size(&self) -> usize {
        // SAFETY: the chunk lives as long as this, and its size never changes.
        unsafe { (*self.chunk).size }
    }
}

impl<I> Stretch<I> {
    /// Drops the shares of readers who left before they took them. All others have taken theirs.
    #[cold]
    fn drop_items(&mut self, mut place: usize) {
        let gone = self.shared.gone.lock().clone();
        while let Some(at) = place.checked_sub(1) {
            let position = self.begin + at as u64;
            // SAFETY: nobody else has the chunk; the writer wrote a counted item there.
            let record = unsafe { Chunk::readable(self.chunk, at) };
            for _ in gone.iter().filter(|left| **left <= position) {
                // SAFETY: as above; the item was counted for the reader who left, who did not take it.
                drop(unsafe { record.add(ITEM).cast::<I>().read() });
            }
            // SAFETY: as above.
            place = unsafe { record.add(BEFORE).read() } as usize;
        }
    }
}

impl<I> Drop for Stretch<I> {
    fn drop(&mut self) {
        match self.items.load(Ordering::Relaxed) {
            0 => {}
            last => self.drop_items(last),
        }
        // SAFETY: nobody else has the chunk, and what its records held is taken or dropped.
        unsafe { Chunk::free(self.chunk) };
        // One by one: a long row would take as many frames of the stack.
        let mut next = self.next.take();
        while let Some(mut alone) = next.and_then(|next| Arc::try_unwrap(next).ok()) {
            next = alone.next.take();
        }
    }
}

/// Bytes of records published since the beginning, plus [`FLAGS`].
#[repr(align(128))]
struct Published(AtomicU64);

struct Shared {
    published: Published,
    /// How many bytes of records those had taken who left early.
    gone: Lock<Vec<u64>>,
}

/// The writing end, of bytes and of items `I`. `T` says how to reach a reader.
pub struct Broadcaster<I, T> {
    shared: Arc<Shared>,
    stretch: Arc<Stretch<I>>,
    at: usize,
    /// Bytes written and not yet published.
    pending: u64,
    readers: Vec<(Arc<AtomicBool>, T)>,
}

/// A reading end.
pub struct Listener<I> {
    shared: Arc<Shared>,
    stretch: Arc<Stretch<I>>,
    /// That of `stretch`, and its size.
    chunk: *mut Chunk,
    end: usize,
    at: usize,
    read: u64,
    /// What was published when last looked, and whether that was all.
    known: u64,
    over: bool,
    /// This one sleeps.
    asleep: Arc<AtomicBool>,
}

// SAFETY: it is used by one thread at a time, and its chunk lives as long as its stretch; records pass from the writer to
// it by the release/acquire pair on `published`.
unsafe impl<I: Send> Send for Listener<I> {}

impl<I, T> Default for Broadcaster<I, T> {
    fn default() -> Broadcaster<I, T> {
        let published = Published(AtomicU64::new(0));
        let shared = Arc::new(Shared { published, gone: Lock::default() });
        let stretch = Stretch::new(SIZES[0], 0, shared.clone());
        Broadcaster { shared, stretch, at: 0, pending: 0, readers: Vec::new() }
    }
}

impl<I: Counted, T> Broadcaster<I, T> {
    /// An item has at most so many bytes.
    pub const BYTES_MAX: usize = if cfg!(loom) { SIZES[0] - WORD } else { 4096 };

    /// One more reader, who is told by `how`. Before anything was written.
    pub fn listener(&mut self, how: T) -> Listener<I> {
        debug_assert!(self.at == 0);
        let asleep = Arc::new(AtomicBool::new(false));
        self.readers.push((asleep.clone(), how));
        let stretch = self.stretch.clone();
        let (chunk, end) = (stretch.chunk, stretch.size());
        let shared = self.shared.clone();
        Listener { shared, stretch, chunk, end, at: 0, read: 0, known: 0, over: false, asleep }
    }

    /// Appends an item of bytes, invisible until [`Broadcaster::publish`]. Those beyond [`Broadcaster::BYTES_MAX`] are
    /// cut off.
    #[inline]
    pub fn push(&mut self, tag: u8, bytes: &[u8]) {
        debug_assert!(bytes.len() <= Self::BYTES_MAX);
        let bytes = &bytes[..bytes.len().min(Self::BYTES_MAX)];
        let place = self.reserve(size_of_bytes(bytes.len()));
        // SAFETY: the record at `place` is as large as these need, and the writer's.
        unsafe { write_bytes(place, tag, bytes) };
    }

    /// As [`Broadcaster::push`], an item that is counted for all readers; false where it cannot be.
    #[inline]
    pub fn push_counted(&mut self, item: &I) -> bool {
        let size = ITEM * WORD + size_of::<I>();
        const { assert!(align_of::<I>() <= WORD && size_of::<I>().is_multiple_of(WORD)) };
        let readers = u32::try_from(self.readers.len()).unwrap_or(u32::MAX);
        let Some(item) = item.counted(readers) else { return false };
        let place = self.reserve(size);
        let before = self.stretch.items.load(Ordering::Relaxed);
        // Only the writer does this.
        self.stretch.items.store(self.at - size + 1, Ordering::Relaxed);
        // SAFETY: the record at `place` has room for two words and an item, and is the writer's.
        unsafe {
            place.write(WHOLE | (size as u64) << SIZE_SHIFT);
            place.add(BEFORE).write(before as u64);
            place.add(ITEM).cast::<ManuallyDrop<I>>().write(item);
        }
        true
    }

    /// The place of the next record of `size` bytes, which is no more than the largest chunk has.
    #[inline(always)]
    fn reserve(&mut self, size: usize) -> *mut u64 {
        /// Lines are asked for before their turn: readers had them last.
        const AHEAD: usize = 256;
        if self.at + size > self.stretch.size() {
            self.grow(size);
        }
        fetch::<true>(self.stretch.chunk, self.at + AHEAD);
        // SAFETY: the chunk lives as long as its stretch and has room for the record from `at` on, which nobody but this
        // writer touches until it is published.
        let place = unsafe { Chunk::writable(self.stretch.chunk, self.at) };
        self.at += size;
        self.pending += size as u64;
        place
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, record: usize) {
        let before = self.stretch.size();
        let fits = |size: &&usize| **size >= record && **size > before;
        let size = SIZES.iter().find(fits).map_or(LARGEST, |size| (*size).min(LARGEST));
        let begin = self.stretch.begin + self.at as u64;
        let fresh = Stretch::new(size, begin, self.shared.clone());
        if self.at < before {
            // SAFETY: as in `push`, of the one word that there is room for.
            unsafe { Chunk::writable(self.stretch.chunk, self.at).write(ELSEWHERE) };
        }
        let full = mem::replace(&mut self.stretch, fresh.clone());
        // Nobody else gives a stretch its next one.
        let _first = full.next.set(fresh);
        self.at = 0;
    }

    /// Makes everything pushed visible, and has those who sleep told.
    #[inline]
    pub fn publish(&mut self, tell: impl FnMut(&T)) {
        let before = self.shared.published.0.fetch_add(self.pending, Ordering::AcqRel);
        self.pending = 0;
        if before & ASLEEP != 0 {
            self.wake(tell);
        }
    }

    /// Nothing more comes: has those who sleep told.
    pub fn end(mut self, tell: impl FnMut(&T)) {
        let before = self.shared.published.0.fetch_or(OVER, Ordering::AcqRel);
        if before & ASLEEP != 0 {
            self.wake(tell);
        }
    }

    /// Readers raise their flags first: who set the bit since has one that is seen here, and is told in vain at worst.
    #[cold]
    #[inline(never)]
    fn wake(&mut self, mut tell: impl FnMut(&T)) {
        self.shared.published.0.fetch_and(!ASLEEP, Ordering::AcqRel);
        for (asleep, how) in &self.readers {
            if asleep.swap(false, Ordering::AcqRel) {
                tell(how);
            }
        }
    }
}

impl<I> Listener<I> {
    /// Puts the next item into `place`, one of bytes by `make` from its tag and these, which may refuse it; false, with
    /// nothing taken, also when the last look saw no more.
    #[inline(always)]
    pub fn pop_into(
        &mut self,
        place: &mut I,
        make: impl FnOnce(&mut I, u8, &[u8]) -> bool,
    ) -> bool {
        if !self.at_hand() {
            return false;
        }
        let Some((record, head)) = self.next_record() else { return false };
        if head & KIND == BYTES {
            // SAFETY: the record was published, is one of bytes, and its chunk is not left yet.
            if !make(place, tag_of(head), unsafe { bytes_of(record, head) }) {
                return false;
            }
            self.pass(head);
        } else {
            self.pass(head);
            // SAFETY: the record was published, is one of an item that was counted for this reader too, and was passed: it
            // is taken once.
            *place = unsafe { record.add(ITEM).cast::<I>().read() };
        }
        true
    }

    /// Gives the tag and the bytes of the next item to `take`, which says whether it is done with them; false, and nothing
    /// is taken, also when the last look saw no more, or that item is not one of bytes.
    #[inline(always)]
    pub fn pop_bytes(&mut self, take: impl FnOnce(u8, &[u8]) -> bool) -> bool {
        if !self.at_hand() {
            return false;
        }
        let Some((record, head)) = self.next_record() else { return false };
        let taken = head & KIND == BYTES && {
            // SAFETY: as in `pop_into`.
            take(tag_of(head), unsafe { bytes_of(record, head) })
        };
        if taken {
            self.pass(head);
        }
        taken
    }

    /// Leaves the next record, which begins with `head`, behind.
    #[inline(always)]
    fn pass(&mut self, head: u64) {
        let size = head >> SIZE_SHIFT;
        self.at += size as usize;
        self.read += size;
        if self.known - self.read > 2 * LINE as u64 {
            fetch::<false>(self.chunk, self.at + LINE);
        }
    }

    /// The next record and its first word.
    #[inline(always)]
    fn next_record(&mut self) -> Option<(*const u64, u64)> {
        if self.at < self.end {
            let found = self.record();
            if found.1 & KIND != ELSEWHERE {
                return Some(found);
            }
        }
        self.advance().then(|| self.record())
    }

    #[inline(always)]
    fn record(&self) -> (*const u64, u64) {
        // SAFETY: a look saw more bytes published (acquire) than were read: here is the next record, or a word that says
        // that it begins the next chunk. The chunk lives as long as its stretch.
        unsafe {
            let record = Chunk::readable(self.chunk, self.at);
            (record, record.read())
        }
    }

    #[cold]
    #[inline(never)]
    fn advance(&mut self) -> bool {
        // It was there before anything in it was published.
        let Some(next) = self.stretch.next.get().cloned() else { return false };
        (self.chunk, self.end, self.at) = (next.chunk, next.size(), 0);
        self.stretch = next;
        true
    }

    /// Whether the last look saw more than was taken since.
    #[inline]
    pub fn at_hand(&self) -> bool {
        self.read != self.known
    }

    /// Whether the last look saw the end, and all before it is taken.
    #[inline]
    pub fn is_over(&self) -> bool {
        self.over && !self.at_hand()
    }

    /// Whether an item is there: looks unless one is at hand. Does not go to sleep.
    #[inline]
    pub fn ready(&mut self) -> bool {
        self.at_hand() || {
            let now = self.shared.published.0.load(Ordering::Acquire);
            self.note(now)
        }
    }

    fn note(&mut self, published: u64) -> bool {
        (self.known, self.over) = (published & !FLAGS, published & OVER != 0);
        self.at_hand()
    }

    /// As [`Listener::ready`], but where nothing is there leaves word for the writer, unless it is over.
    pub fn ready_or_sleep(&mut self) -> bool {
        if self.ready() || self.over {
            return self.at_hand();
        }
        // Before the bit is set: who takes that back looks at the flags afterwards. (A swap, since loom takes it to be
        // possible that a store comes before the writer's last swap, which did not see it.)
        self.asleep.swap(true, Ordering::AcqRel);
        let mut now = self.read;
        loop {
            match self.shared.published.0.compare_exchange(
                now,
                self.read | ASLEEP,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return false,
                // Somebody else sleeps already: the bit is set anew, so that the flag is seen by who takes it back.
                Err(other) if other & !ASLEEP == self.read => now = other,
                Err(news) => {
                    self.asleep.swap(false, Ordering::AcqRel);
                    return self.note(news);
                }
            }
        }
    }
}

impl<I> Drop for Listener<I> {
    fn drop(&mut self) {
        if !self.is_over() {
            // What is left, and what may come yet, is nobody's.
            self.shared.gone.lock().push(self.read);
        }
    }
}

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(test)]
mod number;
#[cfg(all(test, not(loom)))]
mod tests;
