//! An unbounded queue from one thread to several others, each of which reads all of it: what is written is laid down
//! once, and its memory goes when the last of them has passed it.
//!
//! All are there from the beginning. Records, chunks and the word that publishes are those of [`super::spsc`], but that
//! there are only items of bytes, and that the word also says when the queue is over.

use super::chunk::{
    BYTES, Chunk, ELSEWHERE, KIND, LINE, SIZE_SHIFT, SIZES, WORD, bytes_of, fetch, size_of_bytes,
    tag_of, write_bytes,
};
use super::prim::{Arc, AtomicBool, AtomicU64, Ordering};
use std::mem;
use std::sync::OnceLock;

/// Set in `published` by readers that found nothing and will not look again by themselves.
const ASLEEP: u64 = 1;
/// Nothing more will come.
const OVER: u64 = 2;
const FLAGS: u64 = ASLEEP | OVER;

/// Chunks grow to this size: one that somebody has not passed is kept whole.
const LARGEST: usize = SIZES[if cfg!(loom) { 1 } else { 2 }];

/// A chunk in the row of those that some reader, or the writer, has not passed.
struct Stretch {
    chunk: *mut Chunk,
    next: OnceLock<Arc<Stretch>>,
}

// SAFETY: the chunk is the stretch's own; who may access which of its records is stated at both ends.
unsafe impl Send for Stretch {}
// SAFETY: as above.
unsafe impl Sync for Stretch {}

impl Stretch {
    fn new(size: usize) -> Arc<Stretch> {
        Arc::new(Stretch { chunk: Chunk::allocate(size), next: OnceLock::new() })
    }

    fn size(&self) -> usize {
        // SAFETY: the chunk lives as long as this, and its size never changes.
        unsafe { (*self.chunk).size }
    }
}

impl Drop for Stretch {
    fn drop(&mut self) {
        // SAFETY: nobody else has the chunk, whose records hold nothing but bytes.
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

/// The writing end. `T` says how to reach a reader.
pub struct Broadcaster<T> {
    published: Arc<Published>,
    stretch: Arc<Stretch>,
    at: usize,
    /// Bytes written and not yet published.
    pending: u64,
    readers: Vec<(Arc<AtomicBool>, T)>,
}

/// A reading end.
pub struct Listener {
    published: Arc<Published>,
    stretch: Arc<Stretch>,
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
unsafe impl Send for Listener {}

impl<T> Default for Broadcaster<T> {
    fn default() -> Broadcaster<T> {
        Broadcaster {
            published: Arc::new(Published(AtomicU64::new(0))),
            stretch: Stretch::new(SIZES[0]),
            at: 0,
            pending: 0,
            readers: Vec::new(),
        }
    }
}

impl<T> Broadcaster<T> {
    /// An item has at most so many bytes.
    pub const BYTES_MAX: usize = if cfg!(loom) { SIZES[0] - WORD } else { 4096 };

    /// One more reader, who is told by `how`. Before anything was written.
    pub fn listener(&mut self, how: T) -> Listener {
        debug_assert!(self.at == 0);
        let asleep = Arc::new(AtomicBool::new(false));
        self.readers.push((asleep.clone(), how));
        let stretch = self.stretch.clone();
        let (chunk, end) = (stretch.chunk, stretch.size());
        let published = self.published.clone();
        Listener { published, stretch, chunk, end, at: 0, read: 0, known: 0, over: false, asleep }
    }

    /// Appends an item of bytes, invisible until [`Broadcaster::publish`]. Those beyond [`Broadcaster::BYTES_MAX`] are
    /// cut off.
    #[inline]
    pub fn push(&mut self, tag: u8, bytes: &[u8]) {
        /// Lines are asked for before their turn: readers had them last.
        const AHEAD: usize = 256;
        debug_assert!(bytes.len() <= Self::BYTES_MAX);
        let bytes = &bytes[..bytes.len().min(Self::BYTES_MAX)];
        let size = size_of_bytes(bytes.len());
        if self.at + size > self.stretch.size() {
            self.grow(size);
        }
        fetch::<true>(self.stretch.chunk, self.at + AHEAD);
        // SAFETY: the chunk lives as long as its stretch and has room for the record from `at` on, which nobody but this
        // writer touches until it is published.
        unsafe { write_bytes(Chunk::writable(self.stretch.chunk, self.at), tag, bytes) };
        self.at += size;
        self.pending += size as u64;
    }

    #[cold]
    #[inline(never)]
    fn grow(&mut self, record: usize) {
        let before = self.stretch.size();
        let fits = |size: &&usize| **size >= record && **size > before;
        let fresh =
            Stretch::new(SIZES.iter().find(fits).map_or(LARGEST, |size| (*size).min(LARGEST)));
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
        let before = self.published.0.fetch_add(self.pending, Ordering::AcqRel);
        self.pending = 0;
        if before & ASLEEP != 0 {
            self.wake(tell);
        }
    }

    /// Nothing more comes: has those who sleep told.
    pub fn end(mut self, tell: impl FnMut(&T)) {
        let before = self.published.0.fetch_or(OVER, Ordering::AcqRel);
        if before & ASLEEP != 0 {
            self.wake(tell);
        }
    }

    /// Readers raise their flags first: who set the bit since has one that is seen here, and is told in vain at worst.
    #[cold]
    #[inline(never)]
    fn wake(&mut self, mut tell: impl FnMut(&T)) {
        self.published.0.fetch_and(!ASLEEP, Ordering::AcqRel);
        for (asleep, how) in &self.readers {
            if asleep.swap(false, Ordering::AcqRel) {
                tell(how);
            }
        }
    }
}

impl Listener {
    /// Gives the tag and the bytes of the next item to `take`, which says whether it is done with them; false, and nothing
    /// is taken, also when the last look saw no more.
    #[inline(always)]
    pub fn pop(&mut self, take: impl FnOnce(u8, &[u8]) -> bool) -> bool {
        if !self.at_hand() {
            return false;
        }
        let Some((record, head)) = self.next_record() else { return false };
        // SAFETY: the record was published, is one of bytes (there are no others), and its chunk is not left yet.
        let taken = take(tag_of(head), unsafe { bytes_of(record, head) });
        if taken {
            let size = head >> SIZE_SHIFT;
            self.at += size as usize;
            self.read += size;
            if self.known - self.read > 2 * LINE as u64 {
                fetch::<false>(self.chunk, self.at + LINE);
            }
        }
        taken
    }

    /// The next record and its first word.
    #[inline(always)]
    fn next_record(&mut self) -> Option<(*const u64, u64)> {
        if self.at < self.end {
            let found = self.record();
            if found.1 & KIND == BYTES {
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
            let now = self.published.0.load(Ordering::Acquire);
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
            match self.published.0.compare_exchange(
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

#[cfg(all(test, loom))]
mod loom_tests;
#[cfg(all(test, not(loom)))]
mod tests;
