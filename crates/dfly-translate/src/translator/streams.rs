//! Streams by commands.

use dfly_rdb::payload::{TargetFormat, write_stream_groups};
use dfly_rdb::{IntBuffer, StreamEntry, StreamGroup, StreamId, StreamTail};
use redis_resp::CommandBatch;

use crate::names::TOOL;
use crate::script;
use crate::translator::destination::Destination;

/// The most fields of an entry that a script can move. It has to hold names and values at the same time, and Lua holds some
/// 8,000 arguments.
pub(crate) const WIDEST: u64 = 3_900;

/// How many entries one script moves at the most, so that the server answers others in between.
const STEP_ENTRIES: u64 = 1_000;

/// How many bytes of entries one script moves, plus one read of some entries.
const STEP_BYTES: u64 = 4 << 20;

/// More than any stream holds, and a number that Lua represents exactly.
const ALL: u64 = 1 << 53;

/// How a stream is rebuilt.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rebuild<'a> {
    /// The key under which it is put together.
    pub key: &'a [u8],
    /// What RESTORE accepts.
    pub format: TargetFormat,
    /// The size of the stream's payload, in bytes.
    pub bytes: usize,
    /// The largest number of fields of the entries before.
    pub widest: u64,
}

fn id_text(id: StreamId) -> String {
    format!("{}-{}", id.ms, id.seq)
}

/// Writes one entry.
pub(crate) fn write_entry(to: Destination<'_>, entry: &StreamEntry<'_>, out: &mut CommandBatch) {
    let mut words = Vec::new();
    for (field, value) in entry.fields() {
        words.extend([field, value]);
    }
    let mut command = out.start(3 + words.len());
    command.arg(b"XADD").key(to.key).arg(id_text(entry.id()).as_bytes());
    for word in words {
        command.arg(word.as_bytes(&mut IntBuffer::new()));
    }
    command.finish_with(to.once());
}

/// Writes everything of a stream except its entries. Returns whether pending entries were left out.
pub(crate) fn write_tail(
    to: Destination<'_>,
    tail: &StreamTail,
    counters: bool,
    rebuild: Option<Rebuild<'_>>,
    out: &mut CommandBatch,
) -> bool {
    let may_lose = may_lack_pending(tail);
    match &rebuild {
        Some(rebuild) if may_lose => {
            write_rebuilt(to, tail, rebuild, out);
            write_id(Destination { key: rebuild.key, ..to }, tail, counters, out);
            out.push_keyed(&[b"RENAME", rebuild.key, to.key], 1..3, to.once());
        }
        _ => {
            create(to, tail, out);
            write_id(to, tail, counters, out);
            tail.groups.iter().for_each(|group| stream_group(to, group, counters, out));
        }
    }
    may_lose && rebuild.is_none()
}

/// Whether a pending entry may be deleted from the stream. XCLAIM does not create such a pending entry (Redis since 7.0).
fn may_lack_pending(tail: &StreamTail) -> bool {
    let first = tail.first_id.filter(|_| tail.length > 0);
    let may_lack = |id: StreamId| match (first, tail.max_deleted_id) {
        (Some(first), Some(deleted)) => id < first || id <= deleted,
        _ => true,
    };
    tail.groups.iter().flat_map(|group| &group.pending).any(|pending| may_lack(pending.id))
}

/// Restores the groups without entries under another key, and moves the entries there. A pending entry of a restored group
/// needs no entry.
fn write_rebuilt(to: Destination<'_>, tail: &StreamTail, rebuild: &Rebuild<'_>, out: &mut CommandBatch) {
    let mut payload = Vec::new();
    write_stream_groups(&tail.groups, &rebuild.format, &mut payload);
    out.push_keyed(&[b"RESTORE", rebuild.key, b"0", &payload, b"REPLACE"], 1..2, to.idempotent());
    let steps = tail.length / STEP_ENTRIES + rebuild.bytes as u64 / STEP_BYTES;
    for _ in 0..steps {
        move_entries(to, rebuild, Step { entries: STEP_ENTRIES, bytes: STEP_BYTES }, out);
    }
    // Whatever is left: entries may be larger than their payload, which is compressed.
    move_entries(to, rebuild, Step { entries: ALL, bytes: ALL }, out);
}

/// The most that one script moves, so that it never holds the target up for long.
#[derive(Debug, Clone, Copy)]
struct Step {
    entries: u64,
    bytes: u64,
}

fn move_entries(from: Destination<'_>, rebuild: &Rebuild<'_>, step: Step, out: &mut CommandBatch) {
    let (entries, bytes) = (step.entries.to_string(), step.bytes.to_string());
    let head = [&b"EVAL"[..], script::MOVE_ENTRIES.as_bytes(), b"2", from.key, rebuild.key];
    out.push_keyed(&[&head[..], &[entries.as_bytes(), bytes.as_bytes()]].concat(), 3..5, from.once());
}

/// Creates a stream that has no entries, by a temporary group.
fn create(to: Destination<'_>, tail: &StreamTail, out: &mut CommandBatch) {
    const MAKER: &[u8] = TOOL.as_bytes();
    if tail.length == 0 {
        out.push_keyed(&[b"XGROUP", b"CREATE", to.key, MAKER, b"0", b"MKSTREAM"], 2..3, to.once());
        out.push_keyed(&[b"XGROUP", b"DESTROY", to.key, MAKER], 2..3, to.once());
    }
}

fn write_id(to: Destination<'_>, tail: &StreamTail, counters: bool, out: &mut CommandBatch) {
    let (key, tag) = (to.key, to.once());
    let last = id_text(tail.last_id);
    match (tail.entries_added, tail.max_deleted_id) {
        (Some(added), Some(deleted)) if counters => {
            let (added, deleted) = (added.to_string(), id_text(deleted));
            let options = [&b"ENTRIESADDED"[..], added.as_bytes(), b"MAXDELETEDID", deleted.as_bytes()];
            out.push_keyed(&[&[&b"XSETID"[..], key, last.as_bytes()], &options[..]].concat(), 1..2, tag);
        }
        _ => out.push_keyed(&[b"XSETID", key, last.as_bytes()], 1..2, tag),
    }
}

fn stream_group(to: Destination<'_>, group: &StreamGroup, counters: bool, out: &mut CommandBatch) {
    let (key, tag) = (to.key, to.once());
    let last = id_text(group.last_id);
    match group.entries_read.filter(|_| counters) {
        Some(read) => {
            let read = read.to_string();
            let head = [&b"XGROUP"[..], b"CREATE", key, &group.name, last.as_bytes()];
            out.push_keyed(&[&head[..], &[b"ENTRIESREAD", read.as_bytes()]].concat(), 2..3, tag);
        }
        None => out.push_keyed(&[b"XGROUP", b"CREATE", key, &group.name, last.as_bytes()], 2..3, tag),
    }
    for consumer in &group.consumers {
        out.push_keyed(&[b"XGROUP", b"CREATECONSUMER", key, &group.name, &consumer.name], 2..3, tag);
    }
    for pending in &group.pending {
        let Some(consumer) = pending.consumer.and_then(|index| group.consumers.get(index)) else { continue };
        let (id, at, count) =
            (id_text(pending.id), pending.delivered_at.to_string(), pending.deliveries.to_string());
        let head = [&b"XCLAIM"[..], key, &group.name, &consumer.name, b"0", id.as_bytes()];
        let tail = [&b"TIME"[..], at.as_bytes(), b"RETRYCOUNT", count.as_bytes(), b"FORCE", b"JUSTID"];
        out.push_keyed(&[&head[..], &tail[..]].concat(), 1..2, tag);
    }
}
