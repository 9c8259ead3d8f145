//! Keys of the target that the source does not have: removed exactly, without holding all keys in memory (P17).
//!
//! Behind a full synchronisation the target is scanned, and the source is asked which of the keys it has. A key that it does
//! not have is not removed at once, for it may have been made meanwhile: its flow asks again, many keys at a time, and removes
//! what is still not there behind one exact position (`flow/refetch/extra_keys.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_wire::DbIndex;
use redis_resp::Reply;
use tokio::sync::{Mutex, mpsc};
use tokio::time::sleep;
use tracing::info;

use super::scan::{self, ScanLines, flow_is_gone};
use crate::checkpoint::written_keys::WrittenKeys;
use crate::checkpoint::{Checkpoint, SyncMetadata};
use crate::config::EngineConfig;
use crate::error::Error;
use crate::flow::scan_events::ScanEvent;
use crate::keys::{SourceKey, TargetKey};
use crate::run::counters::Counters;
use crate::source::reader::SourceReader;
use crate::source::sharding::Sharding;
use crate::target::connect::connect_target;
use crate::target::databases::{count_keys, databases};
use crate::target::keyspace_scan::KeyspaceScan;
use crate::target::questions::{Question, TargetConnection};

/// How many keys are asked about in one go. A flow holds at most so many names at a time.
const KEYS_AT_ONCE: usize = 4096;

/// How many keys are named that would be removed.
const SAMPLE: usize = 3;

/// How many keys that this tool has not written are counted. More of them are not told apart.
const MOST_STRANGERS: usize = 10_000;

/// How often it is looked whether the target has taken what the source has written.
const ASK_AGAIN: Duration = Duration::from_millis(50);

/// The scan for extra keys.
pub(crate) struct ExtraKeysScan {
    pub config: Arc<EngineConfig>,
    pub lines: ScanLines,
    /// Flows say here that what the scan has found is durable on the target.
    pub settled: Arc<Mutex<mpsc::Receiver<FlowId>>>,
    pub counters: Arc<Counters>,
    pub removals: Removals,
    /// How many lists tell what was written, and go once nothing is in question any more.
    pub lists: u16,
}

/// Which keys may be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removals {
    Any,
    /// This share of the target's keys, in percent.
    Share(u8),
    /// The same, of those that the lists say were written (`checkpoint/written_keys.rs`): others must not be there.
    Written(u8),
}

/// A key of the target that the source does not have.
#[derive(Debug, Clone)]
struct MissingKey {
    key: TargetKey,
    /// The first of the names under which the source may have it.
    origin: SourceKey,
}

/// Keys of the target that the source does not have, before one of them is removed.
#[derive(Debug, Default)]
struct Counted {
    keys: u64,
    missing: u64,
    /// A few of the missing.
    sample: Vec<SourceKey>,
    /// Those that this tool has not written, up to [`MOST_STRANGERS`].
    strangers: Vec<TargetKey>,
}

impl Counted {
    fn add(&mut self, keys: usize, missing: Vec<MissingKey>, written: Option<&WrittenKeys>) {
        self.keys += keys as u64;
        self.missing += missing.len() as u64;
        let room = SAMPLE.saturating_sub(self.sample.len());
        self.sample.extend(missing.iter().take(room).map(|missing| missing.origin.clone()));
        let Some(written) = written else { return };
        let room = MOST_STRANGERS.saturating_sub(self.strangers.len());
        let strangers = missing.into_iter().map(|missing| missing.key);
        self.strangers.extend(strangers.filter(|key| !written.has(key.db, &key.name)).take(room));
    }

    /// Whether no more than this share is missing, in percent.
    fn is_within(&self, most: u8) -> bool {
        u128::from(self.missing) * 100 <= u128::from(self.keys) * u128::from(most)
    }

    fn error(&self) -> Error {
        let sample = named(self.sample.iter().map(|key| &key.name));
        Error::TooManyRemovals { missing: self.missing, keys: self.keys, sample }
    }
}

/// The first of these names, as people read them.
fn named<'a>(names: impl Iterator<Item = &'a Bytes>) -> String {
    let name = |name: &Bytes| format!("\"{}\"", name.escape_ascii());
    names.take(SAMPLE).map(name).collect::<Vec<_>>().join(", ")
}

