//! `summary`, `keys`, `biggest` and `prefixes` count what is there.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::command::{lines, ok};
use crate::files::{snapshot, snapshots};

fn one(args: &[&str]) -> Value {
    let mut all = lines(&ok(args));
    assert_eq!(all.len(), 1);
    all.pop().unwrap()
}

fn counts<'v>(rows: impl Iterator<Item = &'v Value>) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    rows.for_each(|row| *counts.entry(row["type"].as_str().unwrap().to_owned()).or_default() += 1);
    counts
}

#[test]
fn summaries_count_every_key() {
    for snapshot in snapshots() {
        let rows = snapshot.expected();
        for hold in ["64", "1MiB"] {
            let found = one(&["summary", "--format", "json", "--hold", hold, &snapshot.file()]);
            let by_type = found["by_type"].as_array().unwrap().iter();
            let by_type: BTreeMap<String, u64> = by_type
                .map(|row| (row["type"].as_str().unwrap().to_owned(), row["keys"].as_u64().unwrap()))
                .collect();
            assert_eq!(by_type, counts(rows.iter()), "{}", snapshot.name);
            let expiring = rows.iter().filter(|row| row["expire_at_ms"].as_i64().unwrap() >= 0).count();
            assert_eq!(
                (&found["all"]["keys"], &found["all"]["expiring"]),
                (&json!(rows.len()), &json!(expiring))
            );
            for table in ["by_type", "by_encoding", "by_db"] {
                for column in ["keys", "bytes", "expiring"] {
                    let all =
                        found[table].as_array().unwrap().iter().map(|row| row[column].as_u64().unwrap());
                    assert_eq!(all.sum::<u64>(), found["all"][column], "{table} {column}");
                }
            }
            let expiries =
                found["by_expiry"].as_array().unwrap().iter().map(|row| row["keys"].as_u64().unwrap());
            assert_eq!(expiries.sum::<u64>(), found["all"]["expiring"]);
        }
    }
}

#[test]
fn a_summary_in_text() {
    let out = ok(&["summary", &snapshot("valkey-9.1").file()]);
    assert!(out.contains("  VALKEY080  Valkey 9.1.2  2026-11-22T"), "{out}");
    assert!(out.contains("103 keys, 4 with an expiry, "), "{out}");
    assert!(out.contains("function libraries: 1\n"), "{out}");
    let head = out.lines().find(|line| line.starts_with("database")).unwrap();
    let row = out.lines().find(|line| line.trim_start().starts_with("3 ")).unwrap();
    assert_eq!(head.find("keys").unwrap() + 4, row.find("  2 ").unwrap() + 3, "columns are aligned");
}

/// Sizes do not depend on what is held at a time.
#[test]
fn facts_of_keys() {
    for snapshot in snapshots() {
        let keys = |hold: &str| -> BTreeMap<String, Value> {
            let rows =
                lines(&ok(&["keys", "--format", "json", "--base64", "--hold", hold, &snapshot.file()]));
            let name = |row: &Value| format!("{} {}", row["db"], row["key"]);
            rows.into_iter().map(|row| (name(&row), row)).collect()
        };
        let (whole, parts) = (keys("1GiB"), keys("64"));
        assert!(whole.keys().eq(parts.keys()));
        for row in snapshot.expected() {
            let name = format!("{} {}", row["db"], row["key"]);
            let (whole, parts) = (&whole[&name], &parts[&name]);
            let facts = ["db", "key", "type", "bytes", "elements", "expire_at_ms"];
            facts.iter().for_each(|fact| assert_eq!(whole[fact], parts[fact], "{fact} of {name}"));
            let elements = match row["type"].as_str().unwrap() {
                "stream" => row["value"]["entries"].as_array().map(Vec::len),
                _ => row["value"].as_array().map(Vec::len),
            };
            assert_eq!(whole["elements"], elements.unwrap_or(1), "{name}");
        }
    }
}

fn names(flags: &[&str]) -> Vec<String> {
    let file = snapshot("redis-8.6").file();
    let rows = lines(&ok(&[&["keys", "--format", "json", &file], flags].concat()));
    let mut names: Vec<String> = rows.iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect();
    names.sort_unstable();
    names
}

