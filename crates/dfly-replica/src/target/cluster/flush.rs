//! Emptying a cluster takes several steps: the positions behind the flush are stored first, with a note that the flush is
//! being carried out; then every primary is flushed until no key can have escaped; then the replicas have to follow; then
//! the note is removed. A run that finds the note does the rest.

use std::collections::BTreeMap;
use std::sync::Arc;

use dfly_client::FlowId;
use dfly_translate::Emptied;
use dfly_wire::DbIndex;
use redis_resp::{ErrorCode, Reply, ServerError};
use redis_sink::cluster::ClusterConnection;
use redis_slots::{Address, Slot};
use tokio::time::{Duration, Instant, sleep};
use tracing::info;

use super::durability::{self, Durability, Safety};
use super::loss_marker::{self, MarkedPosition};
use super::slot_positions;
use crate::checkpoint::{Checkpoint, Position, Stored, SyncMetadata};
use crate::config::EngineConfig;
use crate::error::Error;
use crate::target::connect::connect_target;
use crate::target::keyspace_scan;
use crate::target::questions::{TargetConnection, demand};
use crate::target::replies::strange;
use crate::target::retry_policy::passes;

/// The field that says that a flush is not complete.
const FLUSHING: &str = "flushing";

/// Between two rounds, while keys are on their way from one node to another.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a flush, and then replicas, are waited for at a time; what is noted is done by the next session.
const PATIENCE: Duration = Duration::from_secs(30);

/// Writes fields and values (ARGV from 2 on) unless another session (ARGV[1] is this one) has claimed the target.
const TELL: &str = "local owner=redis.call('HGET',KEYS[1],'owner') \
     if owner and owner~=ARGV[1] then return 0 end redis.call('HSET',KEYS[1],unpack(ARGV,2)) return 1";

/// What has to be there behind a flush.
#[derive(Debug)]
pub(crate) struct Behind {
    /// The session that carries it out.
    pub owner: String,
    /// Fields of the checkpoint's hash and their values.
    pub fields: Vec<Vec<u8>>,
    /// Where each flow stands then.
    pub flows: BTreeMap<FlowId, Position>,
    /// How many replicas of each primary have to follow.
    pub replicas: u16,
}

impl Behind {
    /// Positions behind a flush. Nothing is marked with them yet.
    pub(crate) fn of(at: &Checkpoint, metadata: &SyncMetadata, owner: &str, replicas: u16) -> Self {
        let mut fields = at.request(owner, metadata);
        for flow in at.flows.keys() {
            fields.extend([loss_marker::field(*flow).into_bytes(), Vec::new()]);
        }
        Self { owner: owner.to_owned(), fields, flows: at.flows.clone(), replicas }
    }
}

/// Carries out a flush of the source.
pub(crate) async fn carry_out(
    config: Arc<EngineConfig>,
    emptied: Emptied,
    behind: Behind,
) -> Result<(), Error> {
    let (mut target, _) = connect_target(&config).await?;
    // A run that comes later closes these connections, or is seen by what is told first.
    target.ask_all(&["PING"]).await?;
    match emptied {
        Emptied::All | Emptied::Db(_) => empty_all(&mut target, &behind).await,
        Emptied::Covered(db) => empty_covered(&mut target, &config, db, &behind).await,
        // Such a flush stops no flow.
        Emptied::Nothing => Ok(()),
    }
}

/// Empties every primary.
pub(crate) async fn empty_all(target: &mut TargetConnection, behind: &Behind) -> Result<(), Error> {
    tell(target, &behind.owner, &[&behind.fields[..], &noted("1")].concat()).await?;
    empty_noted(target, behind).await
}

/// Removes the source's keys alone, in one database or in all, and then the positions move.
async fn empty_covered(
    target: &mut TargetConnection,
    config: &EngineConfig,
    db: Option<DbIndex>,
    behind: &Behind,
) -> Result<(), Error> {
    let safety = safety(target, behind).await?;
    keyspace_scan::remove_covered(config, db).await?;
    slot_positions::forget(target).await?;
    settle(target, behind, safety).await
}

