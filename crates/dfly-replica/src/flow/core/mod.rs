//! One flow, decided without sockets and without a clock: bytes, what became of batches, answers, orders and times in;
//! batches to the target, and actions, out.

mod ending;
mod flushing;
mod gathering;
#[cfg(any(test, feature = "in-memory"))]
pub(crate) mod in_memory;
#[cfg(test)]
mod pair;
mod parts;
mod records;
mod refetching;
mod refused;
mod relaying;
mod reporting;
mod requests;
mod scanning;
mod unknown;
mod waiting;
mod watching;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_translate::{Flush, Rules};
use tracing::{debug, info, warn};

pub(crate) use flushing::Order;
pub(crate) use parts::{FlowParts, FlowSettings};
pub use requests::RefetchOutcome;
pub(crate) use requests::{FlowAnswer, FlowRequest, Heard};

use refused::RefusedValues;
use reporting::NodeLooks;
use requests::Requests;
use unknown::UnknownCommands;

use crate::checkpoint::Position;
use crate::clock::Now;
use crate::error::FlowError;
use crate::flow::acknowledgements::Acknowledgements;
use crate::flow::admission::Admission;
use crate::flow::arrivals::Arrivals;
use crate::flow::flush::FlushState;
use crate::flow::intake::relay::RelayWork;
use crate::flow::intake::relay_level::RelayLevel;
use crate::flow::intake::{Intake, Pulled};
use crate::flow::positions::FlowPositions;
use crate::flow::refetch::{Question, Refetch};
use crate::flow::scan_events::ScanEnd;
use crate::flow::watched_keys::{Batches, WatchedKeys};
use crate::flow::writer::FlowWriter;
use crate::notice::Notice;
use crate::rate_limiter::RateLimiter;
use crate::run::counters::Counters;
use crate::run::throttle::ThrottleClock;
use crate::slot_set::SlotSet;
use crate::target::writer::{BatchTag, TargetEvent, TargetWriter};

/// What a flow tells its session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The snapshot is complete; journal blobs go on.
    Cut,
    /// Everything before the journal is durable.
    Stable,
    /// A flush is reached, and everything before it is carried out; the position is that behind it.
    AtFlush(Flush, Position),
    /// The flush is carried out.
    Flushed,
    /// The relay log is full, and the flow leaves the source.
    RelayFull,
    /// The source has given these slots away, with this record; `None`: in the snapshot.
    SlotsGone(Option<Lsn>, SlotSet),
}

/// What a flow needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// More bytes of the source.
    Bytes,
    /// Room at the target.
    Room,
    /// The relay log's disk.
    Disk,
}

/// What the driver has to do for a flow.
#[derive(Debug)]
pub(crate) enum Action {
    /// Acknowledge everything before this record.
    Acknowledge(Lsn),
    Tell(Signal),
    /// Ask the source.
    Ask(Question),
    /// Use the relay log's disk.
    Relay(RelayWork),
    /// What the scan for extra keys found is durable on the target.
    ScanSettled,
    /// Something that was asked from outside is done.
    Answer(FlowAnswer),
}

/// How a flow goes on after something has become of its batches.
#[derive(Debug)]
pub(crate) enum Course {
    On,
    /// The target is gone, or does not hold what it held.
    TargetLost(FlowError),
}

/// A batch in flight.
#[derive(Debug)]
struct Committed {
    at: Instant,
    /// The position behind it, if it has one.
    position: Option<Position>,
}

/// One flow.
#[derive(Debug)]
pub(crate) struct FlowCore {
    id: FlowId,
    rules: Arc<Rules>,
    settings: FlowSettings,
    positions: FlowPositions,
    intake: Intake,
    admission: Admission,
    refetch: Refetch,
    writer: FlowWriter,
    /// The snapshot is read, and the target has not answered all of it; the record with which the journal begins.
    journal_begins: Option<Lsn>,
    flush: FlushState,
    /// A last transaction is to come behind everything.
    is_concluding: bool,
    acks: Acknowledgements,
    scan: Option<ScanEnd>,
    /// When members that are due are removed next.
    sweep_at: Instant,
    /// How fast the snapshot is read.
    reading: RateLimiter,
    arrivals: Arrivals,
    /// The batches in flight, the oldest first.
    committed: VecDeque<Committed>,
    /// The target takes nothing.
    stall: Notice,
    relay_level: RelayLevel,
    /// Since when the relay log has taken nothing more.
    full_since: Option<Instant>,
    /// What the flow was asked for from outside.
    requests: Requests,
    watched: WatchedKeys,
    batches: Batches,
    /// When the batch that waits for more records got its first one.
    gathered_since: Option<Instant>,
    unknown: UnknownCommands,
    throttle: ThrottleClock,
    node_looks: NodeLooks,
    refused_values: RefusedValues,
    counters: Arc<Counters>,
    actions: VecDeque<Action>,
}

