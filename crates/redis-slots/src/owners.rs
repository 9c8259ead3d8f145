//! Slot ownership, as ranges.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use thiserror::Error;

use crate::slot::{SLOTS, Slot};

/// Slots and their owners. The ranges do not overlap; a slot may have no owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotOwners<N> {
    /// Keyed by the end of each range, so that the first entry at or after a slot is the only candidate.
    by_end: BTreeMap<u16, (u16, N)>,
}

/// Why a range cannot be added.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum OwnersError {
    /// The range is empty, or ends after the last slot.
    #[error("{0} to {1} is not a range of slots")]
    Range(u16, u16),
    /// The range shares a slot with another.
    #[error("slots {0} to {1} overlap with another range")]
    Overlap(u16, u16),
}

impl<N> Default for SlotOwners<N> {
    fn default() -> Self {
        Self { by_end: BTreeMap::new() }
    }
}

impl<N> SlotOwners<N> {
    /// Adds a range.
    ///
    /// # Errors
    /// [`OwnersError`]. Nothing is added.
    pub fn insert(&mut self, slots: RangeInclusive<u16>, owner: N) -> Result<(), OwnersError> {
        let (start, end) = slots.into_inner();
        if start > end || end >= SLOTS {
            return Err(OwnersError::Range(start, end));
        }
        match self.by_end.range(start..).next() {
            Some((_, (next, _))) if *next <= end => Err(OwnersError::Overlap(start, end)),
            _ => {
                self.by_end.insert(end, (start, owner));
                Ok(())
            }
        }
    }

    /// The owner of `slot`.
    #[inline]
    pub fn owner(&self, slot: Slot) -> Option<&N> {
        let (_, (start, owner)) = self.by_end.range(slot.0..).next()?;
        (*start <= slot.0).then_some(owner)
    }

    /// The first slot without an owner.
    pub fn first_uncovered(&self) -> Option<Slot> {
        let covered = self.by_end.iter().try_fold(
            0,
            |next, (end, (start, _))| {
                if *start == next { Ok(end + 1) } else { Err(next) }
            },
        );
        let next = covered.unwrap_or_else(|gap| gap);
        (next < SLOTS).then_some(Slot(next))
    }
}

/// Collects ranges that do not overlap. A range that overlaps with an earlier one is ignored.
impl<N> FromIterator<(RangeInclusive<u16>, N)> for SlotOwners<N> {
    fn from_iter<I: IntoIterator<Item = (RangeInclusive<u16>, N)>>(ranges: I) -> Self {
        let mut owners = Self::default();
        for (slots, owner) in ranges {
            drop(owners.insert(slots, owner));
        }
        owners
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn gaps_and_overlaps() {
        let mut owners = SlotOwners::default();
        owners.insert(100..=200, 'a').unwrap();
        assert_eq!(owners.insert(200..=300, 'b'), Err(OwnersError::Overlap(200, 300)));
        assert_eq!(owners.insert(0..=100, 'b'), Err(OwnersError::Overlap(0, 100)));
        assert_eq!(owners.insert(16383..=16384, 'b'), Err(OwnersError::Range(16383, 16384)));
        assert_eq!(owners.first_uncovered(), Some(Slot(0)));
        owners.insert(0..=99, 'b').unwrap();
        assert_eq!(owners.first_uncovered(), Some(Slot(201)));
        owners.insert(201..=16383, 'c').unwrap();
        assert_eq!(owners.first_uncovered(), None);
    }

    proptest! {
        #[test]
        fn agrees_with_a_plain_table(ranges in prop::collection::vec((0u16..16384, 0u16..400, any::<u8>()), 0..40)) {
            let mut table = vec![None; usize::from(SLOTS)];
            let mut owners = SlotOwners::default();
            for (start, len, owner) in ranges {
                let end = (start + len).min(SLOTS - 1);
                let free = table[usize::from(start)..=usize::from(end)].iter().all(Option::is_none);
                prop_assert_eq!(owners.insert(start..=end, owner).is_ok(), free);
                if free {
                    table[usize::from(start)..=usize::from(end)].fill(Some(owner));
                }
            }
            for slot in 0..SLOTS {
                prop_assert_eq!(owners.owner(Slot(slot)), table[usize::from(slot)].as_ref());
            }
        }
    }
}
