//! The memory that payloads lie in when they are not in the message itself, and who counts its users.
//!
//! What a message is, and which of these it holds, is in `raw`.

use std::alloc::{self, Layout};
use std::ffi::c_void;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use super::Returns;
use crate::base::Error;
use crate::sync::Lock;

/// How `bytes` is to be read when the payload is elsewhere.
#[derive(Clone, Copy)]
#[repr(C)]
pub(super) struct Heap {
    pub(super) data: *mut u8,
    pub(super) size: usize,
    /// A `Block`, a `Foreign`, an `Arc<Vec<u8>>` as a raw pointer, or null: `length` says which.
    pub(super) owner: *mut (),
}

/// Head of a block; the payload follows it in the same allocation.
#[repr(C, align(16))]
pub(super) struct Block {
    pub(super) users: AtomicU32,
    pub(super) size: usize,
}

/// Who uses foreign data, and how to give it back.
pub(super) struct Foreign {
    users: AtomicU32,
    ffn: unsafe extern "C" fn(*mut c_void, *mut c_void),
    hint: *mut c_void,
    /// Who gives it back, once it was sent.
    returns: Lock<Option<Arc<Returns>>>,
}

/// Foreign data that nobody uses any more, on its way back.
pub(super) struct Gift {
    data: *mut u8,
    ffn: unsafe extern "C" fn(*mut c_void, *mut c_void),
    hint: *mut c_void,
}

// SAFETY: `Msg::foreign` was promised that the memory and the function may be used from any thread.
unsafe impl Send for Gift {}

impl Gift {
    pub(super) fn give(self) {
        // SAFETY: the last user of the data made this, which is consumed here; `Msg::foreign` was promised that
        // `ffn` may then be called like this.
        unsafe { (self.ffn)(self.data.cast(), self.hint) };
    }
}

impl Block {
    /// A block with room for `size` bytes, not yet written, and one user.
    #[inline]
    pub(super) fn allocate(size: usize) -> Result<Heap, Error> {
        let layout = Block::layout(size).ok_or(Error::NoMemory)?;
        // SAFETY: the layout has room for at least the head.
        let memory = unsafe { alloc::alloc(layout) };
        let head = NonNull::new(memory.cast::<Block>()).ok_or(Error::NoMemory)?.as_ptr();
        // SAFETY: fresh memory, large and aligned enough for the head and `size` bytes after it.
        unsafe {
            head.write(Block { users: AtomicU32::new(1), size });
            Ok(Heap { data: head.add(1).cast(), size, owner: head.cast() })
        }
    }

    /// A block that holds a copy of `bytes`.
    pub(super) fn holding(bytes: &[u8]) -> Result<Heap, Error> {
        let heap = Block::allocate(bytes.len())?;
        // SAFETY: the new block has room for the bytes and overlaps nothing.
        unsafe { heap.data.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(heap)
    }

    fn layout(size: usize) -> Option<Layout> {
        let total = size.checked_add(size_of::<Block>())?;
        Layout::from_size_align(total, align_of::<Block>()).ok()
    }

    /// Gives up one use; the last one frees the block.
    ///
    /// # Safety
    /// `block` came from `allocate`, and the caller owns one use of it.
    pub(super) unsafe fn release(block: *mut Block) {
        // SAFETY: the caller's use keeps the head alive until it is counted down, and the last
        // user is alone. The layout existed when the block was made, so it exists now.
        unsafe {
            if count_down(&(*block).users)
                && let Some(layout) = Block::layout((*block).size)
            {
                alloc::dealloc(block.cast(), layout);
            }
        }
    }
}

impl Foreign {
    /// With one user.
    pub(super) fn allocate(
        ffn: unsafe extern "C" fn(*mut c_void, *mut c_void),
        hint: *mut c_void,
    ) -> Result<NonNull<Foreign>, Error> {
        let foreign = Foreign { users: AtomicU32::new(1), ffn, hint, returns: Lock::default() };
        // SAFETY: `Foreign` is not zero-sized.
        let memory = unsafe { alloc::alloc(Layout::new::<Foreign>()) };
        let place = NonNull::new(memory.cast::<Foreign>()).ok_or(Error::NoMemory)?;
        // SAFETY: fresh memory with the layout of `Foreign`.
        unsafe { place.write(foreign) };
        Ok(place)
    }

    pub(super) fn users(&self) -> &AtomicU32 {
        &self.users
    }

    /// From now on its last user leaves it to `returns`.
    pub(super) fn give_back_by(&self, returns: &Arc<Returns>) {
        *self.returns.lock() = Some(returns.clone());
    }

    /// Gives up one use; the last one hands the data back to its owner, `at_once` also where that is left to others
    /// otherwise.
    ///
    /// # Safety
    /// `foreign` came from `allocate` and belongs to `data`, and the caller owns one use of it.
    pub(super) unsafe fn release(foreign: *mut Foreign, data: *mut u8, at_once: bool) {
        // SAFETY: the caller's use keeps `foreign` alive until it is counted down; the last user
        // is alone, and takes it as the box whose layout it was allocated with.
        let Foreign { ffn, hint, mut returns, .. } = unsafe {
            if !count_down(&(*foreign).users) {
                return;
            }
            *Box::from_raw(foreign)
        };
        let gift = Gift { data, ffn, hint };
        match returns.get_mut().take() {
            Some(returns) if !at_once => returns.leave(gift),
            _ => gift.give(),
        }
    }
}

/// Counts one more user; fails long before the counter could wrap and free memory in use.
pub(super) fn count_up(users: &AtomicU32) -> Result<(), Error> {
    count_up_by(users, 1)
}

/// Counts so many more, at most a quarter of what the counter holds.
pub(super) fn count_up_by(users: &AtomicU32, more: u32) -> Result<(), Error> {
    // Relaxed: a new user is handed over by its creator, which orders everything else.
    if users.fetch_add(more, Ordering::Relaxed) < u32::MAX / 2 {
        return Ok(());
    }
    users.fetch_sub(more, Ordering::Relaxed);
    Err(Error::NoMemory)
}

/// Counts one user less; true when that was the last.
fn count_down(users: &AtomicU32) -> bool {
    if is_last(users) {
        // Nobody else can count up again, so the atomic subtraction is saved.
        return true;
    }
    if users.fetch_sub(1, Ordering::Release) > 1 {
        return false;
    }
    // What the others did to the memory happens before it is freed. (Not by a fence: ThreadSanitizer knows none.)
    users.load(Ordering::Acquire);
    true
}

pub(super) fn is_last(users: &AtomicU32) -> bool {
    users.load(Ordering::Acquire) == 1
}
