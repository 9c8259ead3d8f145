//! Whether a flow's position is all that the cluster has of it. Behind a session that did not end in order, slots may hold
//! more than the position says. The same master sends that again; one that was promoted from its replica may have other
//! records there.

use dfly_client::FlowId;
use redis_resp::{CommandBatch, Reply};

use crate::checkpoint::{Checkpoint, KEY, Position, SETS_FIELDS};
use crate::error::Error;
use crate::target::{TargetConnection, demand, strange};

/// The field that holds the position with which a session ended.
fn field(flow: FlowId) -> String {
    format!("drained:{flow}")
}

/// The flow has sent nothing behind `at`.
pub(crate) fn write(flow: FlowId, at: Position, out: &mut CommandBatch) {
    let (field, at) = (field(flow), at.to_string());
    out.push_keyed(&[b"HSET", KEY.as_bytes(), field.as_bytes(), at.as_bytes()], 1..2, SETS_FIELDS);
}

/// Whether that holds for all flows.
pub(crate) async fn is_all(target: &mut TargetConnection, at: &Checkpoint) -> Result<bool, Error> {
    for (flow, position) in &at.flows {
        match demand(target, "HGET", &["HGET", KEY, &field(*flow)]).await? {
            Reply::Bulk(held) if held == position.to_string() => {}
            Reply::Bulk(_) | Reply::Nil => return Ok(false),
            other => return Err(strange("HGET", &other)),
        }
    }
    Ok(true)
}

/// From here on it does not.
pub(crate) async fn forget(target: &mut TargetConnection, at: &Checkpoint) -> Result<(), Error> {
    for flow in at.flows.keys() {
        demand(target, "HDEL", &["HDEL", KEY, &field(*flow)]).await?;
    }
    Ok(())
}
