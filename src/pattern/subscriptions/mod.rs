//! Who wants which topics: [`Subscribers`] on the publishing side, [`Interests`] on the subscribing side.
//!
//! Nothing here reads or writes pipes; they are only names.

mod heap;
mod tree;

use std::ops::ControlFlow;

use self::tree::Tree;
use crate::base::Error;
use crate::pipe::PipeId;

/// The topics a subscriber wants, each with how often it was asked for.
#[derive(Default)]
pub(super) struct Interests {
    tree: Tree,
}

/// What an unsubscribe came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Removed {
    /// It was not there.
    Unknown,
    /// Others, or further counts, keep the topic.
    StillWanted,
    /// Nobody wants the topic any more.
    Last,
}

impl Interests {
    /// Asks for a topic once more.
    pub(super) fn add(&mut self, topic: &[u8]) -> Result<(), Error> {
        self.tree.update(topic, |count| count.saturating_add(1))
    }

    /// Asks for a topic once less.
    pub(super) fn remove(&mut self, topic: &[u8]) -> Removed {
        let mut before = 0;
        let lowered = self.tree.update(topic, |count| {
            before = count;
            count.saturating_sub(1)
        });
        match before {
            1 if lowered.is_ok() => Removed::Last,
            0 => Removed::Unknown,
            _ => Removed::StillWanted,
        }
    }

    /// Whether a message that begins with `data` is wanted.
    #[inline]
    pub(super) fn wants(&self, data: &[u8]) -> bool {
        let mut wanted = false;
        self.tree.prefixes(data, |_| {
            wanted = true;
            ControlFlow::Break(())
        });
        wanted
    }

    /// Visits every topic once.
    pub(super) fn for_each(&mut self, visit: impl FnMut(&[u8])) {
        self.tree.for_each(visit);
    }

    /// How many topics there are.
    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }
}

/// The topics that peers want, each with the set of those peers.
///
/// Most topics are wanted by one peer: the number of such a topic in the tree is that peer, doubled plus
/// one. Otherwise it is the number of a set, from 1, doubled.
#[derive(Default)]
pub(super) struct Subscribers {
    tree: Tree,
    /// Peers in ascending order.
    sets: Vec<Vec<PipeId>>,
    /// Sets that are free for use.
    spare: Vec<u32>,
    /// By peer: how many topics it wants.
    held: Vec<usize>,
}

/// What a subscribe came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Added {
    /// The topic is new.
    First,
    /// Others want it already.
    Another,
    /// This peer wants it already.
    Again,
}

impl Subscribers {
    /// A peer wants a topic.
    pub(super) fn add(&mut self, topic: &[u8], peer: PipeId) -> Result<Added, Error> {
        // An absurd name would not fit beside the mark of a lone peer.
        if peer.0 > u32::MAX / 2 {
            return Err(Error::Invalid);
        }
        let mut added = Added::First;
        let (sets, spare) = (&mut self.sets, &mut self.spare);
        self.tree.update(topic, |number| match decode(number) {
            Holders::None => lone(peer),
            Holders::One(other) if other == peer => {
                added = Added::Again;
                number
            }
            Holders::One(other) => {
                added = Added::Another;
                new_set(sets, spare, other.min(peer), other.max(peer))
            }
            Holders::Set(index) => {
                added = Added::Again;
                if let Some(set) = sets.get_mut(index)
                    && let Err(place) = set.binary_search(&peer)
                {
                    set.insert(place, peer);
                    added = Added::Another;
                }
                number
            }
        })?;
        if added != Added::Again {
            let slot = peer.0 as usize;
            if slot >= self.held.len() {
                self.held.resize(slot + 1, 0);
            }
            if let Some(held) = self.held.get_mut(slot) {
                *held += 1;
            }
        }
        Ok(added)
    }

    /// A peer does not want a topic any more.
    pub(super) fn remove(&mut self, topic: &[u8], peer: PipeId) -> Removed {
        let mut removed = Removed::Unknown;
        let (sets, spare) = (&mut self.sets, &mut self.spare);
        let update = self.tree.update(topic, |number| {
            let (left, how) = without(sets, spare, number, peer);
            removed = how;
            left
        });
        if update.is_err() {
            return Removed::Unknown;
        }
        if removed != Removed::Unknown
            && let Some(held) = self.held.get_mut(peer.0 as usize)
        {
            *held -= 1;
        }
        removed
    }

