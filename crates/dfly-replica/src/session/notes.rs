//! What a session leaves in the target beside the keys and the positions, for the next one: due times, keys that were left
//! out, keys to be read again, expiries.

use std::time::Duration;

use dfly_client::FlowId;
use dfly_translate::Translator;
use redis_resp::Reply;
use redis_resp::connection::Connection;

use crate::checkpoint::Position;
use crate::error::Error;
use crate::expiries::Expiries;
use crate::flow::{Expiring, Wanted};
use crate::target::{databases, demand, members};

/// What runs before have kept beside the keys says nothing of the values that come now.
pub(super) async fn forget(target: &mut Connection, flows: u16) -> Result<(), Error> {
    for db in databases(target).await? {
        demand(target, "SELECT", &["SELECT", &db.to_string()]).await?;
        for flow in 0..flows {
            let names =
                ["due", "left-out", "reread", "expiries"].map(|kind| format!("df2redis:{kind}:{flow}"));
            let request = ["DEL".to_owned()].into_iter().chain(names).collect::<Vec<_>>();
            demand(target, "DEL", &request).await?;
        }
    }
    demand(target, "SELECT", &["SELECT", "0"]).await?;
    Ok(())
}

/// The expiries that the target holds, if a session before has left them with its last transaction.
pub(super) async fn expiries(
    target: &mut Connection,
    (flow, at): (FlowId, Position),
    limits: (usize, Duration),
) -> Result<Expiries, Error> {
    let key = Expiring::key(flow);
    let stored = demand(target, "GET", &["GET", &key]).await?;
    demand(target, "DEL", &["DEL", &key]).await?;
    let restored = match &stored {
        Reply::Bulk(value) => Expiries::restore(value, at.transaction, limits),
        _ => None,
    };
    Ok(restored.unwrap_or_else(|| Expiries::unknown(limits.0, limits.1)))
}

/// Takes over what a run before has noted in the target: due times, keys that were left out, keys to be read again.
pub(super) async fn adopt(
    target: &mut Connection,
    flow: FlowId,
    (translator, wanted): (&mut Translator, &mut Wanted),
) -> Result<(), Error> {
    for db in databases(target).await? {
        demand(target, "SELECT", &["SELECT", &db.to_string()]).await?;
        let due = translator.due_registry();
        for member in members(target, "ZRANGE", &[&b"ZRANGE"[..], &due, b"0", b"-1"]).await? {
            translator.adopt_expiring(db, &member);
        }
        let left_out = translator.left_out_registry();
        for key in members(target, "SMEMBERS", &[&b"SMEMBERS"[..], &left_out]).await? {
            translator.adopt_left_out(db, &key);
        }
    }
    demand(target, "SELECT", &["SELECT", "0"]).await?;
    let key = Wanted::key(flow);
    for member in members(target, "SMEMBERS", &[&b"SMEMBERS"[..], key.as_bytes()]).await? {
        wanted.adopt(&member);
    }
    Ok(())
}
