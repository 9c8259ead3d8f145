//! What grows, and what is measured at each place.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::data::Data;

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Series {
    /// Strings of 100 bytes, 1 to 16 million.
    Keys,
    /// Flows of the scripted master, 1 to 64, with the same million keys in all.
    Flows,
    /// Bytes of a value, 10 to 100 million, with half a gigabyte in all where that is no more than a million keys.
    Values,
    /// Milliseconds of a round trip to the target, 0 to 50.
    RoundTrip,
}

/// Bytes of a value where it is not the values that grow.
const VALUE: u32 = 100;

/// Bytes of all values where it is they that grow.
const ALL_VALUES: u32 = 512_000_000;

/// More keys than this are not needed for a steady rate.
const ENOUGH_KEYS: u32 = 1_000_000;

/// The fewest keys: a copy of one value alone says nothing of the value after it.
const FEWEST_KEYS: u32 = 4;

/// More keys than this are too much for the memory of a scripted master, which keeps a model of them.
const SCRIPTED_KEYS: u32 = 4_000_000;

impl Series {
    pub(crate) const ALL: [Self; 4] = [Self::Keys, Self::Flows, Self::Values, Self::RoundTrip];

    /// The name of its picture.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Keys => "keys",
            Self::Flows => "flows",
            Self::Values => "values",
            Self::RoundTrip => "round-trip",
        }
    }

    /// What is measured, in the unit of the series.
    pub(crate) fn places(self) -> &'static [u32] {
        match self {
            Self::Keys => &[1_000_000, 4_000_000, 16_000_000],
            Self::Flows => &[1, 2, 4, 8, 16, 32, 64],
            Self::Values => &[10, 100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000],
            Self::RoundTrip => &[0, 1, 2, 5, 10, 20, 50],
        }
    }

    /// The data at a place; the number of keys is divided.
    pub(crate) fn data(self, place: u32, divide: u32) -> Data {
        let divided = |keys: u32| (keys / divide.max(1)).max(FEWEST_KEYS);
        match self {
            Self::Keys => Data { keys: divided(place), value: VALUE },
            Self::Flows | Self::RoundTrip => Data { keys: divided(ENOUGH_KEYS), value: VALUE },
            Self::Values => {
                Data { keys: divided((ALL_VALUES / place.max(1)).min(ENOUGH_KEYS)), value: place }
            }
        }
    }

    /// Whether the source is the scripted master even if there is a Dragonfly: that asks for much memory for each of its
    /// threads.
    pub(crate) fn is_scripted(self) -> bool {
        self == Self::Flows
    }

    /// Whether a source can hold the data.
    pub(crate) fn fits(data: Data, is_live: bool) -> bool {
        is_live || data.keys <= SCRIPTED_KEYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_half_a_gigabyte_but_no_more_than_a_million() {
        let keys = |place| Series::Values.data(place, 1).keys;
        assert_eq!([10, 1000, 100_000_000].map(keys), [1_000_000, 512_000, 5]);
        assert_eq!(Series::Values.data(100_000_000, 100).keys, FEWEST_KEYS);
        assert_eq!(Series::Keys.data(16_000_000, 100), Data { keys: 160_000, value: 100 });
        assert!(!Series::fits(Series::Keys.data(16_000_000, 1), false));
    }
}
