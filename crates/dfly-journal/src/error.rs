//! Errors of the journal decoder.

use dfly_wire::FaultKind;
use thiserror::Error;

use crate::record::Lsn;

/// A journal that cannot be decoded. The stream has no framing to resynchronise on, so the flow must start over.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("journal byte {offset}: {kind}")]
pub struct Error {
    /// Offset of the faulty record in the bytes of this decoder.
    pub offset: u64,
    /// The kind of the fault.
    #[source]
    pub kind: ErrorKind,
}

/// The kind of a fault in a journal.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// An opcode that does not occur on a replication flow.
    #[error("unknown journal opcode {0}")]
    Opcode(u64),
    /// A packed integer is malformed, or a length is over its limit.
    #[error(transparent)]
    Malformed(#[from] FaultKind),
    /// A command has no name.
    #[error("a command with no strings at all")]
    NoName,
    /// The sizes of the arguments do not add up to the announced size.
    #[error("the arguments are {found} bytes, {announced} were announced")]
    Size {
        /// Announced, in bytes.
        announced: u64,
        /// Found, in bytes.
        found: u64,
    },
    /// An LSN marker differs from the counted LSN.
    #[error("the master says the last record was {announced}, {counted} were counted")]
    Position {
        /// The LSN that the marker names.
        announced: Lsn,
        /// The LSN of the last record by the count of the decoder.
        counted: Lsn,
    },
    /// A database number exceeds 32 bits.
    #[error("database number {0} is out of range")]
    Database(u64),
    /// A journal blob ends inside a record.
    #[error("the journal blob ends inside a record")]
    Truncated,
}
