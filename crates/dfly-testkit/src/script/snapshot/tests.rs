//! Compares snapshot streams with protocol Annex A, with a real Redis, and with each other.

use std::collections::BTreeMap;

use super::*;
use crate::compare::keyspace;
use crate::redis_server::{RedisOptions, RedisServer};
use crate::script::journal::{Lsns, record_of};
use crate::script::model::Model;
use crate::script::op::Op;
use crate::script::sharding::Logged;
use crate::script::style::{Containers, Strings};
use crate::value::{Consumer, Group, Pending, Score, StreamInfo, StreamValue, Value};

/// The 600 bytes of protocol Annex A.
const ANNEX_A: &str = "
52 45 44 49 53 30 30 30 39 fa 09 72 65 64 69 73 2d 76 65 72 06 36 2e 32 2e 31 31 fa 06 64 66 2d
76 65 72 0a 64 66 2d 76 31 2e 34 30 2e 31 fa 0a 72 65 64 69 73 2d 62 69 74 73 c0 40 fa 05 63 74
69 6d 65 c2 3a 9c 02 6b fa 08 75 73 65 64 2d 6d 65 6d c2 d0 b4 08 00 fa 0c 61 6f 66 2d 70 72 65
61 6d 62 6c 65 c0 00 fa 0b 73 68 61 72 64 2d 63 6f 75 6e 74 c0 01 fa 09 74 61 62 6c 65 2d 6d 65
6d c2 00 e3 07 00 fa 08 73 68 61 72 64 2d 69 64 c0 00 fe 00 1e 01 6a 07 7b 22 61 22 3a 31 7d 00
01 6b 05 68 65 6c 6c 6f dc 01 00 00 00 00 02 73 74 01 76 10 01 68 0d 0d 00 00 00 02 00 81 66 02
81 76 02 ff 1f 02 68 74 01 01 66 01 76 c2 a2 f4 28 07 15 01 78 01 10 00 00 00 00 00 00 00 01 00
00 00 00 00 00 00 01 1d 1d 00 00 00 0a 00 01 01 00 01 01 01 81 61 02 00 01 02 01 00 01 00 01 81
62 02 04 01 ff 01 01 01 01 01 00 00 01 01 01 67 01 01 01 01 00 00 00 00 00 00 00 01 00 00 00 00
00 00 00 01 b1 45 32 02 a2 01 00 00 01 01 01 63 b1 45 32 02 a2 01 00 00 b1 45 32 02 a2 01 00 00
01 00 00 00 00 00 00 00 01 00 00 00 00 00 00 00 01 0b 01 69 0c 02 00 00 00 02 00 00 00 01 00 2c
01 12 01 6c 01 02 0c 0c 00 00 00 02 00 81 78 02 07 01 ff 11 01 7a 0f 0f 00 00 00 02 00 81 6d 02
83 31 2e 35 04 ff fc 7f 26 28 08 a2 01 00 00 00 01 6e c1 2c 01 02 01 73 01 01 61 20 03 73 74 65
01 01 6d c2 a2 f4 28 07 fe 01 00 02 64 31 c0 01 c8 00 00 00 00 00 00 00 00 d2 01 14 06 00 0a 00
01 03 0a 03 53 45 54 06 64 75 72 69 6e 67 01 78 d2 01 12 06 00 0a 00 01 02 09 03 44 45 4c 06 64
75 72 69 6e 67 d3 03 00 00 00 00 00 00 00 ff 00 00 00 00 00 00 00 00 61 34 34 63 34 33 35 61 34
64 33 31 35 32 36 31 66 64 39 36 64 39 61 33 32 32 37 31 62 37 64 61 34 34 32 64 62 66 62 39 06
00 0a 00 01 03 09 03 53 45 54 05 61 66 74 65 72 01 79 0f 03 06 01 0a 00 01 02 07 04 49 4e 43 52
03 63 74 72 06 01 0a 00 01 05 08 04 4d 53 45 54 01 61 01 31 01 62 01 32
";