/// Who owns which key.
#[derive(Clone, Copy)]
struct Owners {
    sharding: Sharding,
    flows: u16,
}

impl ExtraKeysScan {
    pub(crate) async fn run(self) -> Result<(), Error> {
        info!("looking for keys that the source does not have");
        scan::until_done(&self.config, || self.scan()).await
    }

    async fn scan(&self) -> Result<(), Error> {
        let flows = u16::try_from(self.lines.len()).unwrap_or(u16::MAX);
        let (mut target, _) = connect_target(&self.config).await?;
        let known = SyncMetadata::load(&mut target).await?.sharding;
        let likely = || self.counters.owners().likely();
        let sharding = known.or_else(likely).ok_or(Error::UnknownSharding)?;
        let owners = Owners { sharding, flows };
        let mut reader = SourceReader::new(Arc::clone(&self.config));
        let dbs = databases(&mut target).await?;
        let keys = count_keys(&mut target).await?;
        self.counters.begin_extra_keys(if self.removals == Removals::Any { keys } else { 2 * keys });
        self.check(&mut target, &mut reader, &dbs).await?;
        let mut extra = 0;
        for db in dbs {
            let mut scan = KeyspaceScan::of(&self.config, db).await?;
            while let Some(names) = next_names(&mut scan).await? {
                extra += self.look_at(&mut reader, db, &names, owners).await?;
            }
        }
        self.all_looked_for(&reader.lsns().await?).await?;
        Checkpoint::extra_keys_removed(&mut target).await?;
        WrittenKeys::remove(&mut target, self.lists).await?;
        info!(keys = extra, "keys of the target that the source did not have were looked through");
        Ok(())
    }

    /// Whether what is missing may be removed.
    async fn check(
        &self,
        target: &mut TargetConnection,
        reader: &mut SourceReader,
        dbs: &[DbIndex],
    ) -> Result<(), Error> {
        let (most, written) = match self.removals {
            Removals::Any => return Ok(()),
            Removals::Share(most) => (most, None),
            Removals::Written(most) => (most, WrittenKeys::load(target, self.lists).await?),
        };
        let counted = self.count(reader, dbs, written.as_ref()).await?;
        let strangers = self.still_there(target, reader, counted.strangers.clone()).await?;
        if !strangers.is_empty() {
            let sample = named(strangers.iter().map(|key| &key.name));
            return Err(Error::KeysOfOthers { keys: strangers.len() as u64, sample });
        }
        if counted.is_within(most) { Ok(()) } else { Err(counted.error()) }
    }

    async fn count(
        &self,
        reader: &mut SourceReader,
        dbs: &[DbIndex],
        written: Option<&WrittenKeys>,
    ) -> Result<Counted, Error> {
        let mut counted = Counted::default();
        for db in dbs {
            let mut scan = KeyspaceScan::of(&self.config, *db).await?;
            while let Some(names) = next_names(&mut scan).await? {
                let missing = self.missing(reader, *db, &names).await?;
                counted.add(names.len(), missing, written);
            }
        }
        Ok(counted)
    }

    /// Those of the keys that are on the target when it has taken all that the source has written so far. A key that the
    /// source has made and deleted meanwhile is not.
    async fn still_there(
        &self,
        target: &mut TargetConnection,
        reader: &mut SourceReader,
        keys: Vec<TargetKey>,
    ) -> Result<Vec<TargetKey>, Error> {
        if keys.is_empty() {
            return Ok(keys);
        }
        let behind = reader.lsns().await?;
        while !self.counters.have_come_to(&behind) {
            sleep(ASK_AGAIN).await;
        }
        let mut still = Vec::new();
        for keys in keys.chunk_by(|one, other| one.db == other.db) {
            let Some(first) = keys.first() else { continue };
            target.select(first.db).await?;
            let questions: Vec<Question> =
                keys.iter().map(|key| Question::new(&[b"EXISTS", &key.name])).collect();
            let replies = target.ask_many(&questions).await?;
            let there = keys.iter().zip(replies).filter(|(_, reply)| matches!(reply, Reply::Integer(1)));
            still.extend(there.map(|(key, _)| key.clone()));
        }
        target.select(DbIndex(0)).await?;
        Ok(still)
    }

