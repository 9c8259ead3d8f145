//! Why a journal cannot be followed any further.

use dfly_wire::FaultKind;
use thiserror::Error;

use crate::record::Lsn;

/// A journal that cannot be followed. The stream has no framing to resynchronise on: the flow must start over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("journal byte {offset}: {kind}")]
pub struct Error {
    /// Bytes consumed by this decoder before the record at fault.
    pub offset: u64,
    /// What is wrong.
    #[source]
    pub kind: ErrorKind,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An opcode that never stands on a replication flow.
    #[error("unknown journal opcode {0}")]
    Opcode(u64),
    /// The primitive below is malformed.
    #[error(transparent)]
    Malformed(#[from] FaultKind),
    /// A command without a name.
    #[error("a command with no strings at all")]
    NoName,
    /// The strings do not add up to the size that was announced before them.
    #[error("the arguments are {found} bytes, {announced} were announced")]
    Size {
        /// Announced, in bytes.
        announced: u64,
        /// Found, in bytes.
        found: u64,
    },
    /// An LSN marker disagrees with the records that were counted (invariant I6).
    #[error("the master says the last record was {announced}, {counted} were counted")]
    Position {
        /// The LSN that the marker names.
        announced: Lsn,
        /// The LSN of the last record by our own count.
        counted: Lsn,
    },
    /// A database number beyond u32.
    #[error("database number {0} is out of range")]
    Database(u64),
    /// A journal blob of the snapshot ends inside a record.
    #[error("the journal blob ends inside a record")]
    Truncated,
}
