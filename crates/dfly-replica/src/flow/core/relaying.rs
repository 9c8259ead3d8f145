//! What the target is too slow for goes to disk.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use tracing::warn;

use super::{Action, FlowCore, Want};
use crate::clock::Now;
use crate::error::FlowError;
use crate::flow::intake::Behind;
use crate::flow::intake::relay::RelayDone;
use crate::flow::intake::relay_level::LevelReached;
use crate::target::writer::TargetWriter;

/// How long the target may leave something unanswered before it goes to disk.
const UNANSWERED_FOR: Duration = Duration::from_secs(1);

/// How long a full relay log holds the source up before the source is left.
const FULL_FOR: Duration = Duration::from_secs(1);

impl FlowCore {
    /// Moves what has arrived to the relay log, if the target is behind.
    pub(super) fn relay(&mut self, buffer: &mut BytesMut, want: Want, now: Now) -> Result<(), FlowError> {
        if !self.positions.has_entered() {
            return Ok(());
        }
        let behind = match want {
            _ if self.is_unanswered(now.instant) => Behind::ByTime,
            Want::Bytes if !self.flush.is_reached() => Behind::No,
            _ => Behind::ByWork,
        };
        self.intake.relay_arrivals(buffer, behind, now.wall)?;
        if behind == Behind::ByTime {
            self.intake.sync_relay(now.instant);
        }
        self.use_disk(now.instant);
        self.check_full(buffer.len(), now.instant)
    }

    /// What is in flight is on its way for so long that it is to be safe from a crash of the tool.
    fn is_unanswered(&self, now: Instant) -> bool {
        self.unanswered_at().is_some_and(|at| at <= now)
    }

    /// When that is the case, if nothing is answered before; `None`: it is safe, or cannot be.
    pub(super) fn unanswered_at(&self) -> Option<Instant> {
        let oldest = self.committed.front().filter(|_| self.intake.relay().is_available());
        oldest.filter(|_| self.intake.has_recent()).map(|batch| batch.at + UNANSWERED_FOR)
    }

    /// The target has answered all that the log holds: once it knows that, the log can go.
    pub(super) fn store_answers(&mut self, target: &mut dyn TargetWriter, now: Now) {
        let relay = self.intake.relay();
        let is_read = relay.end().is_some() && !relay.is_active();
        if is_read && target.is_idle() && !self.flush.is_reached() && self.positions.has_unstored_answers() {
            self.send_position(target, now);
        }
    }

    /// A log that the target empties again is full for a moment only.
    fn check_full(&mut self, buffered: usize, now: Instant) -> Result<(), FlowError> {
        if !self.settings.leaves_when_full || !self.intake.is_full(buffered) {
            self.full_since = None;
            return Ok(());
        }
        let since = *self.full_since.get_or_insert(now);
        match now.saturating_duration_since(since) >= FULL_FOR {
            true => Err(FlowError::RelayFull { bytes: self.intake.relay().bytes() }),
            false => Ok(()),
        }
    }

    pub(super) fn use_disk(&mut self, now: Instant) {
        // A flow that resumes reads again what was not heard.
        let needless = self.positions.durable().map(|durable| durable.heard);
        if let Some(work) = self.intake.relay_work(needless, now) {
            self.actions.push_back(Action::Relay(work));
        }
        let bytes = self.intake.relay().bytes();
        if let Some(counters) = self.counters.flow(self.id) {
            counters.set_relayed(bytes);
        }
        if let Some(LevelReached { percent, left }) = self.relay_level.hear(bytes, now) {
            warn!(
                flow = self.id.0,
                bytes,
                percent,
                left_s = left.as_secs(),
                "the relay log fills up: the target takes less than the source writes"
            );
        }
    }

    /// The relay log's disk has carried out an order.
    pub(crate) fn on_relay(&mut self, done: RelayDone, now: Instant) {
        self.intake.on_relay(done);
        self.use_disk(now);
    }
}
