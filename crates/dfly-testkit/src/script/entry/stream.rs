//! Encodes streams (protocol section 7.6.6, type 21).

use super::Encoded;
use crate::script::model::streams::parse_id;
use crate::script::pack::listpack::Listpack;
use crate::script::rdb::Rdb;
use crate::value::{Consumer, Group, StreamInfo, StreamValue};

pub(super) const STREAM_LISTPACKS_3: u8 = 21;
/// The type that Redis 7.0 writes. It has no active times, but is otherwise the same. Dragonfly reads it but never writes
/// it.
#[cfg(test)]
pub(super) const STREAM_LISTPACKS_2: u8 = 19;

/// The maximum number of entries in a node.
const NODE_ENTRIES: usize = 3;

const SAME_FIELDS: i64 = 2;
const DELETED: i64 = 1;

type Id = (u64, u64);

/// An entry of a node: its id, fields and values, and whether it is deleted (a tombstone).
struct Slot<'a> {
    id: Id,
    fields: Vec<&'a [u8]>,
    values: Vec<&'a [u8]>,
    deleted: bool,
}

/// Encodes a stream. `None` if an id is not valid. `active`: whether consumers have an active time, as in type 21.
pub(super) fn encode(rdb: &Rdb, stream: &StreamValue, active: bool) -> Option<Encoded> {
    let slots = slots(stream)?;
    let mut elements: Vec<Vec<u8>> = slots.chunks(NODE_ENTRIES).map(|node| encode_node(rdb, node)).collect();
    let head = rdb.piece(|out| out.len(elements.len()));
    let tail = encode_tail(rdb, stream, active)?;
    match elements.last_mut() {
        Some(last) => last.extend(tail),
        None => elements.push(tail),
    }
    Some(Encoded { head, elements })
}

/// The live entries, and a tombstone for the highest deleted id if it lies between them.
fn slots(stream: &StreamValue) -> Option<Vec<Slot<'_>>> {
    let mut slots = Vec::new();
    for (id, flat) in &stream.entries {
        let (pairs, _) = flat.as_chunks::<2>();
        let (fields, values) = pairs.iter().map(|[field, value]| (&field[..], &value[..])).unzip();
        slots.push(Slot { id: parse_id(id)?, fields, values, deleted: false });
    }
    let gone = parse_id(&stream.info.max_deleted_id)?;
    let at = slots.partition_point(|slot| slot.id < gone);
    if gone != (0, 0) && at > 0 && at < slots.len() {
        slots.insert(at, Slot { id: gone, fields: vec![b"gone"], values: vec![b"x"], deleted: true });
    }
    Some(slots)
}

/// Encodes a node. Its key is the id of its first entry. Other entries may share the fields of the first one.
fn encode_node(rdb: &Rdb, node: &[Slot<'_>]) -> Vec<u8> {
    let Some(first) = node.first() else { return Vec::new() };
    let live = node.iter().filter(|slot| !slot.deleted).count();
    let mut pack = Listpack::default();
    pack.push_int(int(live as u64));
    pack.push_int(int((node.len() - live) as u64));
    pack.push_int(int(first.fields.len() as u64));
    first.fields.iter().for_each(|field| pack.push(field));
    pack.push_int(0);
    for slot in node {
        push_slot(&mut pack, first, slot);
    }
    rdb.piece(|out| {
        out.plain(&raw_id(first.id));
        out.string(&pack.encode());
    })
}

fn push_slot(pack: &mut Listpack, first: &Slot<'_>, slot: &Slot<'_>) {
    let same = slot.fields == first.fields;
    let flags = if same { SAME_FIELDS } else { 0 } | if slot.deleted { DELETED } else { 0 };
    pack.push_int(flags);
    pack.push_int(int(slot.id.0.wrapping_sub(first.id.0)));
    pack.push_int(int(slot.id.1.wrapping_sub(first.id.1)));
    let count = slot.fields.len();
    if same {
        slot.values.iter().for_each(|value| pack.push(value));
        pack.push_int(int(count as u64 + 3));
        return;
    }
    pack.push_int(int(count as u64));
    for (field, value) in slot.fields.iter().zip(&slot.values) {
        pack.push(field);
        pack.push(value);
    }
    pack.push_int(int(2 * count as u64 + 4));
}

fn encode_tail(rdb: &Rdb, stream: &StreamValue, active: bool) -> Option<Vec<u8>> {
    let StreamInfo { length, last_id, max_deleted_id, entries_added, first_id, groups } = &stream.info;
    let ids = [last_id, first_id, max_deleted_id].map(|id| parse_id(id));
    let [last, first, deleted] = ids;
    let (last, first, deleted) = (last?, first?, deleted?);
    let mut out = rdb.fresh();
    for number in [length.cast_unsigned(), last.0, last.1, first.0, first.1, deleted.0, deleted.1] {
        out.uint(number);
    }
    out.uint(entries_added.cast_unsigned());
    out.len(groups.len());
    for (name, group) in groups {
        out.string(name);
        encode_group(&mut out, group, active)?;
    }
    Some(out.out)
}

fn encode_group(out: &mut Rdb, group: &Group, active: bool) -> Option<()> {
    let last = parse_id(&group.last_delivered_id)?;
    out.uint(last.0);
    out.uint(last.1);
    out.uint(group.entries_read.unwrap_or(-1).cast_unsigned());
    out.len(group.pending.len());
    for pending in &group.pending {
        out.raw(&raw_id(parse_id(&pending.id)?));
        out.raw(&pending.delivered_at_ms.to_le_bytes());
        out.uint(pending.count.cast_unsigned());
    }
    out.len(group.consumers.len());
    for (name, consumer) in &group.consumers {
        out.string(name);
        encode_consumer(out, consumer, active)?;
    }
    Some(())
}

fn encode_consumer(out: &mut Rdb, consumer: &Consumer, active: bool) -> Option<()> {
    out.raw(&consumer.seen_at_ms.to_le_bytes());
    if active {
        out.raw(&consumer.active_at_ms.unwrap_or(-1).to_le_bytes());
    }
    out.len(consumer.pending.len());
    for id in &consumer.pending {
        out.raw(&raw_id(parse_id(id)?));
    }
    Some(())
}

fn raw_id((ms, seq): Id) -> Vec<u8> {
    [ms.to_be_bytes(), seq.to_be_bytes()].concat()
}

/// Listpack integers are signed, so ids and counts are reinterpreted bit by bit.
fn int(value: u64) -> i64 {
    value.cast_signed()
}
