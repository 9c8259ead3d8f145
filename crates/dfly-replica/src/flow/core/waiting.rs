//! When a flow goes on: what it may read, and when something is due.

use std::time::Instant;

use super::{FlowCore, Want};
use crate::rate_limiter::RateLimiter;
use crate::run::counters::FlowCounters;
use crate::target::writer::TargetWriter;

impl FlowCore {
    /// Whether more may be read from the source now.
    pub(crate) fn may_read(&self, buffered: usize, want: Want, now: Instant) -> bool {
        self.intake.may_read(buffered, want == Want::Bytes) && self.paused_until(now).is_none()
    }

    /// Until when nothing is read: bytes gather meanwhile, or the snapshot would burden the source too much.
    pub(super) fn paused_until(&self, now: Instant) -> Option<Instant> {
        let limited = self.reading.wait_until(now).filter(|_| self.intake.is_snapshot());
        limited.max(self.arrivals.gather_until(now))
    }

    /// Whether bytes of the source gather.
    pub(crate) fn is_gathering(&self, now: Instant) -> bool {
        self.arrivals.gather_until(now).is_some()
    }

    /// Bytes have arrived.
    pub(crate) fn on_bytes(&mut self, bytes: usize, now: Instant) {
        self.reading.take(bytes as u64, now);
        self.arrivals.on_read(bytes, now);
        if let Some(counters) = self.counters.flow(self.id) {
            FlowCounters::add(&counters.bytes, bytes as u64);
        }
    }

    /// Whether the source must never be made to wait (P26): not while its snapshot is read.
    pub(crate) fn is_hurried(&self) -> bool {
        !self.intake.is_snapshot()
    }

    /// When something is due without an event; `target` says when something is due at the target.
    pub(crate) fn wake_at(&self, target: &dyn TargetWriter, now: Instant) -> Instant {
        let ack = self.positions.acknowledgeable().map(|_| self.acks.deadline(now));
        let sweep = self.sweeps().then_some(self.sweep_at);
        let refetch = self.positions.has_entered().then(|| self.refetch.deadline(now)).flatten();
        let writing = self.writer.limited_until(now);
        let reading = self.paused_until(now);
        let relay = self.intake.relay().deadline();
        let far = now + self.settings.longest_rest;
        let unanswered = self.unanswered_at();
        let watched = self.watched.deadline();
        let nodes = self.node_look_at();
        [ack, target.deadline(now), sweep, refetch, writing, reading, relay, unanswered, watched, nodes]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(far)
    }

    /// Other limits, from now on.
    pub(crate) fn set_rates(&mut self, reading: RateLimiter, writing: RateLimiter) {
        self.reading = reading;
        self.writer.set_rate(writing);
    }
}
