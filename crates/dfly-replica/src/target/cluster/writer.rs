//! A cluster as the target: a connection to each node, batches cut by slot, and a position that is stored by itself.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_wire::DbIndex;
use redis_resp::{CommandBatch, EncodedCommand};
use redis_sink::cluster::{ClusterError, ClusterPipeline, NodeState, OpenBatch};
use redis_slots::Slot;
use tracing::debug;

use super::checkpointer::{Checkpointer, Outcome};
use super::durability::Look;
use super::flush::{self, Behind};
use super::inspection::{Answer, Inspection, Inspector};
use super::node_notices::NodeNotices;
use super::slot_batches::{SlotBatches, UncutBatch};
use super::slot_positions::SlotPositions;
use super::{clean_shutdown, loss_marker};
use crate::checkpoint::fields::{self, MarkedSlots, SourceFields};
use crate::checkpoint::{Position, WriterIdentity};
use crate::config::EngineConfig;
use crate::error::{Error, FlowError};
use crate::keys::TargetKey;
use crate::run::nodes::{NodeLink, NodeSeen};
use crate::source::sharding::Sharding;
use crate::target::retry_policy::is_passing;
use crate::target::writer::{BatchLimits, BatchTag, FlushPlan, Held, TargetEvent, TargetWriter};

/// The flow that looks whether the primaries still hold what they have answered.
const LOOKS: FlowId = FlowId(0);

/// The most commands that are gathered while the nodes are behind. Of records that are spread evenly over all slots, eight share
/// a slot then. A transaction with one record costs a node 3.3 times the record alone, with four 1.6 times, with eight 1.3 times.
const GATHERED: usize = 1 << 17;

/// How many batches may wait. While the first of them is cut, the next gathers.
const UNCUT: usize = 2;

/// What is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    Batch(BatchTag),
    /// That everything up to this position was carried out is being stored.
    Stored(Position),
    /// That nothing follows is being noted.
    CleanShutdown,
}

/// A batch that is not in flight as a whole.
struct Waiting {
    batch: UncutBatch,
    tag: BatchTag,
    /// Once some of it is in flight.
    open: Option<OpenBatch>,
}

/// A flush that is under way on all primaries.
type Flushing = Pin<Box<dyn Future<Output = Result<(), Error>> + Send>>;

/// What a writer begins with.
pub(crate) struct ClusterParts {
    pub config: Arc<EngineConfig>,
    pub flow: FlowId,
    /// How many flows the source has.
    pub flows: u16,
    pub identity: WriterIdentity,
    /// Where the flow stands, if it resumes.
    pub position: Option<Position>,
    pub batches: SlotBatches,
    pub held: SlotPositions,
    pub inspector: Inspector,
}

/// Writes one flow's batches to a cluster.
pub(crate) struct ClusterWriter {
    config: Arc<EngineConfig>,
    flow: FlowId,
    flows: u16,
    identity: WriterIdentity,
    pipeline: ClusterPipeline<Sent>,
    batches: SlotBatches,
    /// Batches that are committed, and of which some is not in flight yet; the pipeline has begun the first of them.
    uncut: VecDeque<Waiting>,
    held: SlotPositions,
    checkpointer: Checkpointer,
    inspection: Option<Inspection>,
    /// How many flushes the flow has waited for. Each takes the markers along.
    flushes: u64,
    /// When to look whether the markers are there.
    look_at: Instant,
    /// The last position that was committed.
    sent: Position,
    sharding: Option<Sharding>,
    flush: Option<Flushing>,
    events: VecDeque<TargetEvent>,
    notices: NodeNotices,
}

impl ClusterWriter {
    pub(crate) fn new(pipeline: ClusterPipeline<Sent>, parts: ClusterParts, now: Instant) -> Self {
        let checkpointer = Checkpointer::new(parts.position, parts.config.ack_interval, now);
        let look_at = now + parts.config.target_keepalive;
        Self {
            config: parts.config,
            flow: parts.flow,
            flows: parts.flows,
            identity: parts.identity,
            pipeline,
            batches: parts.batches,
            uncut: VecDeque::new(),
            held: parts.held,
            checkpointer,
            inspection: Some(Inspection::Idle(Box::new(parts.inspector))),
            flushes: 0,
            look_at,
            sent: parts.position.unwrap_or_default(),
            sharding: None,
            flush: None,
            events: VecDeque::new(),
            notices: NodeNotices::new(parts.flow, now),
        }
    }

