//! Connections to the target, checked before anything is written.

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_rdb::payload::TargetFormat;
use dfly_translate::{Ability, Target};
use dfly_wire::DbIndex;
use redis_resp::connection::{Connection, ConnectionError};
use redis_resp::{ErrorCode, Reply, ServerError};
use redis_sink::{Family, SinkError, TargetError, TargetInfo, WindowError};
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use crate::backoff::Backoff;
use crate::checkpoint::{Checkpoint, Parties, Position};
use crate::config::{Clock, EngineConfig};
use crate::error::Error;

/// The name of every connection to the target, as `CLIENT LIST` shows it.
const NAME: &str = "df2redis";

/// Connects to the target, checks that it can be written to, and asks what it can do.
pub(crate) async fn connect_target(config: &EngineConfig) -> Result<(Connection, Target), Error> {
    let (mut connection, info) = TargetInfo::connect(&config.target).await?;
    if let Some(reason) = unfit(&info) {
        return Err(Error::Unfit { address: config.target.to_string(), reason });
    }
    let family = match info.family {
        Family::Redis => dfly_rdb::Family::Redis,
        Family::Valkey => dfly_rdb::Family::Valkey,
    };
    let plain = Target::plain(TargetFormat { family, version: info.version });
    let names = Ability::OF_MODULES.map(|(_, name)| name);
    let known = TargetInfo::known_commands(&mut connection, &names).await.map_err(TargetError::from)?;
    let has = |(_, name): &&(Ability, &str)| known.contains(name);
    let target =
        Ability::OF_MODULES.iter().filter(has).fold(plain, |target, (ability, _)| target.with(*ability));
    // Only a name: a user that may not set it can still write.
    connection.ask(&["CLIENT", "SETNAME", NAME]).await.map_err(TargetError::from)?;
    Ok((connection, target))
}

/// Closes the connections of sessions before: what they sent and the target has not read yet is never carried out. The
/// guard of a transaction sees to that too; values of a snapshot have none.
pub(crate) async fn evict_others(target: &mut Connection) -> Result<(), Error> {
    let own = match target.ask(&["CLIENT", "ID"]).await.map_err(TargetError::from)? {
        Reply::Integer(id) => id.to_string(),
        // A user that may not ask cannot close anything either.
        _ => return Ok(()),
    };
    let Reply::Bulk(list) = target.ask(&["CLIENT", "LIST"]).await.map_err(TargetError::from)? else {
        return Ok(());
    };
    let list = String::from_utf8_lossy(&list).into_owned();
    for client in list.lines() {
        let field = |name: &str| client.split(' ').find_map(|field| field.strip_prefix(name));
        if let (Some(id), Some(NAME)) = (field("id="), field("name="))
            && id != own
            && let Reply::Error(error) =
                target.ask(&["CLIENT", "KILL", "ID", id]).await.map_err(TargetError::from)?
        {
            debug!(%error, "a connection of a session before could not be closed");
        }
    }
    Ok(())
}

fn unfit(info: &TargetInfo) -> Option<String> {
    let version = &info.version_text;
    match info {
        info if info.dragonfly => Some("is a Dragonfly; name a Redis or Valkey server".to_owned()),
        info if info.replica => Some("is a replica, which takes no writes; name its primary".to_owned()),
        info if info.cluster => Some(
            "is a node of a cluster, which cannot be written to yet; name a standalone server".to_owned(),
        ),
        info if info.version < (6, 2) => Some(format!("is version {version}; 6.2 or later is needed")),
        _ => None,
    }
}

/// How far the target's clock is ahead of ours, in milliseconds; 0 if it is behind.
pub(crate) async fn clock_ahead(target: &mut Connection, clock: &Clock) -> Result<i64, Error> {
    let Reply::Array(parts) = demand(target, "TIME", &["TIME"]).await? else { return Ok(0) };
    let part = |at: usize| match parts.get(at) {
        Some(Reply::Bulk(digits)) => std::str::from_utf8(digits).ok()?.parse::<i64>().ok(),
        _ => None,
    };
    let millis = part(0).zip(part(1)).map(|(seconds, micros)| seconds.saturating_mul(1000) + micros / 1000);
    Ok(millis.map_or(0, |millis| (millis - clock.now().0).max(0)))
}

