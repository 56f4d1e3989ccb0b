//! The allocator of the library: the system's, with a small store of large blocks.
//!
//! A fresh block of a mebibyte costs more in page faults than in copying the message that goes into it,
//! and the system's allocator gives such blocks back to the kernel as soon as they are freed. Here a
//! bounded number of them waits for the next message. What a block is used for is not known here.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Blocks from this size are worth keeping.
const SMALLEST: usize = 128 * 1024;
/// Larger ones are rare, and few would fit.
const LARGEST: usize = 16 * 1024 * 1024;
/// Sizes kept per doubling: a block has at most a quarter more than was asked for.
const STEPS: usize = 4;
const CLASSES: usize = 7 * STEPS + 1;
/// Blocks of one size.
const DEPTH: usize = 16;
/// Bytes of all kept blocks together.
const MOST: usize = 32 * 1024 * 1024;
/// What malloc aligns to anyway.
const ALIGN: usize = 16;
/// Where in its page a block begins. Malloc begins all large ones in the same place, users' buffers too, and the kernel
/// theirs at the beginning, behind the frame's header. On some processors (AMD's, where they copy by `rep movsb`) a copy
/// to between 1 and 31 bytes further into the page than it comes from is fourteen times as slow as any other.
const SHIFT: usize = 48;

/// The allocator of this library.
#[global_allocator]
pub static MEMORY: LargeBlocks = LargeBlocks::new();

/// Large blocks that wait for their next use.
pub struct LargeBlocks {
    /// Never waited for: in the child of a fork it may be held for ever by a thread that is not there.
    taken: AtomicBool,
    kept: UnsafeCell<Kept>,
}

struct Kept {
    bytes: usize,
    counts: [usize; CLASSES],
    blocks: [[*mut u8; DEPTH]; CLASSES],
}

// SAFETY: `kept` is reached only while `taken` is held, see `with`.
unsafe impl Sync for LargeBlocks {}

/// The index and size of the class that a request falls in, None where the system serves it as it is.
fn class(layout: &Layout) -> Option<(usize, usize)> {
    let size = layout.size();
    if !(SMALLEST..=LARGEST).contains(&size) || layout.align() > ALIGN {
        return None;
    }
    let doubling = (size / SMALLEST).ilog2() as usize;
    let base = SMALLEST << doubling;
    let step = base / STEPS;
    let steps = (size - base).div_ceil(step);
    Some((doubling * STEPS + steps, base + steps * step))
}

/// What the system is asked for, where a block of `size` is large; None beyond what there can be.
fn of_size(size: usize) -> Option<Layout> {
    Layout::from_size_align(size.checked_add(SHIFT)?, ALIGN).ok()
}

/// A large block from the system; `alloc` is one of its functions.
///
/// # Safety
/// `size` is not zero.
unsafe fn fresh(size: usize, alloc: unsafe fn(&System, Layout) -> *mut u8) -> *mut u8 {
    let Some(layout) = of_size(size) else { return null_mut() };
    // SAFETY: the layout's size is not zero.
    let base = unsafe { alloc(&System, layout) };
    if base.is_null() {
        return base;
    }
    // SAFETY: the allocation is that much longer than the block.
    unsafe { base.add(SHIFT) }
}

/// Gives a large block back to the system.
///
/// # Safety
/// It is one of `fresh` with this size, and nobody uses it.
unsafe fn release(block: *mut u8, size: usize) {
    if let Some(layout) = of_size(size) {
        // SAFETY: this is where the allocation began, and its layout.
        unsafe { System.dealloc(block.sub(SHIFT), layout) };
    }
}

/// Whether the block of this layout is larger than any class.
fn is_huge(layout: &Layout) -> bool {
    layout.size() > LARGEST && layout.align() <= ALIGN
}

/// The largest block that was given back to the system so far, in bytes.
static RETURNED: AtomicUsize = AtomicUsize::new(0);

