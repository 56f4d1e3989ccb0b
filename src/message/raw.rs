//! The layout of a message. The memory behind it is in `memory`; there is no other unsafe code in `message`.
//!
//! Nothing here interprets payloads. What is stored where:
//!
//! | bytes | field | |
//! |---|---|---|
//! | 0..8 | `metadata` | of the connection, or null |
//! | 8..41 | `bytes` | inline payload, or `Heap` when `length` says so |
//! | 41 | `length` | 0..=33: inline; else what kind of memory holds the payload |
//! | 42 | `state` | `MARK` plus what must be released; 0 once closed |
//! | 43 | `flags` | low bits belong to the safe face, high bits to this file |
//! | 44..48 | `routing_id` | |
//! | 48..63 | `group` | up to 14 characters and NULs, or a counted string |
//! | 63 | `seal` | constant, makes random memory unlikely to pass for a message |

use std::alloc::{self, Layout};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, CString, c_void};
use std::mem::{self, ManuallyDrop, MaybeUninit};
use std::ops::Range;
use std::ptr;
use std::slice;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use zeroize::Zeroizing;

use super::memory::{Block, Foreign, Heap, count_up, count_up_by, is_last};
use super::{Metadata, Returns};
use crate::base::Error;
use crate::sync::{Counted, copy_small};

/// The payload is in a `Block`.
const BLOCK: u8 = 0x80;
/// The payload is the caller's, with a function to free it: a `Foreign` counts its users.
const FOREIGN: u8 = 0x81;
/// The payload is the caller's and lives for ever.
const CONSTANT: u8 = 0x82;
/// The payload is part of an `Arc<Vec<u8>>`.
const CHUNK: u8 = 0x83;

/// High bits of `state` in every live message.
const MARK: u8 = 0xA8;
const OWNS_DATA: u8 = 1;
const OWNS_METADATA: u8 = 2;
const OWNS_GROUP: u8 = 4;
const OWNS: u8 = OWNS_DATA | OWNS_METADATA | OWNS_GROUP;

/// The last byte of every message. Having one valid value, it leaves the others to the compiler,
/// so that `Option<Msg>` and `Result<Msg, Error>` are as small, and as cheap to build, as `Msg`.
#[derive(Clone, Copy)]
#[repr(u8)]
enum Seal {
    Sealed = 0x5E,
}

/// The payload has, or had, a second owner, or is constant.
const SHARED: u8 = 0x80;
/// A fresh block whose bytes nobody has written yet. Only ever set while there is one owner.
const UNFILLED: u8 = 0x40;

const GROUP_INLINE: usize = 15;
const GROUP_MAX: usize = 255;

/// One message part; bit for bit what C holds as `zmq_msg_t`.
///
/// It is `Send` and deliberately not `Sync`: see `UNFILLED` and [`Msg::raw_data_ptr`].
#[repr(C, align(8))]
pub struct Msg {
    metadata: ManuallyDrop<Option<Arc<Metadata>>>,
    bytes: UnsafeCell<[MaybeUninit<u8>; Msg::INLINE_MAX]>,
    length: u8,
    state: u8,
    flags: Cell<u8>,
    routing_id: u32,
    group: [MaybeUninit<u8>; GROUP_INLINE],
    seal: Seal,
}

const _: () = {
    assert!(size_of::<Msg>() == 64 && align_of::<Msg>() == 8);
    assert!(size_of::<Option<Msg>>() == 64 && size_of::<Result<Msg, Error>>() == 64);
    assert!(mem::offset_of!(Msg, bytes) == 8 && mem::offset_of!(Msg, group) == 48);
    assert!(size_of::<Heap>() <= Msg::INLINE_MAX && align_of::<Heap>() <= 8);
};

// `Msg` is `Send` by its fields, although pointers hide in its bytes. That is sound: counts are
// atomic, `Metadata` and the strings are `Send + Sync`, and `Msg::foreign` makes its caller
// promise that the memory and the free function may be used from any thread.
const _: fn() = || {
    fn sendable<T: Send>() {}
    sendable::<Msg>();
};

impl Msg {
    /// Payloads up to this size lie in the message itself.
    pub const INLINE_MAX: usize = 33;

