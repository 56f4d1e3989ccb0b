//! The ring of pipes that take turns: the ready ones in front, the others waiting behind them.
//!
//! It knows only the order of pipes, not what ready means; [`super::fair_queue`] and
//! [`super::load_balancer`] do. Every operation is O(1).

use crate::pipe::PipeId;

/// The place of a pipe that is not in the ring.
const ABSENT: u32 = u32::MAX;

/// Pipes in the order of their turns.
#[derive(Default)]
pub(super) struct Ring {
    /// Ready pipes, then the others.
    order: Vec<PipeId>,
    /// By pipe: where it stands in `order`.
    place: Vec<u32>,
    /// How many are ready.
    ready: usize,
    /// Whose turn it is; below `ready`, or 0.
    turn: usize,
}

impl Ring {
    /// Takes a pipe in as the last of the ready ones.
    pub(super) fn attach(&mut self, id: PipeId) {
        if self.place_of(id).is_some() {
            return;
        }
        let slot = id.0 as usize;
        if slot >= self.place.len() {
            self.place.resize(slot + 1, ABSENT);
        }
        if let Some(place) = self.place.get_mut(slot) {
            *place = self.order.len() as u32;
        }
        self.order.push(id);
        self.activate(id);
    }

    /// A waiting pipe is ready again: it becomes the last in turn.
    #[inline]
    pub(super) fn activate(&mut self, id: PipeId) {
        if let Some(place) = self.place_of(id).filter(|place| *place >= self.ready) {
            self.swap(place, self.ready);
            self.ready += 1;
        }
    }

    /// The pipe whose turn it is.
    #[inline]
    pub(super) fn current(&self) -> Option<PipeId> {
        if self.ready == 0 { None } else { self.order.get(self.turn).copied() }
    }

    /// The only ready pipe.
    #[inline]
    pub(super) fn only(&self) -> Option<PipeId> {
        if self.ready == 1 { self.current() } else { None }
    }

    /// The turn passes to the next ready pipe.
    #[inline]
    pub(super) fn advance(&mut self) {
        self.turn += 1;
        if self.turn >= self.ready {
            self.turn = 0;
        }
    }

    /// The pipe whose turn it is waits from now on.
    pub(super) fn deactivate_current(&mut self) {
        if self.ready > 0 {
            self.retire(self.turn);
        }
    }

    /// Forgets a pipe.
    pub(super) fn detach(&mut self, id: PipeId) {
        let Some(place) = self.place_of(id) else { return };
        if place < self.ready {
            self.retire(place);
        }
        // Retiring moved it; the last in the order takes its place.
        let Some(place) = self.place_of(id) else { return };
        self.swap(place, self.order.len() - 1);
        self.order.pop();
        if let Some(place) = self.place.get_mut(id.0 as usize) {
            *place = ABSENT;
        }
    }

    /// Moves the ready pipe at `place` behind the ready ones. Whose turn it is changes only when that
    /// very pipe retires, for a message under way must go on with its pipe.
    fn retire(&mut self, place: usize) {
        self.ready -= 1;
        self.swap(place, self.ready);
        if self.turn == self.ready {
            self.turn = if place < self.ready { place } else { 0 };
        }
    }

    #[inline]
    fn place_of(&self, id: PipeId) -> Option<usize> {
        match self.place.get(id.0 as usize) {
            Some(&place) if place != ABSENT => Some(place as usize),
            _ => None,
        }
    }

    fn swap(&mut self, a: usize, b: usize) {
        if a == b {
            return;
        }
        self.order.swap(a, b);
        for place in [a, b] {
            if let Some(slot) =
                self.order.get(place).and_then(|id| self.place.get_mut(id.0 as usize))
            {
                *slot = place as u32;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn turns(ring: &mut Ring, count: usize) -> Vec<u32> {
        (0..count)
            .filter_map(|_| {
                let id = ring.current();
                ring.advance();
                id.map(|id| id.0)
            })
            .collect()
    }

    fn ring_of(count: u32) -> Ring {
        let mut ring = Ring::default();
        (0..count).for_each(|n| ring.attach(PipeId(n)));
        ring
    }

    #[test]
    fn turns_follow_the_order_of_arrival() {
        assert_eq!(turns(&mut ring_of(3), 6), [0, 1, 2, 0, 1, 2]);
        assert_eq!(turns(&mut ring_of(0), 2), []);
    }

    #[test]
    fn a_pipe_that_waits_is_left_out_and_returns_as_the_last() {
        let mut ring = ring_of(3);
        ring.deactivate_current();
        let without = turns(&mut ring, 4);
        assert!(!without.contains(&0), "{without:?}");
        ring.activate(PipeId(0));
        let with = turns(&mut ring, 3);
        assert_eq!(with.last(), Some(&0));
        assert_eq!(with.len(), 3);
    }

    #[test]
    fn the_turn_stays_with_its_pipe_when_another_leaves() {
        let mut ring = ring_of(3);
        ring.advance();
        ring.advance();
        assert_eq!(ring.current(), Some(PipeId(2)));
        ring.detach(PipeId(0));
        assert_eq!(ring.current(), Some(PipeId(2)));
        ring.detach(PipeId(2));
        assert_eq!(ring.current(), Some(PipeId(1)));
        ring.detach(PipeId(1));
        assert_eq!(ring.current(), None);
    }

    #[test]
    fn unknown_and_repeated_pipes_do_no_harm() {
        let mut ring = ring_of(1);
        ring.attach(PipeId(0));
        ring.activate(PipeId(0));
        ring.activate(PipeId(7));
        ring.detach(PipeId(7));
        assert_eq!(turns(&mut ring, 2), [0, 0]);
        ring.deactivate_current();
        ring.deactivate_current();
        ring.advance();
        assert_eq!(ring.current(), None);
    }

    proptest! {
        #[test]
        fn every_ready_pipe_gets_exactly_one_turn_per_round(
            steps in proptest::collection::vec((0u8..4, 0u32..8), 0..200)
        ) {
            let mut ring = Ring::default();
            let mut known = std::collections::BTreeMap::new();
            for (what, n) in steps {
                let id = PipeId(n);
                match what {
                    0 => {
                        ring.attach(id);
                        known.entry(n).or_insert(true);
                    }
                    1 => {
                        ring.activate(id);
                        known.entry(n).and_modify(|ready| *ready = true);
                    }
                    2 => {
                        if let Some(id) = ring.current() {
                            known.insert(id.0, false);
                        }
                        ring.deactivate_current();
                    }
                    _ => {
                        let before = ring.current();
                        ring.detach(id);
                        known.remove(&n);
                        if before != Some(id) {
                            prop_assert_eq!(ring.current(), before);
                        }
                    }
                }
                let mut ready: Vec<u32> =
                    known.iter().filter(|(_, ready)| **ready).map(|(n, _)| *n).collect();
                let mut seen = turns(&mut ring, ready.len());
                seen.sort_unstable();
                ready.sort_unstable();
                prop_assert_eq!(seen, ready);
            }
        }
    }
}
