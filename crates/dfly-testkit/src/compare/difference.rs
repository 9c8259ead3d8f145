//! Differences between two values.

use std::fmt;

use bytes::Bytes;

/// One difference of one key.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The database.
    pub db: u32,
    /// The key.
    pub key: Bytes,
    /// What differs.
    pub what: What,
}

/// What differs. `expected` is the source's side, `found` the target's.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// The key is not there.
    Missing,
    /// The key should not be there.
    Extra,
    /// The key could not be read.
    Unreadable(String),
    /// The types differ.
    Type {
        /// The source's type.
        expected: String,
        /// The target's type.
        found: String,
    },
    /// The expiries differ. Both are in Unix milliseconds; -1 means never.
    Expiry {
        /// The source's expiry.
        expected: i64,
        /// The target's expiry.
        found: i64,
    },
    /// The values differ.
    Value(String),
    /// The expiry of a field differs.
    FieldExpiry(String),
    /// A part of a stream other than its entries differs.
    Stream(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "db {} key {}: {}", self.db, self.key.escape_ascii(), self.what)
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("missing"),
            Self::Extra => f.write_str("should not be there"),
            Self::Unreadable(why) => write!(f, "could not be compared: {why}"),
            Self::Type { expected, found } => write!(f, "type {found}, expected {expected}"),
            Self::Expiry { expected, found } => write!(f, "expires at {found}, expected {expected}"),
            Self::Value(what) | Self::FieldExpiry(what) | Self::Stream(what) => f.write_str(what),
        }
    }
}