/// The primaries as they are before the flush.
async fn safety(target: &mut TargetConnection, behind: &Behind) -> Result<Safety, Error> {
    let runs = match target.cluster() {
        Some(cluster) => durability::primary_runs(cluster).await?,
        None => BTreeMap::new(),
    };
    Ok(Safety { runs, replicas: behind.replicas })
}

/// Ends a flush that a run before has begun.
pub(crate) async fn finish(target: &mut TargetConnection, owner: &str, replicas: u16) -> Result<(), Error> {
    let key = target.names().checkpoint().to_owned();
    if demand(target, "HEXISTS", &["HEXISTS", &key, FLUSHING]).await? != Reply::Integer(1) {
        return Ok(());
    }
    info!("a run before has begun to empty the target, as the source was; doing the rest");
    let reply = demand(target, "HGETALL", &["HGETALL", &key]).await?;
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
    empty_noted(target, &Behind { owner: owner.to_owned(), fields, flows, replicas }).await
}

fn noted(value: &str) -> [Vec<u8>; 2] {
    [FLUSHING, value].map(|word| word.as_bytes().to_vec())
}

async fn empty_noted(target: &mut TargetConnection, behind: &Behind) -> Result<(), Error> {
    let key = target.names().checkpoint().to_owned();
    let safety = safety(target, behind).await?;
    let told = [&[b"HSET".to_vec(), key.as_bytes().to_vec()], &behind.fields[..], &noted("1")].concat();
    if let Some(cluster) = target.cluster() {
        until_empty(cluster, &key, &told).await?;
    }
    settle(target, behind, safety).await?;
    demand(target, "HDEL", &["HDEL", &key, FLUSHING]).await?;
    Ok(())
}

/// The primaries are those that were flushed, and their replicas have followed: the positions hold.
async fn settle(target: &mut TargetConnection, behind: &Behind, mut safety: Safety) -> Result<(), Error> {
    let (mut fields, sync) = (behind.fields.clone(), SyncMetadata::load(target).await?.sync);
    if let Some(cluster) = target.cluster() {
        for (flow, at) in &behind.flows {
            let position = MarkedPosition { flow: *flow, next: at.next, sync: sync.clone() };
            let marked = until_safe(cluster, &mut safety, &position).await?;
            fields.extend([loss_marker::field(*flow), loss_marker::text(&marked)].map(String::into_bytes));
        }
    }
    // A move of this very key may have met a flush.
    tell(target, &behind.owner, &fields).await
}

async fn until_safe(
    cluster: &mut ClusterConnection,
    safety: &mut Safety,
    position: &MarkedPosition,
) -> Result<Vec<Slot>, Error> {
    let began = Instant::now();
    loop {
        match durability::check(cluster, safety, position, None).await {
            Durability::Safe(marked) => return Ok(marked),
            Durability::NotYet(reason) if began.elapsed() >= PATIENCE => return Err(Error::NotSafe(reason)),
            Durability::NotYet(_) => sleep(PAUSE).await,
            Durability::Replaced(why) | Durability::Forgotten(why) => return Err(Error::Replaced(why)),
        }
    }
}

async fn tell(target: &mut TargetConnection, owner: &str, fields: &[Vec<u8>]) -> Result<(), Error> {
    let key = target.names().checkpoint().to_owned();
    let head = [&b"EVAL"[..], TELL.as_bytes(), b"1", key.as_bytes(), owner.as_bytes()];
    let request: Vec<&[u8]> = head.into_iter().chain(fields.iter().map(Vec::as_slice)).collect();
    match demand(target, "EVAL", &request).await? {
        Reply::Integer(1) => Ok(()),
        _ => Err(Error::Overtaken),
    }
}

/// Flushes until nothing moved meanwhile, or nothing is left.
async fn until_empty(
    cluster: &mut ClusterConnection,
    checkpoint: &str,
    told: &[Vec<u8>],
) -> Result<(), Error> {
    let began = Instant::now();
    loop {
        if began.elapsed() >= PATIENCE {
            return Err(Error::NotSafe("a primary takes no flush, or keys go from node to node".to_owned()));
        }
        let before = cluster.shape().await?;
        let owner = cluster.owner(Slot::of(checkpoint.as_bytes())).cloned();
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
