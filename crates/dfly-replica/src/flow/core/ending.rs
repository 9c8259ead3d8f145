//! The end of a flow: nothing more is read, and what was received becomes durable.

use std::time::Instant;

use bytes::BytesMut;
use dfly_journal::Lsn;

use super::{FlowCore, Want};
use crate::clock::Now;
use crate::error::FlowError;
use crate::target::writer::TargetWriter;

impl FlowCore {
    /// The run is told to stop: what is in the relay log is there for the next one.
    pub(crate) fn begin_stop(&mut self, now: Now) {
        self.intake.sync_relay(now.instant);
        self.use_disk(now.instant);
        self.conclude();
    }

    /// Nothing more is applied: behind everything comes a last transaction for the next session.
    pub(crate) fn conclude(&mut self) {
        self.is_concluding = true;
    }

    /// The source is gone: what has arrived is kept in the relay log, if it is in use. True once that is done.
    ///
    /// # Errors
    /// [`FlowError`], when the bytes cannot be what they should be.
    pub(crate) fn relay_rest(&mut self, buffer: &mut BytesMut, now: Now) -> Result<bool, FlowError> {
        let is_done = self.intake.relay_rest(buffer, now.wall, now.instant)?;
        self.use_disk(now.instant);
        Ok(is_done)
    }

    /// Whether what the target has not answered can be kept in the relay log.
    pub(crate) fn can_keep(&self) -> bool {
        let relay = self.intake.relay();
        self.positions.has_entered() && (relay.takes_arrivals() || relay.is_available())
    }

    /// What the target has not answered goes to the relay log.
    pub(crate) fn keep(&mut self, now: Now) {
        self.intake.begin_relay(now.wall);
        self.intake.sync_relay(now.instant);
        self.use_disk(now.instant);
    }

    /// How many records are on disk that the target may lack.
    pub(crate) fn on_disk(&self) -> u64 {
        self.durable().map_or(0, |next| self.intake.relayed_from(next))
    }

    /// Everything before it was answered by the target.
    pub(crate) fn heard(&self) -> Option<Lsn> {
        self.positions.advance().map(|at| at.heard)
    }

    /// Whether the relay log takes what has arrived, so that nothing of it is applied any more.
    pub(crate) fn relays(&self) -> bool {
        self.intake.relay().takes_arrivals()
    }

    /// Whether everything that the relay log was given is on disk, as far as it can be.
    pub(crate) fn is_relay_at_rest(&self) -> bool {
        self.intake.relay().is_at_rest()
    }

    /// The source is gone: what has arrived is applied as far as it goes. While the run is paused that is nowhere: the next
    /// session asks for it again.
    ///
    /// # Errors
    /// [`FlowError`], when the run cannot survive what was found.
    pub(crate) fn apply_rest(
        &mut self,
        buffer: &mut BytesMut,
        target: &mut dyn TargetWriter,
        now: Now,
    ) -> Result<Want, FlowError> {
        self.watched.end_holds();
        let want = match self.is_held() {
            true => Want::Bytes,
            false => self.apply(buffer, target, now)?,
        };
        self.commit(target, now);
        self.use_disk(now.instant);
        Ok(want)
    }

    /// The target is flushed, and the synchronisation begins anew: what is not committed is of no use.
    pub(crate) fn discard(&mut self) {
        self.writer.discard();
        self.gathered_since = None;
    }

    /// Commits what is left: keys that are to be refetched, say, because the last batch was refused.
    pub(crate) fn commit_rest(&mut self, target: &mut dyn TargetWriter, now: Now) {
        if !self.flush.is_reached() {
            self.commit(target, now);
            self.write_last(target, now);
        }
        self.use_disk(now.instant);
    }

    /// The last transaction says that every answer was heard, so that the next session reads nothing again, and which expiries
    /// the target holds. What it says is of use behind this very transaction alone.
    fn write_last(&mut self, target: &mut dyn TargetWriter, now: Now) {
        if !self.is_concluding || !target.is_idle() || !self.positions.has_entered() {
            return;
        }
        self.is_concluding = false;
        let since = self.intake.relay().time_of_next().unwrap_or(now.wall);
        let transaction = self.positions.sent().transaction + 1;
        let expiries = self.admission.expiry.store(transaction, since);
        expiries.iter().for_each(|value| self.writer.store_ttl_index(value));
        if expiries.is_some() || self.positions.has_unstored_answers() {
            self.send_position(target, now);
        }
    }

    /// Whether the flow waits at a flush: positions behind it are stored with it.
    pub(crate) fn is_at_flush(&self) -> bool {
        self.flush.is_reached()
    }

    /// The position that the target holds.
    pub(crate) fn durable(&self) -> Option<Lsn> {
        self.positions.durable().map(|position| position.next)
    }

    /// Whether the last record that was read is a PING.
    pub(crate) fn is_behind_ping(&self) -> bool {
        self.acks.last_ping().is_some_and(|ping| Some(ping) == self.positions.received())
    }

    /// When the relay log has work without an event.
    pub(crate) fn relay_deadline(&self) -> Option<Instant> {
        self.intake.relay().deadline()
    }
}
