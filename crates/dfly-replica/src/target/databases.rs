//! The databases of a target, and how many keys they hold.

use dfly_wire::DbIndex;
use redis_resp::Reply;

use super::questions::TargetConnection;
use super::replies::strange;
use crate::error::Error;

/// The databases that hold keys. A cluster has database 0 alone.
pub(crate) async fn databases(target: &mut TargetConnection) -> Result<Vec<DbIndex>, Error> {
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
