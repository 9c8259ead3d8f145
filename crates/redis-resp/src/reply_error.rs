//! Why bytes are not a reply, and how long a line of a reply may be.

use thiserror::Error;

/// Bytes that are not a RESP2 reply.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplyError {
    /// The first byte is not a known reply type.
    #[error("a RESP2 reply cannot start with 0x{0:02x}")]
    Type(u8),
    /// A status or error line is longer than [`MAX_LINE`].
    #[error("a reply line is longer than {MAX_LINE} bytes")]
    LineTooLong,
    /// The line after `:` is not an integer.
    #[error("an integer reply is malformed: {0:?}")]
    Integer(String),
    /// The length of a bulk string or array is not a number, or is too large.
    #[error("the length of a bulk or array reply is malformed: {0:?}")]
    Length(String),
    /// Arrays are nested too deeply.
    #[error("an array reply is nested too deeply")]
    TooDeep,
    /// The reply is longer than whoever asked can take.
    #[error("the reply is longer than {0} bytes")]
    TooLong(usize),
    /// A bulk or array reply is malformed.
    #[error("a bulk or array reply is malformed: {0}")]
    Nested(String),
}

/// The longest status, integer or error line that is accepted, in bytes.
pub const MAX_LINE: usize = 64 << 10;
