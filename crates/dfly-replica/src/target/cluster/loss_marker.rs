//! Whether the primaries still hold what the positions stand behind. Before a position is stored, one slot of each primary
//! is told of it; a primary that came back without its data, or whose replica lacked some when it took over, has a slot that
//! does not know.

use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_translate::ReservedNames;
use redis_resp::Reply;
use redis_sink::cluster::ClusterConnection;
use redis_slots::{Address, Slot};

use crate::checkpoint::{Checkpoint, KEY};
use crate::error::Error;
use crate::lasting::Lasting;
use crate::target::{TargetConnection, demand, strange};

/// The field, beside a flow's position, that names its witnesses: numbers of slots.
pub(crate) fn field(flow: FlowId) -> String {
    format!("witnesses:{flow}")
}

/// The field of the position that a slot was told of last.
fn told(flow: FlowId) -> String {
    format!("stored:{flow}")
}

/// As the field holds them.
pub(crate) fn text(witnesses: &[Slot]) -> String {
    witnesses.iter().map(|slot| slot.0.to_string()).collect::<Vec<_>>().join(" ")
}

/// Tells a slot of the primary at `address`, if it has any. `Err` with its answer: not now.
pub(crate) async fn tell(
    cluster: &mut ClusterConnection,
    address: &Address,
    (flow, next, sync): (FlowId, Lsn, &str),
) -> Result<Result<Option<Slot>, String>, Error> {
    let Some(slot) = cluster.a_slot_of(address) else { return Ok(Ok(None)) };
    let (key, field, next) = (cluster.position_key(slot), told(flow), format!("{next} {sync}"));
    match cluster.ask_at(address, &[&b"HSET"[..], &key, field.as_bytes(), next.as_bytes()]).await? {
        Reply::Error(error) => Ok(Err(error.to_string())),
        _ => Ok(Ok(Some(slot))),
    }
}

/// Whether all witnesses of these positions know of them; always so on a single server.
pub(crate) async fn agree(
    target: &mut TargetConnection,
    names: &ReservedNames,
    at: &Checkpoint,
) -> Result<bool, Error> {
    if !target.is_cluster() {
        return Ok(true);
    }
    let sync = Lasting::load(target).await?.sync;
    for (flow, position) in &at.flows {
        let named = match demand(target, "HGET", &["HGET", KEY, &field(*flow)]).await? {
            Reply::Nil => continue,
            Reply::Bulk(named) => String::from_utf8_lossy(&named).into_owned(),
            other => return Err(strange("HGET", &other)),
        };
        for slot in named.split_whitespace().filter_map(|slot| slot.parse().ok()).map(Slot) {
            let key = names.slot_position(slot);
            if !knows(target, &key, (*flow, position.next, &sync)).await? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

async fn knows(
    target: &mut TargetConnection,
    key: &[u8],
    (flow, next, sync): (FlowId, Lsn, &str),
) -> Result<bool, Error> {
    let field = told(flow);
    match demand(target, "HGET", &[&b"HGET"[..], key, field.as_bytes()]).await? {
        Reply::Nil => Ok(false),
        Reply::Bulk(text) => {
            let text = String::from_utf8_lossy(&text);
            let (known, of) = text.split_once(' ').unwrap_or((&text, ""));
            Ok(of == sync && known.parse().is_ok_and(|known: u64| known >= next.0))
        }
        other => Err(strange("HGET", &other)),
    }
}