    /// Sends a batch at once, ahead of those that wait.
    fn submit(&mut self, batch: &mut CommandBatch, next: Option<Lsn>, sent: Sent) {
        let mut batch = self.batches.begin(batch, next);
        let open = self.pipeline.open_batch(sent);
        while !batch.is_cut() {
            self.pipeline.add(&open, self.batches.cut(&mut batch));
        }
        self.pipeline.close_batch(open);
        self.batches.recycle(batch);
    }

    /// Cuts as much of the batches that wait as there is room for in flight, so that the nodes have work while the rest is cut.
    /// Returns whether there was any.
    fn cut(&mut self) -> bool {
        let mut has_cut = false;
        while self.pipeline.window().has_room()
            && let Some(Waiting { mut batch, tag, open }) = self.uncut.pop_front()
        {
            has_cut = true;
            let open = open.unwrap_or_else(|| self.pipeline.open_batch(Sent::Batch(tag)));
            self.pipeline.add(&open, self.batches.cut(&mut batch));
            if batch.is_cut() {
                self.pipeline.close_batch(open);
                self.batches.recycle(batch);
            } else {
                self.uncut.push_front(Waiting { batch, tag, open: Some(open) });
            }
        }
        has_cut
    }

    /// Whether everything that was committed has settled.
    fn is_empty(&self) -> bool {
        self.uncut.is_empty() && self.pipeline.window().is_empty()
    }

    /// Asks whether the position may be stored, if that is due.
    fn ask_if_due(&mut self, at_once: bool, now: Instant) {
        if !matches!(self.inspection, Some(Inspection::Idle(_))) {
            return;
        }
        let is_idle = self.is_empty();
        let Some(position) = self.checkpointer.ask(is_idle, at_once, now) else { return };
        if let Some(Inspection::Idle(mut inspector)) = self.inspection.take() {
            inspector.pass_flushes(self.flushes);
            self.inspection = Some(Inspection::Asking(inspector.ask(self.flow, position.next)));
        }
    }

    /// Looks whether the primaries still hold what they have answered, while nothing is written. One flow does it for all.
    fn look_if_due(&mut self, now: Instant) {
        let is_free = matches!(self.inspection, Some(Inspection::Idle(_)));
        if self.flow != LOOKS || now < self.look_at || !is_free {
            return;
        }
        let Some(position) = self.checkpointer.at_rest() else { return };
        if let Some(Inspection::Idle(mut inspector)) = self.inspection.take() {
            inspector.pass_flushes(self.flushes);
            self.inspection = Some(Inspection::Asking(inspector.look(self.flow, position.next)));
        }
    }

    fn on_look(&mut self, look: Look, flushes: u64, now: Instant) {
        self.look_at = now + self.config.target_keepalive;
        match look {
            Look::Forgotten(why) if flushes == self.flushes => self.lose(Error::Replaced(why)),
            Look::Unknown(why) => {
                debug!(flow = self.flow.0, why, "the markers of the primaries could not be read");
            }
            Look::There(_) | Look::Forgotten(_) => {}
        }
    }

