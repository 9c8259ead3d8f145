//! Streams of one kind of value each, of about the same size.

use std::io::Write;

use bytes::BytesMut;
use dfly_rdb::{Config, Decoder, Event, RawValue};
use dfly_wire::packed::write_uint;
use dfly_wire::{Step, crc64};

/// About how large each stream is, in bytes.
pub const SIZE: usize = 8 << 20;

/// How many items a compressed blob holds, in bytes: what Dragonfly gathers before it compresses.
const BLOB: usize = 32 << 10;

/// A stream with its name.
pub type Named = (&'static str, Vec<u8>);

/// Every stream, without its end.
pub fn all() -> Vec<Named> {
    let strings = entries(0, |key, out| string(&text(key, 100), out));
    vec![
        ("strings of 100 bytes", stream(&strings)),
        ("listpack hashes of 50", stream(&listpack_hashes())),
        ("plain hashes of 50", stream(&plain_hashes())),
        ("intsets of 200", stream(&intsets())),
        ("quicklists of 4 x 100", stream(&quicklists())),
        ("one set of many", stream(&big_set())),
        ("strings in lz4 blobs", stream(&blobs(&strings, 0xca, lz4))),
        ("strings in zstd blobs", stream(&blobs(&strings, 0xc9, zstd))),
    ]
}

/// Hashes whose fields and values stand in one listpack (type 16).
pub fn listpack_hashes() -> Vec<u8> {
    entries(16, |key, out| string(&listpack(&fields(key)), out))
}

/// Hashes field by field (type 4).
pub fn plain_hashes() -> Vec<u8> {
    entries(4, |key, out| {
        let texts = fields(key);
        write_uint(texts.len() as u64 / 2, out);
        texts.iter().for_each(|text| string(text, out));
    })
}

/// Sets of 200 integers of four bytes (type 11).
pub fn intsets() -> Vec<u8> {
    entries(11, |key, out| {
        let mut set = vec![4, 0, 0, 0, 200, 0, 0, 0];
        (0..200_u32).for_each(|i| set.extend((70_000 + 1000 * i).wrapping_add(key % 1000).to_le_bytes()));
        string(&set, out);
    })
}

/// Lists of four listpacks (type 18).
pub fn quicklists() -> Vec<u8> {
    entries(18, |key, out| {
        write_uint(4, out);
        for node in 0..4 {
            write_uint(2, out);
            let items: Vec<_> = (0..100).map(|i| text(key + node + i, 12)).collect();
            string(&listpack(&items), out);
        }
    })
}

/// A set of as many members as fit (type 2).
pub fn big_set() -> Vec<u8> {
    let members = SIZE / 17;
    let mut out = vec![2];
    string(b"set", &mut out);
    write_uint(members as u64, &mut out);
    (0..u32::MAX).zip(0..members).for_each(|(i, _)| string(&text(i, 16), &mut out));
    out
}

/// A stream of Dragonfly that holds `items`: no checksum, and an end.
pub fn stream(items: &[u8]) -> Vec<u8> {
    let mut out = b"REDIS0009\xfa\x06df-ver\x0adf-v1.40.1".to_vec();
    out.extend_from_slice(items);
    out.push(0xff);
    out.extend_from_slice(&[0; 8]);
    out
}

/// A file of Redis 7.0 that holds `items`, with its checksum.
pub fn file(items: &[u8]) -> Vec<u8> {
    let mut out = b"REDIS0010\xfe\x00".to_vec();
    out.extend_from_slice(items);
    out.push(0xff);
    let checksum = crc64::checksum(&out);
    out.extend_from_slice(&checksum.to_le_bytes());
    out
}

/// As many keys with values of `type_id` as fit.
pub fn entries(type_id: u8, value: impl Fn(u32, &mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(SIZE + SIZE / 8);
    for key in 0.. {
        if out.len() >= SIZE {
            break;
        }
        out.push(type_id);
        string(format!("key:{key:08}").as_bytes(), &mut out);
        value(key, &mut out);
    }
    out
}

/// The values of `items`.
pub fn values(items: &[u8]) -> Vec<RawValue> {
    let mut src = BytesMut::from(&file(items)[..]);
    let mut decoder = Decoder::new(Config::default());
    let mut values = Vec::new();
    while let Ok(Step::Ready(event)) = decoder.decode(&mut src) {
        if let Event::Entry(entry) = event {
            values.push(entry.value);
        }
    }
    values
}

fn fields(key: u32) -> Vec<Vec<u8>> {
    (0..50).flat_map(|i| [format!("field:{i:03}").into_bytes(), text(key + i, 12)]).collect()
}

/// Letters that do not repeat much.
pub fn text(seed: u32, length: usize) -> Vec<u8> {
    let mut state = u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut letter = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let [.., low] = state.to_be_bytes();
        b'a' + low % 16
    };
    (0..length).map(|_| letter()).collect()
}

/// Appends a string of the wire.
pub fn string(bytes: &[u8], out: &mut Vec<u8>) {
    write_uint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

/// A listpack of short texts.
fn listpack(texts: &[Vec<u8>]) -> Vec<u8> {
    let mut body = Vec::new();
    for text in texts {
        let Ok(size @ ..64) = u8::try_from(text.len()) else { continue };
        body.push(0x80 | size);
        body.extend_from_slice(text);
        body.push(size + 1);
    }
    let total = u32::try_from(body.len() + 7).unwrap_or_default();
    let count = u16::try_from(texts.len()).unwrap_or(u16::MAX);
    [&total.to_le_bytes()[..], &count.to_le_bytes(), &body, &[0xff]].concat()
}

/// `items`, which are entries of one size, in compressed blobs.
fn blobs(items: &[u8], opcode: u8, compress: impl Fn(&[u8]) -> Vec<u8>) -> Vec<u8> {
    // Type, length and key of 12 bytes, two bytes of length, 100 bytes.
    const ENTRY: usize = 1 + 1 + 12 + 2 + 100;
    let mut out = Vec::new();
    for part in items.chunks(BLOB / ENTRY * ENTRY) {
        out.push(opcode);
        string(&compress(part), &mut out);
    }
    out
}

fn lz4(part: &[u8]) -> Vec<u8> {
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    let written = encoder.write_all(part);
    written.ok().and_then(|()| encoder.finish().ok()).unwrap_or_default()
}

fn zstd(part: &[u8]) -> Vec<u8> {
    zstd::encode_all(part, 1).unwrap_or_default()
}
