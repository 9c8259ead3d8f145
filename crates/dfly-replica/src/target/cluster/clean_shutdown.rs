//! Whether a flow's position is all that the cluster has of it. Behind a session that did not end in order, slots may hold
//! more than the position says. The same master sends that again; one that was promoted from its replica may have other
//! records there.

use dfly_client::FlowId;
use dfly_translate::ReservedNames;
use redis_resp::{CommandBatch, Reply};

use crate::checkpoint::{Checkpoint, Position, SETS_FIELDS};
use crate::error::Error;
use crate::target::questions::{TargetConnection, demand};
use crate::target::replies::strange;

/// The field that holds the position with which a session ended in order.
fn field(flow: FlowId) -> String {
    format!("drained:{flow}")
}

/// The flow has sent nothing behind `at`, and sends nothing more.
pub(crate) fn write(names: &ReservedNames, flow: FlowId, at: Position, out: &mut CommandBatch) {
    let (field, at) = (field(flow), at.to_string());
    let words = [b"HSET", names.checkpoint().as_bytes(), field.as_bytes(), at.as_bytes()];
    out.push_keyed(&words, 1..2, SETS_FIELDS);
}

/// Whether all flows have ended in order at these positions.
pub(crate) async fn was_clean(target: &mut TargetConnection, at: &Checkpoint) -> Result<bool, Error> {
    let key = target.names().checkpoint().to_owned();
    for (flow, position) in &at.flows {
        match demand(target, "HGET", &["HGET", &key, &field(*flow)]).await? {
            Reply::Bulk(held) if held == position.to_string() => {}
            Reply::Bulk(_) | Reply::Nil => return Ok(false),
            other => return Err(strange("HGET", &other)),
        }
    }
    Ok(true)
}

/// A session begins: from here on they have not.
pub(crate) async fn forget(target: &mut TargetConnection, at: &Checkpoint) -> Result<(), Error> {
    let key = target.names().checkpoint().to_owned();
    for flow in at.flows.keys() {
        demand(target, "HDEL", &["HDEL", &key, &field(*flow)]).await?;
    }
    Ok(())
}
