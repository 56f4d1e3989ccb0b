//! Topics in a radix tree: a number for each, and fast answers to "which topics are prefixes of this?".
//!
//! What the numbers mean is not known here. Nothing recurses, so that topics may have any length.
//!
//! A node is one block of the [`Heap`]:
//!
//! | bytes | what |
//! |---|---|
//! | 4 | the topic's number, 0 when no topic ends here |
//! | 2 | length of the label, or [`LONG`] |
//! | 2 | number of children, 0 to 256 |
//! | 4 | only after [`LONG`]: length of the label |
//! | ... | the label: what a topic has here, after the byte that led here |
//! | 1 each | the bytes that lead to the children, ascending |
//! | 0 to 3 | nothing |
//! | 4 each | the references of the children |
//!
//! A node where no topic ends has two children or more. The reference of the root stands in the heap's
//! first unit, so that every node is named by one *slot*: the place of the reference to it.

use std::ops::ControlFlow;

use super::heap::{Heap, place, reference};
use crate::base::Error;

/// Stands for a label length that does not fit two bytes.
const LONG: usize = u16::MAX as usize;
/// No topic is longer: lengths are kept in 32 bits.
const LONGEST: usize = u32::MAX as usize / 2;
/// The slot of the root.
const ROOT: usize = 0;

/// Topics with a number other than 0 each.
#[derive(Default)]
pub(super) struct Tree {
    heap: Heap,
    topics: usize,
}

/// The layout of one node.
#[derive(Clone, Copy)]
struct Node {
    at: usize,
    number: u32,
    label_at: usize,
    label_len: usize,
    children: usize,
}

impl Node {
    fn keys_at(&self) -> usize {
        self.label_at + self.label_len
    }

    fn refs_at(&self) -> usize {
        (self.keys_at() + self.children).next_multiple_of(4)
    }

    /// The slot of a child.
    fn slot(&self, index: usize) -> usize {
        self.refs_at() + 4 * index
    }

    fn size(&self) -> usize {
        self.slot(self.children) - self.at
    }
}

/// The parent of a node: its own slot, and which child the node is.
#[derive(Clone, Copy)]
struct Parent {
    slot: usize,
    index: usize,
}

/// A node on the way of [`Tree::retain`].
struct Step {
    slot: usize,
    /// The next child to visit.
    index: usize,
    /// Length of the topic that ends at the node.
    topic_len: usize,
}

impl Tree {
    /// How many topics there are.
    pub(super) fn len(&self) -> usize {
        self.topics
    }

    /// Bytes taken by the topics.
    #[cfg(test)]
    pub(super) fn live_bytes(&self) -> usize {
        self.heap.live()
    }

    /// Calls `hit` with the number of each topic that is a prefix of `data`, shortest first, until it
    /// breaks off.
    #[inline]
    pub(super) fn prefixes(&self, data: &[u8], mut hit: impl FnMut(u32) -> ControlFlow<()>) {
        let bytes = self.heap.bytes();
        let mut at = place(self.heap.number(ROOT));
        let mut rest = data;
        while at != 0 {
            let Some((head, block)) =
                bytes.get(at..).and_then(|block| block.split_first_chunk::<8>())
            else {
                return;
            };
            let head = u64::from_le_bytes(*head);
            let number = head as u32;
            let children = (head >> 48) as usize;
            let mut label_len = (head >> 32) as u16 as usize;
            let mut block = block;
            if label_len == LONG {
                let Some((len, tail)) = block.split_first_chunk::<4>() else { return };
                label_len = u32::from_le_bytes(*len) as usize;
                block = tail;
            }
            if label_len > 0 {
                let Some((label, tail)) = block.split_at_checked(label_len) else { return };
                let Some(left) = rest.strip_prefix(label) else { return };
                (rest, block) = (left, tail);
            }
            if number != 0 && hit(number).is_break() {
                return;
            }
            let Some((key, left)) = rest.split_first() else { return };
            let Some(keys) = block.get(..children) else { return };
            let Some(index) = find(keys, *key) else { return };
            let labels_end = bytes.len() - block.len();
            let slot = (labels_end + children).next_multiple_of(4) + 4 * index;
            at = place(self.heap.number(slot));
            rest = left;
        }
    }

