//! What is told of nodes that refuse or are gone: once a state, not once a retry.

use std::time::{Duration, Instant};

use dfly_client::FlowId;
use redis_resp::ServerError;
use redis_sink::cluster::GoneNode;
use redis_slots::Address;
use tracing::{info, warn};

use crate::notice::Notice;

/// Between two warnings that a node refuses what is sent again.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a node may be gone before that is worth a warning.
const UNNOTICED: Duration = Duration::from_secs(1);

/// How often it is looked whether a node is gone.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// What was told of nodes, and when.
#[derive(Debug)]
pub(super) struct NodeNotices {
    flow: FlowId,
    /// When it was last told that a node refuses.
    refusal: Option<Instant>,
    /// The node of which it was told that it is gone.
    gone: Option<Address>,
    /// When that was told.
    gone_told: Notice,
    /// When to look again.
    look_at: Instant,
}

impl NodeNotices {
    pub(super) fn new(flow: FlowId, now: Instant) -> Self {
        Self { flow, refusal: None, gone: None, gone_told: Notice::default(), look_at: now }
    }

    /// When to look again whether a node is gone.
    pub(super) fn look_at(&self) -> Instant {
        self.look_at
    }

    /// Whether it is time to look. The next time is counted from now on.
    pub(super) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.look_at;
        if is_due {
            self.look_at = now + LOOK_EVERY;
        }
        is_due
    }

    /// A node refuses what is sent again.
    pub(super) fn on_refusal(&mut self, error: &ServerError, now: Instant) {
        if self.refusal.is_none_or(|at| now.saturating_duration_since(at) >= PATIENCE) {
            self.refusal = Some(now);
            warn!(flow = self.flow.0, %error, "a node of the target takes nothing for now; what it refuses is sent again");
        }
    }

    /// No node is gone.
    pub(super) fn on_whole(&mut self) {
        if let Some(address) = self.gone.take()
            && self.gone_told.end()
        {
            info!(flow = self.flow.0, node = %address, "the node of the target is back, or replaced");
        }
    }

    /// This node is gone, and has been for longer than any other.
    pub(super) fn on_gone(&mut self, gone: GoneNode<'_>, now: Instant) {
        if now.saturating_duration_since(gone.since) < UNNOTICED {
            return;
        }
        if self.gone.as_ref() != Some(gone.address) {
            self.gone_told.end();
            self.gone = Some(gone.address.clone());
        }
        if self.gone_told.is_due(now) {
            warn!(flow = self.flow.0, node = %gone.address, why = gone.failure, "a node of the target is not reached; what is for its slots waits, the rest is written");
        }
    }
}
