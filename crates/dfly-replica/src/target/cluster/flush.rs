//! Emptying a cluster. It is no one command: the positions behind the flush are stored first, with a note that it is being
//! done, then every primary is flushed until no key can have gone past, then replicas are waited for, then the note is
//! removed. A run that finds the note does the rest.

use std::collections::BTreeMap;

use dfly_client::FlowId;
use dfly_journal::Lsn;
use redis_resp::{ErrorCode, Reply, ServerError};
use redis_sink::cluster::ClusterConnection;
use redis_slots::{Address, Slot};
use tokio::time::{Duration, Instant, sleep};
use tracing::info;

use super::confirm::{self, Confirmed, Runs, confirm};
use super::witness;
use crate::checkpoint::{Checkpoint, KEY, Position, Stored};
use crate::config::EngineConfig;
use crate::error::Error;
use crate::lasting::Lasting;
use crate::sweep;
use crate::target::{TargetConnection, demand, passes, strange};

/// The field that says that a flush is not complete.
const FLUSHING: &str = "flushing";

/// Between two rounds, while keys are on their way from one node to another.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a flush, and then replicas, are waited for at a time; what is noted is done by the next session.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes fields and values (ARGV from 2 on) unless another session (ARGV[1] is this one) has claimed the target.
const TELL: &str = "local owner=redis.call('HGET',KEYS[1],'owner') \
     if owner and owner~=ARGV[1] then return 0 end redis.call('HSET',KEYS[1],unpack(ARGV,2)) return 1";

/// What is to be there behind a flush.
pub(crate) struct Behind<'a> {
    /// The session that carries it out.
    pub owner: &'a str,
    /// Fields of [`KEY`] and their values.
    pub fields: Vec<Vec<u8>>,
    /// Where each flow stands then.
    pub flows: &'a BTreeMap<FlowId, Position>,
    /// How many replicas of each primary have to follow.
    pub replicas: u16,
}

/// Empties every primary.
pub(crate) async fn empty_all(target: &mut TargetConnection, behind: &Behind<'_>) -> Result<(), Error> {
    tell(target, behind.owner, &[&behind.fields[..], &noted("1")].concat()).await?;
    empty_noted(target, behind).await
}

/// Removes the source's keys alone, in one database or in all, and then the positions move.
pub(crate) async fn empty_covered(
    (target, config): (&mut TargetConnection, &std::sync::Arc<EngineConfig>),
    db: Option<dfly_wire::DbIndex>,
    behind: &Behind<'_>,
) -> Result<(), Error> {
    let TargetConnection::Cluster(cluster) = target else { return Ok(()) };
    let runs = confirm::runs(cluster).await?;
    sweep::empty(config, db).await?;
    super::passed::forget(target, &config.rules.names).await?;
    settle(target, behind, runs).await
}

/// Ends a flush that a run before has begun.
pub(crate) async fn finish(
    target: &mut TargetConnection,
    (owner, replicas): (&str, u16),
) -> Result<(), Error> {
    let is_noted = ["HEXISTS", KEY, FLUSHING];
    if !target.is_cluster() || demand(target, "HEXISTS", &is_noted).await? != Reply::Integer(1) {
        return Ok(());
    }
    info!("a run before has begun to empty the target, as the source was; doing the rest");
    let reply = demand(target, "HGETALL", &["HGETALL", KEY]).await?;
    let Reply::Array(words) = &reply else { return Err(strange("HGETALL", &reply)) };
    let word = |word: &Reply| match word {
        Reply::Bulk(word) => Ok(word.to_vec()),
        other => Err(strange("HGETALL", other)),
    };
    let fields = words.iter().map(word).collect::<Result<_, _>>()?;
    let flows = match Checkpoint::load(target).await? {
        Stored::Whole(at) => at.flows,
        _ => BTreeMap::new(),
    };
    empty_noted(target, &Behind { owner, fields, flows: &flows, replicas }).await
}

fn noted(value: &str) -> [Vec<u8>; 2] {
    [FLUSHING, value].map(|word| word.as_bytes().to_vec())
}

async fn empty_noted(target: &mut TargetConnection, behind: &Behind<'_>) -> Result<(), Error> {
    let TargetConnection::Cluster(cluster) = target else { return Ok(()) };
    let runs = confirm::runs(cluster).await?;
    let hset = [b"HSET".to_vec(), KEY.as_bytes().to_vec()];
    until_empty(cluster, &[&hset, &behind.fields[..], &noted("1")].concat()).await?;
    settle(target, behind, runs).await?;
    demand(target, "HDEL", &["HDEL", KEY, FLUSHING]).await?;
    Ok(())
}