/// The databases that hold keys.
pub(crate) async fn databases(target: &mut Connection) -> Result<Vec<DbIndex>, Error> {
    match target.ask(&["INFO", "keyspace"]).await.map_err(TargetError::from)? {
        Reply::Bulk(text) => {
            let text = String::from_utf8_lossy(&text).into_owned();
            let db = |line: &str| line.strip_prefix("db")?.split_once(':')?.0.parse().ok().map(DbIndex);
            Ok(text.lines().filter_map(db).collect())
        }
        other => Err(Error::TargetAnswer { request: "INFO keyspace", answer: format!("{other:?}") }),
    }
}

/// How many keys there are in all databases.
pub(crate) async fn count_keys(target: &mut Connection) -> Result<u64, Error> {
    let mut keys = 0;
    for db in databases(target).await? {
        demand(target, "SELECT", &["SELECT", &db.to_string()]).await?;
        if let Reply::Integer(count) = demand(target, "DBSIZE", &["DBSIZE"]).await? {
            keys += count.unsigned_abs();
        }
    }
    demand(target, "SELECT", &["SELECT", "0"]).await?;
    Ok(keys)
}

/// Sends a request whose refusal nothing can mend.
pub(crate) async fn demand<A: AsRef<[u8]> + Sync>(
    target: &mut Connection,
    name: &'static str,
    request: &[A],
) -> Result<Reply, Error> {
    match target.ask(request).await.map_err(TargetError::from)? {
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
    target: &mut Connection,
    name: &'static str,
    request: &[&[u8]],
) -> Result<Vec<Bytes>, Error> {
    match demand(target, name, request).await? {
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

/// What a broken or refusing target calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Connect again, find out where it stands, and send what it has not carried out.
    Again,
    /// The same; but it is not worth beginning a full synchronisation anew for it.
    Wait,
    /// Nobody but a person can mend it.
    Stop,
}

/// One decision for each way in which writing can fail. A transaction that is refused when it is queued, or aborted, was
/// not carried out, nor was any behind it (the guard of each sees to that), so it can be sent again.
pub(crate) fn remedy(error: &SinkError) -> Remedy {
    match error {
        SinkError::Broken(_) | SinkError::Window(WindowError::Aborted) => Remedy::Again,
        SinkError::Reply(_) | SinkError::Window(WindowError::Unasked) => Remedy::Stop,
        SinkError::Window(WindowError::Refused(refusal)) => remedy_of(&refusal.error.code),
        // A kind of failure that this version does not know.
        _ => Remedy::Stop,
    }
}

fn remedy_of(code: &ErrorCode) -> Remedy {
    match code {
        ErrorCode::Loading
        | ErrorCode::ReadOnly
        | ErrorCode::MasterDown
        | ErrorCode::Busy
        | ErrorCode::ClusterDown
        | ErrorCode::TryAgain => Remedy::Again,
        ErrorCode::OutOfMemory | ErrorCode::MisConf | ErrorCode::NoReplicas => Remedy::Wait,
        ErrorCode::Generic
        | ErrorCode::WrongType
        | ErrorCode::Moved(_)
        | ErrorCode::Ask(_)
        | ErrorCode::CrossSlot
        | ErrorCode::NoAuth
        | ErrorCode::WrongPass
        | ErrorCode::NoPermission
        | ErrorCode::BusyKey
        | ErrorCode::NoScript
        | ErrorCode::ExecAbort => Remedy::Stop,
    }
}

/// Whether a question that is refused so may be answered later.
pub(crate) fn passes(error: &ServerError) -> bool {
    remedy_of(&error.code) != Remedy::Stop
}

/// Whether another attempt to connect to the target can go better.
pub(crate) fn is_passing(error: &Error) -> bool {
    match error {
        Error::Target(TargetError::Connection(error)) => !matches!(error, ConnectionError::Reply { .. }),
        Error::Target(TargetError::Refused { error, .. }) => passes(error),
        // A primary that was demoted may be the primary again, or an address may lead to the new one.
        Error::Unfit { .. } => true,
        _ => false,
    }
}

/// Whether there was no connection at all, or one to a server that is no target.
pub(crate) fn is_unreachable(error: &Error) -> bool {
    matches!(
        error,
        Error::Target(TargetError::Connection(ConnectionError::Connect { .. })) | Error::Unfit { .. }
    )
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
    let (mut connection, _) = connect_target(config).await?;
    let position = Checkpoint::position(&mut connection, parties, flow).await?;
    Ok(Regained { connection, position })
}

/// Something that differs between flows and moments: the last digits of a duration.
fn chance(since: Instant) -> u16 {
    let [low, high, ..] = since.elapsed().subsec_nanos().to_le_bytes();
    u16::from_le_bytes([low, high])
}
