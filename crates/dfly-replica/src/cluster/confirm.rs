//! Whether what a position stands behind would survive the loss of a primary: every primary is the server that it was when
//! the session began, and its replicas have all that it has.

use std::collections::BTreeMap;
use std::sync::Arc;

use redis_resp::Reply;
use redis_sink::cluster::ClusterConnection;
use redis_slots::Address;

use crate::error::Error;
use crate::target::{passes, strange};

/// How long a primary waits for its replicas, in milliseconds.
const PATIENCE: &str = "1000";

/// The primaries at the beginning of a session, each with the name that it has for as long as it runs (`run_id` of INFO).
pub(crate) type Runs = Arc<BTreeMap<Address, String>>;

/// Whether a position may be stored.
#[derive(Debug)]
pub(crate) enum Confirmed {
    Yes,
    /// Not now.
    NotYet(String),
    /// A primary was replaced, was restarted, or is new: only another session knows what is there.
    Replaced(String),
}

/// Which primaries there are.
pub(crate) async fn runs(cluster: &mut ClusterConnection) -> Result<Runs, Error> {
    let mut runs = BTreeMap::new();
    for (address, reply) in cluster.ask_all(&["INFO", "server"]).await? {
        runs.insert(address, text_of(&reply, "run_id")?);
    }
    Ok(Arc::new(runs))
}

/// Asks every primary. What was answered before this was asked is what is confirmed.
pub(crate) async fn confirm(cluster: &mut ClusterConnection, (runs, replicas): (&Runs, u16)) -> Confirmed {
    match ask(cluster, (runs, replicas)).await {
        Ok(confirmed) => confirmed,
        Err(error) => Confirmed::NotYet(error.to_string()),
    }
}

async fn ask(cluster: &mut ClusterConnection, (runs, replicas): (&Runs, u16)) -> Result<Confirmed, Error> {
    cluster.refresh().await?;
    let now: Vec<Address> = cluster.primaries().cloned().collect();
    if let Some(gone) = runs.keys().find(|address| !now.contains(address)) {
        return Ok(Confirmed::Replaced(format!("{} is a primary no more", gone)));
    }
    for address in &now {
        let Some(run) = runs.get(address) else {
            return Ok(Confirmed::Replaced(format!("{} is new", address)));
        };
        if let confirmed @ (Confirmed::NotYet(_) | Confirmed::Replaced(_)) =
            ask_primary(cluster, (address, run), replicas).await?
        {
            return Ok(confirmed);
        }
    }
    Ok(Confirmed::Yes)
}

async fn ask_primary(
    cluster: &mut ClusterConnection,
    (address, run): (&Address, &str),
    replicas: u16,
) -> Result<Confirmed, Error> {
    let server = cluster.ask_at(address, &["INFO", "server"]).await?;
    if text_of(&server, "run_id")? != run {
        return Ok(Confirmed::Replaced(format!("{} was restarted", address)));
    }
    let replication = cluster.ask_at(address, &["INFO", "replication"]).await?;
    if text_of(&replication, "role")? != "master" {
        return Ok(Confirmed::Replaced(format!("{} is a replica by now", address)));
    }
    let connected: u16 = text_of(&replication, "connected_slaves")?.parse().unwrap_or(0);
    let wanted = replicas.min(connected);
    if wanted == 0 {
        return Ok(Confirmed::Yes);
    }
    // INFO has made this connection's place in the replication stream the latest one.
    match cluster.ask_at(address, &["WAIT", &wanted.to_string(), PATIENCE]).await? {
        Reply::Integer(count) if count >= i64::from(wanted) => Ok(Confirmed::Yes),
        Reply::Integer(count) => {
            Ok(Confirmed::NotYet(format!("{count} of {wanted} replicas of {address} have all that it has")))
        }
        Reply::Error(error) if passes(&error) => Ok(Confirmed::NotYet(error.to_string())),
        other => Err(strange("WAIT", &other)),
    }
}

fn text_of(reply: &Reply, field: &str) -> Result<String, Error> {
    let Reply::Bulk(text) = reply else { return Err(strange("INFO", reply)) };
    let text = String::from_utf8_lossy(text);
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.map(|value| value.trim().to_owned()).ok_or_else(|| strange("INFO", reply))
}
