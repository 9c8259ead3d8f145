//! Connections to the target, checked before anything is written.

mod asking;
mod remedy;

use std::collections::BTreeMap;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_rdb::payload::TargetFormat;
use dfly_translate::{Ability, Target};
use dfly_wire::DbIndex;
use redis_resp::Reply;
use redis_resp::connection::Connection;
use redis_sink::cluster::ClusterConnection;
use redis_sink::{Family, TargetError, TargetInfo};
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

pub use asking::TargetConnection;
pub(crate) use asking::{Part, Question};
pub(crate) use remedy::{Remedy, is_passing, is_unreachable, passes, remedy};

use crate::backoff::Backoff;
use crate::checkpoint::{Checkpoint, KEY, Parties, Position};
use crate::cluster::{self, flush::Behind};
use crate::config::{Clock, EngineConfig, TargetMode};
use crate::error::Error;

/// Why a target is not written to that keeps it to itself.
const UNSAID: &str =
    "does not say whether it is a single server or a cluster (is it a proxy?); say so with --target-mode";

/// Connects to the target, checks that it can be written to, and asks what it can do.
pub(crate) async fn connect_target(config: &EngineConfig) -> Result<(TargetConnection, Target), Error> {
    let (mut connection, info) = TargetInfo::connect(&config.target).await?;
    let unfit_for = |reason| Error::Unfit { address: config.target.to_string(), reason };
    let is_cluster = match config.target_mode {
        TargetMode::Auto => info.cluster.ok_or_else(|| unfit_for(UNSAID.to_owned()))?,
        TargetMode::Standalone => false,
        TargetMode::Cluster => true,
    };
    if let Some(reason) = unfit(&info, is_cluster) {
        return Err(unfit_for(reason));
    }
    let known = known_abilities(&mut connection).await?;
    if is_cluster {
        let mut cluster = ClusterConnection::open(&cluster::options(config)).await?;
        let target = known.into_iter().fold(plain(&oldest(&mut cluster).await?), Target::with);
        return Ok((TargetConnection::Cluster(Box::new(cluster)), target.in_cluster()));
    }
    // Only a name: a user that may not set it can still write.
    connection
        .ask(&["CLIENT", "SETNAME", &config.rules.names.connection()])
        .await
        .map_err(TargetError::from)?;
    let target = known.into_iter().fold(plain(&info), Target::with);
    Ok((TargetConnection::Server(connection), target))
}

async fn known_abilities(connection: &mut Connection) -> Result<Vec<Ability>, Error> {
    let names = Ability::OF_MODULES.map(|(_, name)| name);
    let known = TargetInfo::known_commands(connection, &names).await.map_err(TargetError::from)?;
    let has = |(_, name): &&(Ability, &str)| known.contains(name);
    Ok(Ability::OF_MODULES.iter().filter(has).map(|(ability, _)| *ability).collect())
}

fn plain(info: &TargetInfo) -> Target {
    let family = match info.family {
        Family::Redis => dfly_rdb::Family::Redis,
        Family::Valkey => dfly_rdb::Family::Valkey,
    };
    Target::plain(TargetFormat { family, version: info.version })
}

/// What the primary of the oldest version is: a key may come to lie on any of them.
async fn oldest(cluster: &mut ClusterConnection) -> Result<TargetInfo, Error> {
    let mut oldest: Option<TargetInfo> = None;
    for (address, reply) in cluster.ask_all(&["INFO"]).await? {
        let info = match &reply {
            Reply::Bulk(text) => TargetInfo::parse(&String::from_utf8_lossy(text)),
            _ => None,
        };
        let info = info.ok_or_else(|| strange("INFO", &reply))?;
        if let Some(reason) = unfit(&info, true) {
            return Err(Error::Unfit { address: format!("{}:{}", address.host, address.port), reason });
        }
        if oldest.as_ref().is_none_or(|oldest| info.version < oldest.version) {
            oldest = Some(info);
        }
    }
    oldest.ok_or(Error::TargetAnswer { request: "CLUSTER SHARDS", answer: "no primary".to_owned() })
}

