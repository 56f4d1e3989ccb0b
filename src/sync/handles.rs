//! The table behind the pointers that C holds.
//!
//! A handle is no address: it is an index, a generation and the kind of thing, under a tag that no user
//! space address carries. A handle that was closed, or that is of another kind, or that never was one, is
//! recognised without reading through it, for ever. Slots are never freed, only used again under the
//! next generation.

use std::collections::VecDeque;
use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::base::Error;
use crate::sync::{BiasedGuard, BiasedLock, Lock};
use crate::sys::{PerProcess, process_id};

#[cfg(not(target_pointer_width = "64"))]
compile_error!("handles need 64-bit pointers");

const INDEX_BITS: u32 = 20;
const GENERATION_BITS: u32 = 28;
const KIND_BITS: u32 = 4;
const TAG: usize = 0x5a5;
const BLOCK: usize = 256;
const BLOCKS: usize = (1 << INDEX_BITS) / BLOCK;
/// A freed slot rests until this many others were freed after it, so that generations last.
const RESTING: usize = 256;

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
    generation: u32,
    value: Option<T>,
}

/// A table of one kind of thing; made for statics.
pub struct Table<T: 'static> {
    kind: u8,
    blocks: [AtomicPtr<[Slot<T>; BLOCK]>; BLOCKS],
    /// Slots that were freed. Those of a parent are never used again in its child: their locks may be held.
    resting: PerProcess<Lock<VecDeque<u32>>>,
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
        Table {
            kind,
            blocks: [const { AtomicPtr::new(std::ptr::null_mut()) }; BLOCKS],
            resting: PerProcess::new(),
            used: AtomicU32::new(0),
        }
    }

    /// Stores a value and returns its handle; EMFILE when the table is full.
    pub fn insert(&'static self, value: T) -> Result<usize, Error> {
        let index = self.claim()?;
        let slot = self.slot(index as usize).ok_or(Error::NoMemory)?;
        let mut state = slot.state.lock();
        slot.owner.store(process_id(), Ordering::Relaxed);
        state.value = Some(value);
        slot.live.store(state.generation, Ordering::Release);
        Ok(TAG << (INDEX_BITS + GENERATION_BITS + KIND_BITS)
            | (self.kind as usize) << (INDEX_BITS + GENERATION_BITS)
            | (state.generation as usize) << INDEX_BITS
            | index as usize)
    }

    /// The value behind a handle, locked. Inlined, as the answer would go through memory.
    #[inline(always)]
    pub fn lock(&'static self, handle: usize) -> Result<Guard<'static, T>, Stale> {
        let (slot, generation) = self.decode(handle).ok_or(Stale::Unknown)?;
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
        let (slot, generation) = self.decode(handle).ok_or(Stale::Unknown)?;
        if slot.live.load(Ordering::Acquire) == generation { Ok(()) } else { Err(Stale::Unknown) }
    }

    /// Takes the value out; the handle is stale from now on.
    pub fn remove(&'static self, handle: usize) -> Result<T, Stale> {
        let (slot, generation) = self.decode(handle).ok_or(Stale::Unknown)?;
        if slot.owner.load(Ordering::Relaxed) != process_id() {
            return Err(Stale::Inherited);
        }
        let mut state = slot.state.lock();
        if state.generation != generation {
            return Err(Stale::Unknown);
        }
        let value = state.value.take().ok_or(Stale::Unknown)?;
        slot.live.store(0, Ordering::Release);
        // Generation 0 means "none" in `live`.
        state.generation = (generation % ((1 << GENERATION_BITS) - 1)) + 1;
        drop(state);
        let index = (handle & ((1 << INDEX_BITS) - 1)) as u32;
        self.resting.get().lock().push_back(index);
        Ok(value)
    }

    #[inline]
    fn decode(&'static self, handle: usize) -> Option<(&'static Slot<T>, u32)> {
        let above = handle >> (INDEX_BITS + GENERATION_BITS);
        if above != (TAG << KIND_BITS | self.kind as usize) {
            return None;
        }
        let generation = (handle >> INDEX_BITS) & ((1 << GENERATION_BITS) - 1);
        let slot = self.existing(handle & ((1 << INDEX_BITS) - 1))?;
        Some((slot, generation as u32))
    }

    #[inline]
    fn existing(&'static self, index: usize) -> Option<&'static Slot<T>> {
        let block = self.blocks.get(index / BLOCK)?.load(Ordering::Acquire);
        // SAFETY: a block pointer is null or leads to a leaked block that is never freed.
        unsafe { block.as_ref() }.map(|block| &block[index % BLOCK])
    }

    fn claim(&'static self) -> Result<u32, Error> {
        let mut resting = self.resting.get().lock();
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

    fn slot(&'static self, index: usize) -> Option<&'static Slot<T>> {
        if let Some(slot) = self.existing(index) {
            return Some(slot);
        }
        let place = self.blocks.get(index / BLOCK)?;
        let fresh: Vec<Slot<T>> = (0..BLOCK)
            .map(|_| Slot {
                owner: AtomicU32::new(0),
                live: AtomicU32::new(0),
                state: BiasedLock::new(State { generation: 1, value: None }),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closed_and_foreign_handles_lead_nowhere_for_ever() {
        static ONE: Table<u32> = Table::new(1);
        static TWO: Table<u32> = Table::new(2);
        let first = ONE.insert(5).expect("room");
        assert_eq!(*ONE.lock(first).expect("live"), 5);
        assert_eq!(TWO.lock(first).err(), Some(Stale::Unknown));
        assert_eq!(ONE.remove(first), Ok(5));
        for _ in 0..5000 {
            let next = ONE.insert(6).expect("room");
            assert_ne!(next, first);
            assert_eq!(ONE.remove(first), Err(Stale::Unknown));
            assert_eq!(ONE.remove(next), Ok(6));
        }
        let here = 0u64;
        for foreign in [0, 1, usize::MAX, std::ptr::from_ref(&here) as usize, first ^ 1] {
            assert!(ONE.lock(foreign).is_err());
        }
    }
}
