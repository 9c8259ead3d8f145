//! A real Redis reads every encoding of a value.

use super::*;
use crate::compare::keyspace;
use crate::redis_server::{RedisOptions, RedisServer};
use crate::script::style::Strings;
use crate::value::{CanonicalValue, Consumer, Group, Pending, StreamInfo, StreamValue};

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn long(seed: u64, len: usize) -> Bytes {
    (0..len as u64).map(|i| xxh64(&i.to_le_bytes(), seed).to_le_bytes()[0] % 16).collect()
}

/// Values at the limits of every encoding.
fn values() -> Vec<(Bytes, Value)> {
    let integers = [
        0,
        1,
        -1,
        127,
        128,
        -128,
        -129,
        4095,
        4096,
        -4096,
        -4097,
        32_767,
        32_768,
        -32_768,
        8_388_607,
        8_388_608,
        -8_388_608,
        2_147_483_647,
        2_147_483_648,
        -2_147_483_648,
        i64::MAX,
        i64::MIN,
    ];
    let texts: Vec<Bytes> = integers
        .iter()
        .map(|i| bytes(&i.to_string()))
        .chain(["", "007", "-0", "1.5", "+1", "a"].map(bytes))
        .chain([63, 64, 65, 4095, 4096, 20_000].map(|len| long(1, len)))
        .chain([Bytes::from(vec![b'x'; 3000])])
        .collect();
    let scores =
        [0.1, -1.5, 1e300, -1e-300, f64::INFINITY, f64::NEG_INFINITY, 9_007_199_254_740_993.0, 3.0, 5e-324];
    let fields = texts.iter().cloned().zip(texts.iter().rev().cloned());
    let members = texts.iter().cloned().zip(scores.into_iter().cycle().map(Score));
    let mut values: Vec<(Bytes, Value)> =
        (0..).map(|i| bytes(&format!("string{i}"))).zip(texts.iter().cloned().map(Value::String)).collect();
    values.extend([
        (bytes("list"), Value::List(texts.clone())),
        (bytes("set"), Value::Set(texts.iter().cloned().collect())),
        (bytes("small ints"), Value::Set(["1", "300", "-5"].map(bytes).into())),
        (bytes("middle ints"), Value::Set(["1", "70000", "-5"].map(bytes).into())),
        (bytes("large ints"), Value::Set(integers.iter().map(|i| bytes(&i.to_string())).collect())),
        (bytes("hash"), Value::Hash(fields.collect())),
        (bytes("zset"), Value::Zset(members.collect())),
    ]);
    values
}

fn styles() -> Vec<SnapshotStyle> {
    let containers = [Containers::Plain, Containers::Packed, Containers::Mixed];
    let strings = [Strings::Raw, Strings::Integers, Strings::Lzf, Strings::LzfLiteral];
    let both = containers.iter().flat_map(|c| strings.map(|s| (*c, s)));
    both.map(|(containers, strings)| SnapshotStyle { containers, strings, ..SnapshotStyle::default() })
        .collect()
}

/// Restores payloads into an empty Redis and returns what it holds.
fn restored(payloads: &[(Bytes, Vec<u8>)]) -> BTreeMap<(u32, Bytes), CanonicalValue> {
    let server = RedisServer::start(RedisOptions::default()).unwrap();
    let mut client = server.client().unwrap();
    for (key, payload) in payloads {
        let restored = client.command(&[b"RESTORE", key, b"0", payload]).unwrap();
        assert_eq!(restored.error(), None, "{key:?}");
    }
    keyspace(&mut client).unwrap()
}

#[test]
fn a_redis_reads_every_encoding() {
    for style in styles() {
        let values = values();
        let dumps: Vec<_> = values
            .iter()
            .map(|(key, value)| (key.clone(), dump(&style, key, &value.clone().into()).unwrap()))
            .collect();
        let held = restored(&dumps);
        for (key, value) in &values {
            assert_eq!(held[&(0, key.clone())].value, *value, "{style:?} {key:?}");
        }
    }
}

/// A stream with several nodes, entries with shared and different fields, a tombstone, groups and pending entries.
pub(crate) fn stream() -> StreamValue {
    let id = |i: u64| format!("{}-{}", 1000 + i, i % 3);
    let entry = |i: u64| {
        let fields: &[&str] =
            if i.is_multiple_of(4) { &["a", "1", "b", "-7"] } else { &["f", "v", "f", "w"] };
        (id(i), fields.iter().map(|text| bytes(text)).collect())
    };
    let entries: Vec<_> = (0..10).filter(|i| *i != 5).map(entry).collect();
    let pending = |i: u64, consumer: &str| Pending {
        id: id(i),
        consumer: bytes(consumer),
        delivered_at_ms: 1_700_000_000_123,
        count: 3,
    };
    let consumer = |ids: &[u64]| Consumer {
        seen_at_ms: 1_700_000_000_456,
        active_at_ms: None,
        pending: ids.iter().map(|i| id(*i)).collect(),
    };
    let busy = Group {
        last_delivered_id: id(3),
        entries_read: Some(4),
        pending: vec![pending(0, "one"), pending(2, "two"), pending(3, "one")],
        consumers: [
            (bytes("one"), consumer(&[0, 3])),
            (bytes("two"), consumer(&[2])),
            (bytes("idle"), consumer(&[])),
        ]
        .into(),
    };
    let idle = Group { last_delivered_id: "0-0".to_owned(), entries_read: None, ..Group::default() };
    let info = StreamInfo {
        length: 9,
        last_id: id(12),
        max_deleted_id: id(5),
        entries_added: 14,
        first_id: id(0),
        groups: [(bytes("busy"), busy), (bytes("idle"), idle)].into(),
    };
    StreamValue { entries, info }
}

/// Redis 7.0 does not know type 21, so it reads the same bytes without active times (type 19).
#[test]
fn a_redis_reads_streams() {
    for style in styles() {
        let rdb = Rdb::new(style.strings);
        let empty = StreamInfo {
            last_id: "5-5".to_owned(),
            max_deleted_id: "5-5".to_owned(),
            first_id: "0-0".to_owned(),
            entries_added: 1,
            ..StreamInfo::default()
        };
        let streams = [stream(), StreamValue { entries: Vec::new(), info: empty }];
        let dumps: Vec<_> = (0..)
            .zip(&streams)
            .map(|(i, stream)| {
                let encoded = stream::encode(&rdb, stream, false).unwrap();
                (bytes(&format!("s{i}")), payload(stream::STREAM_LISTPACKS_2, &encoded))
            })
            .collect();
        let held = restored(&dumps);
        for ((key, _), stream) in dumps.iter().zip(&streams) {
            assert_eq!(held[&(0, key.clone())].value, Value::Stream(Box::new(stream.clone())), "{style:?}");
        }
    }
}

#[test]
fn chunks_join_to_the_whole() {
    let style = SnapshotStyle { containers: Containers::Plain, ..SnapshotStyle::default() };
    for (key, value) in values().into_iter().chain([(bytes("stream"), Value::Stream(Box::new(stream())))]) {
        let encoded = encode(&style, &key, &value.into()).unwrap();
        for per_chunk in [1, 2, 7, 1000] {
            let chunks = encoded.chunks(per_chunk);
            assert_eq!(chunks.concat(), encoded.whole());
            assert_eq!(chunks.len(), encoded.elements.len().div_ceil(per_chunk).max(1));
        }
    }
}