    /// An empty part.
    #[inline(always)]
    pub const fn new() -> Msg {
        Msg::shell(0)
    }

    /// A part of `size` bytes that read as zeros until written; [`Error::NoMemory`] if there is
    /// no room, also for sizes beyond all bounds.
    ///
    /// Large memory comes straight from the allocator: zeroing 1 MiB costs as much as filling it,
    /// and callers in C always fill it. The zeros are written when safe code first looks at the
    /// bytes, which `Msg::raw_data_ptr` makes unnecessary.
    #[inline]
    pub fn with_size(size: usize) -> Result<Msg, Error> {
        let mut msg = Msg::new();
        if size <= Msg::INLINE_MAX {
            *msg.bytes.get_mut() = [MaybeUninit::new(0); Msg::INLINE_MAX];
            msg.length = size as u8;
        } else {
            msg.hold(BLOCK, Block::allocate(size)?);
            msg.flags.set(UNFILLED);
        }
        Ok(msg)
    }

    /// A part holding a copy of `bytes`.
    #[inline]
    pub fn copy_of(bytes: &[u8]) -> Result<Msg, Error> {
        if bytes.len() <= Msg::INLINE_MAX { Ok(Msg::inline(bytes)) } else { Msg::block_of(bytes) }
    }

    /// Becomes a fresh part holding a copy of `bytes`: as [`Msg::copy_of`], but small ones are written
    /// where they stay. On an error the part is as it was.
    #[inline(always)]
    pub fn assign(&mut self, bytes: &[u8]) -> Result<(), Error> {
        if bytes.len() > Msg::INLINE_MAX {
            *self = Msg::block_of(bytes)?;
            return Ok(());
        }
        *self = Msg::shell(bytes.len() as u8);
        // SAFETY: both sides hold `bytes.len()` bytes, the place is aligned and has room for a word, and
        // `bytes` cannot overlap a message that is borrowed mutably.
        unsafe { copy_small(bytes.as_ptr(), self.inline_ptr(), bytes.len()) };
        Ok(())
    }

    /// The flags and the bytes of a part that consists of nothing else: they lie in the part itself, and it
    /// has no metadata, no group and no routing id. [`Msg::assign_plain`] makes the same part of them.
    #[inline(always)]
    pub fn plain(&self) -> Option<(u8, &[u8])> {
        let length = usize::from(self.length);
        let named = self.routing_id != 0 || self.metadata.is_some();
        if length > Msg::INLINE_MAX || self.state != MARK || named {
            return None;
        }
        // SAFETY: without OWNS_GROUP all bytes of `group` are initialised.
        if unsafe { self.group[0].assume_init() } != 0 {
            return None;
        }
        // SAFETY: as in `data`.
        Some((self.flags.get(), unsafe { slice::from_raw_parts(self.inline_ptr(), length) }))
    }

    /// The bytes, `most` of them at most, of a part that need not be kept whole: it has no metadata, no group and no
    /// routing id, is no command, and nobody else has its memory. None, too, where more than that has to be asked.
    #[inline(always)]
    pub fn bare_bytes(&self, most: usize) -> Option<&[u8]> {
        let (flags, bytes) = match self.plain() {
            Some(plain) => plain,
            None if self.length == BLOCK => self.sole_bytes(most)?,
            None => return None,
        };
        super::only_more(flags).map(|_| bytes)
    }

    /// As [`Msg::plain`], also of a part whose bytes, `most` of them at most, lie in a block that nobody else
    /// uses.
    #[inline(never)]
    pub fn sole_bytes(&self, most: usize) -> Option<(u8, &[u8])> {
        let heap = self.heap().filter(|heap| heap.size <= most)?;
        let named = self.routing_id != 0 || self.metadata.is_some();
        let lone = self.length == BLOCK && self.state == MARK | OWNS_DATA && !self.flag(SHARED);
        // SAFETY: without OWNS_GROUP all bytes of `group` are initialised.
        if !lone || named || unsafe { self.group[0].assume_init() } != 0 {
            return None;
        }
        self.fill(heap);
        // SAFETY: as in `data`.
        Some((self.flags.get(), unsafe { slice::from_raw_parts(heap.data, heap.size) }))
    }

