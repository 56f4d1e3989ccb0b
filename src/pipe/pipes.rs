//! The pipes of one socket: their places, and what the socket and all of them tell each other past the pattern.
//!
//! What a pipe does is not known here.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::{Driver, End, Pipe, PipeId, PipeKey};

/// What a socket and its pipes tell each other past the pattern.
#[derive(Debug, Default)]
pub(super) struct Mood {
    /// The pattern ended a pipe.
    pub(super) sweep: AtomicBool,
    /// The call under way must not wait, so in a burst it leaves the writing to the I/O thread.
    pub(super) hurried: AtomicBool,
    /// More waits in a pipe than a caller that may wait should leave there.
    pub(super) heavy: AtomicBool,
    /// The call under way cannot show metadata to its caller.
    pub(super) bare: AtomicBool,
}

/// Messages that a socket took and then dropped. Only the thread that has the socket counts, so that counting costs
/// no locked operation; any thread may look.
#[derive(Debug, Default)]
pub struct Dropped {
    full: AtomicU64,
    unroutable: AtomicU64,
}

impl Dropped {
    /// Because a queue was at its mark, once for each peer that missed the message.
    pub fn full(&self) -> u64 {
        self.full.load(Ordering::Relaxed)
    }

    /// Because nobody was there by that name, or went before the message was complete.
    pub fn unroutable(&self) -> u64 {
        self.unroutable.load(Ordering::Relaxed)
    }
}

/// The pipes of one socket.
#[derive(Default)]
pub struct Pipes {
    slots: Vec<Slot>,
    free: Vec<u32>,
    len: usize,
    /// How many of them lead to connections.
    wires: usize,
    mood: Arc<Mood>,
    dropped: Arc<Dropped>,
}

struct Slot {
    generation: u32,
    pipe: Option<Pipe>,
}

impl Pipes {
    /// None yet.
    pub fn new() -> Pipes {
        Pipes::default()
    }

    /// Takes a pipe in.
    pub fn insert(&mut self, mut pipe: Pipe) -> PipeKey {
        pipe.mood = self.mood.clone();
        self.len += 1;
        self.wires += usize::from(!pipe.is_inproc());
        let index = match self.free.pop() {
            Some(index) => index,
            None => {
                self.slots.push(Slot { generation: 0, pipe: None });
                (self.slots.len() - 1) as u32
            }
        };
        let slot = &mut self.slots[index as usize];
        slot.pipe = Some(pipe);
        PipeKey { id: PipeId(index), generation: slot.generation }
    }

    /// Lets a pipe go.
    pub fn remove(&mut self, id: PipeId) -> Option<Pipe> {
        let slot = self.slots.get_mut(id.0 as usize)?;
        let pipe = slot.pipe.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(id.0);
        self.len -= 1;
        self.wires -= usize::from(!pipe.is_inproc());
        Some(pipe)
    }

    /// A pipe by its place.
    #[inline]
    pub fn get(&mut self, id: PipeId) -> Option<&mut Pipe> {
        self.slots.get_mut(id.0 as usize)?.pipe.as_mut()
    }

    /// The place of a key that is still valid.
    pub fn resolve(&self, key: PipeKey) -> Option<PipeId> {
        let slot = self.slots.get(key.id.0 as usize)?;
        (slot.generation == key.generation && slot.pipe.is_some()).then_some(key.id)
    }

    /// The key of a place in use.
    pub fn key(&self, id: PipeId) -> Option<PipeKey> {
        let slot = self.slots.get(id.0 as usize)?;
        slot.pipe.is_some().then_some(PipeKey { id, generation: slot.generation })
    }

    /// The places in use, in order.
    pub fn ids(&self) -> Vec<PipeId> {
        (0u32..)
            .zip(&self.slots)
            .filter(|(_, slot)| slot.pipe.is_some())
            .map(|(index, _)| PipeId(index))
            .collect()
    }

    /// All pipes with their places.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (PipeId, &mut Pipe)> {
        (0u32..)
            .zip(&mut self.slots)
            .filter_map(|(index, slot)| slot.pipe.as_mut().map(|pipe| (PipeId(index), pipe)))
    }

    /// Whether the pattern ended pipes since this was asked last.
    #[inline]
    pub fn take_sweep(&self) -> bool {
        self.mood.sweep.load(Ordering::Relaxed) && self.mood.sweep.swap(false, Ordering::Relaxed)
    }

    /// Whether a pipe took more than it should hold for long since this was asked last.
    #[inline]
    pub fn is_heavy(&self) -> bool {
        self.mood.heavy.load(Ordering::Relaxed)
    }

    /// The connections behind [`Pipes::is_heavy`], which is taken back.
    pub fn take_heavy(&mut self) -> Vec<Arc<dyn Driver>> {
        self.mood.heavy.store(false, Ordering::Relaxed);
        let ends = self.iter_mut().filter_map(|(_, pipe)| {
            let End::Wire(end) = &mut pipe.end else { return None };
            std::mem::take(&mut end.heavy).then(|| end.driver().clone())
        });
        ends.collect()
    }

    /// Says whether the call under way must not wait.
    #[inline]
    pub fn set_hurried(&self, hurried: bool) {
        if self.mood.hurried.load(Ordering::Relaxed) != hurried {
            self.mood.hurried.store(hurried, Ordering::Relaxed);
        }
    }

    /// Whether the call under way must not wait.
    pub fn is_hurried(&self) -> bool {
        self.mood.hurried.load(Ordering::Relaxed)
    }

    /// Says whether the call under way has a use for metadata.
    #[inline]
    pub fn set_bare(&self, bare: bool) {
        if self.mood.bare.load(Ordering::Relaxed) != bare {
            self.mood.bare.store(bare, Ordering::Relaxed);
        }
    }

    /// What the socket has dropped.
    pub fn dropped(&self) -> &Arc<Dropped> {
        &self.dropped
    }

    /// Notes that so many peers missed a message because their queues are at the mark.
    pub fn count_full(&mut self, peers: u64) {
        add(&self.dropped.full, peers);
    }

    /// Notes that a message had nobody to go to.
    pub fn count_unroutable(&mut self) {
        add(&self.dropped.unroutable, 1);
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether any of them leads to a connection.
    pub fn any_wire(&self) -> bool {
        self.wires > 0
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Who calls this is the only one that writes.
fn add(counter: &AtomicU64, more: u64) {
    counter.store(counter.load(Ordering::Relaxed) + more, Ordering::Relaxed);
}
