//! Reads a recording's files from a folder, or from the binary itself.

use std::path::Path;

use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::RecordingError;

pub(super) enum Files<'a> {
    Dir(&'a Path),
    Embedded(&'static [(&'static str, &'static [u8])]),
}

macro_rules! embed {
    ($dir:literal: $($name:literal)*) => {
        &[$(($name, include_bytes!(concat!("../../captures/", $dir, "/", $name)) as &[u8])),*]
    };
}

/// A master with four shards, with every type in the snapshot and every command family in the journal. About 1 MiB.
pub(super) const JOURNAL_4SHARDS: &[(&str, &[u8])] = embed!("journal-4shards":
    "meta.json" "expected.jsonl"
    "conn-0.c2s" "conn-0.s2c" "conn-0.jsonl" "conn-1.c2s" "conn-1.s2c" "conn-1.jsonl"
    "conn-2.c2s" "conn-2.s2c" "conn-2.jsonl" "conn-3.c2s" "conn-3.s2c" "conn-3.jsonl"
    "conn-4.c2s" "conn-4.s2c" "conn-4.jsonl");

impl Files<'_> {
    pub(super) fn read(&self, name: &str) -> Result<Bytes, RecordingError> {
        match self {
            Self::Dir(dir) => {
                let path = dir.join(name);
                let read = std::fs::read(&path);
                read.map(Bytes::from).map_err(|source| RecordingError::Read { path, source })
            }
            Self::Embedded(files) => files
                .iter()
                .find(|(found, _)| *found == name)
                .map(|(_, bytes)| Bytes::from_static(bytes))
                .ok_or_else(|| RecordingError::NotEmbedded(name.to_owned())),
        }
    }

    pub(super) fn json<T: DeserializeOwned>(&self, name: &str) -> Result<T, RecordingError> {
        let bytes = self.read(name)?;
        serde_json::from_slice(&bytes).map_err(|source| json_error(name, source.line(), source))
    }

    pub(super) fn json_lines<T: DeserializeOwned>(&self, name: &str) -> Result<Vec<T>, RecordingError> {
        let bytes = self.read(name)?;
        let lines = bytes.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.is_empty());
        lines.map(|(i, line)| serde_json::from_slice(line).map_err(|e| json_error(name, i + 1, e))).collect()
    }
}

fn json_error(file: &str, line: usize, source: serde_json::Error) -> RecordingError {
    RecordingError::Json { file: file.to_owned(), line, source }
}
