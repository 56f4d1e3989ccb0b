//! Hashing of peers' names: fast for short ones, and keyed, since peers choose their names.

use std::hash::{BuildHasher, Hasher};

const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

/// Makes hashers with one secret key.
#[derive(Clone)]
pub(super) struct KeyedState {
    key: u64,
    multiplier: u64,
}

impl Default for KeyedState {
    fn default() -> KeyedState {
        KeyedState { key: fastrand::u64(..), multiplier: fastrand::u64(..) | 1 }
    }
}

impl BuildHasher for KeyedState {
    type Hasher = KeyedHasher;

    #[inline]
    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher { state: self.key, multiplier: self.multiplier }
    }
}

/// Folds eight bytes at a time by a multiplication of twice the width.
pub(super) struct KeyedHasher {
    state: u64,
    multiplier: u64,
}

impl KeyedHasher {
    #[inline]
    fn mix(&mut self, word: u64) {
        let product = u128::from(self.state ^ word) * u128::from(self.multiplier);
        self.state = (product as u64 ^ (product >> 64) as u64).wrapping_add(MULTIPLIER);
    }
}

impl Hasher for KeyedHasher {
    #[inline]
    fn write(&mut self, bytes: &[u8]) {
        let (words, tail) = bytes.as_chunks::<8>();
        for word in words {
            self.mix(u64::from_le_bytes(*word));
        }
        if !tail.is_empty() {
            let mut word = [0; 8];
            word.iter_mut().zip(tail).for_each(|(to, from)| *to = *from);
            self.mix(u64::from_le_bytes(word));
        }
    }

    #[inline]
    fn write_usize(&mut self, number: usize) {
        self.mix(number as u64);
    }

    #[inline]
    fn finish(&self) -> u64 {
        let product = u128::from(self.state) * u128::from(MULTIPLIER);
        product as u64 ^ (product >> 64) as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_differ_little_hash_apart() {
        let state = KeyedState::default();
        let mut seen = std::collections::HashSet::new();
        for n in 0u32..10_000 {
            let mut name = [0; 5];
            name[1..].copy_from_slice(&n.to_be_bytes());
            seen.insert(state.hash_one(&name[..]) >> 32);
        }
        assert!(seen.len() > 9_990, "{}", seen.len());
        let prefixes: std::collections::HashSet<_> =
            (0..40).map(|len| state.hash_one(&vec![0u8; len][..])).collect();
        assert_eq!(prefixes.len(), 40);
    }
}