    /// A peer wants nothing any more. Visits each topic it wanted, and whether it was the last to.
    pub(super) fn remove_peer(&mut self, peer: PipeId, mut visit: impl FnMut(&[u8], bool)) {
        let Some(held) = self.held.get_mut(peer.0 as usize) else { return };
        let mut left = std::mem::take(held);
        if left == 0 {
            return;
        }
        let (sets, spare) = (&mut self.sets, &mut self.spare);
        self.tree.retain(|topic, number| {
            let (number, removed) = without(sets, spare, number, peer);
            if removed != Removed::Unknown {
                visit(topic, removed == Removed::Last);
                left -= 1;
                if left == 0 {
                    return ControlFlow::Break(number);
                }
            }
            ControlFlow::Continue(number)
        });
        if self.tree.len() == 0 {
            (self.sets, self.spare) = Default::default();
        }
    }

    /// Visits those who want a message that begins with `data`. One that wants it for several topics is
    /// visited several times.
    #[inline]
    pub(super) fn matching(&self, data: &[u8], mut visit: impl FnMut(PipeId)) {
        self.tree.prefixes(data, |number| {
            match decode(number) {
                Holders::None => {}
                Holders::One(peer) => visit(peer),
                Holders::Set(index) => {
                    self.sets.get(index).into_iter().flatten().for_each(|peer| visit(*peer));
                }
            }
            ControlFlow::Continue(())
        });
    }

    /// How many topics are wanted.
    pub(super) fn len(&self) -> usize {
        self.tree.len()
    }
}

/// Who wants a topic.
enum Holders {
    None,
    One(PipeId),
    Set(usize),
}

#[inline]
fn decode(number: u32) -> Holders {
    if number & 1 == 1 {
        Holders::One(PipeId(number >> 1))
    } else if number == 0 {
        Holders::None
    } else {
        Holders::Set((number >> 1) as usize - 1)
    }
}

fn lone(peer: PipeId) -> u32 {
    peer.0 << 1 | 1
}

fn new_set(sets: &mut Vec<Vec<PipeId>>, spare: &mut Vec<u32>, low: PipeId, high: PipeId) -> u32 {
    let index = spare.pop().unwrap_or(sets.len() as u32);
    if index as usize == sets.len() {
        sets.push(Vec::new());
    }
    if let Some(set) = sets.get_mut(index as usize) {
        set.extend([low, high]);
    }
    (index + 1) << 1
}

