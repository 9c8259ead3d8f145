//! Containers inside one string.

use bytes::Bytes;
use dfly_rdb::payload::{Plan, TargetFormat, parse_dump, write_dump};
use dfly_rdb::{Element, Family, RawValue, TypeId};
use dfly_wire::packed;

use crate::content::{Content, count};

/// A listpack as a list node, a set, a hash and a sorted set.
pub fn listpack(data: &[u8]) {
    check(TypeId::SetListpack, data);
    check(TypeId::HashListpack, data);
    check(TypeId::SortedSetListpack, data);
    check(TypeId::HashListpackExPreGa, data);
}

/// A ziplist as a list, a hash and a sorted set.
pub fn ziplist(data: &[u8]) {
    check(TypeId::ListZiplist, data);
    check(TypeId::HashZiplist, data);
    check(TypeId::SortedSetZiplist, data);
}

/// A zipmap, which is a hash.
pub fn zipmap(data: &[u8]) {
    check(TypeId::HashZipmap, data);
}

/// An intset.
pub fn intset(data: &[u8]) {
    check(TypeId::SetIntset, data);
}

fn value(type_id: TypeId, container: &[u8]) -> RawValue {
    let mut payload = Vec::new();
    packed::write_uint(container.len() as u64, &mut payload);
    payload.extend_from_slice(container);
    RawValue::new(type_id, payload.into())
}

/// A container has no more elements than bytes, its two levels agree, and it holds the same when it is written plainly.
fn check(type_id: TypeId, container: &[u8]) {
    let value = value(type_id, container);
    let elements = Content::of(value.elements());
    let texts = value.encoding().map(count);
    assert!(texts.as_ref().is_ok_and(|texts| *texts <= container.len()) || texts.is_err());
    let Ok(content) = elements else { return };
    assert!(texts.is_ok_and(|texts| content.elements <= texts && texts <= 3 * content.elements));
    let old = TargetFormat { family: Family::Redis, version: (6, 2) };
    let mut dump = Vec::new();
    if write_dump(&value, &old, &mut dump) == Ok(Plan::Reencode) {
        let back = parse_dump(dump.into()).map(|back| Content::of(back.elements()));
        assert_eq!(back, Ok(Ok(content)));
    }
}

/// LZF: the first two bytes are the stated length. The result is that of a decompressor that works byte by byte.
pub fn lzf(data: &[u8]) {
    let Some((length, packed)) = data.split_first_chunk::<2>() else { return };
    let length = usize::from(u16::from_le_bytes(*length));
    let mut payload = vec![0xc3];
    packed::write_uint(packed.len() as u64, &mut payload);
    packed::write_uint(length as u64, &mut payload);
    payload.extend_from_slice(packed);
    let value = RawValue::new(TypeId::String, payload.into());
    let found = value.elements().next().and_then(Result::ok).map(|element| match element {
        Element::String(text) => text.into_bytes(),
        _ => Bytes::new(),
    });
    let stated = naive_lzf(packed).filter(|stated| stated.len() == length);
    assert_eq!(found.as_deref(), stated.as_deref());
}

/// liblzf's `lzf_d.c`, byte by byte. Nothing if the input is damaged.
fn naive_lzf(packed: &[u8]) -> Option<Vec<u8>> {
    let (mut input, mut out) = (packed.iter().copied(), Vec::new());
    while let Some(control) = input.next() {
        if control < 32 {
            for _ in 0..=control {
                out.push(input.next()?);
            }
            continue;
        }
        let length = usize::from(control >> 5);
        let length = if length == 7 { 7 + usize::from(input.next()?) } else { length };
        let distance = usize::from(control & 31) * 256 + usize::from(input.next()?) + 1;
        for _ in 0..length + 2 {
            out.push(*out.get(out.len().checked_sub(distance)?)?);
        }
    }
    Some(out)
}
