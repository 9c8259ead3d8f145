//! Keys whose value has to be refetched: read again from the source, because a record does not tell what the source did.

use std::fmt;

use bytes::Bytes;
use dfly_wire::DbIndex;

/// A key to be refetched. Whoever follows the journal serves these, in step with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefetchRequest {
    /// The key's database on the source.
    pub db: DbIndex,
    /// The key on the source.
    pub key: Bytes,
    /// Why.
    pub reason: Reason,
}

/// Why a key has to be refetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The master cut the record down to this flow's own keys (protocol section 3.9).
    Truncated,
    /// The master wrote scores with six significant digits (protocol section 3.9).
    Digits,
    /// The result of SORT or GEORADIUS, which a Redis orders and measures otherwise.
    Stored,
    /// PFMERGE does not say that the key kept its expiry.
    HyperLogLog,
    /// A form of a command that has no equal on the target.
    Form,
    /// A change within a document that the target holds as text.
    JsonText,
    /// The record's keys lie in different slots of the target, or only in part in the selection.
    Torn,
    /// The target refused the record.
    Refused,
    /// The target, a cluster, carried it out behind a later record of its slot, which was on its way to another node.
    Moved,
    /// The target had let the key expire before a record that saw it alive on the source came.
    Expired,
}

impl Reason {
    /// The name in reports and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Self::Truncated => "truncated-record",
            Self::Digits => "six-digit-scores",
            Self::Stored => "stored-result",
            Self::HyperLogLog => "hyperloglog",
            Self::Form => "command-form",
            Self::JsonText => "json-text",
            Self::Torn => "torn-record",
            Self::Refused => "refused",
            Self::Moved => "moved-slot",
            Self::Expired => "expired-early",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
