//! Logs in temporary folders: what is written is read, whatever happens in between.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed expectation must stop the test")]

mod bounds;
mod damage;
mod disk_full;
mod folder;
mod model;
mod reading;

use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use dfly_wire::{DbIndex, UnixMillis};
use relay_log::{Appended, Frame, Identity, Options, Recovered, RelayLog};

const SOURCE: &str = "6b1f0e7c9d4a3b2586f0d1c2e3a4b5968778695a";

/// Small enough that a few frames fill a segment, and a few segments the log.
const SMALL: Options =
    Options { segment_bytes: 300, max_bytes: 1500, frame_bytes: 1000, write_bytes: 200, read_bytes: 64 };

fn identity() -> Identity {
    Identity::new(SOURCE, 1, 4).unwrap()
}

fn open(dir: &Path, options: Options) -> (RelayLog, Recovered) {
    RelayLog::open(dir, identity(), options).unwrap()
}

fn frame(first: u64, next: u64, body: impl Into<Bytes>) -> Frame {
    let received_at = UnixMillis(1_700_000_000_000 + i64::try_from(first).unwrap());
    Frame { first, next, db: DbIndex(u32::try_from(next % 3).unwrap()), received_at, body: body.into() }
}

/// `count` frames from position 10 on: of `size` bytes and two records each, with a few of another kind between them.
fn frames(count: u64, size: usize) -> Vec<Frame> {
    let mut next = 10;
    let make = |i: u64| {
        let (first, records) = (next, if i % 5 == 3 { 0 } else { 2 });
        next += records;
        frame(first, next, vec![b'a' + u8::try_from(i % 26).unwrap(); size + usize::try_from(i).unwrap()])
    };
    (0..count).map(make).collect()
}

fn append_all(log: &mut RelayLog, frames: &[Frame]) {
    for frame in frames {
        assert_eq!(log.append(frame).unwrap(), Appended::Yes);
    }
}

fn read_all(log: &mut RelayLog) -> Vec<Frame> {
    std::iter::from_fn(|| log.next_frame().unwrap()).collect()
}

/// The segments' files, in order.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = files.filter(|path| path.extension().is_some()).collect();
    found.sort();
    found
}