impl FlowCore {
    /// Applies as much as has arrived and as the target takes, and commits it. Tells what is needed next.
    ///
    /// # Errors
    /// [`FlowError`], when the run cannot survive what was found.
    pub(crate) fn advance(
        &mut self,
        buffer: &mut BytesMut,
        target: &mut dyn TargetWriter,
        now: Now,
    ) -> Result<Want, FlowError> {
        self.turn_ttl_index(now);
        let want = self.apply(buffer, target, now)?;
        self.sweep(target, now);
        self.commit_or_gather(target, now);
        self.store_answers(target, now);
        self.pass_scan();
        self.announce();
        self.reach_flush(target, now);
        self.relay(buffer, want, now)?;
        self.count_throttle(buffer.len(), want, now.instant);
        self.see_nodes(target, now.instant);
        self.ask_source(now.instant);
        self.acknowledge(now.instant);
        self.tell_watchers(now.instant);
        self.store_awaited(target, now.instant);
        self.publish(now.instant);
        Ok(want)
    }

    fn apply(
        &mut self,
        buffer: &mut BytesMut,
        target: &mut dyn TargetWriter,
        now: Now,
    ) -> Result<Want, FlowError> {
        let needless = self.positions.durable().map(|durable| durable.heard);
        self.intake.before_pulling(buffer, needless);
        let want = self.pull_all(buffer, target, now);
        self.intake.after_pulling(buffer.len());
        want
    }

    fn pull_all(
        &mut self,
        buffer: &mut BytesMut,
        target: &mut dyn TargetWriter,
        now: Now,
    ) -> Result<Want, FlowError> {
        if self.flush.is_reached() || self.is_held() {
            return Ok(Want::Room);
        }
        if !self.has_left_snapshot(target, now) {
            return Ok(Want::Room);
        }
        self.write_refetched(target, now)?;
        self.writer.set_arrival(now.wall);
        loop {
            self.commit_if_full(target, now);
            if !target.has_room() || self.writer.limited_until(now.instant).is_some() {
                return Ok(Want::Room);
            }
            match self.intake.pull(buffer, self.positions.received())? {
                Pulled::Event(event) => {
                    self.on_event(&event)?;
                    self.refuse_oversized(target, now)?;
                }
                Pulled::Record(record, next, received) => {
                    let received = received.unwrap_or(now.wall);
                    self.on_record(&record, next, target, Now { wall: received, ..now })?;
                    self.refuse_oversized(target, now)?;
                    if self.flush.is_reached() || self.is_held() {
                        return Ok(Want::Room);
                    }
                }
                Pulled::JournalBegins(next) => {
                    self.enter_journal(next, target, now);
                    if !self.has_left_snapshot(target, now) {
                        return Ok(Want::Room);
                    }
                }
                Pulled::Nothing => {}
                Pulled::Bytes => return Ok(Want::Bytes),
                Pulled::Disk => return Ok(Want::Disk),
            }
        }
    }

    /// The journal follows, from `next` on. Behind a backlog the positions go on.
    fn enter_journal(&mut self, next: Lsn, target: &mut dyn TargetWriter, now: Now) {
        self.intake.enter_journal(next);
        if self.positions.counts() {
            self.positions.journal_begins(next);
            return;
        }
        self.commit(target, now);
        self.journal_begins = Some(next);
    }

    /// Whether records count, if the snapshot is read. Everything of it is answered first, so that what the target has refused
    /// of it is noted with the first position.
    fn has_left_snapshot(&mut self, target: &mut dyn TargetWriter, now: Now) -> bool {
        match self.journal_begins {
            None => true,
            Some(_) if !target.is_idle() => false,
            Some(next) => {
                self.begin_journal(next, target, now);
                true
            }
        }
    }

    /// The first position is stored behind the snapshot: a stored position implies a snapshot that is carried out.
    fn begin_journal(&mut self, next: Lsn, target: &mut dyn TargetWriter, now: Now) {
        self.journal_begins = None;
        self.writer.end_notes();
        self.refetch_omitted_deletes(now);
        let first = self.positions.begin(next);
        self.admission.ownership.conclude();
        self.counters.see_owners(self.admission.ownership.check());
        if let Some(sharding) = self.admission.ownership.sharding() {
            target.learn_sharding(sharding);
        }
        self.writer.note_refetches(&mut self.refetch, target);
        self.hand_over(BatchTag::Entry(first), target, now);
    }

    /// Hands what was written to the target, with the position that it reaches.
    fn commit(&mut self, target: &mut dyn TargetWriter, now: Now) {
        self.count_losses();
        if self.flush.is_waiting() {
            return;
        }
        let tag = match self.positions.counts() {
            true if self.positions.has_unsent() || !self.writer.is_empty() => {
                self.positions.send().map_or(BatchTag::Baseline, BatchTag::Journal)
            }
            false if !self.writer.is_empty() => BatchTag::Baseline,
            true | false => return,
        };
        self.hand_over(tag, target, now);
    }

