//! Keys whose values must be refetched from the source, because a record does not say what the source did.

use std::fmt;

use bytes::Bytes;
use dfly_wire::DbIndex;

/// A key to be refetched. The caller that follows the journal serves these requests, in step with the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefetchRequest {
    /// The key's database on the source.
    pub db: DbIndex,
    /// The key on the source.
    pub key: Bytes,
    /// Why the key must be refetched.
    pub reason: Reason,
}

/// Why a key must be refetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The master reduced the record to this flow's own keys (protocol section 3.9).
    Truncated,
    /// The master wrote scores with six significant digits (protocol section 3.9).
    Digits,
    /// The record stores a result of SORT or GEORADIUS. Redis sorts and measures differently.
    Stored,
    /// The record of PFMERGE does not say that the key kept its expiry.
    HyperLogLog,
    /// The record does not say that the key kept its expiry. It matters only if the key has one.
    KeptExpiry,
    /// What the record does depends on how the source stores the value.
    Ambiguous,
    /// A form of a command that has no equivalent on the target.
    Form,
    /// A change to a part of a document that the target holds as text.
    JsonText,
    /// The record's keys are in different slots of the target, or only some of them are selected.
    Torn,
    /// The target refused the record.
    Refused,
    /// The target is a cluster. While the slot moved to another node, the record lost its place in the order of the slot.
    Moved,
    /// The target let the key expire before a record arrived for which the key still existed on the source.
    Expired,
    /// The command is not in the table. The key is one of its arguments.
    Unknown,
}

impl Reason {
    /// The name in reports and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated-record",
            Self::Digits => "six-digit-scores",
            Self::Stored => "stored-result",
            Self::HyperLogLog => "hyperloglog",
            Self::KeptExpiry => "kept-expiry",
            Self::Ambiguous => "ambiguous-record",
            Self::Form => "command-form",
            Self::JsonText => "json-text",
            Self::Torn => "torn-record",
            Self::Refused => "refused",
            Self::Moved => "moved-slot",
            Self::Expired => "expired-early",
            Self::Unknown => "unknown-command",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