fn annex_a() -> Vec<u8> {
    ANNEX_A.split_ascii_whitespace().map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect()
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

fn annex_stream() -> Value {
    let id = || "1-1".to_owned();
    let at = 1_795_333_178_801;
    let pending = Pending { id: id(), consumer: bytes("c"), delivered_at_ms: at, count: 1 };
    let consumer = Consumer { seen_at_ms: at, active_at_ms: Some(at), pending: vec![id()] };
    let consumers = [(bytes("c"), consumer)].into();
    let group = Group { last_delivered_id: id(), entries_read: Some(1), pending: vec![pending], consumers };
    let info = StreamInfo {
        length: 1,
        last_id: id(),
        max_deleted_id: "0-0".to_owned(),
        entries_added: 1,
        first_id: id(),
        groups: [(bytes("g"), group)].into(),
    };
    Value::Stream(Box::new(StreamValue { entries: vec![(id(), vec![bytes("a"), bytes("b")])], info }))
}

/// The keys of Annex A in its order.
fn annex_entries() -> Vec<(u32, &'static str, Entry)> {
    let text = |text| Entry::from(Value::String(bytes(text)));
    let one_field = || Value::Hash([(bytes("f"), bytes("v"))].into());
    let expiring = |value: Value, member: &str| Entry {
        member_ttls: [(bytes(member), 1_795_334_178)].into(),
        ..Entry::from(value)
    };
    vec![
        (0, "j", Value::Json(bytes("{\"a\":1}")).into()),
        (0, "k", text("hello")),
        (0, "st", Entry { sticky: true, ..text("v") }),
        (0, "h", one_field().into()),
        (0, "ht", expiring(one_field(), "f")),
        (0, "x", annex_stream().into()),
        (0, "i", Value::Set([bytes("1"), bytes("300")].into()).into()),
        (0, "l", Value::List(vec![bytes("x"), bytes("7")]).into()),
        (0, "z", Value::Zset([(bytes("m"), Score(1.5))].into()).into()),
        (0, "n", Entry { expire_at_ms: 1_795_433_178_751, ..text("300") }),
        (0, "s", Value::Set([bytes("a")].into()).into()),
        (0, "ste", expiring(Value::Set([bytes("m")].into()), "m")),
        (1, "d1", text("1")),
    ]
}

/// The encoders produce the stream of Annex A byte for byte.
#[test]
fn annex_a_is_rebuilt() {
    let style = SnapshotStyle::default();
    let record = |db, line: &str| {
        let logged = Logged { shard: 0, db, args: Op::line(line).args, keys: Vec::new() };
        record_of(&logged, 0)
    };
    let mut items = Vec::new();
    for (db, key, entry) in annex_entries() {
        let encoded = entry::encode(&style, &bytes(key), &entry).unwrap();
        items.push(Item::Key { db, bytes: encoded.whole() });
    }
    items.push(Item::End);
    for line in ["SET during x", "DEL during"] {
        items.push(Item::Other(journal_blob(&style, &record(0, line))));
    }
    let mut built = header(&style, 0, 1);
    built.extend(encode_run(&items));
    built.extend(offset_and_eof(&style, 3, "a44c435a4d315261fd96d9a32271b7da442dbfb9"));
    let mut lsns = Lsns::new(8);
    for (lsn, db, line) in [(3, 0, "SET after y"), (4, 1, "INCR ctr"), (5, 1, "MSET a 1 b 2")] {
        built.extend(record(db, line));
        built.extend(lsns.after(lsn).unwrap_or_default());
    }
    let expected = annex_a();
    let same = built.iter().zip(&expected).take_while(|(a, b)| a == b).count();
    assert_eq!(same, expected.len(), "the first difference is at {same:#06x}");
    assert_eq!(built.len(), expected.len());
}

fn model() -> Model {
    let mut model = Model::default();
    for i in 0..40 {
        for line in [
            format!("SET string:{i} {i}"),
            format!("RPUSH list:{i} a b c d e f g h i j k {i}"),
            format!("SADD set:{i} 1 2 {i}"),
            format!("HSET hash:{i} f {i} g x"),
            format!("ZADD zset:{i} {i}.5 m 1e100 n"),
            format!("PEXPIREAT list:{i} 1893456000{i:03}"),
        ] {
            model.apply(&Op::line(&line).in_db(i % 3)).unwrap();
        }
    }
    model
}

fn baseline(model: &Model) -> Baseline {
    model.entries().map(|(at, entry)| (at.clone(), entry.clone())).collect()
}

fn snapshot<'a>(style: &'a SnapshotStyle, model: &Model) -> Snapshot<'a> {
    Snapshot { style, shard: 0, shards: 1, baseline: baseline(model), during: Vec::new(), tail: Vec::new() }
}

/// Without Dragonfly's own opcodes, the stream is an RDB file that Redis loads.
#[test]
fn a_redis_loads_the_stream() {
    for containers in [Containers::Plain, Containers::Packed, Containers::Mixed] {
        for strings in [Strings::Raw, Strings::Integers, Strings::Lzf, Strings::LzfLiteral] {
            let style = SnapshotStyle { containers, strings, ..SnapshotStyle::default() };
            let part = snapshot(&style, &model()).first_part();
            assert_eq!(part.fullsync_end, part.bytes.len());
            let mut file = part.bytes[..part.bytes.len() - 9].to_vec();
            file.push(EOF);
            file.extend([0; 8]);
            let dir = tempfile::tempdir().unwrap();
            std::fs::write(dir.path().join("dump.rdb"), &file).unwrap();
            let path = dir.path().to_str().unwrap().to_owned();
            let args = vec!["--dir".to_owned(), path, "--dbfilename".to_owned(), "dump.rdb".to_owned()];
            let server = RedisServer::start(RedisOptions { args, ..RedisOptions::default() }).unwrap();
            assert!(keyspace(&mut server.client().unwrap()).unwrap() == model().keyspace(), "{style:?}");
        }
    }
}