#[test]
fn filters() {
    assert_eq!(names(&["--match", "set:ints*"]), ["set:ints", "set:ints32", "set:ints64"]);
    assert_eq!(names(&["--match", "set:int[!-z]"]), ["set:ints"]);
    assert_eq!(names(&["--db", "3"]), ["db3", "db3:l"]);
    assert_eq!(names(&["--type", "stream", "--match", "x:*"]), ["x:dupfields", "x:one"]);
    assert_eq!(names(&["--type", "stream", "--type", "zset"]).len(), 10);
    assert_eq!(names(&["--expires"]), ["db3", "list:ttl", "str:pttl", "str:ttl"]);
    assert_eq!(names(&["--persistent"]).len(), 99);
    assert_eq!(names(&["--expires-after", "2030-01-01T00:00:00Z"]).len(), 4);
    assert_eq!(names(&["--expires-before", "2030-01-01"]), [""; 0]);
    assert_eq!(names(&["--min-size", "60KiB"]), ["hash:big", "list:nodes", "str:big"]);
    assert_eq!(names(&["--max-size", "6"]), ["db3", "freq"]);
    assert_eq!(names(&["--hold", "64", "--min-size", "60KiB"]).len(), 3, "parts are filtered too");
    let modules = snapshot("redis-7.4-modules").file();
    for (name, count) in [("json", 3), ("MBbloom--", 1), ("topk", 1)] {
        assert_eq!(ok(&["keys", "--type", name, &modules]).lines().count(), count, "{name}");
        assert_eq!(ok(&["keys", "--hold", "64", "--type", name, &modules]).lines().count(), count, "{name}");
    }
}

#[test]
fn keys_in_text() {
    let out = ok(&["keys", "--match", "*ttl", "--expires", &snapshot("redis-7.0").file()]);
    let mut lines: Vec<&str> = out.lines().collect();
    lines.sort_unstable();
    assert_eq!(
        lines[2],
        " 0  string     embstr              10          1  2030-01-01T00:00:00.123Z  str:pttl"
    );
}

#[test]
fn biggest_keys() {
    let file = snapshot("redis-8.6").file();
    let found = one(&["biggest", "--top", "3", "--format", "json", &file]);
    let names = |top: &Value| -> Vec<String> {
        top.as_array().unwrap().iter().map(|row| row["key"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&found["all"]["by_bytes"]), ["list:nodes", "str:big", "hash:big"]);
    assert_eq!(names(&found["all"]["by_elements"]), ["set:big", "hash:big", "zset:big"]);
    assert_eq!(names(&found["by_type"]["set"]["by_elements"]), ["set:big", "s:mixed", "set:ints"]);
    assert_eq!(found["by_type"].as_object().unwrap().len(), 6);
    let text = ok(&["biggest", "--top", "1", "--type", "set", &file]);
    let stated = "biggest by bytes\n   bytes  elements  type  encoding   db  key\n\
                  16.5 KiB      3000  set   hashtable   0  set:big\n\n";
    assert!(text.starts_with(stated), "{text}");
    assert_eq!(ok(&["biggest", "--match", "nothing", &file]), "no keys\n");
}

#[test]
fn prefixes() {
    let file = snapshot("redis-8.6").file();
    let found = one(&["prefixes", "--format", "json", &file]);
    assert_eq!((&found["keys"], &found["keys_may_be_short_by"]), (&json!(103), &json!(0)));
    let first = &found["prefixes"][0];
    assert_eq!((&first["prefix"], &first["keys"]), (&json!("str:"), &json!(47)));
    let text = ok(&["prefixes", "--min", "6", &file]);
    let shown: Vec<&str> = text.lines().skip(2).map(|line| line.split_whitespace().next().unwrap()).collect();
    assert_eq!(shown, ["str:", "int:", "list:", "set:"]);
    let text = ok(&["prefixes", "--separator", "t", "--depth", "2", "--match", "set:t*", &file]);
    assert!(text.contains("\n  set ") && text.contains("\n    set:t "), "{text}");
}
