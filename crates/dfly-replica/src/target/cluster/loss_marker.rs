//! Markers by which a primary that lost acknowledged writes is found. Before a position is stored, one slot of each primary is
//! marked with it. A primary that came back without its data, or whose replica lacked some when it took over, has a slot
//! without the marker.

use dfly_client::FlowId;
use dfly_journal::Lsn;
use redis_resp::Reply;
use redis_sink::cluster::ClusterConnection;
use redis_slots::{Address, Slot};

use crate::checkpoint::{Checkpoint, SyncMetadata, fields};
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

/// The markers of a flow's last position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Markers {
    pub position: MarkedPosition,
    pub slots: Vec<Slot>,
}

impl Markers {
    /// Whether the primary at `address` holds the markers of its slots. A slot that moves counts as if it did.
    pub(crate) async fn are_at(
        &self,
        cluster: &mut ClusterConnection,
        address: &Address,
    ) -> Result<bool, Error> {
        for slot in self
            .slots
            .iter()
            .copied()
            .filter(|slot| cluster.owner(*slot) == Some(address))
            .collect::<Vec<_>>()
        {
            let (key, field) = (cluster.position_key(slot), marker(self.position.flow));
            match cluster.ask_at(address, &[&b"HGET"[..], &key, field.as_bytes()]).await? {
                Reply::Nil => return Ok(false),
                Reply::Bulk(text) if !self.position.is_marked_by(&text) => return Ok(false),
                _ => {}
            }
        }
        Ok(true)
    }

    /// The markers that the target names beside the flow's position; `None` if it has no position of the flow.
    pub(crate) async fn load(
        cluster: &mut ClusterConnection,
        checkpoint: &str,
        position: MarkedPosition,
    ) -> Result<Option<Self>, Error> {
        let flow = position.flow;
        let request = ["HMGET", checkpoint, &fields::field(flow), &field(flow)];
        let reply = cluster.ask(checkpoint.as_bytes(), &request).await?;
        let Reply::Array(found) = &reply else { return Err(strange("HMGET", &reply)) };
        match found.as_slice() {
            [Reply::Nil, _] => Ok(None),
            [_, Reply::Bulk(text)] => Ok(Some(Self { position, slots: slots(text) })),
            _ => Ok(Some(Self { position, slots: Vec::new() })),
        }
    }
}

impl MarkedPosition {
    /// Whether a marker stands for this position, or a later one of the same full synchronisation.
    fn is_marked_by(&self, text: &[u8]) -> bool {
        let text = String::from_utf8_lossy(text);
        let (next, sync) = text.split_once(' ').unwrap_or((&text, ""));
        sync == self.sync && next.parse().is_ok_and(|next: u64| next >= self.next.0)
    }
}

/// The slots that [`text`] names.
fn slots(text: &[u8]) -> Vec<Slot> {
    let text = String::from_utf8_lossy(text);
    text.split_whitespace().filter_map(|slot| slot.parse().ok()).map(Slot).collect()
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
            Reply::Bulk(marked) => slots(&marked),
            other => return Err(strange("HGET", &other)),
        };
        let wanted = MarkedPosition { flow: *flow, next: position.next, sync: sync.clone() };
        for slot in marked {
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
        Reply::Bulk(text) => Ok(wanted.is_marked_by(&text)),
        other => Err(strange("HGET", &other)),
    }
}