/// Asks the kernel to lay down a block beyond the largest class in large pages: those blocks go back to it when they are
/// freed, and bringing them in again page by page takes longer than copying the message. The kernel may decline.
///
/// Only where a block as large was given back before: large pages that nobody has used for long are slow to come on a
/// virtual machine whose host took them away, so that a single message would be hurt where a stream of them gains.
fn in_large_pages(block: *mut u8, size: usize) -> *mut u8 {
    #[cfg(target_os = "linux")]
    if size > LARGEST && !block.is_null() && size <= RETURNED.load(Ordering::Relaxed) {
        const PAGE: usize = 4096;
        // Whole pages, the first one with malloc's note before the block: of memory that is mapped in two ways none could
        // be moved, and a block that grows would be copied.
        let begin = block.addr() & !(PAGE - 1);
        let end = (block.addr() + size).next_multiple_of(PAGE);
        // SAFETY: the pages are mapped, as each holds something of the block, and advice changes nothing of what is in
        // them.
        unsafe { libc::madvise(block.with_addr(begin).cast(), end - begin, libc::MADV_HUGEPAGE) };
    }
    block
}

impl LargeBlocks {
    const fn new() -> LargeBlocks {
        LargeBlocks {
            taken: AtomicBool::new(false),
            kept: UnsafeCell::new(Kept {
                bytes: 0,
                counts: [0; CLASSES],
                blocks: [[null_mut(); DEPTH]; CLASSES],
            }),
        }
    }

    /// Gives everything that waits back to the system.
    pub fn release(&self) {
        for index in 0..CLASSES {
            // The size of class `index`, by the rule of `class`.
            let base = SMALLEST << (index / STEPS);
            let size = base + index % STEPS * (base / STEPS);
            while let Some(block) = self.take(index, size) {
                // SAFETY: the block was one of this size and nobody else knows it.
                unsafe { release(block, size) };
            }
        }
    }

    fn with<R>(&self, act: impl FnOnce(&mut Kept) -> R) -> Option<R> {
        self.taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).ok()?;
        // SAFETY: `taken` is held, so this is the only reference.
        let result = act(unsafe { &mut *self.kept.get() });
        self.taken.store(false, Ordering::Release);
        Some(result)
    }

    fn take(&self, index: usize, size: usize) -> Option<*mut u8> {
        self.with(|kept| {
            let count = kept.counts[index].checked_sub(1)?;
            kept.counts[index] = count;
            kept.bytes -= size;
            Some(kept.blocks[index][count])
        })?
    }

    fn keep(&self, index: usize, size: usize, block: *mut u8) -> bool {
        let kept = self.with(|kept| {
            let count = kept.counts[index];
            if count == DEPTH || kept.bytes + size > MOST {
                return false;
            }
            kept.blocks[index][count] = block;
            kept.counts[index] = count + 1;
            kept.bytes += size;
            true
        });
        kept == Some(true)
    }
}

