//! Asking the primaries whether they hold what they have answered, while the flow goes on.

use std::pin::Pin;

use dfly_client::FlowId;
use dfly_journal::Lsn;
use redis_sink::cluster::ClusterConnection;

use super::durability::{self, Durability, Look, Safety};
use super::loss_marker::{MarkedPosition, Markers};

/// Who asks whether a position is safe.
#[derive(Debug)]
pub(crate) struct Inspector {
    pub cluster: Box<ClusterConnection>,
    pub safety: Safety,
    /// The full synchronisation that all positions go back to.
    pub sync: String,
    /// Where the positions are stored.
    pub checkpoint: String,
    /// The markers that were left last, if that is known.
    pub markers: Option<Markers>,
    /// How many flushes had been waited for then.
    pub flushes: u64,
}

pub(super) type Asking = Pin<Box<dyn Future<Output = (Inspector, Answer)> + Send>>;

/// What was found out.
pub(super) enum Answer {
    /// Whether a position may be stored.
    Durability(Durability),
    /// Whether the markers of the stored position are there.
    Markers(Look),
}

/// Who asks, or what was asked.
pub(super) enum Inspection {
    Idle(Box<Inspector>),
    Asking(Asking),
}

impl Inspector {
    /// So many flushes have been waited for. Whoever carried the last one out has left other markers.
    pub(super) fn pass_flushes(&mut self, flushes: u64) {
        if self.flushes != flushes {
            (self.markers, self.flushes) = (None, flushes);
        }
    }

    pub(super) fn ask(mut self: Box<Self>, flow: FlowId, next: Lsn) -> Asking {
        Box::pin(async move {
            let position = MarkedPosition { flow, next, sync: self.sync.clone() };
            let before = self.markers.as_ref();
            let durability = durability::check(&mut self.cluster, &mut self.safety, &position, before).await;
            if let Durability::Safe(slots) = &durability {
                self.markers = Some(Markers { position, slots: slots.clone() });
            }
            (*self, Answer::Durability(durability))
        })
    }

    pub(super) fn look(mut self: Box<Self>, flow: FlowId, next: Lsn) -> Asking {
        Box::pin(async move {
            let position = MarkedPosition { flow, next, sync: self.sync.clone() };
            let known = self.markers.take();
            let look = durability::look(&mut self.cluster, &self.checkpoint, &position, known).await;
            if let Look::There(markers) = &look {
                self.markers = Some(markers.clone());
            }
            (*self, Answer::Markers(look))
        })
    }
}
