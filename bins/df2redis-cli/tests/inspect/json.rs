//! `json --base64` gives the rows that the servers gave.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;

use crate::command::{lines, ok};
use crate::files::{Snapshot, snapshot, snapshots};

/// How far a relative expiry may be off: it was asked for some time after the snapshot began. In seconds.
const SLACK: i64 = 60;

type Rows = BTreeMap<(u64, String), Value>;

fn by_key(rows: Vec<Value>) -> Rows {
    let key = |row: &Value| (row["db"].as_u64().unwrap(), row["key"].as_str().unwrap().to_owned());
    let count = rows.len();
    let rows: Rows = rows.into_iter().map(|row| (key(&row), row)).collect();
    assert_eq!(rows.len(), count, "a key came twice");
    rows
}

fn check(snapshot: &Snapshot, found: &Value, stated: &Value) {
    assert_eq!(found["type"], stated["type"]);
    let (at, stated_at) = (found["expire_at_ms"].as_i64().unwrap(), stated["expire_at_ms"].as_i64().unwrap());
    let off = if snapshot.is_6_2() && at > 0 { 5 } else { 0 };
    assert!((at - stated_at).abs() <= off, "{at} for {stated_at}");
    check_encoding(found["encoding"].as_str().unwrap(), stated);
    match stated["type"].as_str().unwrap() {
        "string" | "list" | "set" => assert_eq!(found["value"], stated["value"]),
        "hash" => check_hash(&found["value"], &stated["value"]),
        "zset" => check_scores(&found["value"], &stated["value"]),
        "stream" => check_stream(&found["value"], &stated["value"]),
        "ReJSON-RL" => assert_eq!(document(&found["value"]), document(&stated["value"])),
        _ => assert!(found["value"].is_null() && stated["value"].is_null()),
    }
    near(&found["member_ttl"], &stated["member_ttl"], SLACK);
    near(
        &found["field_expire_at_ms"],
        &stated["field_expire_at_ms"],
        if snapshot.is_dragonfly() { 1000 } else { 0 },
    );
}

/// A file does not tell how a string or a small list is kept in memory; all else it does.
fn check_encoding(found: &str, stated: &Value) {
    let Some(encoding) = stated["encoding"].as_str() else { return };
    match stated["type"].as_str().unwrap() {
        "string" => assert_eq!(found == "int", encoding == "int", "{stated}"),
        "list" => assert!(found == encoding || (found, encoding) == ("quicklist", "listpack")),
        "hash" | "set" | "zset" | "stream" => assert_eq!(found, encoding),
        _ => assert_eq!(found, "module"),
    }
}

fn check_hash(found: &Value, stated: &Value) {
    let (found, stated) = (found.as_array().unwrap(), stated.as_array().unwrap());
    assert_eq!(found.len(), stated.len());
    for (found, stated) in found.iter().zip(stated) {
        assert_eq!((&found[0], &found[1]), (&stated[0], &stated[1]));
        match (found[2].as_i64(), stated[2].as_i64()) {
            (Some(found), Some(stated)) => assert!((found - stated).abs() <= SLACK, "{found} for {stated}"),
            (found, stated) => assert_eq!(found, stated),
        }
    }
}

fn check_scores(found: &Value, stated: &Value) {
    let number = |score: &Value| score.as_str().unwrap().parse::<f64>().unwrap();
    let all = |rows: &Value| -> Vec<(Value, f64)> {
        rows.as_array().unwrap().iter().map(|row| (row[0].clone(), number(&row[1]))).collect()
    };
    assert_eq!(all(found), all(stated));
}

/// What a server says besides what its file holds: sizes of its tree, what it derives, and the entries again.
const DERIVED: [&str; 9] = [
    "radix-tree-keys",
    "radix-tree-nodes",
    "entries",
    "lag",
    "pids-tracked",
    "iids-tracked",
    "iids-added",
    "iids-duplicates",
    "nacked-count",
];

