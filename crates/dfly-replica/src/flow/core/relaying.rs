//! What the target is too slow for goes to disk.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use tracing::warn;

use super::{Action, FlowCore, Want};
use crate::clock::Now;
use crate::error::FlowError;
use crate::flow::intake::relay::RelayDone;
use crate::flow::intake::relay_level::LevelReached;

/// How long a full relay log holds the source up before the source is left.
const FULL_FOR: Duration = Duration::from_secs(1);

impl FlowCore {
    /// Moves what has arrived to the relay log, if the target is behind.
    pub(super) fn relay(&mut self, buffer: &mut BytesMut, want: Want, now: Now) -> Result<(), FlowError> {
        if !self.positions.has_entered() {
            return Ok(());
        }
        let is_behind = want != Want::Bytes || self.flush.is_reached();
        self.intake.relay_arrivals(buffer, is_behind, now.wall)?;
        self.use_disk(now.instant);
        self.check_full(buffer.len(), now.instant)
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