/// The primaries are those that were flushed, and their replicas have followed: the positions hold.
async fn settle(target: &mut TargetConnection, behind: &Behind<'_>, mut runs: Runs) -> Result<(), Error> {
    let (mut fields, sync) = (behind.fields.clone(), Lasting::load(target).await?.sync);
    if let TargetConnection::Cluster(cluster) = target {
        for (flow, at) in behind.flows {
            let witnesses =
                until_safe(cluster, (&mut runs, behind.replicas), (*flow, at.next, &sync)).await?;
            fields.extend([witness::field(*flow), witness::text(&witnesses)].map(String::into_bytes));
        }
    }
    // A move of this very key may have met a flush.
    tell(target, behind.owner, &fields).await
}

async fn until_safe(
    cluster: &mut ClusterConnection,
    (runs, replicas): (&mut Runs, u16),
    position: (FlowId, Lsn, &str),
) -> Result<Vec<Slot>, Error> {
    let began = Instant::now();
    loop {
        match confirm(cluster, (runs, replicas), position).await {
            Confirmed::Yes(witnesses) => return Ok(witnesses),
            Confirmed::NotYet(reason) if began.elapsed() >= PATIENCE => return Err(Error::NotSafe(reason)),
            Confirmed::NotYet(_) => sleep(PAUSE).await,
            Confirmed::Replaced(why) => return Err(Error::Replaced(why)),
        }
    }
}

async fn tell(target: &mut TargetConnection, owner: &str, fields: &[Vec<u8>]) -> Result<(), Error> {
    let head = [&b"EVAL"[..], TELL.as_bytes(), b"1", KEY.as_bytes(), owner.as_bytes()];
    let request: Vec<&[u8]> = head.into_iter().chain(fields.iter().map(Vec::as_slice)).collect();
    match demand(target, "EVAL", &request).await? {
        Reply::Integer(1) => Ok(()),
        _ => Err(Error::Overtaken),
    }
}

/// Flushes until nothing moved meanwhile, or nothing is left.
async fn until_empty(cluster: &mut ClusterConnection, told: &[Vec<u8>]) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        if began.elapsed() >= PATIENCE {
            return Err(Error::NotSafe("a primary takes no flush, or keys go from node to node".to_owned()));
        }
        let before = cluster.shape().await?;
        let owner = cluster.owner(Slot::of(KEY.as_bytes())).cloned();
        let mut is_done = true;
        for address in cluster.primaries().cloned().collect::<Vec<_>>() {
            is_done &= match owner.as_ref() == Some(&address) {
                true => flush_owner(cluster, &address, told).await?,
                false => carried_out(&cluster.ask_at(&address, &["FLUSHALL"]).await?)?,
            };
        }
        if is_done && (before.is_still(&cluster.shape().await?) || is_empty(cluster).await?) {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
}

/// The positions go and come back at once.
async fn flush_owner(
    cluster: &mut ClusterConnection,
    address: &Address,
    told: &[Vec<u8>],
) -> Result<bool, Error> {
    let begun = carried_out(&cluster.ask_at(address, &["MULTI"]).await?)?;
    let queued = [cluster.ask_at(address, &["FLUSHALL"]).await?, cluster.ask_at(address, told).await?];
    let ended = cluster.ask_at(address, &["EXEC"]).await?;
    for reply in &queued {
        carried_out(reply)?;
    }
    Ok(begun && !matches!(ended, Reply::Error(_) | Reply::Nil))
}

/// Whether it was carried out; not on a node that is loading, say, or that is a replica by now.
fn carried_out(reply: &Reply) -> Result<bool, Error> {
    match reply {
        Reply::Error(error) if passes(error) => Ok(false),
        // The positions are elsewhere by now.
        Reply::Error(ServerError { code: ErrorCode::Moved(_) | ErrorCode::Ask(_), .. }) => Ok(false),
        Reply::Error(error) => Err(Error::TargetAnswer { request: "FLUSHALL", answer: error.to_string() }),
        _ => Ok(true),
    }
}

/// Whether there is nothing but the positions.
async fn is_empty(cluster: &mut ClusterConnection) -> Result<bool, Error> {
    let sizes = cluster.ask_all(&["DBSIZE"]).await?;
    let total =
        sizes.iter().map(|(_, reply)| if let Reply::Integer(size) = reply { *size } else { i64::MAX });
    Ok(total.fold(0i64, i64::saturating_add) <= 1)
}