    fn poll_inspection(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<()> {
        let Some(Inspection::Asking(asking)) = &mut self.inspection else { return Poll::Pending };
        let Poll::Ready((inspector, answer)) = asking.as_mut().poll(context) else {
            return Poll::Pending;
        };
        let flushes = inspector.flushes;
        self.inspection = Some(Inspection::Idle(Box::new(inspector)));
        let durability = match answer {
            Answer::Durability(durability) => durability,
            Answer::Markers(look) => {
                self.on_look(look, flushes, now);
                return Poll::Ready(());
            }
        };
        self.look_at = now + self.config.target_keepalive;
        match self.checkpointer.on_answer(durability, now) {
            Outcome::Nothing => {}
            Outcome::Store(position, marked) => self.store(position, &marked),
            Outcome::Replaced(why) => self.lose(Error::Replaced(why)),
        }
        Poll::Ready(())
    }

    fn store(&mut self, position: Position, marked: &[Slot]) {
        let (names, mut batch) = (&self.config.rules.names, CommandBatch::default());
        let marked = MarkedSlots { field: loss_marker::field(self.flow), slots: loss_marker::text(marked) };
        let source = SourceFields { id: &self.identity.source_id, flows: self.flows };
        fields::write_marked(names, source, self.flow, position, &marked, &mut batch);
        if let Some(sharding) = self.sharding {
            fields::write_sharding(names, sharding, &mut batch);
        }
        self.submit(&mut batch, Some(position.next), Sent::Stored(position));
    }

    fn lose(&mut self, error: Error) {
        self.events.push_back(TargetEvent::Lost(FlowError::Target(Box::new(error))));
    }

    fn poll_flush(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(flush) = &mut self.flush else { return Poll::Pending };
        let Poll::Ready(flushed) = flush.as_mut().poll(context) else { return Poll::Pending };
        self.flush = None;
        match flushed {
            Ok(()) => self.events.push_back(TargetEvent::Flushed),
            Err(error) if is_passing(&error) => self.lose(error),
            Err(error) => self.events.push_back(TargetEvent::Failed(FlowError::Target(Box::new(error)))),
        }
        Poll::Ready(())
    }

    fn on_error(&mut self, error: ClusterError) {
        self.events.push_back(match error {
            ClusterError::Overtaken => TargetEvent::Failed(FlowError::Target(Box::new(Error::Overtaken))),
            ClusterError::Unclaimed => TargetEvent::Lost(FlowError::TargetForgot),
            error if error.is_passing() => TargetEvent::Lost(FlowError::Cluster(error)),
            error => TargetEvent::Failed(FlowError::Cluster(error)),
        });
    }

    /// What is not as it should be comes first: positions are published with what was carried out.
    fn collect(&mut self, now: Instant) {
        let refusals = self.pipeline.take_refusals();
        self.events.extend(refusals.into_iter().map(|refusal| TargetEvent::Refused(Box::new(refusal))));
        let lost = self.pipeline.take_lost();
        if !lost.is_empty() {
            let keys = lost.iter().flat_map(|lost| lost.keys());
            let keys = keys.map(|key| TargetKey::new(DbIndex(0), Bytes::copy_from_slice(key)));
            self.events.push_back(TargetEvent::Reordered(keys.collect()));
        }
        if let Some(error) = self.pipeline.take_passing() {
            self.notices.on_refusal(&error, now);
        }
        if let Some(address) = self.pipeline.take_replaced().into_iter().next() {
            self.lose(Error::Replaced(format!("{address} is no primary any more")));
        }
        if let Some(sent) = self.pipeline.settled() {
            self.on_settled(sent);
        }
    }

    fn on_settled(&mut self, sent: Sent) {
        match sent {
            Sent::Batch(tag) => {
                if let BatchTag::Entry(at) | BatchTag::Journal(at) = tag {
                    self.checkpointer.carried(at);
                }
                self.events.push_back(TargetEvent::Carried);
            }
            Sent::Stored(at) => {
                self.checkpointer.on_stored(at);
                self.events.push_back(TargetEvent::Durable(at));
            }
            Sent::CleanShutdown => {}
        }
    }

    /// Tells when a node is gone for a while; if that is for too long, the run ends.
    fn look_for_gone(&mut self, now: Instant) {
        let Some(gone) = self.pipeline.gone().min_by_key(|gone| gone.since) else {
            return self.notices.on_whole();
        };
        self.notices.on_gone(gone, now);
        let after = now.saturating_duration_since(gone.since);
        if self.config.reconnect.give_up_after.is_some_and(|limit| after >= limit) {
            let last = format!("{} is not reached: {}", gone.address, gone.failure);
            let error = Error::GaveUp { peer: "target", after, last };
            self.events.push_back(TargetEvent::Failed(FlowError::Target(Box::new(error))));
        }
    }
}

fn seen(node: NodeState<'_>) -> NodeSeen {
    let link = match (node.gone_since, node.is_open) {
        (Some(_), _) => NodeLink::Away,
        (None, true) => NodeLink::Open,
        (None, false) => NodeLink::Unneeded,
    };
    NodeSeen {
        address: node.address.to_string(),
        tally: node.tally,
        in_flight: node.unanswered,
        waits_since: node.gone_since.or(node.silent_since),
        link,
    }
}

impl TargetWriter for ClusterWriter {
    fn has_room(&self) -> bool {
        match self.uncut.len() {
            0 => self.pipeline.window().has_room(),
            batches => batches < UNCUT,
        }
    }

    fn has_plenty(&self) -> bool {
        self.pipeline.window().is_half_full()
    }

