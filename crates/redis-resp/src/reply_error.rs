//! Why bytes are no reply, and how long a line of one may be.

use thiserror::Error;

/// Bytes that are no RESP2 reply.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// The first byte names no reply type.
    #[error("0x{0:02x} starts no RESP2 reply")]
    Type(u8),
    /// A status or error line is longer than [`MAX_LINE`].
    #[error("a reply line is longer than {MAX_LINE} bytes")]
    LineTooLong,
    /// The line after `:` is no integer.
    #[error("an integer reply is malformed: {0:?}")]
    Integer(String),
    /// The length of a bulk string or array is no number, or is too large.
    #[error("the length of a bulk or array reply is malformed: {0:?}")]
    Length(String),
    /// Arrays within arrays within arrays.
    #[error("an array reply nests too deep")]
    TooDeep,
    /// A bulk or array reply is malformed.
    #[error("a bulk or array reply is malformed: {0}")]
    Nested(String),
}

/// The longest status, integer or error line that is accepted, in bytes.
pub const MAX_LINE: usize = 64 << 10;