    /// Becomes the part that [`Msg::plain`] was asked of, or one like it with more bytes. As anywhere in safe
    /// code, the process ends if there is no memory for these.
    #[inline(always)]
    pub fn assign_plain(&mut self, flags: u8, bytes: &[u8]) {
        if bytes.len() > Msg::INLINE_MAX {
            self.assign_long(flags, bytes);
            return;
        }
        *self = Msg::shell(bytes.len() as u8);
        self.flags.set(flags);
        // SAFETY: as in `assign`.
        unsafe { copy_small(bytes.as_ptr(), self.inline_ptr(), bytes.len()) };
    }

    #[inline(never)]
    fn assign_long(&mut self, flags: u8, bytes: &[u8]) {
        if self.refill(bytes) {
            self.flags.set(flags);
            return;
        }
        // What was there goes first: its memory may be what is needed.
        *self = Msg::new();
        let Ok(block) = Block::holding(bytes) else {
            alloc::handle_alloc_error(Layout::for_value(bytes));
        };
        self.hold(BLOCK, block);
        self.flags.set(flags);
    }

    /// A part that takes over the allocation of `bytes`; small ones are copied inline.
    pub fn from_vec(bytes: Vec<u8>) -> Msg {
        if bytes.len() <= Msg::INLINE_MAX {
            return Msg::inline(&bytes);
        }
        let (data, size) = (bytes.as_ptr().cast_mut(), bytes.len());
        let owner = Arc::into_raw(Arc::new(bytes)).cast_mut().cast::<()>();
        let mut msg = Msg::new();
        msg.hold(CHUNK, Heap { data, size, owner });
        msg
    }

    /// A part that refers to `range` of a receive chunk and keeps the chunk alive; small ones are
    /// copied inline. A range outside the chunk gives an empty part.
    #[inline]
    pub fn slice_of(chunk: &Arc<Vec<u8>>, range: Range<usize>) -> Msg {
        let Some(bytes) = chunk.get(range.clone()) else {
            debug_assert!(false, "slice {range:?} of a chunk of {} bytes", chunk.len());
            return Msg::new();
        };
        if bytes.len() <= Msg::INLINE_MAX {
            return Msg::inline(bytes);
        }
        // From the vector, not from `bytes`: a sole owner may write through it later.
        let data = chunk.as_ptr().cast_mut().wrapping_add(range.start);
        let owner = Arc::into_raw(Arc::clone(chunk)).cast_mut().cast::<()>();
        let mut msg = Msg::new();
        msg.hold(CHUNK, Heap { data, size: bytes.len(), owner });
        msg
    }

    /// A part over the caller's memory, never copied inline. When the last user is gone,
    /// `ffn(data, hint)` runs once, whatever the size; with `ffn` absent the data is constant and
    /// nothing is called. On an error nothing is called either: the memory stays the caller's.
    ///
    /// # Safety
    /// `data` points to `size` readable bytes (it may be null when `size` is 0) that nobody
    /// changes while a message refers to them, until `ffn` is called, or for ever if it is absent.
    /// With `ffn` they must be writable too. `ffn` and the memory may be used from any thread.
    pub unsafe fn foreign(
        data: *mut c_void,
        size: usize,
        ffn: Option<unsafe extern "C" fn(*mut c_void, *mut c_void)>,
        hint: *mut c_void,
    ) -> Result<Msg, Error> {
        if data.is_null() && size > 0 {
            return Err(Error::Fault);
        }
        let mut msg = Msg::new();
        let data = data.cast::<u8>();
        match ffn {
            None => {
                msg.hold(CONSTANT, Heap { data, size, owner: ptr::null_mut() });
                // Nothing to release: dropping a constant stays a single branch.
                msg.state = MARK;
                msg.flags.set(SHARED);
            }
            Some(ffn) => {
                let owner = Foreign::allocate(ffn, hint)?;
                msg.hold(FOREIGN, Heap { data, size, owner: owner.as_ptr().cast() });
            }
        }
        Ok(msg)
    }

