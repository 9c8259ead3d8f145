//! What a comparison says about one key.

use std::fmt;

use dfly_journal::Lsn;
use dfly_replica::{SourceKey, TargetKey};
use dfly_translate::Loss;
use dfly_wire::{DbIndex, UnixMillis};
use serde::{Deserialize, Serialize};

/// A key that is compared: its name on both sides.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// On the source.
    pub source: SourceKey,
    /// On the target.
    pub target: TargetKey,
}

/// What was found out about a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Both sides hold the same, or neither holds anything.
    Equal,
    /// They do not.
    Different(Different),
    /// The target cannot hold it, and the policy is to leave it out.
    LeftOut(Loss),
    /// The settings of the replication leave it out, so it is not compared.
    Unselected,
    /// It could not be compared; the reason in words.
    NotCompared(String),
}

/// What came of a comparison in step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExactVerdict {
    /// The key.
    pub pair: Pair,
    /// The verdict.
    pub verdict: Verdict,
    /// Whether the target has the key.
    pub is_on_target: bool,
    /// Before which record of the key's flow it holds; `None` if there is no verdict about its value.
    pub lsn: Option<Lsn>,
}

/// A key that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Different {
    /// What differs. Never empty.
    pub what: Vec<What>,
    /// The source's side.
    pub source: Outline,
    /// The target's side.
    pub target: Outline,
    /// Stands for what both sides held, so that it can be told later whether either has changed.
    pub print: (u64, u64),
}

/// What differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// Only the source has the key.
    Missing,
    /// Only the target has it.
    Extra,
    /// The types.
    Type,
    /// The expiries, by more than the tolerance.
    Expiry,
    /// How many elements or bytes there are.
    Length,
    /// The bytes of a string, a document, or a value that is compared as a whole.
    Value,
    /// Elements: that one side lacks, or with another value, score or place.
    Elements {
        /// How many were found that differ.
        differ: u64,
    },
    /// The expiries of fields or members, by more than the tolerance.
    FieldExpiries {
        /// How many differ.
        differ: u64,
    },
    /// The last id of a stream, its highest deleted id, or how many entries were ever added.
    StreamState,
    /// Groups of a stream: one side lacks them, or they have read to another entry.
    Groups {
        /// How many differ.
        differ: u64,
    },
    /// Consumers of groups that are on both sides.
    Consumers {
        /// How many differ.
        differ: u64,
    },
    /// Delivered entries that are not acknowledged, of groups that are on both sides.
    Pending {
        /// How many differ.
        differ: u64,
    },
}

impl What {
    /// The name in reports, without the count.
    pub fn name(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Extra => "extra",
            Self::Type => "type",
            Self::Expiry => "expiry",
            Self::Length => "length",
            Self::Value => "value",
            Self::Elements { .. } => "elements",
            Self::FieldExpiries { .. } => "field-expiries",
            Self::StreamState => "stream-state",
            Self::Groups { .. } => "groups",
            Self::Consumers { .. } => "consumers",
            Self::Pending { .. } => "pending",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Elements { differ }
            | Self::FieldExpiries { differ }
            | Self::Groups { differ }
            | Self::Consumers { differ }
            | Self::Pending { differ } => write!(f, " ({differ})"),
            _ => Ok(()),
        }
    }
}

/// What one side holds under a key, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Outline {
    /// The type, as TYPE names it; `None`: there is no such key.
    pub kind: Option<String>,
    /// How many elements it has, or bytes if it has none; `None`: not read.
    pub length: Option<u64>,
    /// When it expires, in Unix milliseconds; `None`: never.
    pub expires_at: Option<i64>,
}

impl Outline {
    /// No key.
    pub fn absent() -> Self {
        Self::default()
    }

    /// Whether it has expired at this time of its server.
    pub fn is_expired(&self, now: UnixMillis) -> bool {
        self.expires_at.is_some_and(|at| at <= now.0)
    }
}

impl fmt::Display for Outline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(kind) = &self.kind else { return f.write_str("none") };
        f.write_str(kind)?;
        if let Some(length) = self.length {
            write!(f, " of {length}")?;
        }
        match self.expires_at {
            Some(at) => write!(f, ", expires at {at}"),
            None => Ok(()),
        }
    }
}

/// How sure it is that a key differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "certainty")]
pub enum Certainty {
    /// Neither side has changed over two rounds.
    Differs,
    /// A side has changed between the rounds, or there was only one: it differs, or somebody writes to it.
    DiffersOrChanges,
    /// The comparison was made in step: it holds exactly when the source's journal stands before this record of the key's flow.
    Exact {
        /// The record.
        lsn: u64,
    },
}

impl fmt::Display for Certainty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Differs => f.write_str("differs"),
            Self::DiffersOrChanges => f.write_str("differs or changes"),
            Self::Exact { lsn } => write!(f, "differs at LSN {lsn}"),
        }
    }
}

/// A database as text stands in reports.
pub(crate) fn shown_key(db: DbIndex, name: &[u8]) -> String {
    format!("db {db} {}", name.escape_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_text() {
        let outline = Outline { kind: Some("hash".into()), length: Some(3), expires_at: Some(99) };
        assert_eq!(outline.to_string(), "hash of 3, expires at 99");
        assert_eq!(Outline::absent().to_string(), "none");
        assert_eq!(What::Elements { differ: 2 }.to_string(), "elements (2)");
        assert_eq!(shown_key(DbIndex(3), b"a\n"), "db 3 a\\n");
        assert!(outline.is_expired(UnixMillis(99)) && !outline.is_expired(UnixMillis(98)));
    }
}