// SAFETY: blocks of a class always have that class's layout with the system, whether they come fresh or
// from the store, and are in the store only between `dealloc` and the next `alloc` of the class.
unsafe impl GlobalAlloc for LargeBlocks {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        match class(&layout) {
            None if is_huge(&layout) => {
                // SAFETY: the size is not zero.
                let block = unsafe { fresh(layout.size(), System::alloc) };
                in_large_pages(block, layout.size())
            }
            // SAFETY: the caller's promise is passed on.
            None => unsafe { System.alloc(layout) },
            Some((index, size)) => match self.take(index, size) {
                Some(block) => block,
                // SAFETY: the size of a class is not zero.
                None => unsafe { fresh(size, System::alloc) },
            },
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        match class(&layout) {
            None if is_huge(&layout) => {
                RETURNED.fetch_max(layout.size(), Ordering::Relaxed);
                // SAFETY: `alloc` got it as a fresh one of this size.
                unsafe { release(block, layout.size()) }
            }
            // SAFETY: the caller's promise is passed on.
            None => unsafe { System.dealloc(block, layout) },
            Some((index, size)) => {
                if !self.keep(index, size, block) {
                    // SAFETY: `alloc` got it as a fresh one of this size.
                    unsafe { release(block, size) };
                }
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        match class(&layout) {
            // SAFETY: the size is not zero.
            None if is_huge(&layout) => unsafe { fresh(layout.size(), System::alloc_zeroed) },
            // SAFETY: the caller's promise is passed on.
            None => unsafe { System.alloc_zeroed(layout) },
            // SAFETY: as in `alloc`; the kernel's zeros are cheaper than writing our own.
            Some((_, size)) => unsafe { fresh(size, System::alloc_zeroed) },
        }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let Ok(new) = Layout::from_size_align(new_size, layout.align()) else { return null_mut() };
        match (class(&layout), class(&new)) {
            (None, None) if is_huge(&layout) && is_huge(&new) => {
                let (Some(old), Some(new)) = (of_size(layout.size()), of_size(new_size)) else {
                    return null_mut();
                };
                // SAFETY: this is where the allocation began, and its layout; it stays that much longer than the block.
                unsafe {
                    let base = System.realloc(block.sub(SHIFT), old, new.size());
                    if base.is_null() {
                        return base;
                    }
                    in_large_pages(base.add(SHIFT), new_size)
                }
            }
            // SAFETY: the caller's promise is passed on.
            (None, None) if !is_huge(&layout) && !is_huge(&new) => unsafe {
                System.realloc(block, layout, new_size)
            },
            (Some((old, _)), Some((same, _))) if old == same => block,
            // SAFETY: the new block is another one and holds what both have room for; the old one goes
            // back the way it came.
            _ => unsafe {
                let fresh = self.alloc(new);
                if !fresh.is_null() {
                    fresh.copy_from_nonoverlapping(block, layout.size().min(new_size));
                    self.dealloc(block, layout);
                }
                fresh
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).expect("small")
    }

    #[test]
    fn classes_are_ordered_and_have_at_most_a_quarter_to_spare() {
        let mut last = (0, 0);
        for size in (SMALLEST..=LARGEST).step_by(1021).chain([SMALLEST, LARGEST]) {
            let (index, room) = class(&layout(size)).expect("in range");
            assert!(room >= size && room <= size + size / STEPS && index < CLASSES, "{size}");
            assert!(room >= last.1 || size < last.1);
            let base = SMALLEST << (index / STEPS);
            assert_eq!(room, base + index % STEPS * (base / STEPS));
            last = (index, room);
        }
        assert!(class(&layout(SMALLEST - 1)).is_none() && class(&layout(LARGEST + 1)).is_none());
    }

    #[test]
    fn a_freed_block_serves_the_next_request_and_keeps_its_bound() {
        let store = LargeBlocks::new();
        let size = 1024 * 1024;
        // SAFETY: each block is freed once, with the layout it was asked for.
        unsafe {
            let first = store.alloc(layout(size));
            store.dealloc(first, layout(size));
            let again = store.alloc(layout(size - 5));
            assert_eq!(first, again);
            let many: Vec<*mut u8> = (0..100).map(|_| store.alloc(layout(size))).collect();
            many.iter().for_each(|block| store.dealloc(*block, layout(size)));
            store.dealloc(again, layout(size - 5));
        }
        let bytes = store.with(|kept| kept.bytes).expect("free");
        assert!(bytes > 0 && bytes <= MOST);
        store.release();
        assert_eq!(store.with(|kept| kept.bytes), Some(0));
    }

    #[test]
    fn growing_keeps_the_bytes() {
        let store = LargeBlocks::new();
        // SAFETY: the block has the sizes it is used with.
        unsafe {
            let mut size = 100;
            let mut block = store.alloc(layout(size));
            block.write_bytes(7, size);
            // The last time from one beyond all classes to another.
            while size < 3 * LARGEST {
                let grown = store.realloc(block, layout(size), size * 3);
                assert!((0..size.min(300)).all(|at| grown.add(at).read() == 7));
                (block, size) = (grown, size * 3);
                block.write_bytes(7, size);
            }
            store.dealloc(block, layout(size));
        }
        store.release();
    }

    #[test]
    fn a_store_that_is_held_is_done_without() {
        let store = LargeBlocks::new();
        store.taken.store(true, Ordering::Relaxed);
        // SAFETY: allocated and freed once.
        unsafe {
            let block = store.alloc(layout(SMALLEST));
            assert!(!block.is_null());
            store.dealloc(block, layout(SMALLEST));
        }
    }
}
