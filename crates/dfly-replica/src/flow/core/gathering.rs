//! How large a batch grows. While a cluster is behind, records wait for others of their slots: they share a transaction then.

use redis_resp::EncodedCommand;

use super::FlowCore;
use crate::clock::Now;
use crate::target::writer::{BatchLimits, TargetWriter};

impl FlowCore {
    /// How large the batch may grow while it waits for what comes next; `None` if it may not wait: the target keeps up, the batch is
    /// that large, or something waits for it to be committed.
    fn may_grow_to(&self, target: &dyn TargetWriter) -> Option<BatchLimits> {
        target.gathers().filter(|limits| !self.writer.reaches(*limits) && !self.is_awaited())
    }

    /// A batch that is full is committed, unless it may wait for more.
    pub(super) fn commit_if_full(&mut self, target: &mut dyn TargetWriter, now: Now) {
        if !self.writer.is_full() {
            return;
        }
        match self.may_grow_to(target) {
            Some(limits) => self.writer.reserve(limits.bytes),
            None => self.commit(target, now),
        }
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
        if !self.writer.is_empty() && self.may_grow_to(target).is_some() {
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