/// Closes the connections of sessions before: what they sent and the target has not read yet is never carried out. The
/// guard of a transaction sees to that too; values of a snapshot have none.
pub(crate) async fn evict_others(target: &mut TargetConnection, name: &str) -> Result<(), Error> {
    for part in target.parts() {
        let own = match target.ask_part(&part, &["CLIENT", "ID"]).await? {
            Reply::Integer(id) => id.to_string(),
            // A user that may not ask cannot close anything either.
            _ => continue,
        };
        let Reply::Bulk(list) = target.ask_part(&part, &["CLIENT", "LIST"]).await? else { continue };
        for id in others(&String::from_utf8_lossy(&list), name, &own) {
            if let Reply::Error(error) = target.ask_part(&part, &["CLIENT", "KILL", "ID", &id]).await? {
                debug!(%error, "a connection of a session before could not be closed");
            }
        }
    }
    Ok(())
}

/// The connections with this name but `own`, in the text of `CLIENT LIST`.
pub(crate) fn others(list: &str, name: &str, own: &str) -> Vec<String> {
    let field = |client: &str, prefix: &str| {
        client.split(' ').find_map(|field| field.strip_prefix(prefix)).map(str::to_owned)
    };
    let ours = list.lines().filter(|client| field(client, "name=").as_deref() == Some(name));
    ours.filter_map(|client| field(client, "id=")).filter(|id| id != own).collect()
}

fn unfit(info: &TargetInfo, is_cluster: bool) -> Option<String> {
    let version = &info.version_text;
    match info {
        info if info.dragonfly => Some("is a Dragonfly; name a Redis or Valkey server".to_owned()),
        info if is_cluster && info.cluster == Some(false) => {
            Some("is a single server, not a node of a cluster; leave out --target-mode".to_owned())
        }
        info if info.replica && !is_cluster => {
            Some("is a replica, which takes no writes; name its primary".to_owned())
        }
        info if info.version < (6, 2) => Some(format!("is version {version}; 6.2 or later is needed")),
        _ => None,
    }
}

/// Empties the target altogether.
pub(crate) async fn empty(target: &mut TargetConnection, owner: &str) -> Result<(), Error> {
    if !target.is_cluster() {
        return demand(target, "FLUSHALL", &["FLUSHALL"]).await.map(drop);
    }
    let fields = ["syncing", "1"].map(|word| word.as_bytes().to_vec()).into();
    let behind = Behind { owner, fields, flows: &BTreeMap::new(), replicas: 0 };
    cluster::flush::empty_all(target, &behind).await?;
    demand(target, "DEL", &["DEL", KEY]).await.map(drop)
}

/// How far the target's clock is ahead of ours, in milliseconds; 0 if it is behind. In a cluster that of the node that is
/// furthest ahead.
pub(crate) async fn clock_ahead(target: &mut TargetConnection, clock: &Clock) -> Result<i64, Error> {
    let part = |parts: &[Reply], at: usize| match parts.get(at) {
        Some(Reply::Bulk(digits)) => std::str::from_utf8(digits).ok()?.parse::<i64>().ok(),
        _ => None,
    };
    let millis = |reply: &Reply| {
        let Reply::Array(parts) = reply else { return None };
        let (seconds, micros) = part(parts, 0).zip(part(parts, 1))?;
        Some(seconds.saturating_mul(1000) + micros / 1000)
    };
    let latest = target.ask_all(&["TIME"]).await?.iter().filter_map(millis).max();
    Ok(latest.map_or(0, |millis| (millis - clock.now().0).max(0)))
}

/// The databases that hold keys.
pub(crate) async fn databases(target: &mut TargetConnection) -> Result<Vec<DbIndex>, Error> {
    if target.is_cluster() {
        let holds_any = target.sizes().await?.iter().any(|size| *size > 0);
        return Ok(holds_any.then_some(DbIndex(0)).into_iter().collect());
    }
    match target.ask(&["INFO", "keyspace"]).await? {
        Reply::Bulk(text) => {
            let text = String::from_utf8_lossy(&text).into_owned();
            let db = |line: &str| line.strip_prefix("db")?.split_once(':')?.0.parse().ok().map(DbIndex);
            Ok(text.lines().filter_map(db).collect())
        }
        other => Err(Error::TargetAnswer { request: "INFO keyspace", answer: format!("{other:?}") }),
    }
}

