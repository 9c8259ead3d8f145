//! Whether what a position stands behind would survive the loss of a primary: every primary is the server that it was when
//! the session began, and its replicas have all that it has.

use std::collections::BTreeMap;

use dfly_client::FlowId;
use dfly_journal::Lsn;
use redis_resp::Reply;
use redis_sink::cluster::ClusterConnection;
use redis_slots::{Address, Slot};

use crate::cluster::witness;
use crate::error::Error;
use crate::target::{passes, strange};

/// How long a primary waits for its replicas, in milliseconds.
const PATIENCE: &str = "1000";

/// The primaries at the beginning of a session, each with the name that it has for as long as it runs (`run_id` of INFO).
pub(crate) type Runs = BTreeMap<Address, String>;

/// Whether a position may be stored.
#[derive(Debug)]
pub(crate) enum Confirmed {
    /// And these slots know of it.
    Yes(Vec<Slot>),
    /// Not now.
    NotYet(String),
    /// A primary was replaced, or was restarted: only another session knows what is there.
    Replaced(String),
}

/// Which primaries there are.
pub(crate) async fn runs(cluster: &mut ClusterConnection) -> Result<Runs, Error> {
    let mut runs = BTreeMap::new();
    for (address, reply) in cluster.ask_all(&["INFO", "server"]).await? {
        runs.insert(address, text_of(&reply, "run_id")?);
    }
    Ok(runs)
}

/// Asks every primary whether a flow's position behind a full synchronisation may be stored, all before which it had answered
/// by then.
pub(crate) async fn confirm(
    cluster: &mut ClusterConnection,
    safety: (&mut Runs, u16),
    position: (FlowId, Lsn, &str),
) -> Confirmed {
    match ask(cluster, safety, position).await {
        Ok(confirmed) => confirmed,
        Err(error) => Confirmed::NotYet(error.to_string()),
    }
}

async fn ask(
    cluster: &mut ClusterConnection,
    (runs, replicas): (&mut Runs, u16),
    position: (FlowId, Lsn, &str),
) -> Result<Confirmed, Error> {
    cluster.refresh().await?;
    let now: Vec<Address> = cluster.primaries().cloned().collect();
    if let Some(gone) = runs.keys().find(|address| !now.contains(address)) {
        return Ok(Confirmed::Replaced(format!("{gone} is a primary no more")));
    }
    let mut witnesses = Vec::new();
    for address in &now {
        // One that is new has taken slots from those that are there all the while.
        if !runs.contains_key(address) {
            let server = cluster.ask_at(address, &["INFO", "server"]).await?;
            runs.insert(address.clone(), text_of(&server, "run_id")?);
        }
        let run = runs.get(address).map(String::as_str).unwrap_or_default();
        match ask_primary(cluster, (address, run), replicas, position).await? {
            Confirmed::Yes(witness) => witnesses.extend(witness),
            confirmed @ (Confirmed::NotYet(_) | Confirmed::Replaced(_)) => return Ok(confirmed),
        }
    }
    Ok(Confirmed::Yes(witnesses))
}

async fn ask_primary(
    cluster: &mut ClusterConnection,
    (address, run): (&Address, &str),
    replicas: u16,
    position: (FlowId, Lsn, &str),
) -> Result<Confirmed, Error> {
    let server = cluster.ask_at(address, &["INFO", "server"]).await?;
    if text_of(&server, "run_id")? != run {
        return Ok(Confirmed::Replaced(format!("{address} was restarted")));
    }
    let nodes = cluster.ask_at(address, &["CLUSTER", "NODES"]).await?;
    let Reply::Bulk(text) = &nodes else { return Err(strange("CLUSTER NODES", &nodes)) };
    let Some(known) = replicas_of_this(&String::from_utf8_lossy(text)) else {
        return Ok(Confirmed::Replaced(format!("{address} is a replica by now")));
    };
    let witness = match witness::tell(cluster, address, position).await? {
        Ok(slot) => slot.into_iter().collect(),
        Err(answer) => return Ok(Confirmed::NotYet(answer)),
    };
    let wanted = usize::from(replicas).min(known);
    if wanted == 0 {
        return Ok(Confirmed::Yes(witness));
    }
    // A question makes its connection's place in the replication stream the latest one (server `server.c`,
    // `processCommand`).
    match cluster.ask_at(address, &["WAIT", &wanted.to_string(), PATIENCE]).await? {
        Reply::Integer(count) if usize::try_from(count).is_ok_and(|count| count >= wanted) => {
            Ok(Confirmed::Yes(witness))
        }
        Reply::Integer(count) => {
            Ok(Confirmed::NotYet(format!("{count} of {wanted} replicas of {address} have all that it has")))
        }
        Reply::Error(error) if passes(&error) => Ok(Confirmed::NotYet(error.to_string())),
        other => Err(strange("WAIT", &other)),
    }
}

/// How many replicas the primary that says this has; `None` if it is none. One that is not reached counts: it may come
/// back, and be all that is left. Lines are `id address flags primary ..`.
fn replicas_of_this(nodes: &str) -> Option<usize> {
    let lines = || nodes.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let is_this = |words: &Vec<&str>| {
        words.get(2).is_some_and(|flags| flags.contains("myself") && flags.contains("master"))
    };
    let id = lines().find(is_this)?.first().copied()?;
    Some(lines().filter(|words| words.get(3) == Some(&id)).count())
}

fn text_of(reply: &Reply, field: &str) -> Result<String, Error> {
    let Reply::Bulk(text) = reply else { return Err(strange("INFO", reply)) };
    let text = String::from_utf8_lossy(text);
    let value = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    value.map(|value| value.trim().to_owned()).ok_or_else(|| strange("INFO", reply))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_counted_whatever_they_do() {
        let nodes = "a 1.1.1.1:1@2 myself,master - 0 0 1 connected 0-5\n\
                     b 1.1.1.1:3@4 slave a 0 0 1 connected\n\
                     c 1.1.1.1:5@6 slave,fail a 0 0 1 disconnected\n\
                     d 1.1.1.1:7@8 slave e 0 0 1 connected\n\
                     e 1.1.1.1:9@10 master - 0 0 2 connected 6-9\n";
        assert_eq!(replicas_of_this(nodes), Some(2));
        assert_eq!(replicas_of_this("a 1.1.1.1:1@2 myself,slave b 0 0 1 connected\n"), None);
    }
}
