//! What a flow tells of itself while it runs.

use std::time::{Duration, Instant};

use dfly_translate::{Loss, Policy};
use tracing::warn;

use super::{FlowCore, Want};
use crate::run::report::FlowLsns;
use crate::run::throttle::Throttle;
use crate::target::writer::TargetWriter;

/// How often the nodes of the target are looked at.
const LOOK: Duration = Duration::from_millis(250);

/// Looks at the nodes of the target.
#[derive(Debug)]
pub(super) struct NodeLooks {
    /// When the next one may be.
    next: Instant,
    /// How many batches were carried out at the last one.
    carried: u64,
}

impl NodeLooks {
    pub(super) fn new(now: Instant) -> Self {
        Self { next: now, carried: 0 }
    }
}

impl FlowCore {
    /// Counts for how long the source is read less than it could be.
    pub(super) fn count_throttle(&mut self, buffered: usize, want: Want, now: Instant) {
        let cause = self.throttled_by(buffered, want, now);
        if let Some(counters) = self.counters.flow(self.id) {
            self.throttle.turn(cause, now, &counters.throttled);
        }
    }

    /// What holds the flow up; `None` if nothing does, or a person.
    fn throttled_by(&self, buffered: usize, want: Want, now: Instant) -> Option<Throttle> {
        let has_work = want != Want::Bytes;
        if self.paused_until(now).is_some() {
            return Some(Throttle::SnapshotRate);
        }
        if has_work && self.writer.limited_until(now).is_some() {
            return Some(Throttle::CommandRate);
        }
        match self.may_read(buffered, want, now) {
            true => None,
            false if self.is_held() => None,
            false if self.intake.is_full(buffered) => Some(Throttle::RelayLog),
            false => Some(Throttle::Target),
        }
    }

    /// Looks now and then at the nodes of the target.
    pub(super) fn see_nodes(&mut self, target: &dyn TargetWriter, now: Instant) {
        if now >= self.node_looks.next {
            self.node_looks = NodeLooks { next: now + LOOK, carried: self.batches.carried };
            let waits_since = self.committed.front().map(|oldest| oldest.at);
            self.counters.nodes.see(self.id, target.nodes(waits_since));
        }
    }

    /// When the next look is due; `None` if there is nothing new to see.
    pub(super) fn node_look_at(&self) -> Option<Instant> {
        let is_moving = !self.committed.is_empty() || self.batches.carried != self.node_looks.carried;
        is_moving.then_some(self.node_looks.next)
    }

    pub(super) fn count_in_flight(&self) {
        if let Some(counters) = self.counters.flow(self.id) {
            counters.set_in_flight(self.committed.len(), self.committed.front().map(|oldest| oldest.at));
        }
    }

    /// Reports where the flow stands.
    pub(super) fn publish(&self, now: Instant) {
        if let (Some(at), Some(counters)) = (self.positions.advance(), self.counters.flow(self.id))
            && self.positions.has_entered()
        {
            let durable = at.durable.next;
            // A flow that resumes reads again what the target holds already.
            let carried = at.heard.max(durable);
            counters.set_positions(FlowLsns { received: at.received, carried, durable }, now);
            counters.set_waiting(self.refetch.len(), self.refetch.oldest(), self.writer.expiring_keys());
        }
    }

    /// Counts what was left out, and tells the first of each kind if the user wants to know.
    pub(super) fn count_losses(&mut self) {
        let losses = self.writer.take_losses();
        if losses.is_empty() {
            return;
        }
        for loss in self.counters.lose(&losses) {
            if loss == Loss::Reserved {
                warn!(flow = self.id.0, %loss, "the source has keys whose names are reserved for this tool, as a former target has; they are left out and counted");
            } else if self.rules.policies.of_loss(loss) == Policy::Warn {
                warn!(flow = self.id.0, %loss, "the target cannot hold this; it is left out and counted");
            }
        }
    }
}