    /// Whether there is a function of the user's to free the bytes.
    #[inline]
    pub fn is_foreign(&self) -> bool {
        self.length == FOREIGN
    }

    /// Bytes with a function to free them are left to `returns` from now on by whoever drops their last message.
    pub fn give_back_by(&self, returns: &Arc<Returns>) {
        if let (FOREIGN, Some(heap)) = (self.length, self.heap()) {
            // SAFETY: `length` says what `owner` points to, and our own count keeps that alive.
            unsafe { (*heap.owner.cast::<Foreign>()).give_back_by(returns) };
        }
    }

    /// As dropping it, by a user: the function to free the bytes is called at once. Not to be used under a lock.
    #[inline]
    pub fn close(self) {
        let mut msg = ManuallyDrop::new(self);
        if msg.state & OWNS != 0 {
            msg.release_parts(true);
        }
    }

    /// A part over a copy of `secret` that is never copied inline, and overwritten when its last user is gone.
    pub fn wiped(secret: &[u8]) -> Result<Msg, Error> {
        unsafe extern "C" fn forget(_data: *mut c_void, hint: *mut c_void) {
            // SAFETY: it comes from `Box::into_raw` below, and this is called once.
            drop(unsafe { Box::from_raw(hint.cast::<Zeroizing<Vec<u8>>>()) });
        }
        let mut copy = Box::new(Zeroizing::new(secret.to_vec()));
        let (data, size) = (copy.as_mut_ptr().cast(), copy.len());
        let hint = Box::into_raw(copy).cast();
        // SAFETY: the vector stays where it is and as it is until `forget` has it; bytes are `Send`.
        unsafe { Msg::foreign(data, size, Some(forget), hint) }.inspect_err(|_| {
            // SAFETY: on an error nothing was taken over.
            unsafe { forget(data, hint) }
        })
    }

    /// How many bytes the part has.
    #[inline]
    pub fn size(&self) -> usize {
        match self.heap() {
            None => self.length.into(),
            Some(heap) => heap.size,
        }
    }

    /// The bytes.
    #[inline]
    pub fn data(&self) -> &[u8] {
        let Some(heap) = self.heap() else {
            // SAFETY: an inline message has initialised its first `length` bytes, and they change
            // only through `&mut self` or by callers of `raw_data_ptr`, who promise not to.
            return unsafe { slice::from_raw_parts(self.inline_ptr(), self.length.into()) };
        };
        if heap.size == 0 {
            return &[];
        }
        self.fill(heap);
        // SAFETY: `heap` describes `size` bytes, initialised by now, that live as long as this
        // message keeps its count, and that nobody writes without `&mut` to a sole owner.
        unsafe { slice::from_raw_parts(heap.data, heap.size) }
    }

    /// The bytes, for writing. Memory with other users, or constant memory, is copied first, so
    /// that nobody else sees the change (and, as anywhere in safe code, the process ends if there
    /// is no memory for the copy).
    pub fn data_mut(&mut self) -> &mut [u8] {
        if self.heap().is_some() && !self.is_sole_user() {
            self.unshare();
        }
        let Some(heap) = self.heap() else {
            // SAFETY: as in `data`, and `&mut self` excludes every other access.
            return unsafe { slice::from_raw_parts_mut(self.inline_ptr(), self.length.into()) };
        };
        if heap.size == 0 {
            return &mut [];
        }
        self.fill(heap);
        // SAFETY: as in `data`; we are the sole user of this memory and hold `&mut self`.
        unsafe { slice::from_raw_parts_mut(heap.data, heap.size) }
    }

    /// Where the bytes are, as `zmq_msg_data` tells it: eight bytes into an inline message. Never
    /// copies, so memory shared with other messages stays shared.
    ///
    /// # Safety
    /// The pointer holds until the message is changed, moved or dropped. The caller writes through
    /// it only where no other user of the bytes can notice, and takes over the duty to have
    /// written every byte of a fresh message before anyone reads it.
    #[inline]
    pub unsafe fn raw_data_ptr(&self) -> *mut u8 {
        match self.heap() {
            None => self.inline_ptr(),
            Some(heap) => {
                self.flags.set(self.flags.get() & !UNFILLED);
                heap.data
            }
        }
    }

