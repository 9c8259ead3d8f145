//! One frame on disk: 48 bytes, then the body. All numbers are little endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 4 | length of the body |
//! | 4 | 4 | database |
//! | 8 | 8 | first position |
//! | 16 | 8 | next position |
//! | 24 | 8 | time of receipt |
//! | 32 | 8 | CRC-64 of the body |
//! | 40 | 8 | CRC-64 of the seed of the segment and the preceding 40 bytes |
//!
//! The seed binds a frame to its segment: frames of an older file that are still on the disk are never valid.

use bytes::{Bytes, BytesMut};
use dfly_wire::{DbIndex, ParseError, Parsed, Step, UnixMillis, crc64, fixed, need};

use crate::damage::{Fault, missing};

/// Size of a frame header, in bytes.
pub(crate) const HEADER: usize = 48;

/// A run of whole journal records, in the order of receipt. A frame begins at the position where the previous one ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame<B = Bytes> {
    /// The position of its first record.
    pub first: u64,
    /// The position after its last record. Equal to `first` if none of its records has a position.
    pub next: u64,
    /// The selected database at its first byte.
    pub db: DbIndex,
    /// The time of receipt.
    pub received_at: UnixMillis,
    /// The records.
    pub body: B,
}

/// A header with a valid checksum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) frame: Frame<()>,
    pub(crate) length: usize,
    checksum: u64,
}

impl<B: AsRef<[u8]>> Frame<B> {
    /// Encodes the header of this frame, with a body of `length` bytes, for the segment with the seed `seed`.
    pub(crate) fn header(&self, length: u32, seed: u64) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER);
        out.extend(length.to_le_bytes());
        out.extend(self.db.0.to_le_bytes());
        out.extend(self.first.to_le_bytes());
        out.extend(self.next.to_le_bytes());
        out.extend(self.received_at.0.to_le_bytes());
        out.extend(crc64::checksum(self.body.as_ref()).to_le_bytes());
        let checksum = seeded(seed, &out);
        out.extend(checksum.to_le_bytes());
        out
    }
}

impl<B> Frame<B> {
    /// The same frame with another body.
    pub(crate) fn with_body<C>(&self, body: C) -> Frame<C> {
        Frame { first: self.first, next: self.next, db: self.db, received_at: self.received_at, body }
    }
}

/// Parses the header at the start of `input`.
///
/// # Errors
/// [`Fault::Header`] if the checksum is wrong.
pub(crate) fn header(input: &[u8], seed: u64) -> Result<Step<Header>, Fault> {
    match fields(input) {
        Ok((_, (header, stated))) => {
            let counted = seeded(seed, input.get(..HEADER - 8).unwrap_or_default());
            if counted == stated { Ok(Step::Ready(header)) } else { Err(Fault::Header) }
        }
        Err(ParseError::Incomplete(_)) => Ok(missing(HEADER, input.len())),
        Err(ParseError::Invalid(_)) => Err(Fault::Header),
    }
}

fn fields(input: &[u8]) -> Parsed<'_, (Header, u64)> {
    if input.len() < HEADER {
        return need(HEADER - input.len());
    }
    let (rest, length) = fixed::u32_le(input)?;
    let (rest, db) = fixed::u32_le(rest)?;
    let (rest, first) = fixed::u64_le(rest)?;
    let (rest, next) = fixed::u64_le(rest)?;
    let (rest, received_at) = fixed::i64_le(rest)?;
    let (rest, checksum) = fixed::u64_le(rest)?;
    let (rest, stated) = fixed::u64_le(rest)?;
    let (db, received_at) = (DbIndex(db), UnixMillis(received_at));
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let frame = Frame { first, next, db, received_at, body: () };
    Ok((rest, (Header { frame, length, checksum }, stated)))
}

fn seeded(seed: u64, data: &[u8]) -> u64 {
    let mut running = crc64::Running::new();
    running.update(&seed.to_le_bytes());
    running.update(data);
    running.finish()
}

impl Header {
    /// Takes the frame, which is complete, out of `src` without a copy.
    ///
    /// # Errors
    /// [`Fault::Body`]. Nothing is consumed.
    pub(crate) fn take(self, src: &mut BytesMut) -> Result<Frame, Fault> {
        let body = src.get(HEADER..self.size()).unwrap_or_default();
        if crc64::checksum(body) != self.checksum {
            return Err(Fault::Body { size: self.size() });
        }
        let body = src.split_to(self.size()).split_off(HEADER).freeze();
        Ok(self.frame.with_body(body))
    }

    /// Size of the frame with its header, in bytes.
    pub(crate) fn size(&self) -> usize {
        HEADER.saturating_add(self.length)
    }
}
