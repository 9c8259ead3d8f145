//! Streams: whole against split, rubbish, compressed blobs.

use std::io::Write;

use bytes::BytesMut;
use dfly_rdb::{Config, Decoder, Error, Event};
use dfly_wire::{Step, packed};

use crate::Sizes;
use crate::content::{Content, count};

/// What came of a stream.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Event>,
    error: Option<Error>,
    /// Bytes behind the end of the stream.
    behind: usize,
    finished: bool,
}

/// Small limits, so that a small input reaches them.
pub(crate) fn config(piece: usize) -> Config {
    let mut config = Config { open_bytes: 4096, ..Config::default() };
    config.limits.string = 1 << 20;
    config.limits.blob = 1 << 20;
    config.limits.piece = piece;
    config.limits.open_values = 8;
    config
}

/// Decodes `input`, which arrives in parts, and holds the decoder to what it says about bytes that it needs.
pub(crate) fn decode(input: &[u8], config: Config, mut sizes: impl FnMut() -> usize) -> Outcome {
    let mut decoder = Decoder::new(config);
    let (mut src, mut rest, mut events, mut owed) = (BytesMut::new(), input, Vec::new(), 0_usize);
    let error = loop {
        match decoder.decode(&mut src) {
            Err(error) => break Some(error),
            Ok(Step::Ready(event)) => {
                assert_eq!(owed, 0, "{event:?} came before the bytes that it needed");
                events.push(event);
            }
            Ok(Step::Need(_)) if decoder.is_finished() || rest.is_empty() => break None,
            Ok(Step::Need(n)) => {
                let (part, behind) = rest.split_at(sizes().clamp(1, rest.len()));
                owed = owed.max(n.get()).saturating_sub(part.len());
                src.extend_from_slice(part);
                rest = behind;
            }
        }
    };
    assert_eq!(decoder.offset(), (input.len() - rest.len() - src.len()) as u64);
    let behind = if decoder.is_finished() { src.len() + rest.len() } else { 0 };
    Outcome { events, error, behind, finished: decoder.is_finished() }
}

/// A piece size that depends on the data alone.
fn piece(data: &[u8]) -> usize {
    [1, 16, 300, 1 << 16].into_iter().cycle().nth(data.len() % 4).unwrap_or(1)
}

/// A stream gives the same events and the same error however it arrives.
pub fn rdb_split(data: &[u8]) {
    let config = config(piece(data));
    let whole = decode(data, config, || usize::MAX);
    for mut sizes in Sizes::all(data) {
        assert_eq!(decode(data, config, || sizes.next()), whole);
    }
}

/// Whatever follows a magic can be read through to its elements.
pub fn rdb_garbage(data: &[u8]) {
    for magic in ["REDIS0009", "REDIS0013", "VALKEY080"] {
        let input = [magic.as_bytes(), data].concat();
        let outcome = decode(&input, config(64), || usize::MAX);
        outcome.events.iter().for_each(read);
    }
}

/// Reads all that an event holds, at each level.
fn read(event: &Event) {
    match event {
        Event::Entry(entry) => {
            let elements = Content::of(entry.value.elements());
            let containers = entry.value.encoding().map(count);
            assert!(elements.is_err() || containers.is_ok(), "elements without an encoding");
        }
        Event::Piece { piece, .. } => drop(Content::of(piece.elements())),
        _ => {}
    }
}

/// A blob's frame: what comes out of it is the same items that stand plainly in a stream.
pub fn lz4_blob(data: &[u8]) {
    blob(0xca, data);
    blob(0xca, &lz4_frame_of_block(data));
    let mut encoder = lz4_flex::frame::FrameEncoder::new(Vec::new());
    if encoder.write_all(data).is_ok()
        && let Ok(frame) = encoder.finish()
    {
        same_as_plain(0xca, &frame, data);
    }
}

/// As [`lz4_blob`], with zstd.
pub fn zstd_blob(data: &[u8]) {
    blob(0xc9, data);
    if let Ok(frame) = zstd::encode_all(data, 1) {
        same_as_plain(0xc9, &frame, data);
    }
}

/// A frame with one block, which is `data`; its header is right.
fn lz4_frame_of_block(data: &[u8]) -> Vec<u8> {
    // Version 1, independent blocks; blocks of up to 64 KiB.
    let descriptor = [0x60, 0x40];
    let [_, check, ..] = twox_hash::XxHash32::oneshot(0, &descriptor).to_le_bytes();
    let size = u32::try_from(data.len()).unwrap_or_default().to_le_bytes();
    [&0x184d_2204_u32.to_le_bytes()[..], &descriptor, &[check], &size, data, &[0; 4]].concat()
}

fn blob(opcode: u8, frame: &[u8]) -> Outcome {
    let mut input = [b"REDIS0012", &[opcode][..]].concat();
    packed::write_uint(frame.len() as u64, &mut input);
    input.extend_from_slice(frame);
    input.push(0xff);
    input.extend_from_slice(&[0; 8]);
    let outcome = decode(&input, config(64), || usize::MAX);
    outcome.events.iter().for_each(read);
    outcome
}

fn same_as_plain(opcode: u8, frame: &[u8], items: &[u8]) {
    let found = blob(opcode, frame);
    if !found.finished {
        return;
    }
    let plain = [b"REDIS0012", items, &[0xff], &[0; 8]].concat();
    let plain = decode(&plain, config(64), || usize::MAX);
    assert_eq!(found.events, plain.events);
}
