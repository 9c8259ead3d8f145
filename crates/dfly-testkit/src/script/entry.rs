//! Encodes one key of a snapshot: attributes, type, key and value (protocol sections 7.1 and 7.6).

mod stream;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use dfly_wire::crc64;
use xxhash_rust::xxh64::xxh64;

use super::model::Entry;
use super::pack::{canonical_int, intset, listpack::Listpack};
use super::rdb::Rdb;
use super::style::{Containers, SnapshotStyle};
use crate::value::{Score, Value};

const EXPIRETIME_MS: u8 = 252;
const DF_MASK: u8 = 220;
const STICKY: u32 = 1;

const STRING: u8 = 0;
const SET: u8 = 2;
const HASH: u8 = 4;
const ZSET_2: u8 = 5;
const SET_INTSET: u8 = 11;
const HASH_LISTPACK: u8 = 16;
const ZSET_LISTPACK: u8 = 17;
const LIST_QUICKLIST_2: u8 = 18;
const JSON: u8 = 30;
const HASH_WITH_EXPIRY: u8 = 31;
const SET_WITH_EXPIRY: u8 = 32;

const NODE_PLAIN: usize = 1;
const NODE_PACKED: usize = 2;

/// Elements of at least this many bytes get their own list node.
const PLAIN_NODE_FROM: usize = 64;
/// The maximum number of elements in a packed list node.
const NODE_ELEMENTS: usize = 4;

/// The Unix time in seconds from which the expiries of members count (Dragonfly `common.h`, `kMemberExpiryBase`).
const MEMBER_EXPIRY_BASE: i64 = 1_675_209_600;

/// The RDB version in a DUMP payload (Dragonfly `RDB_SER_VERSION`).
const DUMP_VERSION: u16 = 9;

/// A value, divided where it may be split into chunks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Encoded {
    /// Type, key and everything before the first element.
    pub(crate) head: Vec<u8>,
    /// The elements. What follows the last one belongs to it.
    pub(crate) elements: Vec<Vec<u8>>,
}

impl Encoded {
    /// The whole entry.
    pub(crate) fn whole(&self) -> Vec<u8> {
        [&self.head[..], &self.elements.concat()].concat()
    }

    /// The entry in chunks of `per_chunk` elements. It is one chunk if it has no more elements than that.
    pub(crate) fn chunks(&self, per_chunk: usize) -> Vec<Vec<u8>> {
        let mut parts = self.elements.chunks(per_chunk.max(1)).map(<[Vec<u8>]>::concat);
        let first = [&self.head[..], &parts.next().unwrap_or_default()].concat();
        [first].into_iter().chain(parts).collect()
    }
}

/// Encodes a key with its attributes. `None` if values of its type are not written.
pub(crate) fn encode(style: &SnapshotStyle, key: &Bytes, entry: &Entry) -> Option<Encoded> {
    let mut attributes = Vec::new();
    if entry.expire_at_ms >= 0 {
        attributes.push(EXPIRETIME_MS);
        attributes.extend(entry.expire_at_ms.to_le_bytes());
    }
    if entry.sticky {
        attributes.push(DF_MASK);
        attributes.extend(STICKY.to_le_bytes());
    }
    let (kind, value) = encode_value(style, key, entry)?;
    let mut head = Rdb::new(style.strings);
    head.raw(&attributes);
    head.u8(kind);
    head.string(key);
    head.raw(&value.head);
    Some(Encoded { head: head.out, elements: value.elements })
}

/// A DUMP payload: type, value, version, checksum.
pub(crate) fn dump(style: &SnapshotStyle, key: &Bytes, entry: &Entry) -> Option<Vec<u8>> {
    let (kind, value) = encode_value(style, key, entry)?;
    Some(payload(kind, &value))
}

fn payload(kind: u8, value: &Encoded) -> Vec<u8> {
    let mut out = vec![kind];
    out.extend(value.whole());
    out.extend(DUMP_VERSION.to_le_bytes());
    let checksum = crc64::checksum(&out);
    out.extend(checksum.to_le_bytes());
    out
}

