//! Keys of the target that are not the source's: looked for with SCAN, which never holds the target up for long.

use std::sync::Arc;

use bytes::Bytes;
use dfly_wire::DbIndex;
use redis_resp::Reply;
use redis_resp::connection::Connection;

use crate::config::EngineConfig;
use crate::error::Error;
use crate::target::{connect_target, databases, demand, strange};

/// How many keys one SCAN looks at.
const COUNT: &str = "512";

/// What the tool's own keys begin with.
const RESERVED: &[u8] = b"df2redis:";

/// Walks through the keys of one database.
pub(crate) struct Keys {
    connection: Connection,
    cursor: Option<Bytes>,
}

impl Keys {
    pub(crate) async fn of(config: &Arc<EngineConfig>, db: DbIndex) -> Result<Self, Error> {
        let (mut connection, _) = connect_target(config).await?;
        demand(&mut connection, "SELECT", &["SELECT", &db.to_string()]).await?;
        Ok(Self { connection, cursor: Some("0".into()) })
    }

    /// The next keys, the tool's own left out; `None` behind the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Bytes>>, Error> {
        let Some(cursor) = self.cursor.take() else { return Ok(None) };
        let reply =
            demand(&mut self.connection, "SCAN", &[&b"SCAN"[..], &cursor, b"COUNT", COUNT.as_bytes()])
                .await?;
        let Reply::Array(parts) = &reply else { return Err(strange("SCAN", &reply)) };
        let [Reply::Bulk(cursor), Reply::Array(keys)] = parts.as_slice() else {
            return Err(strange("SCAN", &reply));
        };
        self.cursor = (*cursor != "0").then(|| cursor.clone());
        let keys = keys.iter().filter_map(|key| match key {
            Reply::Bulk(key) if !key.starts_with(RESERVED) => Some(key.clone()),
            _ => None,
        });
        Ok(Some(keys.collect()))
    }

    pub(crate) async fn remove(&mut self, keys: &[Bytes]) -> Result<(), Error> {
        if !keys.is_empty() {
            let words: Vec<&[u8]> =
                std::iter::once(&b"UNLINK"[..]).chain(keys.iter().map(|key| &key[..])).collect();
            demand(&mut self.connection, "UNLINK", &words).await?;
        }
        Ok(())
    }
}

/// Removes the source's keys from one database of the target, or from all that the source feeds; what belongs to others
/// stays.
pub(crate) async fn empty(config: &Arc<EngineConfig>, db: Option<DbIndex>) -> Result<(), Error> {
    let selection = &config.rules.selection;
    let (mut connection, _) = connect_target(config).await?;
    let mut dbs = databases(&mut connection).await?;
    dbs.retain(|found| db.is_none_or(|db| db == *found) && selection.dbs.feeds(*found));
    for db in dbs {
        let mut keys = Keys::of(config, db).await?;
        while let Some(mut found) = keys.next().await? {
            found.retain(|key| selection.covers(db, key));
            keys.remove(&found).await?;
        }
    }
    Ok(())
}
