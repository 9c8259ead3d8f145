//! Sets of hash slots, as a cluster gives them away. Pure.

use std::collections::BTreeSet;
use std::fmt;

use redis_slots::{SLOTS, Slot};

/// Some of the slots. As text: ranges such as `0-5 7`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct SlotSet(BTreeSet<u16>);

impl SlotSet {
    /// The slots from the first to the last of each pair.
    pub(crate) fn of_ranges(pairs: impl IntoIterator<Item = (u16, u16)>) -> Self {
        Self(pairs.into_iter().flat_map(|(first, last)| first..=last.min(SLOTS - 1)).collect())
    }

    /// From text; what is no range is passed over.
    pub(crate) fn parse(text: &str) -> Self {
        let range = |word: &str| {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            Some((first.parse().ok()?, last.parse().ok()?))
        };
        Self::of_ranges(text.split_whitespace().filter_map(range))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the slot of this key is among them.
    pub(crate) fn holds(&self, key: &[u8]) -> bool {
        self.0.contains(&Slot::of(key).0)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.0.extend(&other.0);
    }

    pub(crate) fn remove(&mut self, other: &Self) {
        self.0.retain(|slot| !other.0.contains(slot));
    }

    /// Those that are in both.
    #[must_use]
    pub(crate) fn common(&self, other: &Self) -> Self {
        Self(self.0.intersection(&other.0).copied().collect())
    }
}

impl fmt::Display for SlotSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let slots: Vec<u16> = self.0.iter().copied().collect();
        for (nth, range) in slots.chunk_by(|one, next| *next == one + 1).enumerate() {
            let separator = if nth == 0 { "" } else { " " };
            match range {
                [only] => write!(f, "{separator}{only}")?,
                [first, .., last] => write!(f, "{separator}{first}-{last}")?,
                [] => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_text() {
        for text in ["", "7", "0-5 7", "0-16383"] {
            assert_eq!(SlotSet::parse(text).to_string(), text);
        }
        let of = SlotSet::of_ranges([(3, 4), (5, 5), (16383, 20000)]);
        assert_eq!((of.to_string().as_str(), of.len()), ("3-5 16383", 4));
        assert_eq!(SlotSet::parse("x 5-1 7 -2").to_string(), "7");
    }

    #[test]
    fn keys_and_other_sets() {
        let mut set = SlotSet::parse("449 8000-9000");
        assert!(set.holds(b"k2") && set.holds(b"{k2}x") && !set.holds(b"k1"));
        assert_eq!(set.common(&SlotSet::parse("8900-9999")).to_string(), "8900-9000");
        set.remove(&SlotSet::parse("8000-8999"));
        assert_eq!(set.to_string(), "449 9000");
        set.add(&SlotSet::parse("9001"));
        assert_eq!(set.to_string(), "449 9000-9001");
    }
}