    /// Gives the number of keys that the source may not have.
    async fn look_at(
        &self,
        reader: &mut SourceReader,
        db: DbIndex,
        names: &[Bytes],
        owners: Owners,
    ) -> Result<usize, Error> {
        let missing = self.missing(reader, db, names).await?;
        let count = missing.len();
        let mut by_flow: BTreeMap<FlowId, Vec<SourceKey>> = BTreeMap::new();
        for MissingKey { origin, .. } in missing {
            by_flow.entry(owners.sharding.owner(&origin.name, owners.flows)).or_default().push(origin);
        }
        for (flow, keys) in by_flow {
            if let Some(line) = self.lines.get(&flow) {
                scan::tell(line, ScanEvent::Extra(keys)).await?;
            }
        }
        Ok(count)
    }

    /// Those of these keys of the target that the source has under none of the names that they may come from.
    async fn missing(
        &self,
        reader: &mut SourceReader,
        db: DbIndex,
        names: &[Bytes],
    ) -> Result<Vec<MissingKey>, Error> {
        let mut origins: Vec<(usize, SourceKey)> = Vec::with_capacity(names.len());
        for (nth, name) in names.iter().enumerate() {
            let of_name = self.config.rules.selection.origins(db, name).into_iter();
            origins.extend(of_name.map(|(db, name)| (nth, SourceKey::new(db, name))));
        }
        origins.sort_by_key(|(_, key)| key.db);
        let keys: Vec<&SourceKey> = origins.iter().map(|(_, key)| key).collect();
        let there = reader.exist(&keys).await?;
        self.counters.looked_at(names.len());
        let mut missing: BTreeMap<usize, Option<SourceKey>> = BTreeMap::new();
        for ((nth, key), there) in origins.into_iter().zip(there) {
            let entry = missing.entry(nth).or_insert(Some(key));
            if there {
                *entry = None;
            }
        }
        let of_target = |(nth, origin): (usize, Option<SourceKey>)| {
            Some(MissingKey { key: TargetKey::new(db, names.get(nth)?.clone()), origin: origin? })
        };
        Ok(missing.into_iter().filter_map(of_target).collect())
    }

    /// A run that is killed behind this finds nothing left of what the scan has found.
    async fn all_looked_for(&self, lsns: &[Lsn]) -> Result<(), Error> {
        let mut settled = self.settled.lock().await;
        // Of a scan that was broken off.
        while settled.try_recv().is_ok() {}
        for (flow, line) in &self.lines {
            let from = lsns.get(usize::from(flow.0)).copied().unwrap_or(Lsn(u64::MAX));
            scan::tell(line, ScanEvent::AllLookedFor(from)).await?;
        }
        for _ in &self.lines {
            settled.recv().await.ok_or_else(flow_is_gone)?;
        }
        Ok(())
    }
}

/// As many keys as are asked about in one go; `None` behind the last.
async fn next_names(scan: &mut KeyspaceScan) -> Result<Option<Vec<Bytes>>, Error> {
    let mut names = Vec::with_capacity(KEYS_AT_ONCE);
    while names.len() < KEYS_AT_ONCE {
        match scan.next().await? {
            Some(found) => names.extend(found),
            None if names.is_empty() => return Ok(None),
            None => break,
        }
    }
    Ok(Some(names))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_that_is_removed_is_known_before_the_first_goes() {
        let key = |name: &'static str| {
            let origin = SourceKey::new(DbIndex(0), name);
            MissingKey { key: TargetKey::new(DbIndex(0), name), origin }
        };
        let mut counted = Counted::default();
        assert!(counted.is_within(0), "an empty target loses nothing");
        counted.add(6, ["a", "b"].map(key).into(), None);
        counted.add(4, ["c", "d", "e"].map(key).into(), None);
        assert_eq!(
            (counted.is_within(50), counted.is_within(49), counted.is_within(100)),
            (true, false, true)
        );
        let error = counted.error().to_string();
        assert!(
            error.contains("5 of the target's 10 keys") && error.contains("\"a\", \"b\", \"c\""),
            "{error}"
        );
    }
}
