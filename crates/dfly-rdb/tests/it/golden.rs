//! Every recorded file and session decodes to what its server said that it held (P2, P11, P12, P22).

use std::collections::BTreeMap;
use std::path::Path;

use dfly_wire::UnixMillis;

use crate::driver::decode_whole;
use crate::model::{Content, Held, keyspace};
use crate::{expected, inputs};
use bytes::Bytes;
use dfly_rdb::{Checksum, Config, Event, Magic};

/// When a stream was written, in milliseconds, by its own word.
fn written_at(events: &[Event]) -> i64 {
    let ctime = events.iter().find_map(|event| match event {
        Event::Aux { key, value } if key == "ctime" => Some(value),
        _ => None,
    });
    std::str::from_utf8(ctime.unwrap()).unwrap().parse::<i64>().unwrap() * 1000
}

fn check_rows(keys: &BTreeMap<(u32, Vec<u8>), Held>, folder: &Path, now: i64) {
    let rows = expected::rows(folder);
    let names = |all: Vec<&(u32, Vec<u8>)>| -> Vec<String> {
        all.iter().map(|(db, key)| format!("{db}:{}", key.escape_ascii())).collect()
    };
    assert_eq!(names(keys.keys().collect()), names(rows.keys().collect()), "{}", folder.display());
    for (name, row) in &rows {
        expected::check(&keys[name], row, now);
    }
}

#[test]
fn snapshots_hold_what_the_servers_held() {
    let folders = inputs::folders(&inputs::snapshots());
    assert_eq!(folders.len(), 13);
    for folder in folders {
        let (mut all, mut now) = (Vec::new(), 0);
        for file in inputs::files(&folder) {
            let (events, rest) = decode_whole(&file, Config::default()).unwrap();
            assert!(matches!(events.first(), Some(Event::Magic(Magic { .. }))));
            let Some(Event::End { checksum }) = events.last() else { panic!("no end") };
            let dragonfly = folder.file_name().unwrap().to_str().unwrap().starts_with("dragonfly");
            assert_eq!(*checksum == Checksum::None, dragonfly, "{}", folder.display());
            assert!(dragonfly || (matches!(checksum, Checksum::Verified(_)) && rest.is_empty()));
            now = written_at(&events);
            all.extend(events);
        }
        check_rows(&keyspace(&all), &folder, now);
    }
}

#[test]
fn sessions_without_a_journal_bring_what_the_master_held() {
    let folders = inputs::folders(&inputs::captures());
    let quiet = folders.iter().filter(|folder| {
        let name = folder.file_name().unwrap().to_str().unwrap();
        name.starts_with("types-") || name == "requirepass"
    });
    let mut checked = 0;
    for folder in quiet {
        let (mut all, mut now) = (Vec::new(), 0);
        for flow in inputs::flows(folder) {
            let (events, rest) = decode_whole(&flow.stream, Config::default()).unwrap();
            assert!(rest.starts_with(&flow.token));
            assert_eq!(events.iter().filter(|event| **event == Event::FullSyncEnd).count(), 1);
            now = written_at(&events);
            all.extend(events);
        }
        check_rows(&keyspace(&all), folder, now);
        checked += 1;
    }
    assert_eq!(checked, 8);
}

#[test]
fn all_other_sessions_decode_to_their_token() {
    let mut flows = 0;
    for folder in inputs::folders(&inputs::captures()) {
        for flow in inputs::flows(&folder) {
            let (events, rest) = decode_whole(&flow.stream, Config::default()).unwrap();
            assert!(rest.starts_with(&flow.token), "{}", folder.display());
            assert_eq!(events.last(), Some(&Event::End { checksum: Checksum::None }));
            let offset = events.iter().filter(|event| matches!(event, Event::JournalOffset(_)));
            assert_eq!(offset.count(), 1);
            assert!(!keyspace(&events).is_empty());
            flows += 1;
        }
    }
    assert!(flows >= 30, "{flows} flows");
}

/// The annotated flow of `docs/protocol.md`: each event, in its order.
#[test]
fn the_annotated_flow() {
    let (events, rest) = decode_whole(&inputs::vector(), Config::default()).unwrap();
    assert!(rest.starts_with(b"a44c435a4d315261fd96d9a32271b7da442dbfb9\x06\x00\x0a"));
    let aux = events.iter().filter_map(|event| match event {
        Event::Aux { key, value } => Some(format!("{}={}", key.escape_ascii(), value.escape_ascii())),
        _ => None,
    });
    let stated = "redis-ver=6.2.11 df-ver=df-v1.40.1 redis-bits=64 ctime=1795333178 used-mem=570576 \
                  aof-preamble=0 shard-count=1 table-mem=516864 shard-id=0";
    assert_eq!(aux.collect::<Vec<_>>().join(" "), stated);
    let keys = events.iter().filter_map(|event| match event {
        Event::Entry(entry) => Some(format!("{}:{}", entry.header.key.escape_ascii(), entry.value.type_id())),
        _ => None,
    });
    assert_eq!(
        keys.collect::<Vec<_>>().join(" "),
        "j:30 k:0 st:0 h:16 ht:31 x:21 i:11 l:18 z:17 n:0 s:2 ste:32 d1:0"
    );
    let blob = |bytes: &'static [u8]| Event::JournalBlob(Bytes::from_static(bytes));
    assert_eq!(
        events[events.len() - 5..],
        [
            Event::FullSyncEnd,
            blob(b"\x06\0\x0a\0\x01\x03\x0a\x03SET\x06during\x01x"),
            blob(b"\x06\0\x0a\0\x01\x02\x09\x03DEL\x06during"),
            Event::JournalOffset(3),
            Event::End { checksum: Checksum::None },
        ]
    );
    let held = keyspace(&events);
    let header = |key: &str| &held[&(0, key.as_bytes().to_vec())].header;
    assert!(header("st").sticky && !header("k").sticky);
    assert_eq!(header("n").expire_at, Some(UnixMillis(1_795_433_178_751)));
    assert_eq!(
        held[&(0, b"ht".to_vec())].content,
        Content::Hash([(b"f".to_vec(), (b"v".to_vec(), Some(1_795_334_178_000)))].into())
    );
    assert_eq!(held[&(1, b"d1".to_vec())].content, Content::Text(b"1".to_vec()));
}
