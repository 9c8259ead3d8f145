//! Rows of `expected.jsonl`: what a server held, as it said by itself.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dfly_rdb::{StreamId, ValueKind};
use serde_json::Value;

use crate::model::{Content, Held};

/// How far a relative expiry may be off, in milliseconds: it was asked for some time after the snapshot began.
const SLACK_MS: i64 = 60_000;

/// How far a key's expiry may be off, in milliseconds: Redis 6.2 has no `PEXPIRETIME`, so the row is its `PTTL` added to
/// a clock. All others are exact.
const PTTL_SLACK_MS: i64 = 5;

pub(crate) fn rows(folder: &Path) -> BTreeMap<(u32, Vec<u8>), Value> {
    let text = fs::read_to_string(folder.join("expected.jsonl")).unwrap();
    let rows = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    rows.filter(|row| row["type"] != "none")
        .map(|row| ((u32::try_from(row["db"].as_u64().unwrap()).unwrap(), bytes(&row["key"])), row))
        .collect()
}

pub(crate) fn bytes(text: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(text.as_str().unwrap()).unwrap()
}

fn text(value: &Value) -> String {
    String::from_utf8(bytes(value)).unwrap()
}

/// Holds `held` against what the server said. `now` is when the snapshot was taken, in milliseconds.
pub(crate) fn check(held: &Held, row: &Value, now: i64) {
    let stated = row["expire_at_ms"].as_i64().filter(|at| *at >= 0);
    let off = match (held.header.expire_at, stated) {
        (Some(found), Some(stated)) => (found.0 - stated).abs(),
        (found, stated) => i64::from(found.is_some() != stated.is_some()) * SLACK_MS,
    };
    assert!(off <= PTTL_SLACK_MS, "expiry of {} is {off} ms off", row["key"]);
    assert_eq!(type_name(held.kind), row["type"].as_str().unwrap());
    if let Some(encoding) = row["encoding"].as_str() {
        check_encoding(held, encoding);
    }
    let value = &row["value"];
    match &held.content {
        Content::Text(all) if held.kind == ValueKind::Json => check_json(all, value),
        Content::Text(all) => assert_eq!(*all, bytes(value)),
        Content::List(items) => assert_eq!(*items, list(value)),
        Content::Set(members) => {
            assert_eq!(members.keys().cloned().collect::<Vec<_>>(), list(value));
            check_member_expiries(members, row, now);
        }
        Content::Hash(fields) => check_hash(fields, row, now),
        Content::SortedSet(members) => {
            let scores = value.as_array().unwrap().iter();
            let scores =
                scores.map(|pair| (bytes(&pair[0]), pair[1].as_str().unwrap().parse::<f64>().unwrap()));
            assert_eq!(*members, scores.collect());
        }
        Content::Stream { .. } => check_stream(&held.content, value),
        Content::Opaque { heads, strings, .. } => {
            assert!(!heads.is_empty());
            if row["type"] == "ReJSON-RL" {
                check_json(&strings[0], value);
            }
        }
    }
}

fn list(value: &Value) -> Vec<Vec<u8>> {
    value.as_array().unwrap().iter().map(bytes).collect()
}

fn type_name(kind: ValueKind) -> String {
    match kind {
        ValueKind::String => "string",
        ValueKind::List => "list",
        ValueKind::Set => "set",
        ValueKind::Hash => "hash",
        ValueKind::SortedSet => "zset",
        ValueKind::Stream => "stream",
        ValueKind::Json => "ReJSON-RL",
        ValueKind::Bloom => "MBbloom--",
        ValueKind::CountMinSketch => "CMSk-TYPE",
        ValueKind::TopK => "TopK-TYPE",
        ValueKind::Cuckoo => "MBbloomCF",
        ValueKind::Module(id) => return id.unwrap().to_string(),
        _ => panic!("a kind without a name"),
    }
    .into()
}

/// A file does not tell how a string or a small list is kept in memory; all else it does.
fn check_encoding(held: &Held, encoding: &str) {
    let found = held.type_id.encoding_name();
    match (held.kind, &held.content) {
        (ValueKind::String, Content::Text(all)) => {
            let number = std::str::from_utf8(all).ok().and_then(|text| text.parse::<i64>().ok());
            let is_int = number.is_some_and(|number| number.to_string().as_bytes() == all);
            assert_eq!(encoding == "int", is_int, "{:?}", held.header.key);
            assert!(["int", "embstr", "raw"].contains(&encoding));
        }
        (ValueKind::List, _) => assert!(encoding == found || (found, encoding) == ("quicklist", "listpack")),
        (ValueKind::Module(_), _) => assert!(["raw", "unknown"].contains(&encoding), "{encoding}"),
        _ => assert_eq!(found, encoding, "{:?}", held.header.key),
    }
}

