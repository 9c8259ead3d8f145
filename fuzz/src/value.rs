//! Values of many parts. The first byte chooses the type.

use bytes::Bytes;
use dfly_rdb::{Event, RawValue, TypeId};

use crate::content::{Content, count};
use crate::payload;
use crate::stream::{config, decode};

const STREAMS: [TypeId; 4] = [TypeId::Stream, TypeId::Stream2, TypeId::Stream3, TypeId::Stream4];

const SKETCHES: [TypeId; 7] = [
    TypeId::Json,
    TypeId::Bloom,
    TypeId::Bloom2,
    TypeId::CountMinSketch,
    TypeId::TopK,
    TypeId::Cuckoo,
    TypeId::Module,
];

fn chosen(types: &[TypeId], data: &[u8]) -> Option<RawValue> {
    let (first, payload) = data.split_first()?;
    let type_id = types.get(usize::from(*first) % types.len())?;
    Some(RawValue::new(*type_id, Bytes::copy_from_slice(payload)))
}

/// A stream: its levels agree, it is the same in pieces, and every server gets a payload that holds the same.
pub fn stream_value(data: &[u8]) {
    let Some(value) = chosen(&STREAMS, data) else { return };
    let content = Content::of(value.elements());
    let entries = value.encoding().map(count);
    if let Ok(content) = &content {
        assert_eq!(entries, Ok(content.elements - 1), "all elements but the tail are entries");
    }
    in_pieces(&value);
    payload::for_every_target(&value);
}

/// JSON, sketches and modules: the same whole and in pieces.
pub fn sketch(data: &[u8]) {
    let Some(value) = chosen(&SKETCHES, data) else { return };
    assert!(value.encoding().is_ok() || value.elements().any(|element| element.is_err()));
    in_pieces(&value);
}

/// A value that can be read whole holds the same when a decoder cuts it.
fn in_pieces(value: &RawValue) {
    let Ok(stated) = Content::of(value.elements()) else { return };
    let stream = [b"REDIS0012", &[value.type_id().wire(), 1, b'k'][..], value.payload(), &[0xff], &[0; 8]];
    for piece in [1, 40] {
        let mut found = Content::default();
        let outcome = decode(&stream.concat(), config(piece), || usize::MAX);
        for event in &outcome.events {
            let added = match event {
                Event::Entry(entry) => found.add(entry.value.elements()),
                Event::Piece { piece, .. } => found.add(piece.elements()),
                _ => Ok(()),
            };
            assert_eq!(added, Ok(()));
        }
        found.elements = stated.elements;
        assert_eq!(found, stated);
    }
}
