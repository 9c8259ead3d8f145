//! Whether what the cluster has carried out would survive the loss of a primary: every primary is the server that it was when
//! the session began, and the required replicas have acknowledged every write.

use std::collections::BTreeMap;

use redis_resp::Reply;
use redis_sink::cluster::ClusterConnection;
use redis_slots::{Address, Slot};

use super::loss_marker::{self, Marked, MarkedPosition, Markers};
use crate::error::Error;
use crate::target::replies::strange;
use crate::target::retry_policy::passes;

/// How long a primary waits for its replicas, in milliseconds.
const PATIENCE: &str = "1000";

/// The primaries at the beginning of a session, each with the name that it has for as long as it runs (`run_id` of INFO).
pub(crate) type PrimaryRuns = BTreeMap<Address, String>;

/// What makes a position safe.
#[derive(Debug, Clone, Default)]
pub(crate) struct Safety {
    pub runs: PrimaryRuns,
    /// How many replicas of each primary must have acknowledged, or all that it has if it has fewer.
    pub replicas: u16,
}

/// Whether a position may be stored.
#[derive(Debug)]
pub(crate) enum Durability {
    /// It may, and these slots are marked with it.
    Safe(Vec<Slot>),
    /// Not now, and why.
    NotYet(String),
    /// A primary was replaced, or was restarted: only another session knows what is there.
    Replaced(String),
    /// A primary does not hold any more what it had answered, as far as this flow knows.
    Forgotten(String),
}

/// What is known of the markers of a flow.
#[derive(Debug)]
pub(crate) enum Look {
    /// They are where they were left.
    There(Markers),
    /// A primary has lost one.
    Forgotten(String),
    /// Somebody could not be asked.
    Unknown(String),
}

/// Which primaries there are.
pub(crate) async fn primary_runs(cluster: &mut ClusterConnection) -> Result<PrimaryRuns, Error> {
    let mut runs = BTreeMap::new();
    for (address, reply) in cluster.ask_all(&["INFO", "server"]).await? {
        runs.insert(address, text_of(&reply, "run_id")?);
    }
    Ok(runs)
}

/// Asks every primary whether a position may be stored, everything before which they have answered.
pub(crate) async fn check(
    cluster: &mut ClusterConnection,
    safety: &mut Safety,
    position: &MarkedPosition,
    before: Option<&Markers>,
) -> Durability {
    match ask(cluster, safety, position, before).await {
        Ok(durability) => durability,
        Err(error) => Durability::NotYet(error.to_string()),
    }
}

async fn ask(
    cluster: &mut ClusterConnection,
    safety: &mut Safety,
    position: &MarkedPosition,
    before: Option<&Markers>,
) -> Result<Durability, Error> {
    cluster.refresh().await?;
    let now: Vec<Address> = cluster.primaries().cloned().collect();
    if let Some(gone) = safety.runs.keys().find(|address| !now.contains(address)) {
        return Ok(Durability::Replaced(format!("{gone} is no primary any more")));
    }
    let mut marked = Vec::new();
    for address in &now {
        // A new primary has taken its slots from primaries that were there all the time.
        if !safety.runs.contains_key(address) {
            let server = cluster.ask_at(address, &["INFO", "server"]).await?;
            safety.runs.insert(address.clone(), text_of(&server, "run_id")?);
        }
        match ask_primary(cluster, address, safety, position, before).await? {
            Durability::Safe(slot) => marked.extend(slot),
            other => return Ok(other),
        }
    }
    Ok(Durability::Safe(marked))
}

async fn ask_primary(
    cluster: &mut ClusterConnection,
    address: &Address,
    safety: &Safety,
    position: &MarkedPosition,
    before: Option<&Markers>,
) -> Result<Durability, Error> {
    let server = cluster.ask_at(address, &["INFO", "server"]).await?;
    if safety.runs.get(address) != Some(&text_of(&server, "run_id")?) {
        return Ok(Durability::Replaced(format!("{address} was restarted")));
    }
    let nodes = cluster.ask_at(address, &["CLUSTER", "NODES"]).await?;
    let Reply::Bulk(text) = &nodes else { return Err(strange("CLUSTER NODES", &nodes)) };
    let Some(known) = replicas_of_this(&String::from_utf8_lossy(text)) else {
        return Ok(Durability::Replaced(format!("{address} is a replica now")));
    };
    // A marker that is set anew would hide that the one before is gone.
    if let Some(before) = before
        && !before.are_at(cluster, address).await?
    {
        return Ok(Durability::Forgotten(forgotten(address)));
    }
    let marked = match loss_marker::mark(cluster, address, position).await? {
        Marked::Slot(slot) => slot.into_iter().collect(),
        Marked::NotNow(answer) => return Ok(Durability::NotYet(answer)),
    };
    let wanted = usize::from(safety.replicas).min(known);
    if wanted == 0 {
        return Ok(Durability::Safe(marked));
    }
    // A question makes its connection's place in the replication stream the latest one (server `server.c`,
    // `processCommand`).
    match cluster.ask_at(address, &["WAIT", &wanted.to_string(), PATIENCE]).await? {
        Reply::Integer(count) if usize::try_from(count).is_ok_and(|count| count >= wanted) => {
            Ok(Durability::Safe(marked))
        }
        Reply::Integer(count) => Ok(Durability::NotYet(format!(
            "{count} of {wanted} replicas of {address} have acknowledged all of its writes"
        ))),
        Reply::Error(error) if passes(&error) => Ok(Durability::NotYet(error.to_string())),
        other => Err(strange("WAIT", &other)),
    }
}

fn forgotten(address: &Address) -> String {
    format!("{address} was emptied by somebody else, or has lost data that it had acknowledged")
}

/// Looks whether every primary still holds what it has answered, by the markers of a flow's stored position: those that are
/// known, or those that the target names in its `checkpoint`.
pub(crate) async fn look(
    cluster: &mut ClusterConnection,
    checkpoint: &str,
    position: &MarkedPosition,
    known: Option<Markers>,
) -> Look {
    match look_at_primaries(cluster, checkpoint, position, known).await {
        Ok(look) => look,
        Err(error) => Look::Unknown(error.to_string()),
    }
}

async fn look_at_primaries(
    cluster: &mut ClusterConnection,
    checkpoint: &str,
    position: &MarkedPosition,
    known: Option<Markers>,
) -> Result<Look, Error> {
    cluster.refresh().await?;
    let markers = match known {
        Some(markers) => markers,
        None => match Markers::load(cluster, checkpoint, position.clone()).await? {
            Some(markers) => markers,
            None => return Ok(Look::Forgotten("the positions are gone".to_owned())),
        },
    };
    for address in cluster.primaries().cloned().collect::<Vec<_>>() {
        if !markers.are_at(cluster, &address).await? {
            return Ok(Look::Forgotten(forgotten(&address)));
        }
    }
    Ok(Look::There(markers))
}

/// How many replicas the node has that answers CLUSTER NODES so; `None` if it is no primary. A replica that is not
/// reached counts: it may come back, and be all that is left. Lines are `id address flags primary ..`.
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
