//! How large a batch grows. While a cluster is behind, records wait for others of their slots: they share a transaction then.

use redis_resp::EncodedCommand;

use super::FlowCore;
use crate::clock::Now;
use crate::target::writer::TargetWriter;

impl FlowCore {
    /// Whether the batch may wait for what comes next: the target is behind, the batch is not full, and nobody waits for it to be
    /// committed.
    pub(super) fn gathers(&self, target: &dyn TargetWriter) -> bool {
        let has_place = target.gathers().is_some_and(|limits| !self.writer.reaches(limits));
        has_place && !self.is_awaited()
    }

    /// Whether something goes on only once everything that was applied is committed.
    fn is_awaited(&self) -> bool {
        !self.positions.has_entered()
            || self.flush.is_reached()
            || self.scan.is_some()
            || self.requests.awaits_position()
            || !self.watched.is_empty()
            || self.is_held()
    }

    /// Commits what was applied, unless it may wait for more.
    pub(super) fn commit_or_gather(&mut self, target: &mut dyn TargetWriter, now: Now) {
        if !self.writer.is_empty() && self.gathers(target) {
            self.gathered_since.get_or_insert(now.instant);
            return;
        }
        self.commit(target, now);
    }

    /// Gives every command to `visit` that was written and not carried out; those of a key in their order.
    pub(super) fn for_each_unanswered(
        &self,
        target: &dyn TargetWriter,
        visit: &mut dyn FnMut(EncodedCommand<'_>),
    ) {
        target.for_each_in_flight(visit);
        self.writer.for_each_uncommitted(visit);
    }
}
