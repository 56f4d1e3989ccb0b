//! Blocks of bytes of any size in one growing buffer, named by 32-bit references.
//!
//! This is the memory of [`super::tree`]; what the blocks mean is not known here. Freed blocks are used
//! again by later ones of their size class, so that a table under churn stays as large as its largest
//! moment; the tree rebuilds itself into a new heap when most of it is free.

use crate::base::Error;

/// Blocks begin at multiples of this, and references count in it.
const UNIT: usize = 4;
/// Up to this many units there is a size class for each size, above it eight for each doubling.
const EXACT: usize = 16;

/// A buffer of blocks. The first unit is no block: it is free for the owner's use, and 0 names nothing.
#[derive(Default)]
pub(super) struct Heap {
    bytes: Vec<u8>,
    /// By size class: the first free block, which holds the reference of the next.
    free: Vec<u32>,
    /// Bytes in use.
    live: usize,
}

impl Heap {
    /// Makes sure that blocks of `sizes` bytes can be taken without fail.
    pub(super) fn reserve(&mut self, sizes: &[usize]) -> Result<(), Error> {
        let mut need = UNIT;
        for size in sizes {
            let (_, units) = class_of(*size);
            need = need.checked_add(units * UNIT).ok_or(Error::NoMemory)?;
        }
        let end = self.bytes.len().checked_add(need).ok_or(Error::NoMemory)?;
        if end / UNIT > u32::MAX as usize {
            return Err(Error::NoMemory);
        }
        self.bytes.try_reserve(need).map_err(|_| Error::NoMemory)
    }

    /// A block of at least `size` bytes, with undefined contents; where it begins.
    pub(super) fn take(&mut self, size: usize) -> usize {
        let (class, units) = class_of(size);
        self.live += units * UNIT;
        if let Some(&head) = self.free.get(class)
            && head != 0
        {
            let at = head as usize * UNIT;
            let next = self.number(at);
            if let Some(slot) = self.free.get_mut(class) {
                *slot = next;
            }
            return at;
        }
        if self.bytes.is_empty() {
            self.bytes.resize(UNIT, 0);
        }
        let at = self.bytes.len();
        self.bytes.resize(at + units * UNIT, 0);
        at
    }

    /// Gives back the block of `size` bytes at `at`.
    pub(super) fn give_back(&mut self, at: usize, size: usize) {
        let (class, units) = class_of(size);
        self.live -= units * UNIT;
        if class >= self.free.len() {
            self.free.resize(class + 1, 0);
        }
        if let Some(slot) = self.free.get_mut(class) {
            let next = std::mem::replace(slot, reference(at));
            self.set_number(at, next);
        }
    }

    /// Whether so much of the buffer is free that copying the rest into a new one pays.
    pub(super) fn is_sparse(&self) -> bool {
        const WORTHWHILE: usize = 64 * 1024;
        self.bytes.len() > WORTHWHILE && self.live < self.bytes.len() / 4
    }

    /// Bytes in use.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// All bytes, for reading.
    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The 32-bit number at `at`; 0 outside the buffer.
    #[inline]
    pub(super) fn number(&self, at: usize) -> u32 {
        match self.bytes.get(at..).and_then(|rest| rest.first_chunk()) {
            Some(bytes) => u32::from_le_bytes(*bytes),
            None => 0,
        }
    }

    /// Sets the 32-bit number at `at`.
    #[inline]
    pub(super) fn set_number(&mut self, at: usize, number: u32) {
        self.put(at, &number.to_le_bytes());
    }

    /// Copies bytes to `at`.
    #[inline]
    pub(super) fn put(&mut self, at: usize, bytes: &[u8]) {
        if let Some(place) = self.bytes.get_mut(at..at + bytes.len()) {
            place.copy_from_slice(bytes);
        }
    }

    /// Copies `len` bytes within the buffer.
    #[inline]
    pub(super) fn copy(&mut self, from: usize, to: usize, len: usize) {
        if from + len <= self.bytes.len() && to + len <= self.bytes.len() {
            self.bytes.copy_within(from..from + len, to);
        }
    }
}

/// The reference of the block at `at`.
#[inline]
pub(super) fn reference(at: usize) -> u32 {
    (at / UNIT) as u32
}

/// Where the block with this reference begins.
#[inline]
pub(super) fn place(reference: u32) -> usize {
    reference as usize * UNIT
}

/// The size class for a block of `size` bytes, and its units.
fn class_of(size: usize) -> (usize, usize) {
    let units = size.div_ceil(UNIT).max(1);
    if units <= EXACT {
        return (units, units);
    }
    // With `shift` bits cut off, the last unit's number has four bits, so a step is at most an eighth.
    let shift = (units - 1).ilog2() as usize - 3;
    let steps = ((units - 1) >> shift) + 1;
    (EXACT + (shift - 1) * 8 + (steps - 8), steps << shift)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_cover_every_size_without_much_waste() {
        let mut last = (0, 0);
        for size in (1..20_000).chain((1..40).map(|n| n * 1_000_003)) {
            let (class, units) = class_of(size);
            assert!(units * UNIT >= size, "{size}");
            assert!(size <= 64 || units * UNIT <= size + size / 8 + UNIT, "{size}");
            assert_eq!(class_of(units * UNIT), (class, units), "{size}");
            assert!(
                class == last.0 && units == last.1 || class > last.0 && units > last.1,
                "{size}"
            );
            last = (class, units);
        }
    }

    #[test]
    fn freed_blocks_are_used_again() {
        let mut heap = Heap::default();
        let blocks: Vec<usize> = [10, 70, 700].iter().map(|size| heap.take(*size)).collect();
        let len = heap.bytes().len();
        for (at, size) in blocks.iter().zip([10, 70, 700]) {
            heap.give_back(*at, size);
        }
        assert_eq!(heap.live(), 0);
        assert_eq!(
            [heap.take(700), heap.take(12), heap.take(65)],
            [blocks[2], blocks[0], blocks[1]]
        );
        assert_eq!(heap.bytes().len(), len);
    }

    #[test]
    fn absurd_sizes_are_refused() {
        assert_eq!(Heap::default().reserve(&[usize::MAX / 2]), Err(Error::NoMemory));
        assert_eq!(
            Heap::default().reserve(&[usize::MAX / 2, usize::MAX / 2]),
            Err(Error::NoMemory)
        );
    }
}
