//! The format of a segment: a header of 72 bytes, then frames. All numbers are little endian.
//!
//! | offset | bytes | what |
//! |---|---|---|
//! | 0 | 8 | `DF2RELAY` |
//! | 8 | 4 | format, 1 |
//! | 12 | 2 | flow |
//! | 14 | 2 | number of flows |
//! | 16 | 40 | id of the source |
//! | 56 | 8 | first position |
//! | 64 | 8 | CRC-64 of the preceding 64 bytes; the seed of the checksums of frames |

use std::ffi::OsStr;

use bytes::BytesMut;
use dfly_wire::{Parsed, Step, crc64, fixed};

pub use crate::damage::Fault;

use crate::damage::missing;
use crate::frame::{Frame, header};
use crate::identity::{Identity, SOURCE_ID};

/// Size of a segment header, in bytes.
pub const HEADER: usize = 72;

const MAGIC: [u8; 8] = *b"DF2RELAY";
const FORMAT: u32 = 1;
const SUFFIX: &str = ".relay";
/// The number of decimal digits of the largest position.
const DIGITS: usize = 20;

/// The header of a segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentHeader {
    /// The owner of the log.
    pub identity: Identity,
    /// The first position of the segment.
    pub first: u64,
}

impl SegmentHeader {
    /// Encodes the header.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER);
        out.extend(MAGIC);
        out.extend(FORMAT.to_le_bytes());
        out.extend(self.identity.flow.to_le_bytes());
        out.extend(self.identity.flows.to_le_bytes());
        out.extend(self.identity.source_id);
        out.extend(self.first.to_le_bytes());
        out.extend(crc64::checksum(&out).to_le_bytes());
        out
    }

    /// Parses the header at the start of `input`.
    ///
    /// # Errors
    /// [`Fault`] if the header is invalid.
    pub fn parse(input: &[u8]) -> Result<Step<Self>, Fault> {
        if input.len() < HEADER {
            return Ok(missing(HEADER, input.len()));
        }
        match fields(input) {
            Ok((_, (MAGIC, FORMAT, header, stated))) => header.checked(input, stated).map(Step::Ready),
            Ok((_, (MAGIC, format, ..))) => Err(Fault::Format(format)),
            _ => Err(Fault::Magic),
        }
    }

    fn checked(self, input: &[u8], stated: u64) -> Result<Self, Fault> {
        if crc64::checksum(input.get(..HEADER - 8).unwrap_or_default()) != stated {
            return Err(Fault::SegmentHeader);
        }
        let Identity { flow, flows, source_id } = &self.identity;
        let sound = flow < flows && source_id.iter().all(u8::is_ascii_graphic);
        if sound { Ok(self) } else { Err(Fault::SegmentFields) }
    }

    /// The seed of the checksums of this segment's frames.
    pub(crate) fn seed(&self) -> u64 {
        crc64::checksum(self.encode().get(..HEADER - 8).unwrap_or_default())
    }

    /// The name of the segment's file: its first position in 20 digits, so that names sort as positions do.
    pub fn file_name(&self) -> String {
        file_name(self.first)
    }
}

type Fields = ([u8; 8], u32, SegmentHeader, u64);

fn fields(input: &[u8]) -> Parsed<'_, Fields> {
    let (rest, magic) = fixed::array(input)?;
    let (rest, format) = fixed::u32_le(rest)?;
    let (rest, flow) = fixed::u16_le(rest)?;
    let (rest, flows) = fixed::u16_le(rest)?;
    let (rest, source_id) = fixed::array::<SOURCE_ID>(rest)?;
    let (rest, first) = fixed::u64_le(rest)?;
    let (rest, stated) = fixed::u64_le(rest)?;
    let identity = Identity { source_id, flow, flows };
    Ok((rest, (magic, format, SegmentHeader { identity, first }, stated)))
}

pub(crate) fn file_name(first: u64) -> String {
    format!("{first:0DIGITS$}{SUFFIX}")
}

/// The meaning of a file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Named {
    /// A segment that begins at this position.
    Segment(u64),
    /// It has the suffix of a segment, but is not the name of one.
    Malformed,
    /// Another file.
    Other,
}

pub(crate) fn named(name: &OsStr) -> Named {
    let Some(digits) = name.to_str().and_then(|name| name.strip_suffix(SUFFIX)) else {
        return Named::Other;
    };
    let plain = digits.len() == DIGITS && digits.bytes().all(|byte| byte.is_ascii_digit());
    match digits.parse() {
        Ok(first) if plain => Named::Segment(first),
        _ => Named::Malformed,
    }
}

/// Decodes the frames of one segment, after its header, and checks that they are contiguous.
#[derive(Debug, Clone)]
pub struct Decoder {
    seed: u64,
    next: u64,
    limit: usize,
}

impl Decoder {
    /// A decoder of the frames after `header`, with bodies of at most `limit` bytes.
    pub fn new(header: &SegmentHeader, limit: usize) -> Self {
        Self { seed: header.seed(), next: header.first, limit }
    }

    /// The position after the last frame.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Decodes one frame of `src`. Its body shares the memory of `src`.
    ///
    /// # Errors
    /// [`Fault`]. Nothing is consumed.
    pub fn decode(&mut self, src: &mut BytesMut) -> Result<Step<Frame>, Fault> {
        let header = match header(src, self.seed)? {
            Step::Ready(header) => header,
            Step::Need(n) => return Ok(Step::Need(n)),
        };
        if header.length > self.limit {
            return Err(Fault::OverLimit { found: header.length, limit: self.limit });
        }
        let (first, next) = (header.frame.first, header.frame.next);
        if first != self.next || next < first {
            return Err(Fault::Position { first, next, expected: self.next });
        }
        if header.size() > src.len() {
            return Ok(missing(header.size(), src.len()));
        }
        let frame = header.take(src)?;
        self.next = next;
        Ok(Step::Ready(frame))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_files() {
        assert_eq!(file_name(65), "00000000000000000065.relay");
        for first in [0, 65, u64::MAX] {
            assert_eq!(named(file_name(first).as_ref()), Named::Segment(first));
        }
        for bad in ["65.relay", "+0000000000000000065.relay", "99999999999999999999.relay", ".relay"] {
            assert_eq!(named(bad.as_ref()), Named::Malformed, "{bad}");
        }
        for other in ["lock", "relay", "00000000000000000065", "00000000000000000065.relay.old"] {
            assert_eq!(named(other.as_ref()), Named::Other, "{other}");
        }
    }

    #[test]
    fn a_header_at_every_truncation_and_with_every_bit_changed() {
        let identity = Identity::new("0123456789012345678901234567890123456789", 1, 2).unwrap();
        let header = SegmentHeader { identity, first: 7 };
        let bytes = header.encode();
        assert_eq!(bytes.len(), HEADER);
        assert_eq!(SegmentHeader::parse(&bytes), Ok(Step::Ready(header)));
        for cut in 0..HEADER {
            assert_eq!(SegmentHeader::parse(&bytes[..cut]), Ok(missing(HEADER, cut)));
        }
        for bit in 0..HEADER * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            let fault = SegmentHeader::parse(&damaged).unwrap_err();
            match bit / 8 {
                0..8 => assert_eq!(fault, Fault::Magic),
                8..12 => assert!(matches!(fault, Fault::Format(_))),
                _ => assert_eq!(fault, Fault::SegmentHeader),
            }
        }
    }
}
