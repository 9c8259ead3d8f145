//! The name and version at the start of a stream.

use std::fmt;

/// The name and version at the start of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Magic {
    /// The project that defines the format.
    pub family: Family,
    /// Version of the format: 9 from Dragonfly, 1 to 13 from Redis, 80 and above from Valkey.
    pub version: u16,
}

impl fmt::Display for Magic {
    /// As the stream starts: `REDIS0012`, `VALKEY080`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family {
            Family::Redis => write!(f, "REDIS{:04}", self.version),
            Family::Valkey => write!(f, "VALKEY{:03}", self.version),
        }
    }
}

/// The project that defines a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Redis, Dragonfly and Valkey up to 8: `REDIS` and four digits.
    Redis,
    /// Valkey from 9: `VALKEY` and three digits.
    Valkey,
}
