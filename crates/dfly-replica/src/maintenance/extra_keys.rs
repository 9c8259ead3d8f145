//! Keys of the target that the source does not have: removed exactly, without holding all keys in memory (P17).
//!
//! Behind a full synchronisation the target is scanned, and the source is asked which of the keys it has. A key that it does
//! not have is not removed at once, for it may have been made meanwhile: its flow asks again, many keys at a time, and removes
//! what is still not there behind one exact position (`flow/refetch/extra_keys.rs`).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_wire::DbIndex;
use tokio::sync::{Mutex, mpsc};
use tracing::info;

use super::scan::{self, ScanLines, flow_is_gone};
use crate::checkpoint::{Checkpoint, SyncMetadata};
use crate::config::EngineConfig;
use crate::error::Error;
use crate::flow::scan_events::ScanEvent;
use crate::keys::SourceKey;
use crate::run::counters::Counters;
use crate::source::reader::SourceReader;
use crate::source::sharding::Sharding;
use crate::target::connect::connect_target;
use crate::target::databases::databases;
use crate::target::keyspace_scan::KeyspaceScan;

/// How many keys are asked about in one go. A flow holds at most so many names at a time.
const KEYS_AT_ONCE: usize = 4096;

/// The scan for extra keys.
pub(crate) struct ExtraKeysScan {
    pub config: Arc<EngineConfig>,
    pub lines: ScanLines,
    /// Flows say here that what the scan has found is durable on the target.
    pub settled: Mutex<mpsc::Receiver<FlowId>>,
    pub counters: Arc<Counters>,
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
        let mut extra = 0;
        for db in databases(&mut target).await? {
            let mut scan = KeyspaceScan::of(&self.config, db).await?;
            let mut names = Vec::with_capacity(KEYS_AT_ONCE);
            while let Some(found) = scan.next().await? {
                names.extend(found);
                if names.len() >= KEYS_AT_ONCE {
                    extra += self.look_at(&mut reader, db, &names, owners).await?;
                    names.clear();
                }
            }
            extra += self.look_at(&mut reader, db, &names, owners).await?;
        }
        self.all_looked_for(&reader.lsns().await?).await?;
        Checkpoint::extra_keys_removed(&mut target).await?;
        info!(keys = extra, "keys of the target that the source did not have were looked through");
        Ok(())
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
        for key in missing {
            by_flow.entry(owners.sharding.owner(&key.name, owners.flows)).or_default().push(key);
        }
        for (flow, keys) in by_flow {
            if let Some(line) = self.lines.get(&flow) {
                scan::tell(line, ScanEvent::Extra(keys)).await?;
            }
        }
        Ok(count)
    }

    /// For each of these keys of the target that the source has under none of the names that it may come from, the first of
    /// those names.
    async fn missing(
        &self,
        reader: &mut SourceReader,
        db: DbIndex,
        names: &[Bytes],
    ) -> Result<Vec<SourceKey>, Error> {
        let mut origins: Vec<(usize, SourceKey)> = Vec::with_capacity(names.len());
        for (nth, name) in names.iter().enumerate() {
            let of_name = self.config.rules.selection.origins(db, name).into_iter();
            origins.extend(of_name.map(|(db, name)| (nth, SourceKey::new(db, name))));
        }
        origins.sort_by_key(|(_, key)| key.db);
        let keys: Vec<&SourceKey> = origins.iter().map(|(_, key)| key).collect();
        let there = reader.exist(&keys).await?;
        let mut missing: BTreeMap<usize, Option<SourceKey>> = BTreeMap::new();
        for ((nth, key), there) in origins.into_iter().zip(there) {
            let entry = missing.entry(nth).or_insert(Some(key));
            if there {
                *entry = None;
            }
        }
        Ok(missing.into_values().flatten().collect())
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
