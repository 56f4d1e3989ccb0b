//! What the queues of this folder are made of: chunks of memory, and the records in them.
//!
//! Who reads and writes a chunk, and when it goes, is known to the queues.

use super::prim::AtomicPtr;
#[cfg(loom)]
use super::prim::Cell;
use std::alloc::{self, Layout};
use std::{ptr, slice};

/// The unit of all positions: a record begins with a word that says what it is.
pub(super) const WORD: usize = size_of::<u64>();
/// What a chunk takes of memory besides its records.
pub(super) const HEAD: usize = size_of::<Chunk>();
/// Bytes for records in a chunk. A queue begins with the smallest, goes on with the next, and with the one after that
/// where it would be full after a few records.
#[cfg(not(loom))]
pub(super) const SIZES: [usize; 4] =
    [(1 << 10) - HEAD, (4 << 10) - HEAD, (16 << 10) - HEAD, (64 << 10) - HEAD];
#[cfg(loom)]
pub(super) const SIZES: [usize; 2] = [10 * WORD, 12 * WORD];
pub(super) const SMALLEST: usize = SIZES[0];
pub(super) const LARGEST: usize = SIZES[SIZES.len() - 1];

/// The first word of a record: its kind, for bytes their length and tag, and in the upper half its size.
pub(super) const WHOLE: u64 = 0;
pub(super) const BYTES: u64 = 1;
/// No record: the next one is in the next chunk.
pub(super) const ELSEWHERE: u64 = 2;
pub(super) const KIND: u64 = 3;
const LENGTH_SHIFT: u32 = 8;
const TAG_SHIFT: u32 = 24;
pub(super) const SIZE_SHIFT: u32 = 32;

/// The head of a chunk; the records follow it in the same allocation.
#[repr(C, align(64))]
pub(super) struct Chunk {
    /// The chunk after this one.
    pub(super) next: AtomicPtr<Chunk>,
    /// Bytes for records.
    pub(super) size: usize,
    /// One for each word, for loom to watch: an access to a record is one to its first word.
    #[cfg(loom)]
    watched: [Cell<()>; LARGEST / WORD],
}

impl Chunk {
    pub(super) fn allocate(size: usize) -> *mut Chunk {
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
    pub(super) unsafe fn free(chunk: *mut Chunk) {
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
    pub(super) unsafe fn writable(chunk: *mut Chunk, at: usize) -> *mut u64 {
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
    pub(super) unsafe fn readable(chunk: *mut Chunk, at: usize) -> *const u64 {
        // SAFETY: the caller's promise.
        unsafe {
            #[cfg(loom)]
            (&(*chunk).watched)[at / WORD].with(|_| ());
            chunk.cast::<u8>().add(HEAD + at).cast::<u64>()
        }
    }
}

/// The memory that processors pass to each other.
pub(super) const LINE: usize = 64;

/// Asks for the line at a position of a chunk before it is needed, to be written or only read.
#[inline(always)]
pub(super) fn fetch<const WRITING: bool>(chunk: *mut Chunk, at: usize) {
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

/// The size of a record of so many bytes.
#[inline(always)]
pub(super) fn size_of_bytes(length: usize) -> usize {
    WORD + length.next_multiple_of(WORD)
}

/// Lays a record of bytes down.
///
/// # Safety
/// `place` is the first word of so much memory as [`size_of_bytes`] says, which nobody else reads or writes.
#[inline(always)]
pub(super) unsafe fn write_bytes(place: *mut u64, tag: u8, bytes: &[u8]) {
    let length = bytes.len();
    let head = BYTES
        | (length as u64) << LENGTH_SHIFT
        | u64::from(tag) << TAG_SHIFT
        | (size_of_bytes(length) as u64) << SIZE_SHIFT;
    // SAFETY: the caller's promise; the record has room for the bytes, in whole words.
    unsafe {
        place.write(head);
        if length > COPIED_INLINE {
            place.add(1).cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), length);
        } else if length > 0 {
            copy_small(bytes.as_ptr(), place.add(1).cast(), length);
        }
    }
}

/// The tag of a record of bytes that begins with `head`.
#[inline(always)]
pub(super) fn tag_of(head: u64) -> u8 {
    (head >> TAG_SHIFT) as u8
}

/// The bytes of a record.
///
/// # Safety
/// It is a published one of [`BYTES`] that begins with `head`, in a chunk which lives on while the bytes are used.
#[inline(always)]
pub(super) unsafe fn bytes_of<'a>(record: *const u64, head: u64) -> &'a [u8] {
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
