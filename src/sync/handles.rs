//! The table behind the pointers that C holds.
//!
//! A handle is an index and a generation, and the address of nothing: it lies under a tag that no user space address
//! carries or, where programs are known to look, in address space that is set aside and holds but zeros. czmq reads the
//! first four bytes of whatever it is given, to tell its own things from sockets. A handle that was closed, or that is of
//! another kind, or that never was one, is recognised without reading through it. Slots are never freed, only used again
//! under another generation; a handle comes again after tens of millions of others (thousands where address space is
//! scarce).

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use crate::base::Error;
use crate::sync::{BiasedGuard, BiasedLock, Lock};
use crate::sys::{PerProcess, Reserved, process_id};

#[cfg(not(target_pointer_width = "64"))]
compile_error!("handles need 64-bit pointers");

const INDEX_BITS: u32 = 18;
const GENERATION_BITS: u32 = 16;
/// Handles are so far apart, for whoever reads a word there.
const STEP: usize = 4;
/// What the handles of one generation span, ...
const PLANE: usize = STEP << INDEX_BITS;
/// ... all handles of a table, ...
const SPAN: usize = PLANE << GENERATION_BITS;
/// ... and as few generations of them as do where a process may not set more aside.
const SCARCE: usize = 16;
/// Where handles lie that nobody reads, and the distance from one kind's to the next.
const TAG: usize = 0x5a5 << 52;
const KIND: usize = 1 << 48;
const BLOCK: usize = 256;
const BLOCKS: usize = (1 << INDEX_BITS) / BLOCK;
/// A freed slot rests until this many others were freed after it, so that generations last.
const RESTING: usize = 1024;

/// Two things that two threads use never lie on one cache line: their locks would pass it to and fro. Of two
/// lines, because processors fetch these in pairs.
#[repr(align(128))]
struct Slot<T> {
    /// The process that put the value here: in the child of a fork everything inherited is inert.
    owner: AtomicU32,
    /// The generation of the value that is here, 0 for none; changed under the lock only.
    live: AtomicU32,
    state: BiasedLock<State<T>>,
}

struct State<T> {
    /// The value's, or the last one's.
    generation: u32,
    value: Option<T>,
}

/// What decides about the next handle.
#[derive(Default)]
struct Issue {
    /// Slots that were freed. Those of a parent are never used again in its child: their locks may be held.
    resting: VecDeque<u32>,
    /// The generation that handles are issued under, 0 before the first: it ends when a slot comes up that had it.
    generation: u32,
}

/// Where a table's handles lie, and how many generations have room there.
enum Place {
    Unread { base: usize },
    Zeros(Reserved),
}

/// A table of one kind of thing; made for statics.
pub struct Table<T: 'static> {
    kind: u8,
    readable: bool,
    place: OnceLock<Place>,
    /// The place's, for who has a handle; 0 before the first.
    base: AtomicUsize,
    blocks: [AtomicPtr<[Slot<T>; BLOCK]>; BLOCKS],
    issue: PerProcess<Lock<Issue>>,
    /// How many slots were ever used.
    used: AtomicU32,
}

/// Why a handle leads nowhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// Closed, of another kind, or never issued.
    Unknown,
    /// Issued by the parent of this process before a fork.
    Inherited,
}

/// A value under its lock.
pub struct Guard<'a, T>(BiasedGuard<'a, State<T>>);

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        match &self.0.value {
            Some(value) => value,
            None => unreachable!("a guard is only made over a value"),
        }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        match &mut self.0.value {
            Some(value) => value,
            None => unreachable!("a guard is only made over a value"),
        }
    }
}