/// How many keys there are in all databases.
pub(crate) async fn count_keys(target: &mut TargetConnection) -> Result<u64, Error> {
    let mut keys = 0;
    for db in databases(target).await? {
        target.select(db).await?;
        keys += target.sizes().await?.iter().sum::<u64>();
    }
    target.select(DbIndex(0)).await?;
    Ok(keys)
}

/// Sends a request whose refusal nothing can mend.
pub(crate) async fn demand<A: AsRef<[u8]> + Sync>(
    target: &mut TargetConnection,
    name: &'static str,
    request: &[A],
) -> Result<Reply, Error> {
    answered(name, target.ask(request).await?)
}

/// A reply that is no refusal.
pub(crate) fn answered(name: &'static str, reply: Reply) -> Result<Reply, Error> {
    match reply {
        Reply::Error(error) if passes(&error) => Err(TargetError::Refused { request: name, error }.into()),
        Reply::Error(error) => Err(Error::TargetAnswer { request: name, answer: error.to_string() }),
        reply => Ok(reply),
    }
}

/// An answer of another form than servers give.
pub(crate) fn strange(request: &'static str, answer: &Reply) -> Error {
    Error::TargetAnswer { request, answer: format!("{answer:?}").chars().take(200).collect() }
}

/// What a set, or a sorted set, holds; `request` asks for it.
pub(crate) async fn members(
    target: &mut TargetConnection,
    name: &'static str,
    request: &[&[u8]],
) -> Result<Vec<Bytes>, Error> {
    members_of(name, demand(target, name, request).await?)
}

/// As [`members`], from the reply.
pub(crate) fn members_of(name: &'static str, reply: Reply) -> Result<Vec<Bytes>, Error> {
    match reply {
        Reply::Array(members) => Ok(members
            .into_iter()
            .filter_map(|member| match member {
                Reply::Bulk(member) => Some(member),
                _ => None,
            })
            .collect()),
        other => Err(Error::TargetAnswer { request: name, answer: format!("{other:?}") }),
    }
}

/// Where a target stands that was lost for a while.
#[derive(Debug)]
pub(crate) struct Regained {
    pub connection: Connection,
    /// Where the flow stands on it; `None` if it holds no position of this source.
    pub position: Option<Position>,
}

/// Connects again until it succeeds, and asks where the target stands.
pub(crate) async fn regain(
    config: &EngineConfig,
    flow: FlowId,
    parties: &Parties,
) -> Result<Regained, Error> {
    let mut backoff = Backoff::new(config.reconnect.first_delay, config.reconnect.longest_delay);
    let started = Instant::now();
    loop {
        let error = match attempt(config, flow, parties).await {
            Ok(regained) => return Ok(regained),
            Err(error) if is_passing(&error) => error,
            Err(error) => return Err(error),
        };
        let tried = started.elapsed();
        if config.reconnect.give_up_after.is_some_and(|limit| tried >= limit) {
            return Err(Error::GaveUp { peer: "target", after: tried, last: error.to_string() });
        }
        let delay = backoff.next_delay(chance(started));
        warn!(flow = flow.0, %error, retry_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), "no connection to the target");
        sleep(delay).await;
    }
}

async fn attempt(config: &EngineConfig, flow: FlowId, parties: &Parties) -> Result<Regained, Error> {
    let (mut target, _) = connect_target(config).await?;
    let position = Checkpoint::position(&mut target, parties, flow).await?;
    match target {
        TargetConnection::Server(connection) => Ok(Regained { connection, position }),
        TargetConnection::Cluster(_) => {
            let reason = "is a node of a cluster by now".to_owned();
            Err(Error::Unfit { address: config.target.to_string(), reason })
        }
    }
}

/// Something that differs between flows and moments: the last digits of a duration.
fn chance(since: Instant) -> u16 {
    let [low, high, ..] = since.elapsed().subsec_nanos().to_le_bytes();
    u16::from_le_bytes([low, high])
}
