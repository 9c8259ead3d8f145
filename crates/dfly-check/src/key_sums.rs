//! Tells whether two passes have seen the same keys, in constant memory: a sum of digests for each part of the digests.
//!
//! If the sums of a part are equal, so are its keys, but for a chance of 1 in 2^50. Only keys of other parts have to be looked
//! up, so a few changes between the passes cost a few look-ups.

use std::collections::BTreeSet;

use dfly_replica::TargetKey;
use xxhash_rust::xxh3::xxh3_64_with_seed;

/// How many bits of a digest name its part. The sums of all parts fit into a processor's second cache.
const PART_BITS: u32 = 14;

/// The sums.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeySums(Vec<u64>);

impl Default for KeySums {
    fn default() -> Self {
        Self(vec![0; 1 << PART_BITS])
    }
}

/// What stands for a key here.
pub(crate) fn digest(key: &TargetKey) -> u64 {
    xxh3_64_with_seed(&key.name, u64::from(key.db.0))
}

/// The part of a digest.
pub(crate) fn part(digest: u64) -> u16 {
    u16::try_from(digest >> (u64::BITS - PART_BITS)).unwrap_or(u16::MAX)
}

impl KeySums {
    pub(crate) fn add(&mut self, digest: u64) {
        if let Some(sum) = self.0.get_mut(usize::from(part(digest))) {
            *sum = sum.wrapping_add(digest | 1);
        }
    }

    /// The parts whose sums differ.
    pub(crate) fn apart(&self, other: &Self) -> BTreeSet<u16> {
        let pairs = (0u16..).zip(self.0.iter().zip(&other.0));
        pairs.filter(|(_, (one, other))| one != other).map(|(part, _)| part).collect()
    }

    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|sum| sum.to_le_bytes()).collect()
    }

    /// `None` if they are not as many as there are parts.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (sums, rest) = bytes.as_chunks::<8>();
        let sums: Vec<u64> = sums.iter().map(|sum| u64::from_le_bytes(*sum)).collect();
        (rest.is_empty() && sums.len() == 1 << PART_BITS).then_some(Self(sums))
    }
}

#[cfg(test)]
mod tests {
    use dfly_wire::DbIndex;

    use super::*;

    fn key(nth: u32) -> u64 {
        digest(&TargetKey::new(DbIndex(nth % 3), format!("key:{nth}")))
    }

    #[test]
    fn only_the_part_of_another_key_is_apart() {
        let (mut one, mut other) = (KeySums::default(), KeySums::default());
        (0..100_000).for_each(|nth| one.add(key(nth)));
        (0..100_000).rev().for_each(|nth| other.add(key(nth)));
        assert!(one.apart(&other).is_empty());
        other.add(key(100_000));
        // A key that came twice is looked up.
        other.add(key(7));
        assert_eq!(one.apart(&other), BTreeSet::from([part(key(100_000)), part(key(7))]));
        assert_eq!(KeySums::from_bytes(&one.to_bytes()), Some(one));
        assert_eq!(KeySums::from_bytes(b"x"), None);
    }
}
