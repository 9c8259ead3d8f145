//! Keys of slots that the source has given away (C44): they go from the target as the source loses them. Each is told to its
//! flow, which asks the source once more and removes it behind one exact position, as for other keys that the source does not
//! have.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_translate::TaskName;
use dfly_wire::DbIndex;
use tokio::time::sleep;
use tracing::{info, warn};

use super::scan::{self, ScanLines};
use crate::checkpoint::{Checkpoint, SyncMetadata};
use crate::config::EngineConfig;
use crate::error::Error;
use crate::flow::scan_events::ScanEvent;
use crate::keys::SourceKey;
use crate::run::counters::Counters;
use crate::slot_set::SlotSet;
use crate::source::reader::SourceReader;
use crate::source::sharding::Sharding;
use crate::target::connect::connect_target;
use crate::target::databases::databases;
use crate::target::keyspace_scan::KeyspaceScan;
use crate::target::tasks;

/// Between two looks at the target.
const PAUSE: Duration = Duration::from_millis(200);

/// The longest pause.
const LONGEST: Duration = Duration::from_secs(5);

/// A source that still has keys of the slots after so many looks keeps them.
const LOOKS: u32 = 60;

/// The scan for keys of these slots.
pub(crate) struct GoneSlotsScan {
    pub config: Arc<EngineConfig>,
    pub lines: ScanLines,
    pub counters: Arc<Counters>,
    pub slots: SlotSet,
    /// The records that are done with then.
    pub records: Vec<(FlowId, Lsn)>,
}

/// What has become of the keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum GoneKeys {
    /// They are gone from the target.
    Removed,
    /// Another task writes to the target too, and they may be that one's.
    LeftTo(TaskName),
    /// The source still has some of them.
    Kept,
}

impl fmt::Display for GoneKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the keys of slots that the source has given away ")?;
        match self {
            Self::Removed => f.write_str("are gone"),
            Self::LeftTo(task) => {
                let name = if task.is_empty() { "without a name".to_owned() } else { task.to_string() };
                write!(f, "may be wanted: another task ({name}) writes to the target, so they stay")
            }
            Self::Kept => f.write_str("are gone, but for those that the source still has"),
        }
    }
}

/// What a look at the target has found.
#[derive(Debug, Default)]
struct Found {
    /// Keys that the source does not have any more.
    gone: usize,
    /// Keys that it still has.
    there: usize,
}

impl GoneSlotsScan {
    pub(crate) async fn run(&self) -> Result<GoneKeys, Error> {
        info!(slots = %self.slots, "the source has given slots away: their keys go from the target");
        let became = scan::until_done(&self.config, || self.scan()).await?;
        scan::until_done(&self.config, || self.forget_records()).await?;
        match became {
            GoneKeys::Removed => info!("{became}"),
            GoneKeys::LeftTo(_) | GoneKeys::Kept => warn!("{became}"),
        }
        Ok(became)
    }

    /// The next session does not look for these keys.
    async fn forget_records(&self) -> Result<(), Error> {
        let (mut target, _) = connect_target(&self.config).await?;
        Checkpoint::gone_slots_removed(&mut target, &self.records).await
    }

    async fn scan(&self) -> Result<GoneKeys, Error> {
        let (mut target, _) = connect_target(&self.config).await?;
        if let Some(other) = tasks::other(&mut target).await? {
            return Ok(GoneKeys::LeftTo(other));
        }
        let known = SyncMetadata::load(&mut target).await?.sharding;
        let sharding = known.or_else(|| self.counters.owners().likely()).ok_or(Error::UnknownSharding)?;
        let (mut reader, mut pause) = (SourceReader::new(Arc::clone(&self.config)), PAUSE);
        for _look in 0..LOOKS {
            let mut found = Found::default();
            for db in databases(&mut target).await? {
                self.look(db, sharding, &mut reader, &mut found).await?;
            }
            if found.gone == 0 && found.there == 0 {
                return Ok(GoneKeys::Removed);
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST);
        }
        Ok(GoneKeys::Kept)
    }

    async fn look(
        &self,
        db: DbIndex,
        sharding: Sharding,
        reader: &mut SourceReader,
        found: &mut Found,
    ) -> Result<(), Error> {
        let mut scan = KeyspaceScan::of(&self.config, db).await?;
        while let Some(names) = scan.next().await? {
            let keys = self.of_slots(db, &names);
            let there = reader.exist(&keys.iter().collect::<Vec<_>>()).await?;
            let mut by_flow: BTreeMap<FlowId, Vec<SourceKey>> = BTreeMap::new();
            for (key, there) in keys.into_iter().zip(there) {
                match there {
                    true => found.there += 1,
                    false => by_flow.entry(self.owner(sharding, &key)).or_default().push(key),
                }
            }
            for (flow, keys) in by_flow {
                found.gone += keys.len();
                if let Some(line) = self.lines.get(&flow) {
                    scan::tell(line, ScanEvent::Extra(keys)).await?;
                }
            }
        }
        Ok(())
    }

    fn owner(&self, sharding: Sharding, key: &SourceKey) -> FlowId {
        sharding.owner(&key.name, u16::try_from(self.lines.len()).unwrap_or(u16::MAX))
    }

    /// The source's keys among these of the target that lie in the slots. A key that may come from several stays.
    fn of_slots(&self, db: DbIndex, names: &[Bytes]) -> Vec<SourceKey> {
        let origin = |name: &Bytes| match &self.config.rules.selection.origins(db, name)[..] {
            [(db, name)] if self.slots.holds(name) => Some(SourceKey::new(*db, name.clone())),
            _ => None,
        };
        names.iter().filter_map(origin).collect()
    }
}
