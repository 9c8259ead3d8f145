//! Inputs of the decoder, reasons why a step stops, and the byte count and checksum of the outer stream.

use std::num::NonZeroUsize;

use bytes::{Bytes, BytesMut};
use dfly_wire::crc64::Running;
use dfly_wire::{Fault, FaultKind, ParseError, Parsed, Source, Step, commit, fixed};

use crate::error::{ErrorKind, KeyExcerpt};
use crate::string::Str;
use crate::text::IntBuffer;

/// A source of items.
pub(crate) trait Input: Source {
    /// Whether this is the outer stream, not a blob inside it.
    const OUTER: bool;

    /// The checksum of all consumed bytes, if it is computed.
    fn digest(&self) -> Option<u64>;
}

/// The caller's buffer. Consumed bytes are counted, and added to the checksum if one may follow.
pub(crate) struct Outer<'a> {
    pub(crate) src: &'a mut BytesMut,
    pub(crate) meter: &'a mut Meter,
}

/// Byte count and checksum of the consumed part of the outer stream.
#[derive(Debug)]
pub(crate) struct Meter {
    pub(crate) offset: u64,
    pub(crate) crc: Option<Running>,
}

impl Meter {
    #[inline]
    fn count(&mut self, bytes: &[u8]) {
        self.offset += bytes.len() as u64;
        if let Some(crc) = &mut self.crc {
            crc.update(bytes);
        }
    }
}

impl Source for Outer<'_> {
    #[inline]
    fn unread(&self) -> &[u8] {
        self.src
    }

    #[inline]
    fn skip(&mut self, n: usize) {
        self.meter.count(self.src.get(..n).unwrap_or_default());
        self.src.skip(n);
    }

    #[inline]
    fn take(&mut self, n: usize) -> Bytes {
        let bytes = self.src.take(n);
        self.meter.count(&bytes);
        bytes
    }
}

impl Input for Outer<'_> {
    const OUTER: bool = true;

    fn digest(&self) -> Option<u64> {
        self.meter.crc.as_ref().map(Running::finish)
    }
}

impl Input for Bytes {
    const OUTER: bool = false;

    fn digest(&self) -> Option<u64> {
        None
    }
}

/// Why a step has no result.
#[derive(Debug)]
pub(crate) enum Stop {
    /// At least this many more bytes are needed.
    Need(NonZeroUsize),
    Fail(Box<Fail>),
}

/// A fault, with its place in the current input.
#[derive(Debug)]
pub(crate) struct Fail {
    /// Offset of the fault in the unread bytes.
    pub(crate) at: usize,
    pub(crate) opcode: Option<u8>,
    pub(crate) key: Option<KeyExcerpt>,
    pub(crate) kind: ErrorKind,
}

impl Stop {
    pub(crate) fn need(missing: usize) -> Self {
        Self::Need(NonZeroUsize::new(missing).unwrap_or(NonZeroUsize::MIN))
    }

    /// A fault at the start of the unread bytes.
    pub(crate) fn fail(opcode: u8, kind: ErrorKind) -> Self {
        Self::Fail(Box::new(Fail { at: 0, opcode: Some(opcode), key: None, kind }))
    }

    /// The error of a parser that ran over `unread` bytes.
    pub(crate) fn parser(unread: usize, error: ParseError) -> Self {
        match error {
            ParseError::Incomplete(n) => Self::Need(n),
            ParseError::Invalid(fault) => Self::fault(unread, fault),
        }
    }

    fn fault(unread: usize, fault: Fault) -> Self {
        let at = unread.saturating_sub(fault.remaining);
        Self::Fail(Box::new(Fail { at, opcode: None, key: None, kind: ErrorKind::Malformed(fault.kind) }))
    }

    /// Adds the item that the fault belongs to.
    pub(crate) fn of(mut self, opcode: u8, key: Option<&[u8]>) -> Self {
        if let Self::Fail(fail) = &mut self {
            fail.opcode.get_or_insert(opcode);
            fail.key = fail.key.take().or_else(|| key.map(KeyExcerpt::new));
        }
        self
    }

    /// As `of`, with a key in its stored form.
    pub(crate) fn of_key(self, opcode: u8, key: Str<'_>) -> Self {
        if matches!(self, Self::Need(_)) {
            return self;
        }
        let key = key.text().ok();
        let mut buffer = IntBuffer::new();
        self.of(opcode, key.as_ref().map(|key| key.as_bytes(&mut buffer)))
    }

    /// A broken rule at the start of the unread bytes.
    pub(crate) fn invalid(opcode: u8, rule: &'static str) -> Self {
        Self::fail(opcode, ErrorKind::Malformed(FaultKind::Invalid(rule)))
    }
}

/// Parses and consumes an item: its opcode, which is the first byte, and its body, by `parse`.
pub(crate) fn read<S: Source, T>(
    src: &mut S,
    parse: impl for<'a> FnOnce(&'a [u8]) -> Parsed<'a, T>,
) -> Result<T, Stop> {
    let opcode = src.unread().first().copied().unwrap_or_default();
    read_part(src, |input| fixed::u8(input).and_then(|(rest, _)| parse(rest)))
        .map_err(|stop| stop.of(opcode, None))
}

/// Parses and consumes a part of an item.
pub(crate) fn read_part<S: Source, T>(
    src: &mut S,
    parse: impl for<'a> FnOnce(&'a [u8]) -> Parsed<'a, T>,
) -> Result<T, Stop> {
    let unread = src.unread().len();
    match commit(src, parse) {
        Ok(Step::Ready(value)) => Ok(value),
        Ok(Step::Need(n)) => Err(Stop::Need(n)),
        Err(fault) => Err(Stop::fault(unread, fault)),
    }
}

/// Consumes and returns an item with its opcode, without a copy. `measure` parses the body.
pub(crate) fn frame<S: Source>(
    src: &mut S,
    measure: impl for<'a> FnOnce(&'a [u8]) -> Parsed<'a, ()>,
) -> Result<Bytes, Stop> {
    let input = src.unread();
    let opcode = input.first().copied().unwrap_or_default();
    let measured = fixed::u8(input).and_then(|(rest, _)| measure(rest));
    let (rest, ()) = measured.map_err(|error| Stop::parser(input.len(), error).of(opcode, None))?;
    let size = input.len() - rest.len();
    Ok(src.take(size))
}