fn check_json(found: &[u8], stated: &Value) {
    let found: Value = serde_json::from_slice(found).unwrap();
    assert_eq!(found, serde_json::from_slice::<Value>(&bytes(stated)).unwrap());
}

fn check_member_expiries(members: &BTreeMap<Vec<u8>, Option<i64>>, row: &Value, now: i64) {
    for (member, expire_at) in members {
        let seconds = row["member_ttl"][BASE64_STANDARD.encode(member)].as_i64();
        assert_near(*expire_at, seconds.map(|seconds| now + seconds * 1000));
    }
}

fn check_hash(fields: &BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>, row: &Value, now: i64) {
    let stated = row["value"].as_array().unwrap();
    assert_eq!(fields.len(), stated.len());
    for triple in stated {
        let (value, expire_at) = &fields[&bytes(&triple[0])];
        assert_eq!(*value, bytes(&triple[1]));
        match row["field_expire_at_ms"][triple[0].as_str().unwrap()].as_i64() {
            Some(at) if triple[2].is_null() => assert_eq!(*expire_at, Some(at)),
            exact => {
                assert_near(*expire_at, triple[2].as_i64().map(|seconds| now + seconds * 1000));
                assert!(exact.is_none_or(|at| expire_at.is_some_and(|found| (found - at).abs() <= 1000)));
            }
        }
    }
}

fn assert_near(found: Option<i64>, stated: Option<i64>) {
    match (found, stated) {
        (Some(found), Some(stated)) => assert!((found - stated).abs() <= SLACK_MS, "{found} for {stated}"),
        (found, stated) => assert_eq!(found, stated),
    }
}

fn check_stream(content: &Content, value: &Value) {
    let Content::Stream { entries, tail } = content else { panic!("not a stream") };
    let stated = value["entries"].as_array().unwrap();
    let stated: Vec<_> = stated.iter().map(|entry| (id(&entry[0]), list(&entry[1]))).collect();
    assert_eq!(*entries, stated);
    let info = pairs(&value["info"]);
    assert_eq!(Some(tail.length), info["length"].as_u64());
    assert_eq!(tail.length, entries.len() as u64);
    assert_eq!(tail.last_id, id(info["last-generated-id"]));
    assert_eq!(tail.max_deleted_id, info.get("max-deleted-entry-id").map(|value| id(value)));
    assert_eq!(tail.first_id, info.get("recorded-first-entry-id").map(|value| id(value)));
    assert_eq!(tail.entries_added, info.get("entries-added").and_then(|value| value.as_u64()));
    assert_eq!(
        tail.producers.map(|kept| kept.duration_seconds),
        info.get("idmp-duration").and_then(|n| n.as_u64())
    );
    let groups = info["groups"].as_array().unwrap();
    assert_eq!(tail.groups.len(), groups.len());
    for (group, stated) in tail.groups.iter().zip(groups) {
        check_group(group, &pairs(stated));
    }
}

fn check_group(group: &dfly_rdb::StreamGroup, stated: &BTreeMap<String, &Value>) {
    assert_eq!(group.name, text(stated["name"]));
    assert_eq!(group.last_id, id(stated["last-delivered-id"]));
    assert_eq!(group.entries_read, stated.get("entries-read").and_then(|read| read.as_u64()));
    let pending = stated["pending"].as_array().unwrap();
    assert_eq!(group.pending.len(), pending.len());
    for (found, stated) in group.pending.iter().zip(pending) {
        assert_eq!(found.id, id(&stated[0]));
        assert_eq!(group.consumers[found.consumer.unwrap()].name, text(&stated[1]));
        assert_eq!(Some(found.delivered_at.0), stated[2].as_i64());
        assert_eq!(Some(found.deliveries), stated[3].as_u64());
    }
    let consumers = stated["consumers"].as_array().unwrap();
    assert_eq!(group.consumers.len(), consumers.len());
    for (index, (found, stated)) in group.consumers.iter().zip(consumers).enumerate() {
        let stated = pairs(stated);
        assert_eq!(found.name, text(stated["name"]));
        assert_eq!(Some(found.seen_at.0), stated["seen-time"].as_i64());
        let active = stated.get("active-time").and_then(|at| at.as_i64()).filter(|at| *at >= 0);
        assert_eq!(found.active_at.map(|at| at.0), active);
        let owned = group.pending.iter().filter(|pending| pending.consumer == Some(index)).count();
        assert_eq!(owned as u64, stated["pel-count"].as_u64().unwrap());
    }
}

/// A reply that lists names and values in turn.
fn pairs(value: &Value) -> BTreeMap<String, &Value> {
    value.as_array().unwrap().chunks(2).map(|pair| (text(&pair[0]), &pair[1])).collect()
}

fn id(value: &Value) -> StreamId {
    let text = text(value);
    let (ms, seq) = text.split_once('-').unwrap();
    StreamId { ms: ms.parse().unwrap(), seq: seq.parse().unwrap() }
}