    /// A transaction for the position alone.
    fn send_position(&mut self, target: &mut dyn TargetWriter, now: Now) {
        if let Some(at) = self.positions.send() {
            self.hand_over(BatchTag::Journal(at), target, now);
        }
    }

    fn hand_over(&mut self, tag: BatchTag, target: &mut dyn TargetWriter, now: Now) {
        self.admission.expiry.submitted(self.gathered_since.take().unwrap_or(now.instant));
        self.committed.push_back(Committed { at: now.instant, position: tag.position() });
        self.batches.committed += 1;
        self.count_in_flight();
        self.writer.commit(tag, target, now);
    }

    /// Removes members that are due, with the time of the last record that is written, so that none meets a member that
    /// went too early.
    fn sweep(&mut self, target: &mut dyn TargetWriter, now: Now) {
        if !self.sweeps() || now.instant < self.sweep_at || !target.has_room() || self.flush.is_reached() {
            return;
        }
        self.sweep_at = now.instant + self.settings.sweep_interval;
        self.writer.sweep(self.intake.relay().time_of_next().unwrap_or(now.wall));
    }

    fn sweeps(&self) -> bool {
        self.positions.has_entered() && self.writer.expiring_keys() > 0
    }

    /// Which expiries are near.
    fn turn_ttl_index(&mut self, now: Now) {
        let received = self.intake.relay().time_of_next().unwrap_or(now.wall);
        self.admission.expiry.turn(received, now.wall, self.positions.received());
    }

    /// Tells the session once that everything before the journal is durable.
    fn announce(&mut self) {
        if self.positions.reach_stable() {
            self.tell(Signal::Stable);
        }
    }

    /// Only durable positions are ever acknowledged (P19), and none before the journal.
    fn acknowledge(&mut self, now: Instant) {
        let Some(durable) = self.positions.acknowledgeable() else { return };
        if let Some(lsn) = self.acks.due(now, durable, !self.refetch.is_idle()) {
            self.actions.push_back(Action::Acknowledge(lsn));
        }
    }

    /// Something moved at the target.
    pub(crate) fn on_moved(&mut self, target: &mut dyn TargetWriter, now: Now) {
        self.look_through_overdue(target, now);
    }

    /// What became of what was committed.
    ///
    /// # Errors
    /// [`FlowError`], when the run cannot survive it.
    pub(crate) fn on_target(
        &mut self,
        event: TargetEvent,
        target: &mut dyn TargetWriter,
        now: Now,
    ) -> Result<Course, FlowError> {
        match event {
            TargetEvent::Carried => {
                self.on_carried(now.instant);
                self.write_notes(target);
            }
            TargetEvent::Durable(position) => self.settle(position, now.instant),
            TargetEvent::Refused(refusal) => self.on_refusal(&refusal, target, now)?,
            TargetEvent::Reordered(keys) => self.on_reordered(keys, target, now),
            TargetEvent::Stalled(reason) => self.on_stalled(&reason, now.instant),
            TargetEvent::Resumed if target.is_idle() => self.on_taken(),
            // It takes something once it has carried something out.
            TargetEvent::Resumed => {}
            TargetEvent::Flushed => self.on_flushed(),
            TargetEvent::Lost(error) => return Ok(Course::TargetLost(error)),
            TargetEvent::Failed(error) => return Err(error),
        }
        Ok(Course::On)
    }

    fn on_stalled(&mut self, reason: &str, now: Instant) {
        let tells = self.counters.stalled(self.id, reason);
        self.counters.retry("target connection");
        match self.stall.is_due(now) && tells {
            true => warn!("{}; the source is read on", reason.trim_end_matches('.')),
            false => debug!(flow = self.id.0, "{reason} still"),
        }
    }

    fn on_taken(&mut self) {
        if self.stall.end() && self.counters.goes_on(self.id) {
            info!("the target takes what it had not carried out");
        }
    }

    fn on_carried(&mut self, now: Instant) {
        self.on_taken();
        self.admission.expiry.settled();
        if let Some(committed) = self.committed.pop_front() {
            self.batches.carried += 1;
            if let Some(counters) = self.counters.flow(self.id) {
                counters.carried();
            }
            self.counters.latency.count(now.saturating_duration_since(committed.at));
            if let Some(Position { transaction, next, .. }) = committed.position {
                self.positions.hear(next);
                self.refetch.heard(transaction);
            }
        }
        self.count_in_flight();
    }

    fn settle(&mut self, position: Position, now: Instant) {
        self.positions.settle(position);
        self.publish(now);
        self.confirm_scan();
    }

    /// The next thing that the driver has to do.
    pub(crate) fn next_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    fn tell(&mut self, signal: Signal) {
        debug!(flow = self.id.0, ?signal, "signal");
        self.actions.push_back(Action::Tell(signal));
    }
}