/// Takes a peer out of the holders that `number` stands for.
fn without(
    sets: &mut [Vec<PipeId>],
    spare: &mut Vec<u32>,
    number: u32,
    peer: PipeId,
) -> (u32, Removed) {
    match decode(number) {
        Holders::One(other) if other == peer => (0, Removed::Last),
        Holders::None | Holders::One(_) => (number, Removed::Unknown),
        Holders::Set(index) => {
            let Some(set) = sets.get_mut(index) else { return (number, Removed::Unknown) };
            let Ok(place) = set.binary_search(&peer) else { return (number, Removed::Unknown) };
            set.remove(place);
            match set.as_slice() {
                [last] => {
                    let last = *last;
                    // Freeing the memory of a set that was large once costs nothing where it matters.
                    *set = Vec::new();
                    spare.push(index as u32);
                    (lone(last), Removed::StillWanted)
                }
                _ => (number, Removed::StillWanted),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    #[test]
    fn interests_are_counted() {
        let mut interests = Interests::default();
        assert_eq!(interests.remove(b"a"), Removed::Unknown);
        interests.add(b"a").expect("memory");
        interests.add(b"a").expect("memory");
        interests.add(b"b").expect("memory");
        assert_eq!(interests.len(), 2);
        assert_eq!(interests.remove(b"a"), Removed::StillWanted);
        assert!(interests.wants(b"abc") && !interests.wants(b"") && !interests.wants(b"c"));
        assert_eq!(interests.remove(b"a"), Removed::Last);
        assert!(!interests.wants(b"abc"));
        assert_eq!(interests.remove(b"a"), Removed::Unknown);
    }

    fn matching(subscribers: &Subscribers, data: &[u8]) -> BTreeSet<u32> {
        let mut found = BTreeSet::new();
        subscribers.matching(data, |peer| {
            found.insert(peer.0);
        });
        found
    }

    #[test]
    fn who_is_first_and_who_is_last() {
        let mut subscribers = Subscribers::default();
        let [one, two, three] = [1, 2, 3].map(PipeId);
        assert_eq!(subscribers.add(b"t", two), Ok(Added::First));
        assert_eq!(subscribers.add(b"t", two), Ok(Added::Again));
        assert_eq!(subscribers.add(b"t", one), Ok(Added::Another));
        assert_eq!(subscribers.add(b"t", three), Ok(Added::Another));
        assert_eq!(subscribers.add(b"t", three), Ok(Added::Again));
        assert_eq!(matching(&subscribers, b"tail"), BTreeSet::from([1, 2, 3]));
        assert_eq!(subscribers.remove(b"t", PipeId(9)), Removed::Unknown);
        assert_eq!(subscribers.remove(b"t", two), Removed::StillWanted);
        assert_eq!(subscribers.remove(b"t", two), Removed::Unknown);
        assert_eq!(subscribers.remove(b"t", one), Removed::StillWanted);
        assert_eq!(subscribers.remove(b"t", three), Removed::Last);
        assert_eq!(subscribers.len(), 0);
    }

    #[test]
    fn a_long_topic_comes_and_goes() {
        let topic = vec![b't'; 10_000_000];
        let mut subscribers = Subscribers::default();
        assert_eq!(subscribers.add(&topic, PipeId(0)), Ok(Added::First));
        assert_eq!(subscribers.remove(&topic[1..], PipeId(0)), Removed::Unknown);
        assert_eq!(subscribers.remove(&topic, PipeId(0)), Removed::Last);
    }

    proptest! {
        #[test]
        fn subscribers_agree_with_a_map_of_sets(
            steps in proptest::collection::vec(
                (0u8..8, proptest::collection::vec(0u8..2, 0..4), 0u32..5), 0..200),
            data in proptest::collection::vec(0u8..2, 0..6),
        ) {
            let mut subscribers = Subscribers::default();
            let mut map: BTreeMap<Vec<u8>, BTreeSet<u32>> = BTreeMap::new();
            for (what, topic, peer) in steps {
                let id = PipeId(peer);
                match what {
                    0 => {
                        let mut expected = Vec::new();
                        map.retain(|topic, peers| {
                            if peers.remove(&peer) {
                                expected.push((topic.clone(), peers.is_empty()));
                            }
                            !peers.is_empty()
                        });
                        let mut seen = Vec::new();
                        subscribers.remove_peer(id, |topic, last| seen.push((topic.to_vec(), last)));
                        prop_assert_eq!(seen, expected);
                    }
                    1..4 => {
                        let peers = map.entry(topic.clone()).or_default();
                        let expected = match (peers.remove(&peer), peers.len()) {
                            (false, _) => Removed::Unknown,
                            (true, 0) => Removed::Last,
                            (true, _) => Removed::StillWanted,
                        };
                        if peers.is_empty() {
                            map.remove(&topic);
                        }
                        prop_assert_eq!(subscribers.remove(&topic, id), expected);
                    }
                    _ => {
                        let peers = map.entry(topic.clone()).or_default();
                        let expected = match (peers.len(), peers.insert(peer)) {
                            (_, false) => Added::Again,
                            (0, true) => Added::First,
                            (_, true) => Added::Another,
                        };
                        prop_assert_eq!(subscribers.add(&topic, id), Ok(expected));
                    }
                }
                prop_assert_eq!(subscribers.len(), map.len());
            }
            let naive: BTreeSet<u32> = map
                .iter()
                .filter(|(topic, _)| data.starts_with(topic))
                .flat_map(|(_, peers)| peers.iter().copied())
                .collect();
            prop_assert_eq!(matching(&subscribers, &data), naive);
        }
    }
}