impl<T: 'static> Table<T> {
    /// An empty table of things of `kind` (0..=15, one number per table).
    pub const fn new(kind: u8) -> Table<T> {
        Table::with(kind, false)
    }

    /// The same, of things whose handles programs read through: they find zeros.
    pub const fn readable(kind: u8) -> Table<T> {
        Table::with(kind, true)
    }

    const fn with(kind: u8, readable: bool) -> Table<T> {
        Table {
            kind,
            readable,
            place: OnceLock::new(),
            base: AtomicUsize::new(0),
            blocks: [const { AtomicPtr::new(std::ptr::null_mut()) }; BLOCKS],
            issue: PerProcess::new(),
            used: AtomicU32::new(0),
        }
    }

    /// Stores a value and returns its handle; EMFILE when the table is full.
    pub fn insert(&'static self, value: T) -> Result<usize, Error> {
        let mut issue = self.issue.get().lock();
        let index = self.claim(&mut issue)?;
        let slot = self.slot(index as usize).ok_or(Error::NoMemory)?;
        let mut state = slot.state.lock();
        if issue.generation == state.generation {
            issue.generation = self.place().open_next(issue.generation);
        }
        state.generation = issue.generation;
        slot.owner.store(process_id(), Ordering::Relaxed);
        state.value = Some(value);
        slot.live.store(state.generation, Ordering::Release);
        let base = self.place().base();
        self.base.store(base, Ordering::Relaxed);
        Ok(base + PLANE * state.generation as usize + STEP * index as usize)
    }

    /// The value behind a handle, locked. Inlined, as the answer would go through memory.
    #[inline(always)]
    pub fn lock(&'static self, handle: usize) -> Result<Guard<'static, T>, Stale> {
        let (slot, generation) = self.find(handle).ok_or(Stale::Unknown)?;
        if slot.owner.load(Ordering::Relaxed) != process_id() {
            return Err(Stale::Inherited);
        }
        let state = slot.state.lock();
        if state.generation != generation || state.value.is_none() {
            return Err(Stale::Unknown);
        }
        Ok(Guard(state))
    }

    /// Whether the handle leads to a value at this moment; another thread may take it out in the next.
    #[inline]
    pub fn check(&'static self, handle: usize) -> Result<(), Stale> {
        let (slot, generation) = self.find(handle).ok_or(Stale::Unknown)?;
        if slot.live.load(Ordering::Acquire) == generation { Ok(()) } else { Err(Stale::Unknown) }
    }

    /// Takes the value out; the handle is stale from now on.
    pub fn remove(&'static self, handle: usize) -> Result<T, Stale> {
        let (index, generation) = self.decode(handle).ok_or(Stale::Unknown)?;
        let slot = self.existing(index).ok_or(Stale::Unknown)?;
        if slot.owner.load(Ordering::Relaxed) != process_id() {
            return Err(Stale::Inherited);
        }
        let mut state = slot.state.lock();
        if state.generation != generation {
            return Err(Stale::Unknown);
        }
        let value = state.value.take().ok_or(Stale::Unknown)?;
        slot.live.store(0, Ordering::Release);
        drop(state);
        self.issue.get().lock().resting.push_back(index as u32);
        Ok(value)
    }

    /// Where such a handle leads, and under which generation.
    #[inline]
    fn find(&'static self, handle: usize) -> Option<(&'static Slot<T>, u32)> {
        let (index, generation) = self.decode(handle)?;
        Some((self.existing(index)?, generation))
    }

    #[inline]
    fn decode(&self, handle: usize) -> Option<(usize, u32)> {
        let at = handle.wrapping_sub(self.base.load(Ordering::Relaxed));
        let valid = at < SPAN && at.is_multiple_of(STEP);
        valid.then_some((at % PLANE / STEP, (at / PLANE) as u32))
    }

    #[inline]
    fn existing(&'static self, index: usize) -> Option<&'static Slot<T>> {
        let block = self.blocks.get(index / BLOCK)?.load(Ordering::Acquire);
        // SAFETY: a block pointer is null or leads to a leaked block that is never freed.
        unsafe { block.as_ref() }.map(|block| &block[index % BLOCK])
    }

    fn claim(&'static self, issue: &mut Issue) -> Result<u32, Error> {
        let resting = &mut issue.resting;
        if resting.len() > RESTING
            && let Some(index) = resting.pop_front()
        {
            return Ok(index);
        }
        let next = |used| ((used as usize) < BLOCK * BLOCKS).then_some(used + 1);
        match self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            Ok(index) => Ok(index),
            Err(_) => resting.pop_front().ok_or(Error::TooManyOpen),
        }
    }

    fn place(&self) -> &Place {
        self.place.get_or_init(|| {
            let planes = (Reserved::most() / PLANE).clamp(SCARCE, SPAN / PLANE);
            let zeros = || Reserved::new(planes * PLANE).or_else(|| Reserved::new(SCARCE * PLANE));
            let unread = || Place::Unread { base: TAG + KIND * self.kind as usize };
            self.readable.then(zeros).flatten().map_or_else(unread, Place::Zeros)
        })
    }

    fn slot(&'static self, index: usize) -> Option<&'static Slot<T>> {
        if let Some(slot) = self.existing(index) {
            return Some(slot);
        }
        let place = self.blocks.get(index / BLOCK)?;
        let fresh: Vec<Slot<T>> = (0..BLOCK)
            .map(|_| Slot {
                owner: AtomicU32::new(0),
                live: AtomicU32::new(0),
                state: BiasedLock::new(State { generation: 0, value: None }),
            })
            .collect();
        let boxed: Box<[Slot<T>; BLOCK]> = fresh.into_boxed_slice().try_into().ok()?;
        let raw = Box::into_raw(boxed);
        if place
            .compare_exchange(std::ptr::null_mut(), raw, Ordering::AcqRel, Ordering::Acquire)
            .is_err()
        {
            // SAFETY: another thread was faster; this block was never shared.
            drop(unsafe { Box::from_raw(raw) });
        }
        self.existing(index)
    }
}

impl Place {
    fn base(&self) -> usize {
        match self {
            Place::Unread { base } => *base,
            Place::Zeros(reserved) => reserved.base(),
        }
    }

    /// The generation after this one, never 0, which is no value's. Readable from now on, if the kernel has room to note
    /// it; else its handles are as good as those that nobody reads.
    fn open_next(&self, generation: u32) -> u32 {
        let next = |span: usize| generation % (span / PLANE - 1) as u32 + 1;
        match self {
            Place::Unread { .. } => next(SPAN),
            Place::Zeros(reserved) => {
                let next = next(reserved.span());
                reserved.show_zeros(PLANE * (next as usize + 1));
                next
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A slot's next handle is another one, however many generations there are room for.
    fn reuse(table: &'static Table<u32>, times: usize) -> Vec<usize> {
        let first = table.insert(5).expect("room");
        assert_eq!(*table.lock(first).expect("live"), 5);
        assert_eq!(table.remove(first), Ok(5));
        let handles = (0..times).map(|_| {
            let next = table.insert(6).expect("room");
            assert_ne!(next, first);
            assert_eq!(table.remove(first), Err(Stale::Unknown));
            assert_eq!(table.check(next), Ok(()));
            assert_eq!(table.remove(next), Ok(6));
            next
        });
        handles.chain([first]).collect()
    }

    #[test]
    fn closed_and_foreign_handles_lead_nowhere() {
        static ONE: Table<u32> = Table::new(1);
        static TWO: Table<u32> = Table::new(2);
        let [first, other] = [&ONE, &TWO].map(|table| table.insert(5).expect("room"));
        assert_eq!(TWO.lock(first).err(), Some(Stale::Unknown));
        assert_eq!(ONE.lock(other).err(), Some(Stale::Unknown));
        let mut handles = reuse(&ONE, 5000);
        assert!(handles.iter().all(|handle| handle >> 52 == TAG >> 52));
        handles.sort_unstable();
        handles.dedup();
        assert_eq!(handles.len(), 5001);
        let here = 0u64;
        for foreign in [0, 1, usize::MAX, std::ptr::from_ref(&here) as usize, first ^ 1] {
            assert!(ONE.lock(foreign).is_err());
        }
    }

    #[test]
    fn who_reads_through_a_handle_finds_zeros() {
        static READ: Table<u32> = Table::readable(3);
        static SCARCE_ONES: Table<u32> = Table::readable(4);
        let few = Reserved::new(SCARCE * PLANE).map(Place::Zeros).expect("address space");
        assert!(SCARCE_ONES.place.set(few).is_ok());
        // Of the scarce ones all generations.
        for (table, times) in [(&READ, 5000), (&SCARCE_ONES, (SCARCE - 2) * RESTING)] {
            let live = table.insert(7).expect("room");
            for handle in reuse(table, times).into_iter().chain([live]) {
                let there = std::ptr::with_exposed_provenance::<u32>(handle);
                // SAFETY: nothing but this is ever there, and it can be read from when the handle was issued.
                assert_eq!(unsafe { there.read_volatile() }, 0);
            }
            assert_eq!(table.remove(live), Ok(7));
        }
    }
}
