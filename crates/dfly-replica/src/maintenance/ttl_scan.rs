//! What expires on a target that a run before has written to, for flows that have not seen those expiries come by.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::Reply;
use tracing::warn;

use super::scan::{self, ScanLines};
use crate::checkpoint::SyncMetadata;
use crate::config::EngineConfig;
use crate::error::Error;
use crate::flow::admission::ttl_index::KeyDigest;
use crate::flow::scan_events::ScanEvent;
use crate::source::reader::SourceReader;
use crate::source::sharding::Sharding;
use crate::target::connect::connect_target;
use crate::target::databases::databases;
use crate::target::keyspace_scan::KeyspaceScan;
use crate::target::questions::{Question, TargetConnection};
use crate::target::replies::strange;

/// The scan for expiries.
pub(crate) struct TtlScan {
    pub config: Arc<EngineConfig>,
    pub lines: ScanLines,
    /// Whether there is a flow that does not know what expires; otherwise they are only told where the source stands.
    pub unknown: bool,
}

impl TtlScan {
    /// Until it succeeds, flows check every record.
    pub(crate) async fn run(self) {
        if let Err(error) = scan::until_done(&self.config, || self.scan()).await {
            warn!(%error, "the keys that expire on the target could not be listed, so the target checks every record's key, which costs it time");
        }
    }

    async fn scan(&self) -> Result<(), Error> {
        if self.unknown {
            self.scan_keys().await?;
        }
        let lsns = SourceReader::new(Arc::clone(&self.config)).lsns().await?;
        for (flow, line) in &self.lines {
            let from = lsns.get(usize::from(flow.0)).copied().unwrap_or(Lsn(u64::MAX));
            scan::tell(line, ScanEvent::AllExpiries(from)).await?;
        }
        Ok(())
    }

    async fn scan_keys(&self) -> Result<(), Error> {
        let (mut target, _) = connect_target(&self.config).await?;
        let sharding = SyncMetadata::load(&mut target).await?.sharding;
        for db in databases(&mut target).await? {
            let mut keys = KeyspaceScan::of(&self.config, db).await?;
            target.select(db).await?;
            while let Some(found) = keys.next().await? {
                let expiring = self.expiring(&mut target, &found).await?;
                self.tell(db, &expiring, sharding).await?;
            }
        }
        Ok(())
    }

    async fn expiring(
        &self,
        target: &mut TargetConnection,
        keys: &[Bytes],
    ) -> Result<Vec<(Bytes, UnixMillis)>, Error> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let questions: Vec<Question> = keys.iter().map(|key| Question::new(&[b"PTTL", key])).collect();
        let now = self.config.clock.now();
        let left = target.ask_many(&questions).await?;
        let expiring = keys.iter().zip(left).filter_map(|(key, left)| match left {
            Reply::Integer(left) if left < 0 => None,
            Reply::Integer(left) => Some(Ok((key.clone(), UnixMillis(now.0.saturating_add(left))))),
            other => Some(Err(strange("PTTL", &other))),
        });
        expiring.collect()
    }

    /// Tells the flow that owns a key, or all if that is not known.
    async fn tell(
        &self,
        db: DbIndex,
        found: &[(Bytes, UnixMillis)],
        sharding: Option<Sharding>,
    ) -> Result<(), Error> {
        let flows = u16::try_from(self.lines.len()).unwrap_or(u16::MAX);
        let mut by_flow: BTreeMap<FlowId, Vec<(KeyDigest, UnixMillis)>> = BTreeMap::new();
        for (key, at) in found {
            for (origin, name) in self.config.rules.selection.origins(db, key) {
                let owner = sharding.map(|sharding| sharding.owner(&name, flows));
                for flow in self.lines.keys().filter(|flow| owner.is_none_or(|owner| owner == **flow)) {
                    by_flow.entry(*flow).or_default().push((KeyDigest::of(origin, &name), *at));
                }
            }
        }
        for (flow, expiries) in by_flow {
            if let Some(line) = self.lines.get(&flow) {
                scan::tell(line, ScanEvent::Expiries(expiries)).await?;
            }
        }
        Ok(())
    }
}
