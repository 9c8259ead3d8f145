//! How a session meets the target: the one place that chooses between a single server and a cluster, for flows and for
//! everything that precedes them.

use std::sync::Arc;
use std::time::Instant;

use dfly_client::FlowId;
use dfly_translate::{CommandFacts, Rules};
use dfly_wire::DbIndex;
use redis_resp::EncodedCommand;
use redis_sink::cluster::{ClusterPipeline, Memo};
use redis_slots::Slot;

use super::cluster::durability::{self, Safety};
use super::cluster::inspection::Inspector;
use super::cluster::slot_batches::SlotBatches;
use super::cluster::slot_positions::{self, SlotPositions};
use super::cluster::writer::{ClusterParts, ClusterWriter};
use super::cluster::{clean_shutdown, flush, loss_marker, options};
use super::eviction::evict_others;
use super::questions::TargetConnection;
use super::standalone::guard::Guard;
use super::standalone::reconnect::Incarnation;
use super::standalone::writer::{StandaloneParts, StandaloneWriter};
use super::writer::TargetWriter;
use crate::checkpoint::{Checkpoint, Position, Stored, WriterIdentity};
use crate::config::EngineConfig;
use crate::error::Error;
use crate::flow::refetch::Noted;

/// What the writers of a session have in common.
#[derive(Debug, Clone)]
pub(crate) struct SessionTarget {
    pub config: Arc<EngineConfig>,
    pub identity: WriterIdentity,
    /// How many flows the source has.
    pub flows: u16,
    /// How many databases the target has.
    pub databases: u32,
    /// The full synchronisation that all positions go back to.
    pub sync: String,
    /// What makes a position in a cluster safe.
    pub safety: Safety,
}

impl SessionTarget {
    /// Finds out what holds for the session; `at` are the positions that it resumes from.
    ///
    /// # Errors
    /// [`Error::AheadOfSource`] and [`Error::Replaced`], when those positions cannot be relied on.
    pub(crate) async fn meet(
        mut self,
        target: &mut TargetConnection,
        resumes: Option<Resumption<'_>>,
    ) -> Result<Self, Error> {
        let Some(cluster) = target.cluster() else { return Ok(self) };
        self.safety =
            Safety { runs: durability::primary_runs(cluster).await?, replicas: self.config.wait_replicas };
        if let Some(Resumption { at, is_of_another_master }) = resumes {
            if is_of_another_master && !clean_shutdown::was_clean(target, at).await? {
                return Err(Error::AheadOfSource);
            }
            clean_shutdown::forget(target, at).await?;
            // A primary that lost something since the target was claimed would be taken for what it was.
            if !loss_marker::are_all_there(target, at).await? {
                return Err(Error::Replaced("it has lost what it had answered".to_owned()));
            }
        }
        Ok(self)
    }

    /// Opens the writer of one flow, which stands at `position` if it resumes.
    ///
    /// # Errors
    /// The target's.
    pub(crate) async fn writer(
        &self,
        mut target: TargetConnection,
        flow: FlowId,
        position: Option<Position>,
    ) -> Result<Box<dyn TargetWriter>, Error> {
        if target.has_slots() {
            return self.cluster_writer(target, flow, position).await;
        }
        let incarnation = match position {
            None => Incarnation::of(&mut target).await?,
            Some(_) => None,
        };
        let guard = Guard::new(target.names(), flow, self.identity.clone());
        let parts = StandaloneParts {
            config: Arc::clone(&self.config),
            flow,
            flows: self.flows,
            guard,
            position,
            incarnation,
        };
        match target.into_cluster() {
            Err(connection) => Ok(Box::new(StandaloneWriter::new(connection, parts, Instant::now()))),
            Ok(_) => Err(Error::Internal("a cluster where a server was".to_owned())),
        }
    }