/// A list in which names and values take turns.
fn pairs(value: &Value) -> BTreeMap<String, Value> {
    let words = value.as_array().unwrap().chunks(2);
    let name =
        |word: &Value| String::from_utf8(BASE64_STANDARD.decode(word.as_str().unwrap()).unwrap()).unwrap();
    let pairs = words.map(|pair| (name(&pair[0]), pair[1].clone()));
    pairs.filter(|(name, _)| !DERIVED.contains(&&name[..])).collect()
}

fn check_stream(found: &Value, stated: &Value) {
    assert_eq!(found["entries"], stated["entries"]);
    let (mut found, mut stated) = (pairs(&found["info"]), pairs(&stated["info"]));
    let groups = (found.remove("groups").unwrap(), stated.remove("groups").unwrap());
    assert_eq!(found, stated);
    let (found, stated) = (groups.0.as_array().unwrap(), groups.1.as_array().unwrap());
    assert_eq!(found.len(), stated.len());
    for (found, stated) in found.iter().zip(stated) {
        let (mut found, mut stated) = (pairs(found), pairs(stated));
        let consumers = (found.remove("consumers").unwrap(), stated.remove("consumers").unwrap());
        assert_eq!(found, stated);
        let all = |consumers: &Value| consumers.as_array().unwrap().iter().map(pairs).collect::<Vec<_>>();
        assert_eq!(all(&consumers.0), all(&consumers.1));
    }
}

fn document(value: &Value) -> Value {
    serde_json::from_slice(&BASE64_STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap()
}

/// Numbers by member: the same members, numbers at most `slack` apart.
fn near(found: &Value, stated: &Value, slack: i64) {
    let empty = serde_json::Map::new();
    let (found, stated) = (found.as_object().unwrap_or(&empty), stated.as_object().unwrap_or(&empty));
    // A Dragonfly was asked for field expiries only where it says that it has some.
    assert!(found.keys().eq(stated.keys()), "{found:?} for {stated:?}");
    for (name, at) in found {
        assert!((at.as_i64().unwrap() - stated[name].as_i64().unwrap()).abs() <= slack, "{name}: {at}");
    }
}

#[test]
fn rows_are_those_of_the_servers() {
    for snapshot in snapshots() {
        let found = by_key(lines(&ok(&["json", "--base64", &snapshot.file()])));
        let stated = by_key(snapshot.expected());
        assert!(found.keys().eq(stated.keys()), "{}", snapshot.name);
        for (key, row) in &stated {
            check(&snapshot, &found[key], row);
        }
    }
}

/// Members and fields in one order.
fn sorted(mut row: Value) -> Value {
    if ["set", "hash", "zset"].contains(&row["type"].as_str().unwrap()) {
        row["value"].as_array_mut().unwrap().sort_by_key(Value::to_string);
    }
    // The encoding of a short string is seen only when it is whole.
    row.as_object_mut().unwrap().remove("encoding");
    row
}

/// Values in parts give the same rows, but for the order of members and fields.
#[test]
fn parts_give_the_same_rows() {
    for snapshot in snapshots() {
        for form in [&[][..], &["--base64"]] {
            let rows = |hold: &str| -> Rows {
                let file = snapshot.file();
                let args = [&["json", "--hold", hold, &file], form].concat();
                by_key(lines(&ok(&args)).into_iter().map(sorted).collect())
            };
            let (whole, parts) = (rows("1GiB"), rows("64"));
            for (key, row) in &whole {
                assert_eq!(&parts[key], row, "{}", snapshot.name);
            }
            assert_eq!(whole.len(), parts.len());
        }
    }
}

#[test]
fn escaped_text() {
    let out = ok(&["json", "--match", "bin:*", &snapshot("redis-7.0").file()]);
    let row = &lines(&out)[0];
    assert_eq!(row["key"], "bin:\\x00\\xff\\r\\nkey");
    assert!(row["value"].as_str().unwrap().starts_with("\\x00\\x01"), "{row}");
    assert!(row["value"].as_str().unwrap().contains("XYZ[\\\\]^_`abc"), "{row}");
}
