//! The stable streams of all recorded sessions: every split gives the same records, every truncation is incomplete.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed expectation must stop the test")]

use std::path::{Path, PathBuf};

use bytes::BytesMut;
use dfly_journal::{Decoder, Lsn, Record};
use dfly_wire::Step;

/// The journal bytes of one recorded flow, and its first position.
struct Stream {
    name: String,
    first: Lsn,
    bytes: Vec<u8>,
}

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dfly-testkit/captures")
}

/// Flows that were fully synchronised end their snapshot with `D3 offset FF 0*8 token`; partial ones start at once.
fn streams() -> Vec<Stream> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(captures()).unwrap() {
        let dir = entry.unwrap().path();
        for connection in 1..6 {
            let Ok(sent) = std::fs::read(dir.join(format!("conn-{connection}.s2c"))) else { continue };
            let asked = std::fs::read_to_string(dir.join(format!("conn-{connection}.c2s"))).unwrap();
            out.extend(stream(format!("{} {connection}", dir.display()), &sent, &asked));
        }
    }
    out
}

fn stream(name: String, sent: &[u8], asked: &str) -> Option<Stream> {
    let flow = asked.lines().find(|line| line.starts_with("DFLY FLOW"))?;
    let token = sent.windows(40).position(|w| w.iter().all(u8::is_ascii_hexdigit))?;
    let reply_end = token + 42;
    if let Some(lsn) = flow.split(' ').nth(5) {
        return Some(Stream {
            name,
            first: Lsn(lsn.trim().parse().unwrap()),
            bytes: sent[reply_end..].to_vec(),
        });
    }
    let token = &sent[token..token + 40];
    let at = sent.windows(40).rposition(|w| w == token)?;
    (at > reply_end).then(|| {
        // EOF takes 9 bytes before the token; JOURNAL_OFFSET ends there, or inside the last compressed blob. In that
        // case the recorded replica's first ACK tells, which it sends when it enters stable sync.
        let plain = sent[at - 18] == 0xd3;
        let offset = u64::from_le_bytes(sent[at - 17..at - 9].try_into().unwrap());
        let ack = asked.lines().find_map(|line| line.strip_prefix("REPLCONF ACK "));
        let first = if plain { offset } else { ack.unwrap().trim().parse().unwrap() };
        Stream { name, first: Lsn(first), bytes: sent[at + 40..].to_vec() }
    })
}

fn decode(stream: &Stream, piece: usize) -> Vec<Record> {
    let mut journal = Decoder::stream(stream.first);
    let (mut src, mut out) = (BytesMut::new(), Vec::new());
    for part in stream.bytes.chunks(piece) {
        src.extend_from_slice(part);
        while let Step::Ready(record) = journal.decode(&mut src).unwrap() {
            out.push(record);
        }
    }
    assert!(src.is_empty(), "{}: {} bytes left", stream.name, src.len());
    assert_eq!(journal.offset(), stream.bytes.len() as u64);
    out
}

#[test]
fn every_split_gives_the_same_records() {
    let streams = streams();
    assert!(streams.len() >= 30, "{} recorded flows", streams.len());
    let mut records = 0;
    for stream in &streams {
        let whole = decode(stream, usize::MAX);
        for piece in [1, 7, 64, 1460] {
            assert_eq!(decode(stream, piece), whole, "{} in pieces of {piece}", stream.name);
        }
        records += whole.len();
    }
    assert!(records > 1500, "{records} records");
}

#[test]
fn a_truncated_stream_is_incomplete() {
    let streams = streams();
    let stream =
        streams.iter().filter(|s| s.name.contains("journal-4shards")).max_by_key(|s| s.bytes.len()).unwrap();
    let whole = decode(stream, usize::MAX);
    for cut in 0..stream.bytes.len() {
        let mut src = BytesMut::from(&stream.bytes[..cut]);
        let mut journal = Decoder::stream(stream.first);
        let mut seen = 0;
        while let Step::Ready(record) = journal.decode(&mut src).unwrap() {
            assert_eq!(record, whole[seen]);
            seen += 1;
        }
        assert!(seen <= whole.len());
    }
}
