//! What expires on a target that a run before has written to, for flows that have not seen those expiries come by.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::Reply;
use tracing::warn;

use crate::config::EngineConfig;
use crate::error::Error;
use crate::expiries::KeyDigest;
use crate::flow::Finding;
use crate::lasting::Lasting;
use crate::look::{self, Lines};
use crate::owner::Sharding;
use crate::reader::SourceReader;
use crate::sweep::Keys;
use crate::target::{Question, TargetConnection, connect_target, databases, strange};

/// A look at all keys of the target.
pub(crate) struct Task {
    pub config: Arc<EngineConfig>,
    pub findings: Lines,
    /// Whether there is a flow that does not know what expires; otherwise they are only told where the source stands.
    pub unknown: bool,
}

impl Task {
    /// Until it succeeds, flows check every record.
    pub(crate) async fn run(self) {
        if let Err(error) = look::until_done(&self.config, || self.look()).await {
            warn!(%error, "it is not known which keys expire on the target, so every record is checked there, which costs it time");
        }
    }

    async fn look(&self) -> Result<(), Error> {
        if self.unknown {
            self.look_at_keys().await?;
        }
        let lsns = SourceReader::new(Arc::clone(&self.config)).lsns().await?;
        for line in self.findings.values() {
            look::tell(line, Finding::AllExpiries(lsns.clone())).await?;
        }
        Ok(())
    }

    async fn look_at_keys(&self) -> Result<(), Error> {
        let (mut target, _) = connect_target(&self.config).await?;
        let sharding = Lasting::load(&mut target).await?.sharding;
        for db in databases(&mut target).await? {
            let mut keys = Keys::of(&self.config, db).await?;
            target.select(db).await?;
            while let Some(found) = keys.next().await? {
                let expiring = self.expiring(&mut target, &found).await?;
                self.tell((db, &expiring), sharding).await?;
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
        (db, found): (DbIndex, &[(Bytes, UnixMillis)]),
        sharding: Option<Sharding>,
    ) -> Result<(), Error> {
        let flows = u16::try_from(self.findings.len()).unwrap_or(u16::MAX);
        let mut by_flow: BTreeMap<FlowId, Vec<(KeyDigest, UnixMillis)>> = BTreeMap::new();
        for (key, at) in found {
            for (origin, name) in self.config.rules.selection.origins(db, key) {
                let owner = sharding.map(|sharding| sharding.owner(&name, flows));
                for flow in self.findings.keys().filter(|flow| owner.is_none_or(|owner| owner == **flow)) {
                    by_flow.entry(*flow).or_default().push((KeyDigest::of(origin, &name), *at));
                }
            }
        }
        for (flow, expiries) in by_flow {
            if let Some(line) = self.findings.get(&flow) {
                look::tell(line, Finding::Expiries(expiries)).await?;
            }
        }
        Ok(())
    }
}
