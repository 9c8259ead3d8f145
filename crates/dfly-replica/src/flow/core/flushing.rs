//! A flush of the source: the flow waits at it, and one of all flows carries it out (I3).

use std::time::Instant;

use dfly_journal::Lsn;
use dfly_translate::Flush;
use tracing::info;

use super::{FlowCore, RefetchOutcome, Signal};
use crate::checkpoint::{Checkpoint, SyncMetadata};
use crate::clock::Now;
use crate::flow::flush::FlushOrder;
use crate::target::writer::{FlushPlan, TargetWriter};

/// What a session tells a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Carry the flush out, and store with it these positions of all flows and what belongs to them.
    Execute(Checkpoint, Box<SyncMetadata>),
    /// The flush is carried out; go on behind it.
    Pass,
}

impl FlowCore {
    /// Tells the session that everything before a flush is carried out.
    pub(super) fn reach_flush(&mut self, target: &mut dyn TargetWriter, now: Now) {
        if !self.flush.is_draining() || !target.is_idle() || !self.writer.is_empty() {
            return;
        }
        // If the flush is not carried out, the next session begins before it, and reads nothing again.
        if self.positions.has_unstored_answers() {
            return self.send_position(target, now);
        }
        if let Some((flush, next)) = self.flush.drained() {
            let behind = self.positions.sent().behind_flush(next);
            target.await_flush(behind);
            self.tell(Signal::AtFlush(flush, behind));
        }
    }

    /// The session has something to say about a flush.
    pub(crate) fn on_order(&mut self, order: Order, target: &mut dyn TargetWriter, now: Now) {
        match order {
            Order::Execute(checkpoint, metadata) => {
                if let Some((flush, next)) = self.flush.obey(FlushOrder::Execute) {
                    target.flush(self.flush_plan(flush, next, checkpoint, *metadata), now.instant);
                }
            }
            Order::Pass => {
                if let Some((flush, next)) = self.flush.obey(FlushOrder::Pass) {
                    self.pass_flush(flush, next, target, now.instant);
                }
            }
        }
    }

    /// What has to be done about the flush before `next`.
    fn flush_plan(
        &self,
        flush: Flush,
        next: Lsn,
        checkpoint: Checkpoint,
        metadata: SyncMetadata,
    ) -> FlushPlan {
        let sharding = self.admission.ownership.sharding().or(metadata.sharding);
        FlushPlan {
            flush,
            emptied: flush.on_target(&self.rules.selection),
            at: self.positions.sent().behind_flush(next),
            checkpoint,
            metadata: SyncMetadata { sharding, ..metadata },
        }
    }

    pub(super) fn on_flushed(&mut self) {
        if let Some((flush, next)) = self.flush.executed() {
            self.positions.pass_flush(next);
            info!(flow = self.id.0, ?flush, "emptied the target, as the source was");
            self.tell(Signal::Flushed);
        }
    }

    /// The flush is durable: the position moves behind it, as the flow that carried it out has written.
    fn pass_flush(&mut self, flush: Flush, next: Lsn, target: &mut dyn TargetWriter, now: Instant) {
        self.positions.pass_flush(next);
        target.pass_flush(self.positions.sent());
        self.writer.flushed(flush);
        for key in self.refetch.flushed(flush) {
            self.tell_not_refetched(&key, RefetchOutcome::Superseded);
        }
        self.write_notes(target);
        if flush == Flush::All {
            self.admission.unsynced = None;
            self.admission.expiry.flushed();
        }
        self.settle(self.positions.sent(), now);
    }
}