    /// Is the payload constant, or was this message copied or made as a copy? Never for inline
    /// payloads; stays true when the other copies are gone.
    #[inline]
    pub fn is_shared(&self) -> bool {
        self.flag(SHARED)
    }

    /// A second message with the same bytes: counted if they are on the heap, copied if inline.
    /// Flags, group, routing id and metadata go along. [`Error::NoMemory`] when the counter is
    /// at its end.
    pub fn share(&mut self) -> Result<Msg, Error> {
        if let Some(heap) = self.heap() {
            self.fill(heap);
            self.retain(heap)?;
            self.set_flag(SHARED, true);
        }
        let metadata = self.metadata.as_ref().map(Arc::clone);
        if self.state & OWNS_GROUP != 0 {
            // SAFETY: OWNS_GROUP says that `group` holds a pointer from `Arc::into_raw`.
            unsafe { Arc::increment_strong_count(self.group_ptr()) };
        }
        Ok(Msg {
            metadata: ManuallyDrop::new(metadata),
            bytes: UnsafeCell::new(*self.bytes.get_mut()),
            length: self.length,
            state: self.state,
            flags: self.flags.clone(),
            routing_id: self.routing_id,
            group: self.group,
            seal: Seal::Sealed,
        })
    }

    /// The part as `count` shares of it, if its bytes lie in a block and it is nothing else; else it comes back.
    /// Counting each user by itself would pass the counter's line to and fro between those who share.
    pub fn into_shares(self, count: usize) -> Result<Shares, Msg> {
        match u32::try_from(count) {
            Ok(count) if self.count_more(count) => Ok(Shares { original: self, left: count }),
            _ => Err(self),
        }
    }

    /// Do its bytes lie in a block, and is it nothing else?
    #[inline]
    pub fn is_plain_block(&self) -> bool {
        self.length == BLOCK && self.state == MARK | OWNS_DATA
    }

    /// Counts so many more users, if its bytes lie in a block and it is nothing else.
    fn count_more(&self, count: u32) -> bool {
        let Some(heap) = self.heap().filter(|_| self.is_plain_block()) else { return false };
        self.fill(heap);
        // SAFETY: `length` says that the owner is a block, and this message's own count keeps that alive.
        let users = unsafe { &(*heap.owner.cast::<Block>()).users };
        let counted = count <= u32::MAX / 4 && count_up_by(users, count).is_ok();
        if counted {
            self.flags.set(self.flags.get() | SHARED);
        }
        counted
    }

    /// Properties of the connection that the message came by.
    #[inline]
    pub fn metadata(&self) -> Option<&Arc<Metadata>> {
        self.metadata.as_ref()
    }

    /// Replaces the properties of the connection that the message came by.
    #[inline]
    pub fn set_metadata(&mut self, metadata: Option<Arc<Metadata>>) {
        let owns = if metadata.is_some() { OWNS_METADATA } else { 0 };
        self.state = self.state & !OWNS_METADATA | owns;
        *self.metadata = metadata;
    }

    /// Which peer the message came from or goes to (SERVER, PEER); 0: none.
    #[inline]
    pub fn routing_id(&self) -> u32 {
        self.routing_id
    }

    /// Sets which peer the message goes to.
    #[inline]
    pub fn set_routing_id(&mut self, id: u32) {
        self.routing_id = id;
    }

    /// The group of the message (RADIO, DISH); empty when none was set.
    pub fn group(&self) -> &CStr {
        if self.state & OWNS_GROUP != 0 {
            // SAFETY: OWNS_GROUP says that `group` holds a pointer from `Arc::into_raw`, and our
            // count on it outlives the borrow of `self`.
            return unsafe { &*self.group_ptr() };
        }
        // SAFETY: without OWNS_GROUP all bytes of `group` are initialised.
        let bytes = unsafe { slice::from_raw_parts(self.group.as_ptr().cast(), GROUP_INLINE) };
        CStr::from_bytes_until_nul(bytes).unwrap_or_default()
    }

