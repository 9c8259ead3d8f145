//! Walks through the keys of a target with SCAN, which never holds the target up for long.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use dfly_translate::ReservedNames;
use dfly_wire::DbIndex;
use redis_resp::Reply;
use redis_sink::cluster::Shape;
use redis_slots::Slot;
use tokio::time::sleep;
use tracing::debug;

use super::connect::connect_target;
use super::databases::databases;
use super::questions::{Part, Question, TargetConnection};
use super::replies::{answered, strange};
use crate::config::EngineConfig;
use crate::error::Error;

/// How many keys one SCAN looks at.
const COUNT: &str = "512";

/// Where a SCAN begins, and what it answers at its end.
const START: Bytes = Bytes::from_static(b"0");

/// Between two walks through a cluster where it cannot be told what the first has missed.
const PAUSE: Duration = Duration::from_millis(100);

/// Which keys a scan gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// All but those that any task of this tool has reserved.
    Others,
    /// Those that this task has reserved.
    Own,
    All,
}

/// Walks through the keys of one database. In a cluster keys may be on their way from one node to another: those of such
/// slots are looked for again at the end.
#[derive(Debug)]
pub struct KeyspaceScan {
    target: TargetConnection,
    /// What is still to be walked through. The walk is in the first.
    parts: VecDeque<Part>,
    cursor: Bytes,
    /// A cluster as it was when the walk began.
    shape: Option<Shape>,
    unsettled: BTreeSet<Slot>,
    wanted: Wanted,
}

impl KeyspaceScan {
    /// All keys but the tool's own.
    ///
    /// # Errors
    /// The connection's.
    pub async fn of(config: &EngineConfig, db: DbIndex) -> Result<Self, Error> {
        Self::begin(config, db, Wanted::Others).await
    }

    /// This task's own keys.
    pub(crate) async fn reserved(config: &EngineConfig, db: DbIndex) -> Result<Self, Error> {
        Self::begin(config, db, Wanted::Own).await
    }

    /// All keys.
    async fn of_all(config: &EngineConfig, db: DbIndex) -> Result<Self, Error> {
        Self::begin(config, db, Wanted::All).await
    }

    async fn begin(config: &EngineConfig, db: DbIndex, wanted: Wanted) -> Result<Self, Error> {
        let (mut target, _) = connect_target(config).await?;
        target.select(db).await?;
        let shape = target.shape().await?;
        let parts = target.parts();
        Ok(Self { parts, target, cursor: START, shape, unsettled: BTreeSet::new(), wanted })
    }

    fn is_wanted(&self, key: &[u8]) -> bool {
        match self.wanted {
            Wanted::Others => !ReservedNames::is_reserved(key),
            Wanted::Own => self.target.names().is_own(key),
            Wanted::All => true,
        }
    }

    /// The next keys; `None` behind the last. Keys may come twice.
    ///
    /// # Errors
    /// The connection's, or a SCAN that is refused.
    pub async fn next(&mut self) -> Result<Option<Vec<Bytes>>, Error> {
        if self.parts.is_empty() {
            self.look_for_missed().await?;
        }
        let found = match (self.parts.front().cloned(), self.unsettled.pop_first()) {
            (Some(part), slot) => {
                self.unsettled.extend(slot);
                self.scan(&part).await?
            }
            (None, Some(slot)) => self.target.keys_in(slot).await?.into_iter().collect(),
            (None, None) => return Ok(None),
        };
        Ok(Some(found.into_iter().filter(|key| self.is_wanted(key)).collect()))
    }

    async fn scan(&mut self, part: &Part) -> Result<Vec<Bytes>, Error> {
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
        let key = |key: &Reply| if let Reply::Bulk(key) = key { Some(key.clone()) } else { None };
        Ok(keys.iter().filter_map(key).collect())
    }

    /// Behind a walk: what it may have missed is next.
    async fn look_for_missed(&mut self) -> Result<(), Error> {
        let Some(before) = self.shape.take() else { return Ok(()) };
        let Some(now) = self.target.shape().await? else { return Ok(()) };
        if let Some(slots) = before.unsettled(&now) {
            self.unsettled = slots;
            return Ok(());
        }
        debug!("slots of the target have come and gone; it is walked through again");
        sleep(PAUSE).await;
        self.shape = self.target.shape().await?;
        self.parts = self.target.parts();
        Ok(())
    }

    pub(crate) async fn remove(&mut self, keys: &[Bytes]) -> Result<(), Error> {
        let questions: Vec<Question> = keys.iter().map(|key| Question::new(&[b"UNLINK", key])).collect();
        for reply in self.target.ask_many(&questions).await? {
            answered("UNLINK", reply)?;
        }
        Ok(())
    }
}

/// Removes every key.
pub(crate) async fn remove_all(config: &EngineConfig) -> Result<(), Error> {
    let (mut connection, _) = connect_target(config).await?;
    for db in databases(&mut connection).await? {
        let mut scan = KeyspaceScan::of_all(config, db).await?;
        while let Some(found) = scan.next().await? {
            scan.remove(&found).await?;
        }
    }
    Ok(())
}

/// Removes the source's keys from one database of the target, or from all that the source feeds, and what is noted of them.
/// Keys of others stay.
pub(crate) async fn remove_covered(config: &EngineConfig, db: Option<DbIndex>) -> Result<(), Error> {
    let (selection, names) = (&config.rules.selection, &config.rules.names);
    let is_of_source = |db, key: &[u8]| match ReservedNames::is_reserved(key) {
        true => names.is_note(key),
        false => selection.covers(db, key),
    };
    let (mut connection, _) = connect_target(config).await?;
    let mut dbs = databases(&mut connection).await?;
    dbs.retain(|found| db.is_none_or(|db| db == *found) && selection.dbs.feeds(*found));
    for db in dbs {
        let mut scan = KeyspaceScan::of_all(config, db).await?;
        while let Some(mut found) = scan.next().await? {
            found.retain(|key| is_of_source(db, key));
            scan.remove(&found).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use dfly_testkit::{RedisOptions, RedisServer};
    use redis_resp::connection::{Endpoint, Peer};

    use super::*;

    /// C13: what is noted of keys goes with them. The positions and what is to be refetched are written with the flush.
    #[tokio::test]
    async fn notes_of_removed_keys() {
        let redis = RedisServer::start(RedisOptions::default()).unwrap();
        let mut client = redis.client().unwrap();
        let keys = ["k", "df2redis:due:0", "df2redis:expiry:{k}", "df2redis:left-out:1"];
        let stays = ["df2redis:checkpoint", "df2redis:reread:0", "df2redis@other:due:0"];
        for key in keys.iter().chain(&stays) {
            client.expect(&[b"SET", key.as_bytes(), b"v"]).unwrap();
        }
        let at = redis.address();
        let config = |peer| Endpoint::new(peer, at.ip().to_string(), at.port());
        let config = EngineConfig::new(config(Peer::Source), config(Peer::Target));
        remove_covered(&config, Some(DbIndex(0))).await.unwrap();
        let left = |key: &&str| client.expect(&[b"EXISTS", key.as_bytes()]).unwrap().int() == Some(1);
        assert_eq!(keys.iter().chain(&stays).copied().filter(left).collect::<Vec<_>>(), stays);
        remove_all(&config).await.unwrap();
        assert_eq!(redis.client().unwrap().expect(&[b"DBSIZE"]).unwrap().int(), Some(0));
    }
}
