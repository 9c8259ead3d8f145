//! The snapshots of real servers, and files made of them.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dfly_testkit::Row;
use serde_json::{Value, json};

/// A recorded snapshot.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) name: String,
    pub(crate) folder: PathBuf,
}

/// All thirteen.
pub(crate) fn snapshots() -> Vec<Snapshot> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/dfly-rdb/tests/data/snapshots");
    let mut folders: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    let name = |folder: &PathBuf| folder.file_name().unwrap().to_str().unwrap().to_owned();
    let all: Vec<_> = folders.into_iter().map(|folder| Snapshot { name: name(&folder), folder }).collect();
    assert_eq!(all.len(), 13);
    all
}

pub(crate) fn snapshot(name: &str) -> Snapshot {
    snapshots().into_iter().find(|snapshot| snapshot.name == name).unwrap()
}

impl Snapshot {
    /// A file that names it: the summary of a set.
    pub(crate) fn file(&self) -> String {
        let file = self.folder.join("snap.rdb");
        let file = if file.exists() { file } else { self.folder.join("snap-summary.dfs") };
        file.to_str().unwrap().to_owned()
    }

    pub(crate) fn is_dragonfly(&self) -> bool {
        self.name.starts_with("dragonfly")
    }

    /// Redis 6.2 says less of streams, and its expiries were computed from a clock.
    pub(crate) fn is_6_2(&self) -> bool {
        self.name.starts_with("redis-6.2")
    }

    pub(crate) fn expected(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.join("expected.jsonl")).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What a Redis 7.0 holds of it.
    pub(crate) fn rows(&self) -> Vec<Row> {
        let mut rows = self.expected();
        if self.is_6_2() {
            rows.iter_mut().filter(|row| row["type"] == "stream").for_each(as_7_0);
        }
        let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
        Row::read_all(lines.join("\n").as_bytes()).unwrap()
    }
}

fn b64(text: &str) -> Value {
    BASE64_STANDARD.encode(text).into()
}

/// What a Redis 7.0 makes of a stream that knows no more than a Redis 6.2 (`rdb.c`, `rdbLoadObject`).
fn as_7_0(row: &mut Value) {
    let first = row["value"]["entries"][0][0].clone();
    let first = if first.is_null() { b64("0-0") } else { first };
    let info = row["value"]["info"].as_array_mut().unwrap();
    let length = info[1].clone();
    info.extend([b64("max-deleted-entry-id"), b64("0-0"), b64("entries-added"), length]);
    info.extend([b64("recorded-first-entry-id"), first]);
    let groups = info.iter().position(|word| *word == b64("groups")).unwrap() + 1;
    for group in info[groups].as_array_mut().unwrap() {
        group.as_array_mut().unwrap().extend([b64("entries-read"), json!(null)]);
    }
}
