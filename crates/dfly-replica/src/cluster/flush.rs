//! Emptying a cluster. It is no one command: the positions behind the flush are stored first, with a note that it is being
//! done, then every primary is flushed until no key can have gone past, then the note is removed. A run that finds the note
//! does the rest.

use redis_resp::Reply;
use redis_sink::cluster::ClusterConnection;
use redis_slots::{Address, Slot};
use tokio::time::{Duration, sleep};
use tracing::info;

use crate::checkpoint::KEY;
use crate::error::Error;
use crate::target::{TargetConnection, demand, passes, strange};

/// The field that says that a flush is not complete.
const FLUSHING: &str = "flushing";

/// Between two rounds, while keys are on their way from one node to another.
const PAUSE: Duration = Duration::from_millis(50);

/// Empties every primary. `told` is the request, a HSET of [`KEY`], that stores what is to be there behind the flush.
pub(crate) async fn empty_all(target: &mut TargetConnection, told: &[Vec<u8>]) -> Result<(), Error> {
    let note = [FLUSHING, "1"].map(|word| word.as_bytes().to_vec());
    let told: Vec<Vec<u8>> = told.iter().cloned().chain(note).collect();
    demand(target, "HSET", &told).await?;
    finish_with(target, &told).await
}

/// Ends a flush that a run before has begun.
pub(crate) async fn finish(target: &mut TargetConnection) -> Result<(), Error> {
    if !target.is_cluster()
        || demand(target, "HEXISTS", &["HEXISTS", KEY, FLUSHING]).await? != Reply::Integer(1)
    {
        return Ok(());
    }
    info!("a run before has begun to empty the target, as the source was; doing the rest");
    let reply = demand(target, "HGETALL", &["HGETALL", KEY]).await?;
    let Reply::Array(pairs) = &reply else { return Err(strange("HGETALL", &reply)) };
    let mut told = vec![b"HSET".to_vec(), KEY.as_bytes().to_vec()];
    for word in pairs {
        let Reply::Bulk(word) = word else { return Err(strange("HGETALL", &reply)) };
        told.push(word.to_vec());
    }
    finish_with(target, &told).await
}

async fn finish_with(target: &mut TargetConnection, told: &[Vec<u8>]) -> Result<(), Error> {
    if let TargetConnection::Cluster(cluster) = target {
        until_empty(cluster, told).await?;
    }
    // A move of this very key may have met a flush.
    demand(target, "HSET", told).await?;
    demand(target, "HDEL", &["HDEL", KEY, FLUSHING]).await?;
    Ok(())
}

/// Flushes until nothing moved meanwhile, or nothing is left.
async fn until_empty(cluster: &mut ClusterConnection, told: &[Vec<u8>]) -> Result<(), Error> {
    loop {
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
    cluster.ask_at(address, &["MULTI"]).await?;
    cluster.ask_at(address, &["FLUSHALL"]).await?;
    cluster.ask_at(address, told).await?;
    match cluster.ask_at(address, &["EXEC"]).await? {
        // Refused when it was queued: the key is elsewhere by now.
        Reply::Error(_) | Reply::Nil => Ok(false),
        _ => Ok(true),
    }
}

/// Whether it was carried out; not on a node that is loading, say, or that is a replica by now.
fn carried_out(reply: &Reply) -> Result<bool, Error> {
    match reply {
        Reply::Error(error) if passes(error) => Ok(false),
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