    /// Only while there is room: behind that, what arrives goes to the relay log.
    fn gathers(&self) -> Option<BatchLimits> {
        let limits = BatchLimits { commands: GATHERED, bytes: self.config.gathered };
        let is_behind = !self.uncut.is_empty() || self.has_plenty();
        (is_behind && self.has_room()).then_some(limits)
    }

    fn is_idle(&self) -> bool {
        self.flush.is_none() && self.is_empty()
    }

    fn is_settled(&self) -> bool {
        self.is_idle() && self.checkpointer.is_done()
    }

    fn commit(&mut self, batch: &mut CommandBatch, tag: BatchTag, _now: Instant) {
        let next = match tag {
            BatchTag::Entry(at) | BatchTag::Journal(at) => {
                self.sent = at;
                Some(at.next)
            }
            BatchTag::Baseline => None,
        };
        let batch = self.batches.begin(batch, next);
        self.uncut.push_back(Waiting { batch, tag, open: None });
        self.cut();
    }

    fn may_hold(&self, lsn: Lsn) -> bool {
        self.held.may_hold(lsn)
    }

    fn holds(&self, lsn: Lsn, keys: &mut dyn Iterator<Item = TargetKey>) -> Held {
        self.held.holds(lsn, keys.map(|key| Slot::of(&key.name)))
    }

    fn home(&self, key: &[u8]) -> Option<Slot> {
        Some(Slot::of(key))
    }

    fn for_each_in_flight(&self, visit: &mut dyn FnMut(EncodedCommand<'_>)) {
        self.pipeline.window().in_flight().for_each(&mut *visit);
        self.uncut.iter().flat_map(|waiting| waiting.batch.rest()).for_each(visit);
    }

    /// A batch waits for the slowest of its nodes, so each is asked itself.
    fn nodes(&self, _waits_since: Option<Instant>) -> Vec<NodeSeen> {
        self.pipeline.nodes().map(seen).collect()
    }

    fn learn_sharding(&mut self, sharding: Sharding) {
        self.sharding = Some(sharding);
    }

    fn await_flush(&mut self, _at: Position) {
        self.checkpointer.pause();
        self.flushes += 1;
    }

    /// A flush is no part of a transaction here, and can be done again until it is complete.
    fn flush(&mut self, plan: FlushPlan, _now: Instant) {
        let owner = self.identity.owner.as_str();
        let behind = Behind::of(&plan.checkpoint, &plan.metadata, owner, self.config.wait_replicas);
        self.flush = Some(Box::pin(flush::carry_out(Arc::clone(&self.config), plan.emptied, behind)));
    }

    fn pass_flush(&mut self, at: Position) {
        self.sent = at;
        self.checkpointer.pass_flush(at);
        self.held.clear();
    }

    fn checkpoint_now(&mut self, now: Instant) {
        self.ask_if_due(true, now);
    }

    fn finish(&mut self, _now: Instant) {
        if self.checkpointer.stored() == Some(self.sent) && self.is_settled() {
            let mut batch = CommandBatch::default();
            clean_shutdown::write(&self.config.rules.names, self.flow, self.sent, &mut batch);
            self.submit(&mut batch, Some(self.sent.next), Sent::CleanShutdown);
        }
    }

    fn deadline(&self, _now: Instant) -> Option<Instant> {
        let checkpoint = self.checkpointer.deadline(self.is_empty());
        [checkpoint, Some(self.notices.look_at())].into_iter().flatten().min()
    }

    fn on_deadline(&mut self, now: Instant) {
        self.ask_if_due(false, now);
        self.look_if_due(now);
        if self.notices.is_due(now) {
            self.look_for_gone(now);
        }
    }

    fn poll_progress(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<()> {
        self.ask_if_due(false, now);
        let mut moved = self.poll_inspection(context, now).is_ready();
        moved |= self.poll_flush(context).is_ready();
        match self.pipeline.poll_progress(context) {
            Poll::Ready(Ok(())) => moved = true,
            Poll::Ready(Err(error)) => {
                self.on_error(error);
                moved = true;
            }
            Poll::Pending => {}
        }
        moved |= self.cut();
        if moved { Poll::Ready(()) } else { Poll::Pending }
    }

    fn next_event(&mut self, now: Instant) -> Option<TargetEvent> {
        if self.events.is_empty() {
            self.collect(now);
        }
        self.events.pop_front()
    }
}
