//! Relay logs to measure.

#![expect(clippy::expect_used, reason = "a bench that cannot run has no result")]

use std::path::Path;

use dfly_wire::{DbIndex, UnixMillis};
use relay_log::{Appended, Frame, Identity, Options, RelayLog};
use tempfile::TempDir;

/// A folder in memory, if there is one.
pub fn folder() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { TempDir::new_in(memory) } else { TempDir::new() }.expect("a temporary folder")
}

/// An empty log.
pub fn open(dir: &TempDir) -> RelayLog {
    let identity = Identity::new("6b1f0e7c9d4a3b2586f0d1c2e3a4b5968778695a", 0, 1).expect("an identity");
    RelayLog::open(dir.path(), identity, Options::default()).expect("a log").0
}

fn frame(position: u64, body: &[u8]) -> Frame<&[u8]> {
    Frame { first: position, next: position + 1, db: DbIndex(0), received_at: UnixMillis(0), body }
}

/// Appends a frame with one record.
pub fn append(log: &mut RelayLog, position: u64, body: &[u8]) {
    assert_eq!(log.append(&frame(position, body)).expect("space"), Appended::Yes);
}
