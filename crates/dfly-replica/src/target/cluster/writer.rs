//! What a flow writes through: one connection to a server, or one to each node of a cluster.

use redis_resp::connection::Connection;
use redis_resp::{CommandBatch, EncodedCommand, ServerError};
use redis_sink::cluster::{ClusterError, ClusterPipeline, Lost};
use redis_sink::{Pipeline, Refusal, SinkError};
use redis_slots::Address;
use std::time::Instant;

use super::Mark;
use crate::cluster::units::Units;

/// Batches in flight.
#[derive(Debug)]
pub(crate) enum Sink {
    Server(Box<Pipeline<Mark>>),
    Cluster(Box<ClusterSink>),
}

/// Batches in flight to a cluster.
#[derive(Debug)]
pub(crate) struct ClusterSink {
    pub pipeline: ClusterPipeline<Mark>,
    pub units: Units,
}

/// Why nothing more can be written.
#[derive(Debug)]
pub(crate) enum SinkFailure {
    Server(SinkError),
    Cluster(ClusterError),
}

impl Sink {
    pub(super) fn has_room(&self) -> bool {
        match self {
            Self::Server(pipeline) => pipeline.has_room(),
            Self::Cluster(cluster) => cluster.pipeline.window().has_room(),
        }
    }

    pub(super) fn has_plenty(&self) -> bool {
        match self {
            Self::Server(pipeline) => pipeline.has_plenty(),
            Self::Cluster(cluster) => cluster.pipeline.window().is_half_full(),
        }
    }

    pub(super) fn is_idle(&self) -> bool {
        match self {
            Self::Server(pipeline) => pipeline.is_idle(),
            Self::Cluster(cluster) => cluster.pipeline.window().is_empty(),
        }
    }

    /// Takes the batch's commands and leaves it empty.
    pub(super) fn submit(&mut self, batch: &mut CommandBatch, mark: Mark) {
        match self {
            Self::Server(pipeline) => pipeline.submit(batch, mark),
            Self::Cluster(cluster) => {
                let next = match mark {
                    Mark::Before(at) | Mark::Stored(at) => Some(at.next),
                    Mark::Baseline | Mark::Entry => None,
                };
                let units = cluster.units.of(batch, next);
                cluster.pipeline.submit(units, mark);
            }
        }
    }

    pub(super) fn settled(&mut self) -> Option<Mark> {
        match self {
            Self::Server(pipeline) => pipeline.settled(),
            Self::Cluster(cluster) => cluster.pipeline.settled(),
        }
    }

    pub(super) fn take_refusals(&mut self) -> Vec<Refusal> {
        match self {
            Self::Server(pipeline) => pipeline.take_refusals(),
            Self::Cluster(cluster) => cluster.pipeline.take_refusals(),
        }
    }

    pub(super) fn take_lost(&mut self) -> Vec<Lost> {
        match self {
            Self::Server(_) => Vec::new(),
            Self::Cluster(cluster) => cluster.pipeline.take_lost(),
        }
    }

    /// The primaries that were replaced.
    pub(super) fn take_replaced(&mut self) -> Vec<Address> {
        match self {
            Self::Server(_) => Vec::new(),
            Self::Cluster(cluster) => cluster.pipeline.take_replaced(),
        }
    }

    /// Why something waits that a node of a cluster refused for now.
    pub(super) fn take_passing(&mut self) -> Option<ServerError> {
        match self {
            Self::Server(_) => None,
            Self::Cluster(cluster) => cluster.pipeline.take_passing(),
        }
    }

    /// The node that has been gone for longest, and since when.
    pub(super) fn gone(&self) -> Option<(Address, Instant)> {
        match self {
            Self::Server(_) => None,
            Self::Cluster(cluster) => {
                let gone = cluster.pipeline.gone().min_by_key(|(_, since)| *since);
                gone.map(|(address, since)| (address.clone(), since))
            }
        }
    }

    /// The commands in flight: all in order to a server, those of a slot in order to a cluster.
    pub(super) fn in_flight(&self) -> Box<dyn Iterator<Item = EncodedCommand<'_>> + '_> {
        match self {
            Self::Server(pipeline) => Box::new(pipeline.in_flight()),
            Self::Cluster(cluster) => Box::new(cluster.pipeline.window().in_flight()),
        }
    }

    /// Waits until something moves. Safe to cancel.
    pub(super) async fn progress(&mut self) -> Result<(), SinkFailure> {
        match self {
            Self::Server(pipeline) => pipeline.progress().await.map_err(SinkFailure::Server),
            Self::Cluster(cluster) => cluster.pipeline.progress().await.map_err(SinkFailure::Cluster),
        }
    }

    /// Whether a batch with this mark is in flight.
    pub(super) fn is_in_flight(&self, mark: Mark) -> bool {
        match self {
            Self::Server(pipeline) => pipeline.tags().any(|tag| *tag == mark),
            Self::Cluster(cluster) => cluster.pipeline.window().tags().any(|tag| *tag == mark),
        }
    }

    /// Goes on with another connection to the server, behind the batches for which `is_done` holds.
    pub(super) fn resume(&mut self, connection: Connection, is_done: impl Fn(&Mark) -> bool) {
        if let Self::Server(pipeline) = self {
            pipeline.resume(connection, is_done);
        }
    }
}