    /// Sets the group: the name ends at its first NUL and has at most 255 bytes.
    pub fn set_group(&mut self, name: &[u8]) -> Result<(), Error> {
        let end = name.iter().position(|&byte| byte == 0).unwrap_or(name.len());
        let name = name.get(..end).unwrap_or_default();
        if name.len() > GROUP_MAX {
            return Err(Error::Invalid);
        }
        let mut group = [MaybeUninit::new(0); GROUP_INLINE];
        let mut owns = 0;
        if name.len() < GROUP_INLINE {
            for (to, &from) in group.iter_mut().zip(name) {
                to.write(from);
            }
        } else {
            let text = Arc::new(CString::new(name).map_err(|_| Error::Invalid)?);
            let slot = group.as_mut_ptr().cast::<*const CString>();
            // SAFETY: a pointer fits into `group`, and an unaligned write needs no alignment.
            unsafe { slot.write_unaligned(Arc::into_raw(text)) };
            owns = OWNS_GROUP;
        }
        self.release_group();
        self.group = group;
        self.state = self.state & !OWNS_GROUP | owns;
        Ok(())
    }
}

/// What the C face needs to handle a `zmq_msg_t` that may not hold a message.
impl Msg {
    /// Does `p` point to a live message? Null, misaligned, closed and (with high probability)
    /// random memory do not.
    ///
    /// # Safety
    /// `p` is null, misaligned, or points to 64 readable bytes that nobody else writes meanwhile.
    #[inline]
    pub unsafe fn is_valid_raw(p: *const Msg) -> bool {
        if p.is_null() || !p.is_aligned() {
            return false;
        }
        // SAFETY: the bytes are readable, and any byte is a valid `u8`. The seal is not read as
        // what it should be before it is known to be that.
        let (state, length, seal) =
            unsafe { ((*p).state, (*p).length, (&raw const (*p).seal).cast::<u8>().read()) };
        let known = usize::from(length) <= Msg::INLINE_MAX || (BLOCK..=CHUNK).contains(&length);
        state & !OWNS == MARK && seal == Seal::Sealed as u8 && known
    }

    /// Releases the message at `p` and marks the memory as closed; [`Error::Fault`] when it holds
    /// no message, so also at a second close.
    ///
    /// # Safety
    /// As for [`Msg::is_valid_raw`], and the memory is writable.
    #[inline]
    pub unsafe fn close_raw(p: *mut Msg) -> Result<(), Error> {
        // SAFETY: the caller's promise is the same.
        if !unsafe { Msg::is_valid_raw(p) } {
            return Err(Error::Fault);
        }
        // SAFETY: `p` holds a message. It is taken out and the memory marked before anything is
        // released, so that a free function which looks at `p` again finds it closed.
        let msg = unsafe {
            let msg = p.read();
            (*p).state = 0;
            msg
        };
        msg.close();
        Ok(())
    }
}

/// The shares of a part, counted all at once: see [`Msg::into_shares`].
pub struct Shares {
    /// Nothing but a block.
    original: Msg,
    /// Users that are counted and not there yet.
    left: u32,
}

impl Iterator for Shares {
    type Item = Msg;

    #[inline]
    fn next(&mut self) -> Option<Msg> {
        self.left = self.left.checked_sub(1)?;
        // SAFETY: it owns nothing but its count on the block, and one more was counted for this.
        Some(unsafe { ptr::read(&raw const self.original) })
    }
}

impl Drop for Shares {
    fn drop(&mut self) {
        if let (Some(heap), 1..) = (self.original.heap(), self.left) {
            // SAFETY: the original is a block, see `into_shares`, and goes after this: its count stays. Nobody
            // has the others.
            unsafe { (*heap.owner.cast::<Block>()).users.fetch_sub(self.left, Ordering::Release) };
        }
    }
}

// SAFETY: what is returned owns nothing but a count on its block, and as many were counted as are wanted.
unsafe impl Counted for Msg {
    fn counted(&self, users: u32) -> Option<ManuallyDrop<Msg>> {
        // SAFETY: as for `Shares`; and it is not dropped.
        self.count_more(users).then(|| unsafe { ptr::read((&raw const *self).cast()) })
    }
}