    /// Gives a topic the number that `change` makes of its present one; 0 stands for no topic, before
    /// and after.
    pub(super) fn update(
        &mut self,
        topic: &[u8],
        change: impl FnOnce(u32) -> u32,
    ) -> Result<(), Error> {
        if topic.len() > LONGEST {
            return Err(Error::NoMemory);
        }
        let mut slot = ROOT;
        let mut parent = None;
        let mut rest = topic;
        loop {
            let at = place(self.heap.number(slot));
            if at == 0 {
                return self.add_leaf_at(slot, rest, change(0));
            }
            let node = self.node(at);
            let label = self.label(&node);
            let common = label.iter().zip(rest).take_while(|(a, b)| a == b).count();
            let rest_here = rest.split_at(common).1;
            if common < node.label_len {
                return self.split(slot, common, rest_here, change(0));
            }
            let Some((key, tail)) = rest_here.split_first() else {
                let number = change(node.number);
                self.topics += usize::from(number != 0);
                self.topics -= usize::from(node.number != 0);
                self.heap.set_number(at, number);
                if number == 0 && node.number != 0 {
                    self.tidy(slot, parent);
                    self.shrink();
                }
                return Ok(());
            };
            let keys = self.keys(&node);
            let Some(index) = find(keys, *key) else {
                return self.add_child(slot, *key, tail, change(0));
            };
            parent = Some(Parent { slot, index });
            slot = node.slot(index);
            rest = tail;
        }
    }

    /// Visits every topic in order; what `visit` answers becomes the topic's number (0: it is removed).
    /// Breaking off ends the visits.
    pub(super) fn retain(&mut self, mut visit: impl FnMut(&[u8], u32) -> ControlFlow<u32, u32>) {
        let mut topic = Vec::new();
        let mut way: Vec<Step> = Vec::new();
        let mut next = (self.heap.number(ROOT) != 0).then_some(ROOT);
        let mut visiting = true;
        loop {
            if let Some(slot) = next.take() {
                let node = self.node(place(self.heap.number(slot)));
                topic.extend_from_slice(self.label(&node));
                way.push(Step { slot, index: 0, topic_len: topic.len() });
                if node.number != 0 {
                    let answer = visit(&topic, node.number);
                    let (ControlFlow::Continue(number) | ControlFlow::Break(number)) = answer;
                    if number != node.number {
                        self.heap.set_number(node.at, number);
                    }
                    self.topics -= usize::from(number == 0);
                    visiting = answer.is_continue();
                }
            }
            let Some(step) = way.last_mut() else { break };
            let node = self.node(place(self.heap.number(step.slot)));
            topic.truncate(step.topic_len);
            if visiting && step.index < node.children {
                topic.extend(self.keys(&node).get(step.index));
                next = Some(node.slot(step.index));
                step.index += 1;
                continue;
            }
            // Everything below is done and in shape; now this node, which may take it from its parent.
            let slot = step.slot;
            way.pop();
            if node.number == 0 && node.children < 2 {
                let parent =
                    way.last().map(|step| Parent { slot: step.slot, index: step.index - 1 });
                if self.tidy_node(slot, parent)
                    && let Some(step) = way.last_mut()
                {
                    step.index -= 1;
                }
            }
        }
        self.shrink();
    }

    /// Visits every topic in order.
    pub(super) fn for_each(&mut self, mut visit: impl FnMut(&[u8])) {
        self.retain(|topic, number| {
            visit(topic);
            ControlFlow::Continue(number)
        });
    }

    #[inline]
    fn node(&self, at: usize) -> Node {
        let number = self.heap.number(at);
        let lens = self.heap.number(at + 4);
        let short = (lens & 0xffff) as usize;
        let (label_at, label_len) = if short == LONG {
            (at + 12, self.heap.number(at + 8) as usize)
        } else {
            (at + 8, short)
        };
        Node { at, number, label_at, label_len, children: (lens >> 16) as usize }
    }

