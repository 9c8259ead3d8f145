//! The databases of a target, and how many keys they hold.

use dfly_wire::DbIndex;
use redis_resp::Reply;

use super::questions::TargetConnection;
use super::replies::strange;
use crate::error::Error;

/// The target's databases that hold keys. A cluster has database 0 alone.
///
/// # Errors
/// The connection's, or the target does not say.
pub async fn databases(target: &mut TargetConnection) -> Result<Vec<DbIndex>, Error> {
    if target.has_slots() {
        let holds_any = target.sizes().await?.iter().any(|size| *size > 0);
        return Ok(holds_any.then_some(DbIndex(0)).into_iter().collect());
    }
    let reply = target.ask(&["INFO", "keyspace"]).await?;
    let Reply::Bulk(text) = &reply else { return Err(strange("INFO keyspace", &reply)) };
    let text = String::from_utf8_lossy(text);
    let db = |line: &str| line.strip_prefix("db")?.split_once(':')?.0.parse().ok().map(DbIndex);
    Ok(text.lines().filter_map(db).collect())
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

/// As many databases as are looked for.
const MOST: u32 = 1 << 16;

/// How many databases the target has, by trying: a user may not be allowed to read the configuration. A proxy that takes
/// SELECT and stays where it is has one.
pub(crate) async fn count_databases(target: &mut TargetConnection) -> Result<u32, Error> {
    if target.has_slots() {
        return Ok(1);
    }
    let (mut has, mut lacks) = (1, MOST);
    let mut next = 16;
    while has < lacks {
        match target.select(DbIndex(next - 1)).await {
            Ok(()) => (has, next) = (next, (next * 4).min(lacks)),
            Err(Error::TargetAnswer { .. }) => {
                lacks = next - 1;
                next = has.midpoint(lacks).max(has + 1);
            }
            Err(error) => return Err(error),
        }
        if next == has {
            break;
        }
    }
    let is_there = is_in(target, has - 1).await?;
    target.select(DbIndex(0)).await?;
    Ok(if is_there { has } else { 1 })
}

/// Whether the server says that this connection is in the database, or does not say.
async fn is_in(target: &mut TargetConnection, db: u32) -> Result<bool, Error> {
    target.select(DbIndex(db)).await?;
    let Reply::Bulk(text) = target.ask(&["CLIENT", "INFO"]).await? else { return Ok(true) };
    let text = String::from_utf8_lossy(&text);
    let said = text.split_whitespace().find_map(|field| field.strip_prefix("db="));
    Ok(said.is_none_or(|said| said.parse() == Ok(db)))
}