    async fn cluster_writer(
        &self,
        mut target: TargetConnection,
        flow: FlowId,
        position: Option<Position>,
    ) -> Result<Box<dyn TargetWriter>, Error> {
        let names = self.config.rules.names.clone();
        let (mut batches, mut held) = (SlotBatches::new(names, flow), SlotPositions::default());
        if position.is_some() {
            for (slot, position) in slot_positions::positions(&mut target, flow).await? {
                batches.hold(slot, position);
                held.add(slot, position);
            }
        }
        let Ok(cluster) = target.into_cluster() else {
            return Err(Error::Internal("a server where a cluster was".to_owned()));
        };
        let memo = refetch_memo(Arc::clone(&self.config.rules), flow);
        let options = options::writing(&self.config, flow, &self.identity.owner, memo);
        let pipeline = ClusterPipeline::open(options, self.config.window).await?;
        let inspector = Inspector {
            cluster,
            safety: self.safety.clone(),
            sync: self.sync.clone(),
            checkpoint: self.config.rules.names.checkpoint().to_owned(),
            markers: None,
            flushes: 0,
        };
        let parts = ClusterParts {
            config: Arc::clone(&self.config),
            flow,
            flows: self.flows,
            identity: self.identity.clone(),
            position,
            batches,
            held,
            inspector,
        };
        Ok(Box::new(ClusterWriter::new(pipeline, parts, Instant::now())))
    }
}

/// The positions that a session resumes from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resumption<'a> {
    pub at: &'a Checkpoint,
    /// They were reached with the master that this one was promoted from.
    pub is_of_another_master: bool,
}

/// Notes the keys of a command that a cluster has given up as to be refetched, each in its slot.
fn refetch_memo(rules: Arc<Rules>, flow: FlowId) -> Memo {
    let tag = CommandFacts::side_key(DbIndex(0)).idempotent().tag();
    Memo::new(move |command: EncodedCommand<'_>, out| {
        for name in command.keys().filter(|name| !dfly_translate::ReservedNames::is_reserved(name)) {
            let set = rules.names.refetch(flow.0, Some(Slot::of(name)));
            let origins = rules.selection.origins(DbIndex(0), name);
            let is_ambiguous = origins.len() > 1;
            for (db, name) in origins {
                let member = Noted::member(&crate::keys::SourceKey::new(db, name), is_ambiguous);
                out.push_keyed(&[b"SADD", set.as_bytes(), &member], 1..2, tag);
            }
        }
    })
}

/// What the target holds of a session before, of which nothing is carried out any more from here on. A target that holds
/// nothing is claimed when something is first written.
///
/// # Errors
/// The target's.
pub(crate) async fn claim(
    target: &mut TargetConnection,
    owner: &str,
    replicas: u16,
) -> Result<Claimed, Error> {
    if Checkpoint::load(target).await? == Stored::Nothing {
        return Ok(Claimed::Nothing);
    }
    Checkpoint::claim(target, owner).await?;
    evict_others(target).await?;
    let is_cluster = target.has_slots();
    if is_cluster {
        flush::finish(target, owner, replicas).await?;
    }
    match Checkpoint::load(target).await? {
        Stored::Whole(at) if is_cluster && !loss_marker::are_all_there(target, &at).await? => {
            Ok(Claimed::LostWrites)
        }
        stored => Ok(Claimed::Stored(stored)),
    }
}

/// What a claim finds.
#[derive(Debug)]
pub(crate) enum Claimed {
    /// No run before.
    Nothing,
    /// This.
    Stored(Stored),
    /// A primary has lost writes that it had acknowledged.
    LostWrites,
}

/// Whether a target without positions holds positions in its slots all the same: of a cluster it may have been the node alone
/// that had the positions.
///
/// # Errors
/// The target's.
pub(crate) async fn has_slot_positions(target: &mut TargetConnection) -> Result<bool, Error> {
    if target.has_slots() { slot_positions::is_any(target).await } else { Ok(false) }
}