    fn label(&self, node: &Node) -> &[u8] {
        self.heap.bytes().get(node.label_at..node.keys_at()).unwrap_or_default()
    }

    fn keys(&self, node: &Node) -> &[u8] {
        self.heap.bytes().get(node.keys_at()..node.keys_at() + node.children).unwrap_or_default()
    }

    /// A new node with its head written, and nothing else.
    fn make(&mut self, number: u32, label_len: usize, children: usize) -> Node {
        let at = self.heap.take(planned_size(label_len, children));
        self.heap.set_number(at, number);
        self.heap.set_number(at + 4, label_len.min(LONG) as u32 | (children as u32) << 16);
        if label_len >= LONG {
            self.heap.set_number(at + 8, label_len as u32);
        }
        self.node(at)
    }

    fn set_slot(&mut self, slot: usize, node: &Node) {
        self.heap.set_number(slot, reference(node.at));
    }

    fn leaf(&mut self, label: &[u8], number: u32) -> Node {
        let leaf = self.make(number, label.len(), 0);
        self.heap.put(leaf.label_at, label);
        self.topics += 1;
        leaf
    }

    fn add_leaf_at(&mut self, slot: usize, label: &[u8], number: u32) -> Result<(), Error> {
        if number != 0 {
            self.heap.reserve(&[planned_size(label.len(), 0)])?;
            let leaf = self.leaf(label, number);
            self.set_slot(slot, &leaf);
        }
        Ok(())
    }

    /// A topic leaves the node at `slot` by a byte no other has.
    fn add_child(&mut self, slot: usize, key: u8, label: &[u8], number: u32) -> Result<(), Error> {
        if number == 0 {
            return Ok(());
        }
        let old = self.node(place(self.heap.number(slot)));
        let size = planned_size(old.label_len, old.children + 1);
        self.heap.reserve(&[planned_size(label.len(), 0), size])?;
        let leaf = self.leaf(label, number);
        let new = self.make(old.number, old.label_len, old.children + 1);
        let index = self.keys(&old).iter().take_while(|other| **other < key).count();
        let (before, after) = (index, old.children - index);
        self.heap.copy(old.label_at, new.label_at, old.label_len + before);
        self.heap.put(new.keys_at() + before, &[key]);
        self.heap.copy(old.keys_at() + before, new.keys_at() + before + 1, after);
        self.heap.copy(old.refs_at(), new.refs_at(), 4 * before);
        self.heap.set_number(new.slot(index), reference(leaf.at));
        self.heap.copy(old.slot(before), new.slot(before + 1), 4 * after);
        self.set_slot(slot, &new);
        self.heap.give_back(old.at, old.size());
        Ok(())
    }

    /// A topic parts from the label of the node at `slot` after `common` bytes, with `rest` to come.
    fn split(&mut self, slot: usize, common: usize, rest: &[u8], number: u32) -> Result<(), Error> {
        if number == 0 {
            return Ok(());
        }
        let old = self.node(place(self.heap.number(slot)));
        let lower_len = old.label_len - common - 1;
        self.heap.reserve(&[
            planned_size(lower_len, old.children),
            planned_size(common, 2),
            planned_size(rest.len(), 0),
        ])?;
        let lower = self.make(old.number, lower_len, old.children);
        let parting_at = old.label_at + common;
        self.heap.copy(parting_at + 1, lower.label_at, lower_len + old.children);
        self.heap.copy(old.refs_at(), lower.refs_at(), 4 * old.children);
        let old_key = self.heap.bytes().get(parting_at).copied().unwrap_or_default();
        let upper = match rest.split_first() {
            None => {
                self.topics += 1;
                let upper = self.make(number, common, 1);
                self.heap.put(upper.keys_at(), &[old_key]);
                self.set_slot(upper.slot(0), &lower);
                upper
            }
            Some((key, label)) => {
                let leaf = self.leaf(label, number);
                let upper = self.make(0, common, 2);
                let new_first = usize::from(*key > old_key);
                self.heap.put(upper.keys_at() + new_first, &[*key]);
                self.heap.put(upper.keys_at() + 1 - new_first, &[old_key]);
                self.set_slot(upper.slot(new_first), &leaf);
                self.set_slot(upper.slot(1 - new_first), &lower);
                upper
            }
        };
        self.heap.copy(old.label_at, upper.label_at, common);
        self.set_slot(slot, &upper);
        self.heap.give_back(old.at, old.size());
        Ok(())
    }

