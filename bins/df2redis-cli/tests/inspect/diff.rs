//! `diff`: nothing between equal sets, each planted difference between others.

use dfly_rdb::payload::TargetFormat;
use dfly_rdb::write::RdbWriter;
use dfly_rdb::{Family, KeyHeader, RawValue, TypeId};
use dfly_wire::{DbIndex, UnixMillis};

use crate::command::{lines, ok, run};
use crate::files::snapshots;

#[test]
fn a_file_equals_itself() {
    for snapshot in snapshots() {
        let file = snapshot.file();
        let keys = snapshot.expected().len();
        let stated = format!("{keys} keys in A, {keys} in B, {keys} equal in both\n");
        assert_eq!(ok(&["diff", &file, &file]), stated, "{}", snapshot.name);
        assert_eq!(ok(&["diff", "--hold", "64", &file, &file]), stated, "{}", snapshot.name);
    }
}

/// A key: database, name, expiry, encoding, payload.
type Key<'a> = (u32, &'a str, Option<i64>, TypeId, &'a [u8]);

fn file(path: &std::path::Path, keys: &[Key<'_>]) -> String {
    let mut writer = RdbWriter::new(TargetFormat { family: Family::Redis, version: (7, 0) });
    let mut out = Vec::new();
    writer.start(&mut out);
    for (db, key, at, type_id, payload) in keys {
        let key = bytes::Bytes::copy_from_slice(key.as_bytes());
        let header =
            KeyHeader { db: DbIndex(*db), key, expire_at: at.map(UnixMillis), ..KeyHeader::default() };
        let value = RawValue::new(*type_id, bytes::Bytes::copy_from_slice(payload));
        writer.entry(&header, &value, &mut out).unwrap();
    }
    writer.finish(&mut out);
    std::fs::write(path, out).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn each_kind_of_difference() {
    let folder = tempfile::tempdir().unwrap();
    let same: Key<'_> = (0, "same", None, TypeId::String, b"\x01v");
    let a = [
        same,
        // One set in two encodings and two orders.
        (0, "order", None, TypeId::Set, b"\x02\x01b\x01a"),
        (0, "only a", None, TypeId::String, b"\x01v"),
        (0, "kind", None, TypeId::String, b"\x01v"),
        (0, "expiry", Some(1_893_456_000_000), TypeId::String, b"\x01v"),
        (0, "near", Some(1_893_456_000_000), TypeId::String, b"\x01v"),
        (0, "value", None, TypeId::String, b"\x01v"),
        (0, "both", Some(1_893_456_000_000), TypeId::List, b"\x01\x01v"),
        (0, "moved", None, TypeId::String, b"\x01v"),
    ];
    let b = [
        same,
        (0, "order", None, TypeId::Set, b"\x02\x01a\x01b"),
        (0, "only b", None, TypeId::String, b"\x01v"),
        (0, "kind", None, TypeId::List, b"\x01\x01v"),
        (0, "expiry", None, TypeId::String, b"\x01v"),
        (0, "near", Some(1_893_456_000_001), TypeId::String, b"\x01v"),
        (0, "value", None, TypeId::String, b"\x02ww"),
        (0, "both", None, TypeId::List, b"\x02\x01v\x01w"),
        (1, "moved", None, TypeId::String, b"\x01v"),
    ];
    let (a, b) = (file(&folder.path().join("a.rdb"), &a), file(&folder.path().join("b.rdb"), &b));
    let done = run(&["diff", &a, &b]);
    assert_eq!((done.code, &done.err[..]), (3, "error: 9 keys differ [DF0002]\n"));
    let (differences, counts) = done.out.split_once("\n\n").unwrap();
    let mut found: Vec<&str> = differences.lines().collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "expiry     db 0   both  (2030-01-01T00:00:00Z in A, never in B)",
            "expiry     db 0   expiry  (2030-01-01T00:00:00Z in A, never in B)",
            "expiry     db 0   near  (2030-01-01T00:00:00Z in A, 2030-01-01T00:00:00.001Z in B)",
            "only in A  db 0   moved  (string)",
            "only in A  db 0   only a  (string)",
            "only in B  db 0   only b  (string)",
            "only in B  db 1   moved  (string)",
            "type       db 0   kind  (string in A, list in B)",
            "value      db 0   both  (list of 1 in A, list of 2 in B)",
            "value      db 0   value  (string of 1 bytes in A, string of 2 bytes in B)",
        ]
    );
    assert_eq!(
        counts,
        "9 keys in A, 9 in B, 2 equal in both\n\
         only in A: 2, only in B: 2, different type: 1, different expiry: 3, different value: 2\n"
    );
    let json = run(&["diff", "--format", "json", "--expiry-slack", "1", &a, &b]);
    assert_eq!((json.code, &json.err[..]), (3, "error: 8 keys differ [DF0002]\n"));
    let rows = lines(&json.out);
    assert_eq!(rows.len(), 10);
    assert_eq!(rows[9]["expiry"], 2);
    let kind = rows.iter().find(|row| row["difference"] == "type").unwrap();
    assert_eq!((&kind["a"]["type"], &kind["b"]["type"]), (&"string".into(), &"list".into()));
}
