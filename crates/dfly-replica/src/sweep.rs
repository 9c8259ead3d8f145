//! Keys of the target that are not the source's: looked for with SCAN, which never holds the target up for long.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfly_wire::DbIndex;
use redis_resp::Reply;
use redis_sink::cluster::Shape;
use tokio::time::sleep;
use tracing::debug;

use crate::config::EngineConfig;
use crate::error::Error;
use crate::target::{Part, Question, TargetConnection, answered, connect_target, databases, strange};

/// How many keys one SCAN looks at.
const COUNT: &str = "512";

/// Where a SCAN begins, and what it answers at its end.
const START: Bytes = Bytes::from_static(b"0");

/// What the tool's own keys begin with.
const RESERVED: &[u8] = b"df2redis:";

/// Between two walks through a cluster, while keys are on their way from one node to another.
const PAUSE: Duration = Duration::from_secs(5);

/// Walks through the keys of one database; in a cluster again and again until no key can have been passed over.
pub(crate) struct Keys {
    target: TargetConnection,
    /// What is still to be walked through; the first of it is.
    parts: VecDeque<Part>,
    cursor: Bytes,
    /// A cluster as it was when the walk began.
    shape: Option<Shape>,
}

impl Keys {
    pub(crate) async fn of(config: &Arc<EngineConfig>, db: DbIndex) -> Result<Self, Error> {
        let (mut target, _) = connect_target(config).await?;
        target.select(db).await?;
        let shape = target.shape().await?;
        Ok(Self { parts: target.parts(), target, cursor: START, shape })
    }

    /// The next keys, the tool's own left out; `None` behind the last.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<Bytes>>, Error> {
        if self.parts.is_empty() && !self.begin_again().await? {
            return Ok(None);
        }
        let Some(part) = self.parts.front() else { return Ok(None) };
        let request = [&b"SCAN"[..], &self.cursor, b"COUNT", COUNT.as_bytes()];
        let reply = answered("SCAN", self.target.ask_part(part, &request).await?)?;
        let Reply::Array(found) = &reply else { return Err(strange("SCAN", &reply)) };
        let [Reply::Bulk(cursor), Reply::Array(keys)] = found.as_slice() else {
            return Err(strange("SCAN", &reply));
        };
        self.cursor = cursor.clone();
        if self.cursor == START {
            self.parts.pop_front();
        }
        let keys = keys.iter().filter_map(|key| match key {
            Reply::Bulk(key) if !key.starts_with(RESERVED) => Some(key.clone()),
            _ => None,
        });
        Ok(Some(keys.collect()))
    }

    /// Whether keys may have been passed over, so that another walk begins.
    async fn begin_again(&mut self) -> Result<bool, Error> {
        let Some(before) = self.shape.take() else { return Ok(false) };
        let Some(now) = self.target.shape().await? else { return Ok(false) };
        if before.is_still(&now) {
            return Ok(false);
        }
        debug!("keys of the target are on their way from one node to another; it is walked through again");
        sleep(PAUSE).await;
        self.shape = self.target.shape().await?;
        self.parts = self.target.parts();
        Ok(true)
    }

    pub(crate) async fn remove(&mut self, keys: &[Bytes]) -> Result<(), Error> {
        let questions: Vec<Question> = keys.iter().map(|key| Question::new(&[b"UNLINK", key])).collect();
        for reply in self.target.ask_many(&questions).await? {
            answered("UNLINK", reply)?;
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
