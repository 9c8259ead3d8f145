//! Writing streams in an older encoding: the nodes are copied, the part after them is re-encoded (protocol section 7.6.6).

use dfly_wire::packed::write_uint;

use super::Plan;
use crate::error::ValueError;
use crate::scan::{Scanner, Unit};
use crate::stream_id::StreamId;
use crate::string;
use crate::text::Text;
use crate::type_id::TypeId;
use crate::value::RawValue;
use crate::value::elements::located;
use crate::value::stream::{StreamGroup, StreamTail};

/// Appends `value` in the encoding `type_id`, which is not newer than its own.
pub(crate) fn write(value: &RawValue, type_id: TypeId, out: &mut Vec<u8>) -> Result<Plan, ValueError> {
    let payload: &[u8] = value.payload();
    let (nodes, tail) = split(Scanner::in_memory(value.type_id()), payload)?;
    let tail = tail.ok_or(ValueError::Truncated { at: payload.len() })?;
    out.extend_from_slice(nodes);
    write_tail(&tail, type_id, out);
    Ok(Plan::Reencode)
}

/// Appends the part of a stream that starts in the state `scanner`: nodes, and the tail if it is the last part.
pub(crate) fn write_part(
    scanner: Scanner,
    part: &[u8],
    (type_id, out): (TypeId, &mut Vec<u8>),
) -> Result<(), ValueError> {
    let (nodes, tail) = split(scanner, part)?;
    out.extend_from_slice(nodes);
    if let Some(tail) = tail {
        write_tail(&tail, type_id, out);
    }
    Ok(())
}

/// Splits a part into the nodes, with their count, and the tail, if the part has one.
fn split(mut scanner: Scanner, part: &[u8]) -> Result<(&[u8], Option<StreamTail>), ValueError> {
    let (mut rest, mut nodes, mut tail) = (part, part.len(), None);
    while !scanner.is_done() && !rest.is_empty() {
        let before = part.len() - rest.len();
        let (after, unit) = scanner.next(rest).map_err(|error| located(error, part.len()))?;
        if let Unit::Tail(unit) = unit {
            nodes = nodes.min(before);
            tail.get_or_insert_with(StreamTail::default).add(unit)?;
        }
        rest = after;
    }
    match (rest, &tail) {
        ([], Some(_)) if !scanner.is_done() => Err(ValueError::Truncated { at: part.len() }),
        ([], _) => Ok((part.get(..nodes).unwrap_or_default(), tail)),
        _ => Err(ValueError::Trailing { at: part.len() - rest.len() }),
    }
}

/// Appends a stream without entries that has these groups, in the encoding `type_id`.
pub(crate) fn write_empty(groups: &[StreamGroup], type_id: TypeId, out: &mut Vec<u8>) {
    let nodes = 0;
    write_uint(nodes, out);
    write_totals(&StreamTail::default(), type_id, out);
    write_groups(groups, type_id, out);
}

fn write_tail(tail: &StreamTail, type_id: TypeId, out: &mut Vec<u8>) {
    write_totals(tail, type_id, out);
    write_groups(&tail.groups, type_id, out);
}

fn write_totals(tail: &StreamTail, type_id: TypeId, out: &mut Vec<u8>) {
    write_uint(tail.length, out);
    write_id(tail.last_id, out);
    if type_id != TypeId::Stream {
        write_id(tail.first_id.unwrap_or_default(), out);
        write_id(tail.max_deleted_id.unwrap_or_default(), out);
        write_uint(tail.entries_added.unwrap_or(tail.length), out);
    }
}

fn write_groups(groups: &[StreamGroup], type_id: TypeId, out: &mut Vec<u8>) {
    write_uint(groups.len() as u64, out);
    for group in groups {
        write_group(group, type_id, out);
    }
}

fn write_group(group: &StreamGroup, type_id: TypeId, out: &mut Vec<u8>) {
    string::write(&Text::Raw(&group.name), out);
    write_id(group.last_id, out);
    if type_id != TypeId::Stream {
        write_uint(group.entries_read.unwrap_or(u64::MAX), out);
    }
    let mut owned = vec![Vec::new(); group.consumers.len()];
    write_uint(group.pending.len() as u64, out);
    for pending in &group.pending {
        write_raw_id(pending.id, out);
        out.extend_from_slice(&pending.delivered_at.0.to_le_bytes());
        write_uint(pending.deliveries, out);
        if let Some(ids) = pending.consumer.and_then(|consumer| owned.get_mut(consumer)) {
            ids.push(pending.id);
        }
    }
    write_consumers(group, &owned, (type_id, out));
}

fn write_consumers(group: &StreamGroup, owned: &[Vec<StreamId>], (type_id, out): (TypeId, &mut Vec<u8>)) {
    write_uint(group.consumers.len() as u64, out);
    for (consumer, ids) in group.consumers.iter().zip(owned) {
        string::write(&Text::Raw(&consumer.name), out);
        out.extend_from_slice(&consumer.seen_at.0.to_le_bytes());
        if type_id == TypeId::Stream3 {
            let never = -1;
            out.extend_from_slice(&consumer.active_at.map_or(never, |at| at.0).to_le_bytes());
        }
        write_uint(ids.len() as u64, out);
        for id in ids {
            write_raw_id(*id, out);
        }
    }
}

fn write_id(id: StreamId, out: &mut Vec<u8>) {
    write_uint(id.ms, out);
    write_uint(id.seq, out);
}

fn write_raw_id(id: StreamId, out: &mut Vec<u8>) {
    out.extend_from_slice(&id.ms.to_be_bytes());
    out.extend_from_slice(&id.seq.to_be_bytes());
}