impl Drop for Msg {
    #[inline(always)]
    fn drop(&mut self) {
        // One branch for everything that owns nothing beyond its 64 bytes.
        if self.state & OWNS != 0 {
            self.release();
        }
    }
}

impl Msg {
    #[inline]
    pub(super) fn flag(&self, bit: u8) -> bool {
        self.flags.get() & bit != 0
    }

    #[inline]
    pub(super) fn set_flag(&mut self, bit: u8, on: bool) {
        let flags = self.flags.get_mut();
        *flags = if on { *flags | bit } else { *flags & !bit };
    }

    #[inline(always)]
    fn inline_ptr(&self) -> *mut u8 {
        self.bytes.get().cast()
    }

    /// A part that owns nothing, with an unwritten payload of a given length or kind.
    ///
    /// It is built of words: a message put together from single fields and then moved as words
    /// would make the processor wait for the pieces.
    #[inline(always)]
    const fn shell(length: u8) -> Msg {
        let state = u64::from_ne_bytes([0, length, MARK, 0, 0, 0, 0, 0]);
        let seal = u64::from_ne_bytes([0, 0, 0, 0, 0, 0, 0, Seal::Sealed as u8]);
        let mut msg = MaybeUninit::<Msg>::uninit();
        let words = msg.as_mut_ptr().cast::<u64>();
        // SAFETY: a message is eight aligned words (asserted above). A null pointer is no
        // metadata, and `bytes` may stay uninitialised; the last three words are the other fields.
        unsafe {
            words.write(0);
            words.add(5).write(state);
            words.add(6).write(0);
            words.add(7).write(seal);
            msg.assume_init()
        }
    }

    /// A part holding at most `INLINE_MAX` bytes in itself.
    #[inline(always)]
    fn inline(bytes: &[u8]) -> Msg {
        debug_assert!(bytes.len() <= Msg::INLINE_MAX);
        let msg = Msg::shell(bytes.len() as u8);
        // SAFETY: both sides hold `bytes.len()` bytes (callers have checked the limit), the place
        // is aligned and has room for a word, and a new message overlaps nothing.
        unsafe { copy_small(bytes.as_ptr(), msg.inline_ptr(), bytes.len()) };
        msg
    }

    /// Puts other bytes into the block that the part has, where they fill it and the part is nothing else.
    fn refill(&mut self, bytes: &[u8]) -> bool {
        let Some(heap) = self.heap() else { return false };
        let lone = self.length == BLOCK && self.state == MARK | OWNS_DATA && !self.flag(SHARED);
        if !lone || heap.size != bytes.len() || self.metadata.is_some() {
            return false;
        }
        // SAFETY: a block of this size that was never shared, and `&mut self` excludes every other access;
        // `bytes` cannot overlap it.
        unsafe { heap.data.copy_from_nonoverlapping(bytes.as_ptr(), heap.size) };
        self.routing_id = 0;
        self.group = [MaybeUninit::new(0); GROUP_INLINE];
        true
    }

    #[inline(never)]
    fn block_of(bytes: &[u8]) -> Result<Msg, Error> {
        let mut msg = Msg::new();
        msg.hold(BLOCK, Block::holding(bytes)?);
        Ok(msg)
    }

    #[inline(always)]
    fn heap(&self) -> Option<Heap> {
        if usize::from(self.length) <= Msg::INLINE_MAX {
            return None;
        }
        // SAFETY: every other `length` is set by `hold` only, together with a `Heap` at this
        // place, which is 8-aligned (asserted at the top).
        Some(unsafe { self.bytes.get().cast::<Heap>().read() })
    }

    /// Makes `heap` the payload. What was there before must have been released.
    #[inline(always)]
    fn hold(&mut self, kind: u8, heap: Heap) {
        // SAFETY: `bytes` is large and aligned enough for a `Heap` (asserted at the top).
        unsafe { self.bytes.get().cast::<Heap>().write(heap) };
        self.length = kind;
        self.state |= OWNS_DATA;
    }

