//! What becomes of the parts of a snapshot and of journal records.

use dfly_client::FlowId;
use dfly_journal::{Command, Lsn, Record};
use dfly_rdb::{Entry, Event};
use dfly_translate::{Effect, Emptied, Flush, Loss, flushed_slots};
use tracing::debug;

use super::{FlowCore, RefetchOutcome, Signal};
use crate::clock::Now;
use crate::error::FlowError;
use crate::flow::admission::{Candidate, Decision, Skipped};
use crate::keys::{RecordKeys, SourceKey, TargetKey};
use crate::run::counters::FlowCounters;
use crate::slot_set::SlotSet;
use crate::target::writer::{Held, TargetWriter};

/// How much of a payload is looked at for what a HyperLogLog begins with, in bytes.
const HEAD: usize = 16;

impl FlowCore {
    /// Applies a part of the snapshot.
    pub(super) fn on_event(&mut self, event: &Event) -> Result<(), FlowError> {
        match event {
            // A session that resumes says again what the first one said.
            Event::Aux { .. } if self.positions.counts() => return Ok(()),
            Event::FullSyncEnd => {
                self.tell(Signal::Cut);
                return Ok(());
            }
            Event::Entry(entry) if self.is_copy(entry) => {
                self.count(|counters| &counters.copies);
                return Ok(());
            }
            Event::Open { header, .. } => {
                self.admission.ownership.see_value(&header.key);
            }
            _ => {}
        }
        let key = match event {
            Event::Entry(Entry { header, .. }) | Event::Open { header, .. } => {
                self.admission.omitted.on_value(|| SourceKey::new(header.db, header.key.clone()));
                self.admission.see_value(header.db, &header.key, header.expire_at);
                &header.key[..]
            }
            Event::Aux { value, .. } => &value[..],
            _ => b"",
        };
        let effect = self.writer.event(event)?;
        if matches!(event, Event::Entry(_) | Event::Close { .. }) {
            self.count(|counters| &counters.keys);
        }
        self.count_by_kind(event);
        note_loss(self.id, effect, key);
        Ok(())
    }

    fn count_by_kind(&self, event: &Event) {
        let Some(counters) = self.counters.flow(self.id) else { return };
        match event {
            Event::Entry(entry) => {
                let kind = entry.value.kind();
                counters.kinds.add(kind, 1);
                counters.kind_bytes.add(kind, entry.value.payload().len() as u64);
            }
            Event::Open { type_id, .. } => counters.kinds.add(type_id.kind(), 1),
            _ => {}
        }
    }

    fn is_copy(&mut self, entry: &Entry) -> bool {
        let payload = entry.value.payload();
        let head = payload.get(..HEAD.min(payload.len())).unwrap_or_default();
        self.admission.ownership.is_copied_value(&entry.header.key, head)
    }

    /// Applies one record that arrived at `now`; `next` is the position behind it, if it counts.
    pub(super) fn on_record(
        &mut self,
        record: &Record,
        next: Option<Lsn>,
        target: &mut dyn TargetWriter,
        now: Now,
    ) -> Result<(), FlowError> {
        match record {
            Record::Command(command) => {
                let command = self.rules.aliases.resolve(command);
                if let Some(flush) = self.on_command(&command, next, target, now)? {
                    return self.on_flush(flush, next);
                }
            }
            Record::Ping => self.acks.on_ping(next.unwrap_or_default()),
            Record::Exec(_) => {}
        }
        if let Some(next) = next {
            self.positions.receive(next);
        }
        Ok(())
    }

    /// The source has flushed something that this flow writes.
    fn on_flush(&mut self, flush: Flush, next: Option<Lsn>) -> Result<(), FlowError> {
        let next = next.ok_or(FlowError::FlushedInSync(flush))?;
        self.watched.touch_all(next);
        self.flush.reach(flush, next);
        Ok(())
    }

