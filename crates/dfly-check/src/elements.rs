//! The elements of values that DUMP gives.

use std::collections::BTreeMap;

use bytes::Bytes;
use dfly_rdb::digest::ContentDigest;
use dfly_rdb::payload::parse_dump;
use dfly_rdb::{Element, IntBuffer, RawValue, StreamEntry, Text, ValueError};
use xxhash_rust::xxh3::Xxh3;

use crate::held::{Elements, Named, digest};
use crate::stream_state::StreamState;

/// A payload, parsed.
///
/// # Errors
/// Why it cannot be read, in words.
pub(crate) fn parsed(payload: &Bytes) -> Result<RawValue, String> {
    parse_dump(payload.clone()).map_err(|error| format!("its payload cannot be read: {error}"))
}

/// The digest of all that every encoding of the value holds.
pub(crate) fn content_digest(value: &RawValue) -> Result<u128, ValueError> {
    let mut digest = ContentDigest::default();
    for element in value.elements() {
        digest.add(&element?);
    }
    Ok(digest.finish())
}

fn of_text(text: &Text<'_>) -> u128 {
    digest(text.as_bytes(&mut IntBuffer::new()))
}

/// What stands for an entry of a stream: its fields and values, in their order, each behind its length.
pub(crate) fn entry_digest<'a>(words: impl Iterator<Item = &'a [u8]>) -> u128 {
    let mut hash = Xxh3::new();
    for word in words {
        hash.update(&(word.len() as u64).to_le_bytes());
        hash.update(word);
    }
    hash.digest128()
}

fn of_entry(entry: &StreamEntry<'_>) -> u128 {
    let words: Vec<Vec<u8>> =
        entry.fields().flat_map(|(field, value)| [field.to_vec(), value.to_vec()]).collect();
    entry_digest(words.iter().map(Vec::as_slice))
}

/// The text of a string or a document.
pub(crate) fn text_of(value: &RawValue) -> Result<Vec<u8>, ValueError> {
    let mut out = Vec::new();
    for element in value.elements() {
        if let Element::String(part) | Element::Json(part) = element? {
            out.extend_from_slice(part.as_bytes(&mut IntBuffer::new()));
        }
    }
    Ok(out)
}

/// The elements of a value.
pub(crate) fn elements_of(value: &RawValue) -> Result<Elements, ValueError> {
    let (mut items, mut named, mut scored) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
    let (mut entries, mut state) = (BTreeMap::new(), None);
    for element in value.elements() {
        match element? {
            Element::Item(text) => items.push(of_text(&text)),
            Element::Member { member, expire_at } => {
                named.insert(of_text(&member), Named { value: 0, expires_at: expire_at });
            }
            Element::Field { field, value, expire_at } => {
                named.insert(of_text(&field), Named { value: of_text(&value), expires_at: expire_at });
            }
            Element::Scored { member, score } => {
                scored.insert(of_text(&member), score);
            }
            Element::StreamEntry(entry) => {
                entries.insert(entry.id(), of_entry(&entry));
            }
            Element::StreamTail(tail) => state = Some(Box::new(StreamState::from(&*tail))),
            _ => {}
        }
    }
    Ok(match value.kind() {
        dfly_rdb::ValueKind::List => Elements::List(items),
        dfly_rdb::ValueKind::Set | dfly_rdb::ValueKind::Hash => Elements::Named(named),
        dfly_rdb::ValueKind::SortedSet => Elements::Scored(scored),
        dfly_rdb::ValueKind::Stream => Elements::Stream(entries, state.unwrap_or_default()),
        _ => Elements::Whole(content_digest(value)?),
    })
}
