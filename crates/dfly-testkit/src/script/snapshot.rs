//! A flow's stream from SYNC on: the header, entries and journal blobs, and the marks at its end.

mod feed;

use bytes::Bytes;
use dfly_wire::packed::write_uint;

use super::entry;
use super::model::{At, Entry};
use super::rdb::Rdb;
use super::style::{Blobs, SnapshotStyle};
use crate::front::FirstPart;
use feed::Feed;

const FULLSYNC_END: u8 = 200;
const ZSTD_BLOB: u8 = 201;
const LZ4_BLOB: u8 = 202;
const JOURNAL_BLOB: u8 = 210;
const JOURNAL_OFFSET: u8 = 211;
const TAGGED_CHUNK: u8 = 224;
const AUX: u8 = 250;
const SELECTDB: u8 = 254;
const EOF: u8 = 255;

/// A shard's part of the keyspace when the snapshot begins.
pub(crate) type Baseline = Vec<(At, Entry)>;

/// A journal record during the full sync.
#[derive(Debug, Clone)]
pub(crate) struct ShardOp {
    /// The keys whose entries must come before it.
    pub(crate) keys: Vec<At>,
    /// The record.
    pub(crate) bytes: Vec<u8>,
}

/// The content of a flow's first part.
#[derive(Debug)]
pub(crate) struct Snapshot<'a> {
    pub(crate) style: &'a SnapshotStyle,
    pub(crate) shard: usize,
    pub(crate) shards: usize,
    pub(crate) baseline: Baseline,
    /// Records among the entries.
    pub(crate) during: Vec<ShardOp>,
    /// Records after FULLSYNC_END.
    pub(crate) tail: Vec<Vec<u8>>,
}

/// One top-level item of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    /// A whole entry, or the first chunk of one, in this database.
    Key { db: u32, bytes: Vec<u8> },
    /// An item that needs no database: a further chunk, or a journal blob.
    Other(Vec<u8>),
    /// FULLSYNC_END.
    End,
}

impl Snapshot<'_> {
    /// The stream up to JOURNAL_OFFSET, exclusive.
    pub(crate) fn first_part(self) -> FirstPart {
        let mut bytes = header(self.style, self.shard, self.shards);
        let (style, mut fullsync_end) = (self.style, 0);
        let (before, behind) = self.items();
        let mut runs: Vec<Vec<Item>> = before.chunks(style.run.max(1)).map(<[Item]>::to_vec).collect();
        let compressed = style.blobs != Blobs::None && style.marks_in_blobs;
        match runs.last_mut() {
            Some(last) if compressed => last.push(Item::End),
            _ => runs.push(vec![Item::End]),
        }
        let ends = runs.len();
        runs.extend(behind.chunks(style.run.max(1)).map(<[Item]>::to_vec));
        for (i, run) in (1..).zip(&runs) {
            let plain = encode_run(run);
            match run.as_slice() {
                [Item::End] if !compressed => bytes.extend(plain),
                _ => bytes.extend(blob(style.blobs, plain)),
            }
            if i == ends {
                fullsync_end = bytes.len();
            }
        }
        FirstPart { bytes, fullsync_end }
    }

    /// The items before and after FULLSYNC_END. Entries and records alternate. An entry comes before the first record that
    /// touches its key.
    fn items(self) -> (Vec<Item>, Vec<Item>) {
        let journal = |bytes: &[u8]| Item::Other(journal_blob(self.style, bytes));
        let mut feed = Feed::new(self.style, self.baseline);
        let between = feed.len() / (self.during.len() + 1);
        let mut items = Vec::new();
        for op in &self.during {
            items.extend((0..between).filter_map(|_| feed.step()));
            op.keys.iter().for_each(|key| items.extend(feed.complete(key)));
            items.push(journal(&op.bytes));
        }
        items.extend(std::iter::from_fn(|| feed.step()));
        (items, self.tail.iter().map(|bytes| journal(bytes)).collect())
    }
}