    /// Gives the flush, if the record is one that has to be carried out.
    fn on_command(
        &mut self,
        command: &Command,
        next: Option<Lsn>,
        target: &mut dyn TargetWriter,
        now: Now,
    ) -> Result<Option<Flush>, FlowError> {
        self.count(|counters| &counters.records);
        if matches!(command.args.name(), b"DEL" | b"UNLINK") {
            self.count(|counters| &counters.deletions);
        }
        let record = RecordKeys::of(command).guess(|name| self.admission.ownership.may_own(name));
        if let Some(counters) = self.counters.flow(self.id) {
            counters.record_kinds.count_command(record.works_on());
        }
        let lsn = next.map(|next| Lsn(next.0.saturating_sub(1)));
        if lsn.is_none() {
            self.admission.omitted.on_record(&record);
        }
        if let (false, Some(lsn)) = (self.watched.is_empty(), lsn) {
            self.watched.see(&record, lsn);
        }
        if let Some(recent) = &mut self.requests.recent {
            recent.see(&record);
        }
        self.refetch_ambiguous(&record, now);
        let held = self.held(&record, lsn, target);
        let decision = self.admission.decide(&Candidate { record: &record, lsn, held }, &self.refetch);
        match decision {
            Decision::Apply { settled, checked } => {
                for key in settled {
                    self.refetch.remove(&key);
                    self.tell_not_refetched(&key, RefetchOutcome::Superseded);
                }
                self.write_notes(target);
                checked.iter().for_each(|key| self.writer.check(key, target));
                return self.apply_record(&record, lsn, target, now);
            }
            Decision::Skip(Skipped::Copy) => {
                self.admission.see_admitted(&record);
                self.count(|counters| &counters.copies);
            }
            Decision::Park(key) => self.refetch.park(&key, lsn.unwrap_or_default(), command),
            Decision::Refetch(reason) => {
                if let Some(reason) = reason {
                    self.counters.refetch(reason);
                }
                if !record.is_known() {
                    self.unknown.log_refetched(self.id, command.args.name());
                }
                for key in record.all() {
                    self.refetch.add(key.clone(), now.instant);
                }
            }
        }
        self.write_notes(target);
        Ok(None)
    }

    /// Whether the target has the record where its keys lie.
    fn held(&self, record: &RecordKeys<'_>, lsn: Option<Lsn>, target: &dyn TargetWriter) -> Held {
        let Some(lsn) = lsn else { return Held::No };
        if self.positions.is_reread(Lsn(lsn.0 + 1)) {
            return Held::Yes;
        }
        if !target.may_hold(lsn) {
            return Held::No;
        }
        let selection = &self.rules.selection;
        let named = |key: &SourceKey| selection.destination(key.db, &key.name);
        let mut keys = record.all().iter().filter_map(named).map(|(db, name)| TargetKey::new(db, name));
        target.holds(lsn, &mut keys)
    }

    fn apply_record(
        &mut self,
        record: &RecordKeys<'_>,
        lsn: Option<Lsn>,
        target: &mut dyn TargetWriter,
        now: Now,
    ) -> Result<Option<Flush>, FlowError> {
        self.see_admitted(record, target);
        let translated = self.writer.record(record.command, now.wall);
        let effect = translated.map_err(|error| match lsn {
            Some(lsn) => FlowError::Record { lsn, error },
            None => error.into(),
        })?;
        // Before the record's own expiry is known: what matters is the one that the keys had.
        if matches!(effect, Effect::Refetch) {
            self.take_refetches(now);
        }
        self.admission.see_applied(record, now.wall);
        self.refetch.see_applied(record);
        match effect {
            Effect::Flush(flush) if flush.on_target(&self.rules.selection) == Emptied::Nothing => {}
            Effect::Flush(flush) => return Ok(Some(flush)),
            Effect::FlushSlots => self.give_slots_away(record, lsn),
            Effect::Refetch => {}
            Effect::Lost(Loss::Unknown) => self.unknown.log_lost(self.id, record.command.args.name()),
            _ => note_loss(self.id, effect, record.command.args.get(1).unwrap_or_default()),
        }
        self.write_notes(target);
        Ok(None)
    }

    /// The source has given slots away: the session sees to their keys, in the next session too.
    fn give_slots_away(&mut self, record: &RecordKeys<'_>, lsn: Option<Lsn>) {
        let slots = SlotSet::of_ranges(flushed_slots(&record.command.args).unwrap_or_default());
        if let Some(lsn) = lsn {
            self.watched.touch_all(lsn);
            self.writer.note_gone_slots(lsn, &slots);
        }
        self.tell(Signal::SlotsGone(lsn, slots));
    }

    fn see_admitted(&mut self, record: &RecordKeys<'_>, target: &mut dyn TargetWriter) {
        let before = self.admission.ownership.sharding();
        self.admission.see_admitted(record);
        if let (None, Some(sharding)) = (before, self.admission.ownership.sharding()) {
            target.learn_sharding(sharding);
        }
    }

    /// What is refetched is noted in the transaction that passes over its records.
    pub(super) fn write_notes(&mut self, target: &dyn TargetWriter) {
        if self.positions.counts() && self.refetch.has_unwritten() {
            self.writer.note_refetches(&mut self.refetch, target);
        }
    }

    fn count(&self, counter: impl Fn(&FlowCounters) -> &std::sync::atomic::AtomicU64) {
        if let Some(counters) = self.counters.flow(self.id) {
            FlowCounters::add(counter(counters), 1);
        }
    }
}

pub(super) fn note_loss(flow: FlowId, effect: Effect, key: &[u8]) {
    if let Effect::Lost(loss) = effect {
        debug!(flow = flow.0, %loss, key = %key.escape_ascii(), "left out");
    }
}
