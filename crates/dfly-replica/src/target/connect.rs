//! Connections to the target, checked before anything is written.

use dfly_rdb::payload::TargetFormat;
use dfly_translate::{Ability, Target};
use redis_resp::connection::{Connection, Endpoint};
use redis_resp::{ErrorCode, Reply};
use redis_sink::cluster::ClusterConnection;
use redis_sink::{Eviction, Family, TargetError, TargetInfo};

use super::cluster::options;
use super::questions::TargetConnection;
use super::replies::strange;
use super::retry_policy::is_unreachable;
use crate::config::{EngineConfig, TargetMode};
use crate::error::Error;

/// What a server says that takes writes.
const MASTER: &str = "master";

/// What servers say that copy another server. Others may take writes too.
const REPLICA: [&str; 2] = ["slave", "replica"];

/// The oldest release that has every command that is needed.
const OLDEST: (u16, u16) = (6, 2);

/// Why nothing is written to a target that does not say what it is.
const UNSAID: &str =
    "does not say whether it is a single server or a cluster (is it a proxy?); name the target mode";

/// Connects to the target, checks that it can be written to, and asks what it can do.
///
/// # Errors
/// The connection's, or the target is none that can be written to.
pub async fn connect_target(config: &EngineConfig) -> Result<(TargetConnection, Target), Error> {
    let Reached { mut connection, info, is_cluster } = reach(config).await?;
    let (known, names) = (known_abilities(&mut connection).await?, config.rules.names.clone());
    if is_cluster {
        let mut cluster = ClusterConnection::open(&options::asking(config)).await?;
        let target = known.into_iter().fold(plain(&oldest(config, &mut cluster).await?), Target::with);
        return Ok((TargetConnection::of_cluster(Box::new(cluster), names), target.in_cluster()));
    }
    // Only a name: a user that may not set it can still write.
    connection.ask(&["CLIENT", "SETNAME", &names.connection()]).await.map_err(TargetError::from)?;
    let target = known.into_iter().fold(plain(&info), Target::with);
    Ok((TargetConnection::server(connection, names), target))
}

/// Only a probe shows whether a server of another role takes writes.
async fn check_writes(
    config: &EngineConfig,
    connection: &mut Connection,
    at: &Endpoint,
    role: &str,
) -> Result<(), Error> {
    let probe = format!("{}probe:role", config.rules.names.prefix());
    let reply = connection.ask(&["DEL", &probe]).await.map_err(TargetError::from)?;
    let reason = match reply {
        Reply::Error(error) if error.code == ErrorCode::ReadOnly => {
            "is a replica, which takes no writes; name its primary".to_owned()
        }
        Reply::Error(error) => return Err(TargetError::Refused { request: "DEL", error }.into()),
        _ if REPLICA.contains(&role) => {
            "is a replica that takes writes, and loses them when it synchronises with its primary; name its primary"
                .to_owned()
        }
        _ => return Ok(()),
    };
    Err(Error::Unfit { address: at.to_string(), reason })
}

/// A server that answers, and may be a target.
struct Reached {
    connection: Connection,
    info: TargetInfo,
    is_cluster: bool,
}

/// Reaches the target, by whichever of its nodes answers if it is a cluster.
async fn reach(config: &EngineConfig) -> Result<Reached, Error> {
    let (mut failure, candidates) = (None, options::asking(config).candidates());
    let was_cluster = candidates.iter().any(|candidate| candidate.announced.is_some());
    for candidate in candidates {
        match reach_at(config, &candidate.endpoint, was_cluster).await {
            Ok(reached) => return Ok(reached),
            // The first one that could be reached says most.
            Err(error)
                if failure.as_ref().is_none_or(|first| is_unreachable(first) && !is_unreachable(&error)) =>
            {
                failure = Some(error);
            }
            Err(_) => {}
        }
    }
    Err(failure.unwrap_or_else(|| Error::Internal("the target has no address".to_owned())))
}

async fn reach_at(config: &EngineConfig, endpoint: &Endpoint, was_cluster: bool) -> Result<Reached, Error> {
    let (mut connection, info) = TargetInfo::connect(endpoint).await?;
    let unfit_for = |reason| Error::Unfit { address: endpoint.to_string(), reason };
    let is_cluster = match config.target_mode {
        TargetMode::Auto => info.cluster.ok_or_else(|| unfit_for(UNSAID.to_owned()))?,
        TargetMode::Standalone => false,
        TargetMode::Cluster => true,
    };
    if let Some(reason) = unfit(config, &info, is_cluster) {
        return Err(unfit_for(reason));
    }
    if info.role != MASTER && !is_cluster {
        check_writes(config, &mut connection, endpoint, &info.role).await?;
    }
    // Another server may have taken over the address of a node.
    if was_cluster && !is_cluster {
        return Err(unfit_for("was a node of a cluster, and is a single server now".to_owned()));
    }
    if !is_cluster && !config.other_targets.is_empty() {
        return Err(unfit_for("is a single server; only a cluster has several addresses".to_owned()));
    }
    Ok(Reached { connection, info, is_cluster })
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
    // What another kind of server reads besides is not known.
    let version = if info.other_kind.is_some() { OLDEST } else { info.version };
    Target::plain(TargetFormat { family, version })
}

/// The primary of the oldest version: a key may come to lie on any of them.
async fn oldest(config: &EngineConfig, cluster: &mut ClusterConnection) -> Result<TargetInfo, Error> {
    let mut oldest: Option<TargetInfo> = None;
    for (address, reply) in cluster.ask_all(&["INFO"]).await? {
        let info = match &reply {
            Reply::Bulk(text) => TargetInfo::parse(&String::from_utf8_lossy(text)),
            _ => None,
        };
        let info = info.ok_or_else(|| strange("INFO", &reply))?;
        if let Some(reason) = unfit(config, &info, true) {
            return Err(Error::Unfit { address: format!("{}:{}", address.host, address.port), reason });
        }
        if oldest.as_ref().is_none_or(|oldest| info.version < oldest.version) {
            oldest = Some(info);
        }
    }
    oldest.ok_or(Error::TargetAnswer { request: "CLUSTER SHARDS", answer: "no primary".to_owned() })
}

fn unfit(config: &EngineConfig, info: &TargetInfo, is_cluster: bool) -> Option<String> {
    let version = &info.version_text;
    match info {
        info if info.dragonfly => Some("is a Dragonfly; name a Redis or Valkey server".to_owned()),
        info if is_cluster && info.cluster == Some(false) => {
            Some("is a single server, not a node of a cluster; the target mode is wrong".to_owned())
        }
        info if info.version < OLDEST && info.other_kind.is_none() => {
            Some(format!("is version {version}; 6.2 or later is needed"))
        }
        TargetInfo { eviction: Some(Eviction { policy, memory }), .. } if !config.allows_evictions => {
            Some(format!(
                "evicts keys when it holds {memory} bytes (maxmemory-policy {policy}), so it would lose what the source has; set its maxmemory-policy to noeviction"
            ))
        }
        _ => None,
    }
}