    /// Writes the zeros that `with_size` has promised, unless done.
    #[inline(always)]
    fn fill(&self, heap: Heap) {
        if self.flag(UNFILLED) {
            self.flags.set(self.flags.get() & !UNFILLED);
            // SAFETY: UNFILLED is set only on a block of `size` bytes with this message as its
            // one user, and `Msg` is not `Sync`, so no other thread is here; no reference to the
            // bytes exists, since all of them are made after this call.
            unsafe { heap.data.write_bytes(0, heap.size) };
        }
    }

    /// Counts one more user of the payload.
    fn retain(&self, heap: Heap) -> Result<(), Error> {
        // SAFETY: `length` says what `owner` points to, and our own count keeps that alive.
        unsafe {
            match self.length {
                BLOCK => count_up(&(*heap.owner.cast::<Block>()).users),
                FOREIGN => count_up((*heap.owner.cast::<Foreign>()).users()),
                CHUNK => {
                    Arc::increment_strong_count(heap.owner.cast::<Vec<u8>>());
                    Ok(())
                }
                _ => Ok(()),
            }
        }
    }

    /// May the payload be changed in place?
    fn is_sole_user(&self) -> bool {
        let Some(heap) = self.heap() else { return true };
        // SAFETY: `length` says what `owner` points to, and our own count keeps that alive. The
        // `Arc` is only borrowed: `ManuallyDrop` leaves its count as it was.
        unsafe {
            match self.length {
                BLOCK => is_last(&(*heap.owner.cast::<Block>()).users),
                FOREIGN => is_last((*heap.owner.cast::<Foreign>()).users()),
                CHUNK => {
                    let chunk = Arc::from_raw(heap.owner.cast::<Vec<u8>>());
                    Arc::get_mut(&mut ManuallyDrop::new(chunk)).is_some()
                }
                _ => false,
            }
        }
    }

    /// Moves the payload to a block of its own.
    fn unshare(&mut self) {
        let bytes = self.data();
        let Ok(block) = Block::holding(bytes) else {
            alloc::handle_alloc_error(Layout::for_value(bytes));
        };
        if self.state & OWNS_DATA != 0 {
            self.release_data(false);
        }
        self.hold(BLOCK, block);
        self.set_flag(SHARED, false);
    }

    /// Without an argument, to stay small where it is called.
    #[inline(never)]
    fn release(&mut self) {
        self.release_parts(false);
    }

    fn release_parts(&mut self, at_once: bool) {
        if self.state & OWNS_DATA != 0 {
            self.release_data(at_once);
        }
        if self.state & OWNS_METADATA != 0 {
            // SAFETY: called by `drop` and `close` only, so nobody looks at the field again.
            unsafe { ManuallyDrop::drop(&mut self.metadata) };
        }
        self.release_group();
    }

    /// Gives up this message's share of its payload, which must be one with an owner.
    fn release_data(&mut self, at_once: bool) {
        let Some(heap) = self.heap() else { return };
        // SAFETY: `length` says what `owner` points to, and this message holds one count on it,
        // which is given up here; callers either end the message or `hold` something else next.
        unsafe {
            match self.length {
                BLOCK => Block::release(heap.owner.cast()),
                FOREIGN => Foreign::release(heap.owner.cast(), heap.data, at_once),
                CHUNK => Arc::decrement_strong_count(heap.owner.cast::<Vec<u8>>()),
                _ => {}
            }
        }
    }

    fn release_group(&mut self) {
        if self.state & OWNS_GROUP != 0 {
            let group = self.group_ptr();
            self.state &= !OWNS_GROUP;
            // SAFETY: OWNS_GROUP said that `group` is a pointer from `Arc::into_raw` with one
            // count of ours; the bit is gone, so nobody reads the pointer again.
            unsafe { Arc::decrement_strong_count(group) };
        }
    }

    /// The counted string of a message with OWNS_GROUP.
    fn group_ptr(&self) -> *const CString {
        debug_assert!(self.state & OWNS_GROUP != 0);
        // SAFETY: with OWNS_GROUP the first bytes of `group` are a pointer, written by
        // `set_group` or copied with the rest of the field.
        unsafe { self.group.as_ptr().cast::<*const CString>().read_unaligned() }
    }
}