/// The magic and the AUX fields, in Dragonfly's order (protocol section 4.2).
fn header(style: &SnapshotStyle, shard: usize, shards: usize) -> Vec<u8> {
    let mut out = Rdb::new(style.strings);
    out.raw(b"REDIS0009");
    let mut aux = |key: &str, value: &str| {
        out.u8(AUX);
        out.plain(key.as_bytes());
        out.string(value.as_bytes());
    };
    aux("redis-ver", "6.2.11");
    aux("df-ver", "df-v1.40.1");
    aux("redis-bits", "64");
    aux("ctime", &style.ctime.to_string());
    aux("used-mem", "570576");
    aux("aof-preamble", "0");
    if shard == 0 {
        aux("shard-count", &shards.to_string());
    }
    aux("table-mem", "516864");
    aux("shard-id", &shard.to_string());
    out.out
}

/// Encodes a run of items. SELECTDB comes before the first key of a run, and wherever the database changes.
fn encode_run(run: &[Item]) -> Vec<u8> {
    let (mut out, mut current) = (Vec::new(), None);
    for item in run {
        match item {
            Item::Key { db, bytes } => {
                if current != Some(*db) {
                    out.push(SELECTDB);
                    write_uint(u64::from(*db), &mut out);
                    current = Some(*db);
                }
                out.extend_from_slice(bytes);
            }
            Item::Other(bytes) => out.extend_from_slice(bytes),
            Item::End => out.extend([FULLSYNC_END, 0, 0, 0, 0, 0, 0, 0, 0]),
        }
    }
    out
}

pub(super) fn blob(blobs: Blobs, plain: Vec<u8>) -> Vec<u8> {
    let (opcode, frame) = match blobs {
        Blobs::None => return plain,
        Blobs::Lz4 => (LZ4_BLOB, lz4_frame(&plain)),
        Blobs::Zstd => (ZSTD_BLOB, zstd::bulk::compress(&plain, 3).ok()),
    };
    // Compression into memory does not fail. If it did, uncompressed items would be just as valid.
    let Some(frame) = frame else { return plain };
    let mut out = vec![opcode];
    write_uint(frame.len() as u64, &mut out);
    out.extend(frame);
    out
}

/// A frame of independent blocks that states its content size, like Dragonfly's frames.
fn lz4_frame(plain: &[u8]) -> Option<Vec<u8>> {
    let info = lz4_flex::frame::FrameInfo::new().content_size(Some(plain.len() as u64));
    let mut encoder = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    std::io::Write::write_all(&mut encoder, plain).ok()?;
    encoder.finish().ok()
}

pub(crate) fn journal_blob(style: &SnapshotStyle, record: &[u8]) -> Vec<u8> {
    let mut out = Rdb::new(style.strings);
    out.u8(JOURNAL_BLOB);
    out.len(1);
    out.string(record);
    out.out
}

fn chunk(id: u32, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    [&[TAGGED_CHUNK][..], &id.to_le_bytes(), &len.to_le_bytes(), payload].concat()
}

/// JOURNAL_OFFSET, EOF with its empty checksum, and the token.
pub(crate) fn offset_and_eof(style: &SnapshotStyle, lsn: u64, token: &str) -> Vec<u8> {
    let offset = [&[JOURNAL_OFFSET][..], &lsn.to_le_bytes()].concat();
    let mut out = if style.marks_in_blobs { blob(style.blobs, offset) } else { offset };
    out.push(EOF);
    out.extend([0; 8]);
    out.extend_from_slice(token.as_bytes());
    out
}

/// The items of a key: one item, or chunks with the same id.
fn items_of(style: &SnapshotStyle, id: &mut u32, (at, entry): (&At, &Entry)) -> Vec<Item> {
    let (db, key): (u32, &Bytes) = (at.0, &at.1);
    let Some(encoded) = entry::encode(style, key, entry) else { return Vec::new() };
    match style.tagged {
        Some(per_chunk) if encoded.elements.len() > per_chunk.max(1) => {
            *id += 1;
            let mut chunks = encoded.chunks(per_chunk).into_iter().map(|payload| chunk(*id, &payload));
            let first = chunks.next().map(|bytes| Item::Key { db, bytes });
            first.into_iter().chain(chunks.map(Item::Other)).collect()
        }
        _ => vec![Item::Key { db, bytes: encoded.whole() }],
    }
}

#[cfg(test)]
mod tests;