fn encode_value(style: &SnapshotStyle, key: &Bytes, entry: &Entry) -> Option<(u8, Encoded)> {
    let rdb = Rdb::new(style.strings);
    let packed = match style.containers {
        Containers::Plain => false,
        Containers::Packed => true,
        Containers::Mixed => xxh64(key, 0).is_multiple_of(2),
    };
    let ttls = &entry.member_ttls;
    Some(match &entry.value {
        Value::String(text) => (STRING, whole(rdb.piece(|out| out.string(text)))),
        Value::Json(text) => (JSON, whole(rdb.piece(|out| out.string(text)))),
        Value::List(list) => (LIST_QUICKLIST_2, counted(&rdb, list_nodes(&rdb, list, packed))),
        Value::Set(set) if !ttls.is_empty() => {
            (SET_WITH_EXPIRY, counted(&rdb, set_with_ttls(&rdb, set, ttls)))
        }
        Value::Set(set) => encode_set(&rdb, set, packed),
        Value::Hash(hash) if !ttls.is_empty() => {
            (HASH_WITH_EXPIRY, counted(&rdb, hash_with_ttls(&rdb, hash, ttls)))
        }
        Value::Hash(hash) if packed => (HASH_LISTPACK, whole(hash_listpack(&rdb, hash))),
        Value::Hash(hash) => {
            let pair = |(field, value): (&Bytes, &Bytes)| {
                rdb.piece(|out| {
                    out.string(field);
                    out.string(value);
                })
            };
            (HASH, counted(&rdb, hash.iter().map(pair).collect()))
        }
        Value::Zset(zset) if packed => (ZSET_LISTPACK, whole(zset_listpack(&rdb, zset))),
        Value::Zset(zset) => {
            let pair = |(member, score): (&Bytes, &Score)| {
                rdb.piece(|out| {
                    out.string(member);
                    out.raw(&score.0.to_le_bytes());
                })
            };
            (ZSET_2, counted(&rdb, zset.iter().map(pair).collect()))
        }
        Value::Stream(value) => (stream::STREAM_LISTPACKS_3, stream::encode(&rdb, value, true)?),
        Value::Other(_) | Value::None => return None,
    })
}

fn whole(head: Vec<u8>) -> Encoded {
    Encoded { head, elements: Vec::new() }
}

fn counted(rdb: &Rdb, elements: Vec<Vec<u8>>) -> Encoded {
    Encoded { head: rdb.piece(|out| out.len(elements.len())), elements }
}

fn list_nodes(rdb: &Rdb, list: &[Bytes], packed: bool) -> Vec<Vec<u8>> {
    // Redis refuses an empty plain node.
    let alone = |element: &Bytes| !element.is_empty() && (!packed || element.len() >= PLAIN_NODE_FROM);
    let runs = list.chunk_by(|a, b| !alone(a) && !alone(b)).flat_map(|run| run.chunks(NODE_ELEMENTS));
    runs.map(|run| match run {
        [element] if alone(element) => rdb.piece(|out| {
            out.len(NODE_PLAIN);
            out.string(element);
        }),
        run => {
            let mut pack = Listpack::default();
            run.iter().for_each(|element| pack.push(element));
            rdb.piece(|out| {
                out.len(NODE_PACKED);
                out.string(&pack.encode());
            })
        }
    })
    .collect()
}

fn encode_set(rdb: &Rdb, set: &BTreeSet<Bytes>, packed: bool) -> (u8, Encoded) {
    let integers = set.iter().map(|member| canonical_int(member)).collect::<Option<Vec<i64>>>();
    match integers {
        Some(integers) if packed => {
            (SET_INTSET, whole(rdb.piece(|out| out.string(&intset::encode(&integers)))))
        }
        _ => (SET, counted(rdb, set.iter().map(|member| rdb.piece(|out| out.string(member))).collect())),
    }
}

fn ttl_text(ttls: &BTreeMap<Bytes, i64>, member: &Bytes) -> String {
    ttls.get(member).map_or(-1, |seconds| seconds - MEMBER_EXPIRY_BASE).to_string()
}

fn set_with_ttls(rdb: &Rdb, set: &BTreeSet<Bytes>, ttls: &BTreeMap<Bytes, i64>) -> Vec<Vec<u8>> {
    let member = |member: &Bytes| {
        rdb.piece(|out| {
            out.string(member);
            out.string(ttl_text(ttls, member).as_bytes());
        })
    };
    set.iter().map(member).collect()
}

fn hash_with_ttls(rdb: &Rdb, hash: &BTreeMap<Bytes, Bytes>, ttls: &BTreeMap<Bytes, i64>) -> Vec<Vec<u8>> {
    let field = |(field, value): (&Bytes, &Bytes)| {
        rdb.piece(|out| {
            out.string(field);
            out.string(value);
            out.string(ttl_text(ttls, field).as_bytes());
        })
    };
    hash.iter().map(field).collect()
}

fn hash_listpack(rdb: &Rdb, hash: &BTreeMap<Bytes, Bytes>) -> Vec<u8> {
    let mut pack = Listpack::default();
    for (field, value) in hash {
        pack.push(field);
        pack.push(value);
    }
    rdb.piece(|out| out.string(&pack.encode()))
}

fn zset_listpack(rdb: &Rdb, zset: &BTreeMap<Bytes, Score>) -> Vec<u8> {
    let mut pack = Listpack::default();
    for (member, score) in zset {
        pack.push(member);
        pack.push(score_text(score.0).as_bytes());
    }
    rdb.piece(|out| out.string(&pack.encode()))
}

/// The shortest text that parses to the same number. Whole numbers have no decimal point.
fn score_text(score: f64) -> String {
    let text = format!("{score:?}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}

#[cfg(test)]
mod tests;