/// The content of the blobs at the start of a stream, and the bytes that follow them.
fn without_blobs(mut stream: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut plain = Vec::new();
    while let Some((opcode, rest)) = stream.split_first() {
        let (LZ4_BLOB | ZSTD_BLOB) = *opcode else { break };
        let (rest, len) = dfly_wire::packed::size(rest, usize::MAX).unwrap();
        let (frame, rest) = rest.split_at(len);
        if *opcode == LZ4_BLOB {
            std::io::copy(&mut lz4_flex::frame::FrameDecoder::new(frame), &mut plain).unwrap();
        } else {
            zstd::stream::copy_decode(frame, &mut plain).unwrap();
        }
        stream = rest;
    }
    (plain, stream)
}

#[test]
fn blobs_hold_the_same_items() {
    for (blobs, opcode) in [(Blobs::Lz4, LZ4_BLOB), (Blobs::Zstd, ZSTD_BLOB)] {
        for marks_in_blobs in [false, true] {
            for run in [1, 16, 1000] {
                let style = SnapshotStyle { blobs, marks_in_blobs, run, ..SnapshotStyle::default() };
                let plain = SnapshotStyle { blobs: Blobs::None, ..style.clone() };
                let head = header(&style, 0, 1).len();
                let part = snapshot(&style, &model()).first_part();
                assert_eq!(part.bytes[head], opcode);
                assert_eq!(part.fullsync_end, part.bytes.len());
                let expected = snapshot(&plain, &model()).first_part().bytes;
                let (mut items, rest) = without_blobs(&part.bytes[head..]);
                assert_eq!(rest.len(), if marks_in_blobs { 0 } else { 9 });
                items.extend_from_slice(rest);
                assert!(items == expected[head..]);
            }
        }
    }
}

#[test]
fn tagged_chunks_interleave_and_join_to_the_entries() {
    let style = SnapshotStyle { tagged: Some(1), containers: Containers::Plain, ..SnapshotStyle::default() };
    let (items, _) = snapshot(&style, &model()).items();
    let mut joined: BTreeMap<[u8; 4], Vec<u8>> = BTreeMap::new();
    let (mut plain, mut switches, mut last) = (Vec::new(), 0, None);
    for item in &items {
        let (Item::Key { bytes, .. } | Item::Other(bytes)) = item else {
            unreachable!("there is no mark among the items")
        };
        if bytes[0] != TAGGED_CHUNK {
            plain.push(bytes.clone());
            last = None;
            continue;
        }
        let (head, payload) = bytes[1..].split_at(8);
        let id: [u8; 4] = head[..4].try_into().unwrap();
        assert_eq!(head[4..], u32::try_from(payload.len()).unwrap().to_le_bytes());
        assert_eq!(
            matches!(item, Item::Key { .. }),
            !joined.contains_key(&id),
            "only the first chunk of a key names a database"
        );
        switches += usize::from(joined.contains_key(&id) && last != Some(id));
        last = Some(id);
        joined.entry(id).or_default().extend_from_slice(payload);
    }
    assert!(switches > 100, "chunks of different keys alternate");
    let mut found: Vec<Vec<u8>> = joined.into_values().chain(plain).collect();
    let mut expected: Vec<Vec<u8>> = baseline(&model())
        .iter()
        .map(|((_, key), e)| entry::encode(&style, key, e).unwrap().whole())
        .collect();
    found.sort();
    expected.sort();
    assert!(found == expected);
}

/// P1: in any order, an entry is complete before the first record that touches its key.
#[test]
fn p1_the_baseline_of_a_key_precedes_its_records() {
    let model = model();
    let style = SnapshotStyle { tagged: Some(2), containers: Containers::Plain, ..SnapshotStyle::default() };
    let keys: Vec<At> = model.entries().map(|(at, _)| at.clone()).rev().step_by(7).collect();
    let op = |key: &At| ShardOp { keys: vec![key.clone()], bytes: key.1.to_vec() };
    let during: Vec<ShardOp> = keys.iter().map(op).collect();
    let (items, behind) = Snapshot { during, ..snapshot(&style, &model) }.items();
    assert!(behind.is_empty());
    let journal = |key: &At| Item::Other(journal_blob(&style, &key.1));
    let mut first_record = None;
    for at in &keys {
        let record = items.iter().position(|item| *item == journal(at)).unwrap();
        first_record = first_record.or(Some(record));
        let pieces = items_of(&style, &mut 0, (at, model.get(at.0, &at.1).unwrap()));
        let last = pieces.last().unwrap();
        let is_piece = |item: &Item| match (item, last) {
            (Item::Key { bytes: a, .. } | Item::Other(a), Item::Key { bytes: b, .. } | Item::Other(b)) => {
                // Ids differ between runs, but the payload after the 9-byte chunk header does not.
                a == b || (a.len() > 9 && a.len() == b.len() && a[9..] == b[9..] && a[0] == TAGGED_CHUNK)
            }
            _ => false,
        };
        assert!(items[..record].iter().any(is_piece), "{at:?}");
    }
    let after_first = &items[first_record.unwrap()..];
    assert!(after_first.iter().any(|item| matches!(item, Item::Key { .. })), "some entries follow records");
}