    /// Restores the shape around a node where no topic ends any more.
    fn tidy(&mut self, slot: usize, parent: Option<Parent>) {
        if self.tidy_node(slot, parent)
            && let Some(Parent { slot, .. }) = parent
        {
            let above = self.node(place(self.heap.number(slot)));
            if above.number == 0 && above.children == 1 {
                self.merge(slot);
            }
        }
    }

    /// Does away with a node where no topic ends and which has less than two children, if so; true when
    /// its parent lost a child by that. Without memory for it the node stays: it is only a detour.
    fn tidy_node(&mut self, slot: usize, parent: Option<Parent>) -> bool {
        let node = self.node(place(self.heap.number(slot)));
        match (node.children, parent) {
            (0, None) => {
                self.heap.set_number(slot, 0);
                self.heap.give_back(node.at, node.size());
                false
            }
            (0, Some(parent)) => {
                let removed = self.remove_child(parent).is_ok();
                if removed {
                    self.heap.give_back(node.at, node.size());
                }
                removed
            }
            (1, _) => {
                self.merge(slot);
                false
            }
            _ => false,
        }
    }

    /// Unlinks a child from its parent; the child's block stays.
    fn remove_child(&mut self, Parent { slot, index }: Parent) -> Result<(), Error> {
        let old = self.node(place(self.heap.number(slot)));
        self.heap.reserve(&[planned_size(old.label_len, old.children - 1)])?;
        let new = self.make(old.number, old.label_len, old.children - 1);
        let after = old.children - index - 1;
        self.heap.copy(old.label_at, new.label_at, old.label_len + index);
        self.heap.copy(old.keys_at() + index + 1, new.keys_at() + index, after);
        self.heap.copy(old.refs_at(), new.refs_at(), 4 * index);
        self.heap.copy(old.slot(index + 1), new.slot(index), 4 * after);
        self.set_slot(slot, &new);
        self.heap.give_back(old.at, old.size());
        Ok(())
    }

    /// Makes one node of the node at `slot`, where no topic ends, and its only child.
    fn merge(&mut self, slot: usize) {
        let upper = self.node(place(self.heap.number(slot)));
        let lower = self.node(place(self.heap.number(upper.slot(0))));
        let label_len = upper.label_len + 1 + lower.label_len;
        if self.heap.reserve(&[planned_size(label_len, lower.children)]).is_err() {
            return;
        }
        let new = self.make(lower.number, label_len, lower.children);
        // The label and the one key lie side by side.
        self.heap.copy(upper.label_at, new.label_at, upper.label_len + 1);
        let joint = new.label_at + upper.label_len + 1;
        self.heap.copy(lower.label_at, joint, lower.label_len + lower.children);
        self.heap.copy(lower.refs_at(), new.refs_at(), 4 * lower.children);
        self.set_slot(slot, &new);
        self.heap.give_back(upper.at, upper.size());
        self.heap.give_back(lower.at, lower.size());
    }

    /// Gives memory back when most of it is unused.
    fn shrink(&mut self) {
        if self.topics == 0 {
            *self = Tree::default();
        } else if self.heap.is_sparse() {
            let mut small = Heap::default();
            // Blocks of the same sizes take the same room.
            if small.reserve(&[self.heap.live()]).is_ok() {
                self.copy_into(&mut small);
                self.heap = small;
            }
        }
    }

