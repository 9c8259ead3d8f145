//! Segments of a relay log.

use bytes::BytesMut;
use dfly_wire::{Step, crc64};
use relay_log::segment::{Decoder, Fault, HEADER, SegmentHeader};
use relay_log::{Frame, Identity};

use crate::Sizes;
use crate::wire::items;

/// The largest body that the check accepts, in bytes.
const LIMIT: usize = 4096;

/// Bytes before a frame's body; the last eight are its checksum, the eight before the body's.
const FRAME: usize = 48;

/// A segment gives the same frames and the same fault however it is read, and only frames whose checksums are right. As
/// no random bytes have right checksums, the same is asked of the bytes with checksums put in.
pub fn relay_segment(data: &[u8]) {
    check(data);
    check(&sealed(data));
}

fn check(data: &[u8]) {
    let Ok(Step::Ready(header)) = SegmentHeader::parse(data) else { return };
    assert_eq!(header.encode(), data[..HEADER]);
    let frames = &data[HEADER..];
    let decode = || {
        let mut decoder = Decoder::new(&header, LIMIT);
        move |src: &mut BytesMut| decoder.decode(src)
    };
    let whole = items(frames, || usize::MAX, decode());
    for mut sizes in Sizes::all(data) {
        assert_eq!(items(frames, || sizes.next(), decode()), whole);
    }
    let (found, fault, left) = whole;
    let used = sound(&header, (&found, frames));
    if fault.is_none() {
        assert_eq!(used + left, frames.len());
    }
    if let Some(Fault::OverLimit { found, limit }) = fault {
        assert!(found > limit && limit == LIMIT);
    }
}

/// Holds every frame against the bytes that it was made of; gives their number.
fn sound(header: &SegmentHeader, (found, bytes): (&[Frame], &[u8])) -> usize {
    let (mut at, mut next) = (0, header.first);
    let seed = &header.encode()[HEADER - 8..];
    for frame in found {
        let size = FRAME + frame.body.len();
        let (head, body) = bytes[at..at + size].split_at(FRAME);
        assert!(frame.body == body && body.len() <= LIMIT);
        assert!(frame.first == next && frame.next >= next);
        assert_eq!(head[32..40], crc64::checksum(body).to_le_bytes());
        assert_eq!(head[40..], crc64::checksum(&[seed, &head[..40]].concat()).to_le_bytes());
        (at, next) = (at + size, frame.next);
    }
    at
}

/// The bytes as a segment: a right header before them, right checksums in each header that its length leads to, and half
/// of the positions right as well.
fn sealed(data: &[u8]) -> Vec<u8> {
    let identity = Identity::new("0123456789012345678901234567890123456789", 0, 1).unwrap();
    let header = SegmentHeader { identity, first: 7 };
    let mut out = header.encode();
    let seed = out[HEADER - 8..].to_vec();
    let (mut rest, mut next) = (data, 7_u64);
    while let Some((head, behind)) = rest.split_at_checked(FRAME) {
        let mut head = head.to_vec();
        // Lengths of all sizes, most of them such that the body is there.
        head[2..4].fill(0);
        head[1] &= 0x1f;
        let length = usize::from(u16::from_le_bytes([head[0], head[1]])).min(behind.len());
        let body = &behind[..length];
        if head[4] & 1 == 0 {
            head[8..16].copy_from_slice(&next.to_le_bytes());
            next += u64::from(head[16]);
            head[16..24].copy_from_slice(&next.to_le_bytes());
        }
        head[32..40].copy_from_slice(&crc64::checksum(body).to_le_bytes());
        let checksum = crc64::checksum(&[&seed, &head[..40]].concat());
        head[40..].copy_from_slice(&checksum.to_le_bytes());
        out.extend([&head, body].concat());
        rest = &behind[length..];
    }
    out.extend(rest);
    out
}
