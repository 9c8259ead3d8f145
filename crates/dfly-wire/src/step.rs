//! Incremental decoding: parse a borrowed slice, then consume it once, or report how many bytes are missing.

use std::num::NonZeroUsize;

use bytes::{Buf, Bytes, BytesMut};
use thiserror::Error;

/// The outcome of one decoding call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<T> {
    /// One whole item. Its bytes are consumed.
    Ready(T),
    /// The item is incomplete: at least this many more bytes are needed. Nothing is consumed.
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

/// The result of a parser: the rest of the input and the value, or the reason why there is no value.
pub type Parsed<'a, T> = Result<(&'a [u8], T), ParseError>;

/// Why a parser returned no value.
// The representation has a tag of its own. Otherwise the tag is a niche of `FaultKind`, and testing it after every field
// costs a fifth of the speed at which sets are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[repr(u8)]
pub enum ParseError {
    /// The input ends inside the value: at least this many more bytes are needed.
    #[error("at least {0} more bytes are needed")]
    Incomplete(NonZeroUsize),
    /// No continuation of the input can be valid.
    #[error(transparent)]
    Invalid(#[from] Fault),
}

/// Input that no continuation can make valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{kind}")]
pub struct Fault {
    /// How many bytes of the parsed slice remain at the fault: its offset is the length of the slice minus this.
    pub remaining: usize,
    /// The rule that the input breaks.
    pub kind: FaultKind,
}

/// The rule that the input breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// The first byte of a packed integer is not one of the known forms (protocol section 3.2).
    #[error("0x{0:02x} is not the first byte of a packed integer")]
    PackedForm(u8),
    /// A length field holds the marker of an encoded string instead of a number.
    #[error("an encoded string marker (0x{0:02x}) where a plain length is expected")]
    UnexpectedEncoding(u8),
    /// A length exceeds its limit.
    #[error("length {found} is over the limit of {limit}")]
    OverLimit {
        /// The length on the wire, in bytes or items.
        found: u64,
        /// The largest length that is accepted, in the same unit.
        limit: u64,
    },
    /// A field has a value that its format does not allow. The text names the field and the rule.
    #[error("{0}")]
    Invalid(&'static str),
}

impl Fault {
    /// The result of a parser that finds a fault at the start of `input`.
    pub fn at<T>(input: &[u8], kind: FaultKind) -> Parsed<'_, T> {
        Err(ParseError::Invalid(Self { remaining: input.len(), kind }))
    }
}

/// The result of a parser whose input is at least `missing` bytes too short. A `missing` of 0 counts as 1.
pub fn need<'a, T>(missing: usize) -> Parsed<'a, T> {
    Err(ParseError::Incomplete(NonZeroUsize::new(missing).unwrap_or(NonZeroUsize::MIN)))
}

/// A buffer that a decoder consumes, such as the read buffer of a connection or a decompressed blob.
pub trait Source {
    /// The bytes that have arrived and are not consumed.
    fn unread(&self) -> &[u8];
    /// Consumes and discards `n` bytes, at most `unread().len()`.
    fn skip(&mut self, n: usize);
    /// Consumes and returns `n` bytes, at most `unread().len()`, without copying them.
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

/// Runs `parse` over the unread bytes. On success it consumes exactly the bytes that `parse` used, otherwise nothing.
///
/// # Errors
/// The [`Fault`] of the parser.
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
        Err(ParseError::Incomplete(n)) => Ok(Step::Need(n)),
        Err(ParseError::Invalid(fault)) => Err(fault),
    }
}
