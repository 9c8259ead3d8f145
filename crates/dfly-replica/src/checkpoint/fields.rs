//! Fields of the checkpoint's hash as commands. Pure.

use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_translate::{CommandFacts, ReservedNames};
use dfly_wire::DbIndex;
use redis_resp::CommandBatch;

use super::position::Position;
use crate::slot_set::SlotSet;
use crate::source::sharding::Sharding;

/// The tag of a command that sets fields of the hash.
pub(crate) const SETS_FIELDS: u64 = CommandFacts::side_key(DbIndex(0)).idempotent().tag();

/// The field that tells how the source spreads its keys.
pub(crate) const SHARDING: &str = "sharding";

/// Of whom the positions are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SourceFields<'a> {
    /// The master's replication id.
    pub id: &'a str,
    /// How many flows it has.
    pub flows: u16,
}

/// The slots that are marked with a position, as a field.
#[derive(Debug, Clone)]
pub(crate) struct MarkedSlots {
    pub field: String,
    pub slots: String,
}

/// The field of a flow's position.
pub(crate) fn field(flow: FlowId) -> String {
    format!("flow:{flow}")
}

/// A flow's first position, with what belongs to all flows.
pub(crate) fn write_entry(
    names: &ReservedNames,
    source: SourceFields<'_>,
    flow: FlowId,
    at: Position,
    out: &mut CommandBatch,
) {
    let mut command = out.start(8);
    command.arg(b"HSET").key(names.checkpoint().as_bytes());
    command.arg(b"source").arg(source.id.as_bytes()).arg(b"flows").int(i64::from(source.flows));
    command.arg(field(flow).as_bytes()).arg(at.to_string().as_bytes()).finish_with(SETS_FIELDS);
}

/// A flow's position, with the slots that are marked with it.
pub(crate) fn write_marked(
    names: &ReservedNames,
    source: SourceFields<'_>,
    flow: FlowId,
    at: Position,
    marked: &MarkedSlots,
    out: &mut CommandBatch,
) {
    let mut command = out.start(10);
    command.arg(b"HSET").key(names.checkpoint().as_bytes());
    command.arg(b"source").arg(source.id.as_bytes()).arg(b"flows").int(i64::from(source.flows));
    command.arg(marked.field.as_bytes()).arg(marked.slots.as_bytes());
    command.arg(field(flow).as_bytes()).arg(at.to_string().as_bytes()).finish_with(SETS_FIELDS);
}

/// How the source spreads its keys.
pub(crate) fn write_sharding(names: &ReservedNames, sharding: Sharding, out: &mut CommandBatch) {
    let words = [b"HSET", names.checkpoint().as_bytes(), SHARDING.as_bytes(), sharding.name().as_bytes()];
    out.push_keyed(&words, 1..2, SETS_FIELDS);
}

/// The prefix of the fields that name slots which the source has given away and whose keys may still be here. The flow, and
/// the record's number, follow.
pub(crate) const GONE: &str = "gone:";

/// The field for a record of this flow.
pub(crate) fn gone(flow: FlowId, lsn: Lsn) -> String {
    format!("{GONE}{flow}:{lsn}")
}

/// The flow and the record that a field stands for.
pub(crate) fn parse_gone(field: &str) -> Option<(FlowId, Lsn)> {
    let (flow, lsn) = field.strip_prefix(GONE)?.split_once(':')?;
    Some((FlowId(flow.parse().ok()?), Lsn(lsn.parse().ok()?)))
}

/// Slots that the source has given away.
pub(crate) fn write_gone(
    names: &ReservedNames,
    flow: FlowId,
    lsn: Lsn,
    slots: &SlotSet,
    out: &mut CommandBatch,
) {
    let (field, slots) = (gone(flow, lsn), slots.to_string());
    let words = [b"HSET", names.checkpoint().as_bytes(), field.as_bytes(), slots.as_bytes()];
    out.push_keyed(&words, 1..2, SETS_FIELDS);
}

/// A flow's position.
pub(crate) fn write_position(names: &ReservedNames, flow: FlowId, at: Position, out: &mut CommandBatch) {
    let (field, at) = (field(flow), at.to_string());
    let words = [b"HSET", names.checkpoint().as_bytes(), field.as_bytes(), at.as_bytes()];
    out.push_keyed(&words, 1..2, SETS_FIELDS);
}
