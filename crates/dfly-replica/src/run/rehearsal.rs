//! What a run would begin with, found out by everything that a start does before its first write.

use dfly_client::Session;

use crate::checkpoint::{Checkpoint, Stored, SyncMetadata};
use crate::config::{EngineConfig, OnStart};
use crate::error::Error;
use crate::run::start::foreign_keys;
use crate::session::assemble::has_databases;
use crate::session::resume;
use crate::source::candidates::{self, Master};
use crate::source::identity::Holdings;
use crate::target::capacity::{self, ScarceClients};
use crate::target::databases::{count_databases, count_keys};
use crate::target::probe::needs::{Instead, Lack};
use crate::target::probe::{self, Restrictions, Uses};
use crate::target::questions::TargetConnection;
use crate::target::tasks;

/// The name under which the source would know a run that ends at once: 40 hexadecimal characters.
const REPLICA_ID: &str = "0000000000000000000000000000000000000000";

/// What a run would begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsal {
    /// The source's address, of several the one that leads to the master.
    pub source: String,
    /// What the source calls its release; empty if it does not say.
    pub release: String,
    /// The source's replication id.
    pub source_id: String,
    /// How many flows it has, one for each shard.
    pub flows: u16,
    /// Keys of the source, if it says.
    pub source_keys: Option<u64>,
    /// Whether the target is a cluster.
    pub is_cluster: bool,
    /// Keys that the target holds, those of this tool counted.
    pub target_keys: u64,
    /// What would be done first.
    pub begins: Begins,
}

/// How a run would begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// It would ask the source to go on from the positions that the target holds.
    Resume,
    /// It would synchronise fully, into a target without keys of others.
    Empty,
    /// It would synchronise fully, into a target that holds keys of others, as this setting says.
    Over(OnStart),
    /// It would synchronise fully once more, over what a run before has left.
    Anew,
}

/// Everything that a start finds out before its first write, and everything that stands in its way.
#[derive(Debug, Default)]
pub struct Rehearsed {
    /// What stands in its way, in the order of a start: a run would end with the first.
    pub errors: Vec<Error>,
    /// The source, if it could be followed.
    pub source: Option<RehearsedSource>,
    /// The target, if it could be written to.
    pub target: Option<RehearsedTarget>,
}

/// A source that can be followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RehearsedSource {
    /// Its address, of several the one that leads to the master.
    pub address: String,
    /// What it calls its release; empty if it does not say.
    pub release: String,
    /// Its replication id.
    pub id: String,
    /// How many flows it has.
    pub flows: u16,
    /// The version of its replication protocol.
    pub version: u32,
    /// Keys in all databases, if it says.
    pub keys: Option<u64>,
    /// The databases in which it has keys.
    pub dbs: Vec<u32>,
}

/// A target that can be written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RehearsedTarget {
    /// Whether it is a cluster.
    pub is_cluster: bool,
    /// Keys that it holds, those of this tool counted.
    pub keys: u64,
    /// How many databases it has; 0 if that was not asked.
    pub databases: u32,
    /// What would be done first, unless something stands in the way.
    pub begins: Option<Begins>,
    /// What it or its user lacks, and what is done without it.
    pub replaced: Vec<(Lack, Instead)>,
    /// The largest argument that it takes, in bytes, if it says.
    pub largest_argument: Option<usize>,
    /// Servers that have room for a session only if others leave.
    pub scarce: Vec<ScarceClients>,
}

impl Rehearsal {
    /// Does what a start does, up to its first write: finds out who both sides are, what the target takes and its user may do,
    /// whether it has room for the connections and databases, and how the run would begin.
    ///
    /// # Errors
    /// The error with which a run would end.
    pub async fn of(config: &EngineConfig) -> Result<Self, Error> {
        let Rehearsed { errors, source, target } = Rehearsed::of(config).await;
        if let Some(first) = errors.into_iter().next() {
            return Err(first);
        }
        let (Some(source), Some((target, begins))) =
            (source, target.and_then(|target| Some((target.clone(), target.begins?))))
        else {
            return Err(Error::Internal("a start without source or target".to_owned()));
        };
        Ok(Self {
            source: source.address,
            release: source.release,
            source_id: source.id,
            flows: source.flows,
            source_keys: source.keys,
            is_cluster: target.is_cluster,
            target_keys: target.keys,
            begins,
        })
    }
}

