//! The one shape of an incremental decoder: parse a borrowed slice, then consume it once, or say how much is missing.

use std::num::NonZeroUsize;

use bytes::{Buf, Bytes, BytesMut};
use nom::error::{ErrorKind, ParseError};
use thiserror::Error;

/// What one decoding call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<T> {
    /// One whole item; its bytes are consumed.
    Ready(T),
    /// No whole item is there, and fewer than this many further bytes cannot help.
    Need(NonZeroUsize),
}

impl<T> Step<T> {
    /// Applies `f` to the item, if there is one.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Step<U> {
        match self {
            Self::Ready(item) => Step::Ready(f(item)),
            Self::Need(n) => Step::Need(n),
        }
    }
}

/// The result of a leaf parser: the rest of the input and the value, or how much is missing, or why it can never be valid.
pub type Parsed<'a, T> = nom::IResult<&'a [u8], T, Fault>;

/// Bytes that no continuation can make valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{kind}")]
pub struct Fault {
    /// How many bytes of the parsed slice were left where the fault was found.
    pub remaining: usize,
    /// What is wrong there.
    pub kind: FaultKind,
}

/// What is wrong with the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// The first byte of a packed integer names no known form (protocol section 3.2).
    #[error("0x{0:02x} starts no packed integer")]
    PackedForm(u8),
    /// A string's special encoding stands where a plain integer is expected.
    #[error("an encoded string marker (0x{0:02x}) stands where a plain length is expected")]
    UnexpectedEncoding(u8),
    /// A length is larger than its limit.
    #[error("length {found} is over the limit of {limit}")]
    OverLimit {
        /// The length on the wire, in bytes or items.
        found: u64,
        /// The largest length that is accepted.
        limit: u64,
    },
    /// A field holds what its format does not allow; the text names the field and the rule.
    #[error("{0}")]
    Invalid(&'static str),
    /// A combinator refused the input.
    #[error("malformed input ({0:?})")]
    Malformed(ErrorKind),
}

impl ParseError<&[u8]> for Fault {
    fn from_error_kind(input: &[u8], kind: ErrorKind) -> Self {
        Self { remaining: input.len(), kind: FaultKind::Malformed(kind) }
    }

    fn append(_input: &[u8], _kind: ErrorKind, other: Self) -> Self {
        other
    }
}

impl Fault {
    /// A fault at the start of `input`, as a parser returns it.
    pub fn at<T>(input: &[u8], kind: FaultKind) -> Parsed<'_, T> {
        Err(nom::Err::Failure(Self { remaining: input.len(), kind }))
    }
}

/// "At least `missing` more bytes are needed", as a parser returns it. `missing` of 0 counts as 1.
pub fn need<'a, T>(missing: usize) -> Parsed<'a, T> {
    let missing = NonZeroUsize::new(missing).unwrap_or(NonZeroUsize::MIN);
    Err(nom::Err::Incomplete(nom::Needed::Size(missing)))
}

/// Where a decoder takes its bytes from: the connection's buffer, or a decompressed blob.
pub trait Source {
    /// All bytes that have arrived and are not consumed.
    fn unread(&self) -> &[u8];
    /// Consumes `n` bytes without looking at them. `n` is at most `unread().len()`.
    fn skip(&mut self, n: usize);
    /// Consumes `n` bytes and keeps them, without a copy. `n` is at most `unread().len()`.
    fn take(&mut self, n: usize) -> Bytes;
}

impl Source for BytesMut {
    fn unread(&self) -> &[u8] {
        self
    }
    fn skip(&mut self, n: usize) {
        self.advance(n);
    }
    fn take(&mut self, n: usize) -> Bytes {
        self.split_to(n).freeze()
    }
}

impl Source for Bytes {
    fn unread(&self) -> &[u8] {
        self
    }
    fn skip(&mut self, n: usize) {
        self.advance(n);
    }
    fn take(&mut self, n: usize) -> Bytes {
        self.split_to(n)
    }
}

/// The commit point: runs `parse` over what is unread and consumes exactly what it used, only if it succeeded.
///
/// # Errors
/// The parser's [`Fault`]; nothing is consumed then.
pub fn commit<S: Source, T>(
    src: &mut S,
    parse: impl for<'a> FnOnce(&'a [u8]) -> Parsed<'a, T>,
) -> Result<Step<T>, Fault> {
    let before = src.unread().len();
    match parse(src.unread()) {
        Ok((rest, value)) => {
            let used = before - rest.len();
            src.skip(used);
            Ok(Step::Ready(value))
        }
        Err(nom::Err::Incomplete(nom::Needed::Size(n))) => Ok(Step::Need(n)),
        Err(nom::Err::Incomplete(nom::Needed::Unknown)) => Ok(Step::Need(NonZeroUsize::MIN)),
        Err(nom::Err::Error(fault) | nom::Err::Failure(fault)) => Err(fault),
    }
}
