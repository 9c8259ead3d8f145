//! Keys of the target that the source does not have: removed exactly, without holding all keys in memory (P17).
//!
//! Behind a full synchronisation the target is scanned, and the source is asked which of the keys it has. One that it has
//! not is not removed at once, for it may have been made meanwhile: its flow reads it again, in step with the journal,
//! and removes it if it is still not there.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_wire::DbIndex;
use tokio::sync::mpsc;
use tracing::info;

use crate::checkpoint::Checkpoint;
use crate::config::EngineConfig;
use crate::error::Error;
use crate::flow::{Finding, Look};
use crate::lasting::Lasting;
use crate::look::{self, Lines};
use crate::owner::Sharding;
use crate::reader::SourceReader;
use crate::report::Counters;
use crate::reread::Place;
use crate::sweep::Keys;
use crate::target::{connect_target, databases};

/// The look at all keys of the target.
pub(crate) struct Task {
    pub config: Arc<EngineConfig>,
    pub findings: Lines,
    pub counters: Arc<Counters>,
}

impl Task {
    pub(crate) async fn run(self) -> Result<(), Error> {
        info!("looking for keys that the source does not have");
        look::until_done(&self.config, || self.look()).await
    }

    async fn look(&self) -> Result<(), Error> {
        let flows = u16::try_from(self.findings.len()).unwrap_or(u16::MAX);
        let (mut target, _) = connect_target(&self.config).await?;
        let known = Lasting::load(&mut target).await?.sharding;
        let likely = || self.counters.owners().likely();
        let sharding = known.or_else(likely).ok_or(Error::UnknownSharding)?;
        let mut reader = SourceReader::new(Arc::clone(&self.config));
        let mut doubted = 0;
        for db in databases(&mut target).await? {
            let mut keys = Keys::of(&self.config, db).await?;
            while let Some(found) = keys.next().await? {
                let missing = self.missing(&mut reader, db, &found).await?;
                doubted += missing.len();
                self.doubt(missing, (sharding, flows)).await?;
            }
        }
        self.all_looked_for(reader.lsns().await?).await?;
        Checkpoint::swept(&mut target).await?;
        info!(keys = doubted, "keys of the target that the source may not have are being read again");
        Ok(())
    }

    /// A run that is killed from here on knows from the target what was doubted.
    async fn all_looked_for(&self, lsns: Vec<Lsn>) -> Result<(), Error> {
        let (tell, mut told) = mpsc::channel(self.findings.len().max(1));
        let look = Look { lsns, tell };
        for line in self.findings.values() {
            look::tell(line, Finding::AllLookedFor(look.clone())).await?;
        }
        drop(look);
        for _ in &self.findings {
            told.recv().await.ok_or_else(look::gone)?;
        }
        Ok(())
    }

    /// The places of the source where none of these keys is.
    async fn missing(
        &self,
        reader: &mut SourceReader,
        db: DbIndex,
        keys: &[Bytes],
    ) -> Result<Vec<Place>, Error> {
        let origins = keys.iter().flat_map(|key| {
            let origins = self.config.rules.selection.origins(db, key);
            origins.into_iter().map(move |(origin, name)| (key, origin, Bytes::from(name)))
        });
        let mut by_db: BTreeMap<DbIndex, Vec<(&Bytes, Bytes)>> = BTreeMap::new();
        for (key, origin, name) in origins {
            by_db.entry(origin).or_default().push((key, name));
        }
        let mut places: BTreeMap<&Bytes, Option<Place>> = BTreeMap::new();
        for (origin, keys) in by_db {
            let names: Vec<Bytes> = keys.iter().map(|(_, name)| name.clone()).collect();
            let there = reader.exist(origin, &names).await?;
            for ((key, name), there) in keys.into_iter().zip(there) {
                let place = places.entry(key).or_insert_with(|| Some((origin, name)));
                if there {
                    *place = None;
                }
            }
        }
        Ok(places.into_values().flatten().collect())
    }

    async fn doubt(&self, missing: Vec<Place>, (sharding, flows): (Sharding, u16)) -> Result<(), Error> {
        let mut by_flow: BTreeMap<FlowId, Vec<Place>> = BTreeMap::new();
        for place in missing {
            by_flow.entry(sharding.owner(&place.1, flows)).or_default().push(place);
        }
        for (flow, places) in by_flow {
            if let Some(line) = self.findings.get(&flow) {
                look::tell(line, Finding::Doubt(places)).await?;
            }
        }
        Ok(())
    }
}