    fn copy_into(&self, target: &mut Heap) {
        // Nodes to copy, and the slots of the copy that are to name them.
        let mut open = vec![(place(self.heap.number(ROOT)), ROOT)];
        while let Some((at, slot)) = open.pop() {
            let node = self.node(at);
            let copy = target.take(node.size());
            target.put(copy, self.heap.bytes().get(at..at + node.size()).unwrap_or_default());
            target.set_number(slot, reference(copy));
            let slots = (0..node.children).map(|index| node.slot(index));
            open.extend(slots.map(|slot| (place(self.heap.number(slot)), slot - at + copy)));
        }
    }
}

/// The size of a node.
fn planned_size(label_len: usize, children: usize) -> usize {
    let head = if label_len >= LONG { 12 } else { 8 };
    (head + label_len + children).next_multiple_of(4) + 4 * children
}

/// Where `key` stands among `keys`.
#[inline]
fn find(keys: &[u8], key: u8) -> Option<usize> {
    if keys.len() <= 16 {
        keys.iter().position(|other| *other == key)
    } else {
        keys.binary_search(&key).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn get(tree: &mut Tree, topic: &[u8]) -> u32 {
        let mut found = 0;
        tree.update(topic, |number| {
            found = number;
            number
        })
        .expect("nothing is added");
        found
    }

    fn prefixes(tree: &Tree, data: &[u8]) -> Vec<u32> {
        let mut found = Vec::new();
        tree.prefixes(data, |number| {
            found.push(number);
            ControlFlow::Continue(())
        });
        found
    }

    fn topics(tree: &mut Tree) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        tree.for_each(|topic| found.push(topic.to_vec()));
        found
    }

    fn set(tree: &mut Tree, topic: &[u8], number: u32) {
        tree.update(topic, |_| number).expect("memory");
    }

    /// Every block is reachable once, and nothing else is counted as used.
    fn check_shape(tree: &Tree) {
        let mut used = 0;
        let mut open = vec![(place(tree.heap.number(ROOT)), true)];
        while let Some((at, is_root)) = open.pop() {
            if at == 0 {
                assert!(is_root);
                continue;
            }
            let node = tree.node(at);
            used += node.size();
            assert!(node.number != 0 || node.children >= 2, "a detour");
            assert!(tree.keys(&node).is_sorted());
            open.extend((0..node.children).map(|n| (place(tree.heap.number(node.slot(n))), false)));
        }
        // Size classes round up, by an eighth at most.
        assert!(tree.heap.live() >= used && tree.heap.live() <= used + used / 8 + 4);
    }

    #[test]
    fn the_empty_topic_is_a_prefix_of_everything() {
        let mut tree = Tree::default();
        assert_eq!(prefixes(&tree, b""), []);
        set(&mut tree, b"", 7);
        assert_eq!(
            (tree.len(), prefixes(&tree, b""), prefixes(&tree, b"x")),
            (1, vec![7], vec![7])
        );
        set(&mut tree, b"", 0);
        assert_eq!((tree.len(), prefixes(&tree, b"x")), (0, vec![]));
    }

    #[test]
    fn prefixes_come_shortest_first() {
        let mut tree = Tree::default();
        for (number, topic) in (1..).zip(["abc", "a", "abd", "", "abcdef", "b"]) {
            set(&mut tree, topic.as_bytes(), number);
        }
        assert_eq!(prefixes(&tree, b"abcdefg"), [4, 2, 1, 5]);
        assert_eq!(prefixes(&tree, b"ab"), [4, 2]);
        let all: [&[u8]; 6] = [b"", b"a", b"abc", b"abcdef", b"abd", b"b"];
        assert_eq!(topics(&mut tree), all);
        check_shape(&tree);
    }

    #[test]
    fn a_topic_may_be_enormous() {
        let long = vec![b'x'; 3_000_000];
        let mut tree = Tree::default();
        set(&mut tree, &long, 1);
        let mut other = long.clone();
        other[2_000_000] = b'y';
        set(&mut tree, &other, 2);
        set(&mut tree, &long[..70_000], 3);
        set(&mut tree, &long[..65_535], 4);
        check_shape(&tree);
        assert_eq!(prefixes(&tree, &long), [4, 3, 1]);
        assert_eq!(prefixes(&tree, &other), [4, 3, 2]);
        assert_eq!(
            topics(&mut tree).iter().map(Vec::len).collect::<Vec<_>>(),
            [65_535, 70_000, 3_000_000, 3_000_000]
        );
        for topic in [&long[..70_000], &long, &long[..65_535], &other] {
            set(&mut tree, topic, 0);
            check_shape(&tree);
        }
        assert_eq!((tree.len(), tree.live_bytes()), (0, 0));
    }

    #[test]
    fn a_ladder_of_prefixes_is_climbed_without_recursion() {
        let long = vec![b'x'; 5_000];
        let mut tree = Tree::default();
        for len in 0..=long.len() {
            set(&mut tree, &long[..len], 1);
        }
        assert_eq!(prefixes(&tree, &long).len(), long.len() + 1);
        let mut seen = 0;
        tree.for_each(|_| seen += 1);
        assert_eq!(seen, long.len() + 1);
        tree.retain(|topic, number| {
            ControlFlow::Continue(if topic.len() % 2 == 0 { number } else { 0 })
        });
        check_shape(&tree);
        assert_eq!(tree.len(), 2_501);
        tree.retain(|_, _| ControlFlow::Continue(0));
        assert_eq!((tree.len(), tree.live_bytes()), (0, 0));
    }

    #[test]
    fn memory_returns_when_most_topics_go() {
        let mut tree = Tree::default();
        for n in 0..20_000u32 {
            set(&mut tree, format!("market/{n}/trade").as_bytes(), n + 1);
        }
        let full = tree.heap.bytes().len();
        for n in 100..20_000u32 {
            set(&mut tree, format!("market/{n}/trade").as_bytes(), 0);
        }
        check_shape(&tree);
        assert!(tree.heap.bytes().len() < full / 3);
        for n in 0..100u32 {
            assert_eq!(get(&mut tree, format!("market/{n}/trade").as_bytes()), n + 1);
        }
    }

    /// Few letters and short words make topics collide.
    fn topic() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            8 => proptest::collection::vec(0u8..3, 0..8),
            1 => proptest::collection::vec(any::<u8>(), 0..3),
            1 => (0usize..40, any::<u8>()).prop_map(|(len, last)| [vec![1; len], vec![last]].concat()),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(400))]
        #[test]
        fn it_agrees_with_a_sorted_map(
            steps in proptest::collection::vec((topic(), 0u32..4, any::<bool>()), 0..120),
            data in topic(),
        ) {
            let mut tree = Tree::default();
            let mut map: BTreeMap<Vec<u8>, u32> = BTreeMap::new();
            for (step, (topic, number, sweep)) in steps.into_iter().enumerate() {
                if sweep && step % 8 == 0 {
                    // Lower every number, stopping at the first topic that ends with this one's end.
                    let stop = |other: &[u8]| other.last() == topic.last();
                    let mut stopped = false;
                    for (other, number) in &mut map {
                        if !stopped {
                            *number -= 1;
                            stopped = stop(other);
                        }
                    }
                    map.retain(|_, number| *number != 0);
                    tree.retain(|other, number| {
                        if stop(other) {
                            ControlFlow::Break(number - 1)
                        } else {
                            ControlFlow::Continue(number - 1)
                        }
                    });
                } else {
                    prop_assert_eq!(get(&mut tree, &topic), map.get(&topic).copied().unwrap_or(0));
                    set(&mut tree, &topic, number);
                    if number == 0 {
                        map.remove(&topic);
                    } else {
                        map.insert(topic, number);
                    }
                }
                check_shape(&tree);
                prop_assert_eq!(tree.len(), map.len());
            }
            prop_assert_eq!(topics(&mut tree), map.keys().cloned().collect::<Vec<_>>());
            let mut naive: Vec<_> =
                map.iter().filter(|(topic, _)| data.starts_with(topic)).collect();
            naive.sort_by_key(|(topic, _)| topic.len());
            prop_assert_eq!(prefixes(&tree, &data), naive.iter().map(|(_, n)| **n).collect::<Vec<_>>());
        }
    }
}
