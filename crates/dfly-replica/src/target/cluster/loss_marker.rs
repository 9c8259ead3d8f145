//! Markers by which a primary that lost acknowledged writes is found. Before a position is stored, one slot of each primary is
//! marked with it. A primary that came back without its data, or whose replica lacked some when it took over, has a slot
//! without the marker.

use dfly_client::FlowId;
use dfly_journal::Lsn;
use redis_resp::Reply;
use redis_sink::cluster::ClusterConnection;
use redis_slots::{Address, Slot};

use crate::checkpoint::{Checkpoint, SyncMetadata};
use crate::error::Error;
use crate::target::questions::{TargetConnection, demand};
use crate::target::replies::strange;

/// A flow's position, and the full synchronisation that it goes back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MarkedPosition {
    pub flow: FlowId,
    pub next: Lsn,
    pub sync: String,
}

/// The field, beside a flow's position, that names the marked slots.
pub(crate) fn field(flow: FlowId) -> String {
    format!("witnesses:{flow}")
}

/// The field of a slot that holds the marker of a flow.
fn marker(flow: FlowId) -> String {
    format!("stored:{flow}")
}

/// The marked slots as [`field`] holds them.
pub(crate) fn text(marked: &[Slot]) -> String {
    marked.iter().map(|slot| slot.0.to_string()).collect::<Vec<_>>().join(" ")
}

/// Whether a primary could be marked.
#[derive(Debug)]
pub(crate) enum Marked {
    /// This slot is; `None`: the primary has none.
    Slot(Option<Slot>),
    /// Not now: what the primary answers.
    NotNow(String),
}

/// Marks a slot of the primary at `address`.
pub(crate) async fn mark(
    cluster: &mut ClusterConnection,
    address: &Address,
    position: &MarkedPosition,
) -> Result<Marked, Error> {
    let Some(slot) = cluster.a_slot_of(address) else { return Ok(Marked::Slot(None)) };
    let (key, field) = (cluster.position_key(slot), marker(position.flow));
    let value = format!("{} {}", position.next, position.sync);
    match cluster.ask_at(address, &[&b"HSET"[..], &key, field.as_bytes(), value.as_bytes()]).await? {
        Reply::Error(error) => Ok(Marked::NotNow(error.to_string())),
        _ => Ok(Marked::Slot(Some(slot))),
    }
}

/// Whether all slots that were marked with these positions have their markers.
pub(crate) async fn are_all_there(target: &mut TargetConnection, at: &Checkpoint) -> Result<bool, Error> {
    let (sync, names) = (SyncMetadata::load(target).await?.sync, target.names().clone());
    for (flow, position) in &at.flows {
        let marked = match demand(target, "HGET", &["HGET", names.checkpoint(), &field(*flow)]).await? {
            Reply::Nil => continue,
            Reply::Bulk(marked) => String::from_utf8_lossy(&marked).into_owned(),
            other => return Err(strange("HGET", &other)),
        };
        let wanted = MarkedPosition { flow: *flow, next: position.next, sync: sync.clone() };
        for slot in marked.split_whitespace().filter_map(|slot| slot.parse().ok()).map(Slot) {
            if !has_marker(target, &names.slot_position(slot), &wanted).await? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

async fn has_marker(
    target: &mut TargetConnection,
    key: &[u8],
    wanted: &MarkedPosition,
) -> Result<bool, Error> {
    let field = marker(wanted.flow);
    match demand(target, "HGET", &[&b"HGET"[..], key, field.as_bytes()]).await? {
        Reply::Nil => Ok(false),
        Reply::Bulk(text) => {
            let text = String::from_utf8_lossy(&text);
            let (next, sync) = text.split_once(' ').unwrap_or((&text, ""));
            Ok(sync == wanted.sync && next.parse().is_ok_and(|next: u64| next >= wanted.next.0))
        }
        other => Err(strange("HGET", &other)),
    }
}