/// A target that was met, and what it restricts.
struct Met {
    connection: TargetConnection,
    found: Restrictions,
}

impl Rehearsed {
    /// Does what a start does, up to its first write, and goes on behind what stands in its way as far as that can be.
    pub async fn of(config: &EngineConfig) -> Self {
        let mut rehearsed = Self::default();
        let (met, source) =
            tokio::join!(Box::pin(probe::meet(config, Uses::RunAndComparison)), Box::pin(source(config)));
        let met = rehearsed.note(met).map(|(connection, found)| Met { connection, found });
        if let Some(Met { mut connection, found }) = met {
            let begins = begins(&mut connection, config).await;
            let begins = rehearsed.note(begins);
            rehearsed.source = rehearsed.note(source);
            let target = rehearsed.target(config, &mut connection, found, begins).await;
            rehearsed.target = rehearsed.note(target);
        } else {
            rehearsed.source = rehearsed.note(source);
        }
        rehearsed
    }

    fn note<T>(&mut self, found: Result<T, Error>) -> Option<T> {
        found.map_err(|error| self.errors.push(error)).ok()
    }

    /// Everything about the target that depends on the source.
    async fn target(
        &mut self,
        config: &EngineConfig,
        target: &mut TargetConnection,
        found: Restrictions,
        begins: Option<Begins>,
    ) -> Result<RehearsedTarget, Error> {
        let source = self.source.clone();
        if let Some(source) = source.as_ref().filter(|_| begins != Some(Begins::Resume)) {
            let others = tasks::check_others(target, &source.id).await;
            self.note(others);
        }
        let mut scarce = Vec::new();
        if let Some(source) = &source {
            let has_relay = config.state_dir.is_some() && config.relay_max_bytes > 0;
            let room = capacity::check(target, source.flows, has_relay).await;
            scarce = self.note(room).unwrap_or_default();
        }
        let databases = count_databases(target).await?;
        if let Some(RehearsedSource { dbs, keys, .. }) = source {
            let has = has_databases(config, &Holdings { dbs, keys }, databases);
            self.note(has);
        }
        Ok(RehearsedTarget {
            is_cluster: target.has_slots(),
            keys: count_keys(target).await?,
            databases,
            begins,
            replaced: found.replaced,
            largest_argument: found.largest_argument,
            scarce,
        })
    }
}

async fn source(config: &EngineConfig) -> Result<RehearsedSource, Error> {
    let Master { endpoint, mut control, session } = candidates::find(config, REPLICA_ID, None).await?;
    let release = resume::release(&mut control).await?;
    let Holdings { dbs, keys } = Holdings::ask(&mut control).await?;
    let Session { replication_id, flows, version, .. } = session;
    let (address, id) = (endpoint.to_string(), replication_id.to_string());
    Ok(RehearsedSource { address, release, id, flows, version: version.0, keys, dbs })
}

/// As a start decides, but the target is not claimed.
async fn begins(target: &mut TargetConnection, config: &EngineConfig) -> Result<Begins, Error> {
    if !config.force_resync {
        SyncMetadata::load(target).await?.check(config)?;
    }
    match Checkpoint::load(target).await? {
        Stored::Refused(reason) if !config.force_resync => Err(Error::RefusedBefore { reason }),
        Stored::Whole(_) if !config.force_resync => Ok(Begins::Resume),
        Stored::Whole(_) | Stored::Unfinished(_) | Stored::Refused(_) => Ok(Begins::Anew),
        Stored::Nothing => match (foreign_keys(target, config).await?, config.on_start) {
            (0, _) => Ok(Begins::Empty),
            (keys, OnStart::RequireEmpty) => Err(Error::NotEmpty { keys }),
            (_, on_start) => Ok(Begins::Over(on_start)),
        },
    }
}
