//! What a run would begin with, found out by everything that a start does before its first write.

use std::sync::Arc;

use crate::checkpoint::{Checkpoint, Stored, SyncMetadata};
use crate::config::{EngineConfig, OnStart};
use crate::error::Error;
use crate::run::start::foreign_keys;
use crate::session::assemble::connect_checked;
use crate::session::resume;
use crate::source::candidates::{self, Master};
use crate::source::identity::Holdings;
use crate::target::databases::count_keys;
use crate::target::probe;
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

impl Rehearsal {
    /// Does what a start does, up to its first write: finds out who both sides are, what the target takes and its user may do,
    /// whether it has room for the connections and databases, and how the run would begin.
    ///
    /// # Errors
    /// The error with which a run would end.
    pub async fn of(config: &EngineConfig) -> Result<Self, Error> {
        let mut config = config.clone();
        let (mut target, found) = probe::meet(&config).await?;
        found.apply(&mut config);
        let begins = begins(&mut target, &config).await?;
        let Master { endpoint, mut control, session } = candidates::find(&config, REPLICA_ID, None).await?;
        let release = resume::release(&mut control).await?;
        let source_id = session.replication_id.to_string();
        if begins != Begins::Resume {
            tasks::check_others(&mut target, &source_id).await?;
        }
        let holdings = Holdings::ask(&mut control).await?;
        let config = Arc::new(EngineConfig { source: endpoint.clone(), ..config });
        let (mut target, ..) = connect_checked(&config, &holdings, session.flows).await?;
        Ok(Self {
            source: endpoint.to_string(),
            release,
            source_id,
            flows: session.flows,
            source_keys: holdings.keys,
            is_cluster: target.has_slots(),
            target_keys: count_keys(&mut target).await?,
            begins,
        })
    }
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
