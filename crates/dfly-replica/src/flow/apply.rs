//! Records and events into the batch, and the batch to the target.

use std::time::Instant;

use dfly_journal::{Command, Lsn, Record};
use dfly_rdb::{Entry, Event, KeyHeader, RawValue};
use dfly_translate::{Effect, Emptied, Output, Policy};
use dfly_wire::{DbIndex, UnixMillis};
use redis_slots::Slot;
use tracing::{debug, warn};

use super::{Flow, Link, Mark, Signal, Want, wanted};
use crate::checkpoint::{self, GUARD_COMMANDS, Position};
use crate::cluster::passed::Verdict;
use crate::error::FlowError;
use crate::progress::Progress;
use crate::report::FlowCounters;

/// What a HyperLogLog begins with.
const HYLL: &[u8] = b"HYLL";

impl Flow {
    /// Gives the collected commands to the target's connection, with the position that they reach.
    pub(super) fn hand_over(&mut self) {
        self.count_losses();
        let least = if self.is_in_cluster() { 0 } else { GUARD_COMMANDS };
        match &mut self.progress {
            // Also without a record: what is written of keys that are read again, or removed.
            Some(progress) if progress.received() > progress.dispatched() || self.batch.len() > least => {
                let next = progress.received();
                progress.dispatch(next);
                self.close_transaction(next);
                self.submit(Mark::Before(self.sent));
            }
            // A transaction that was opened for a record that waits at a barrier.
            Some(_) => self.batch.truncate(0),
            None if !self.batch.is_empty() => self.submit(Mark::Baseline),
            None => {}
        }
        self.settle();
    }

    pub(super) fn submit(&mut self, mark: Mark) {
        if self.sink.is_idle() && self.link.is_up() {
            self.link = Link::Up(Instant::now());
        }
        self.writing.take(self.batch.len() as u64, Instant::now());
        self.expiring.submitted();
        self.sink.submit(&mut self.batch, mark);
    }

    /// Data and position are carried out together or not at all (P18), and only if the position is the one before.
    pub(super) fn open_transaction(&mut self) {
        if self.batch.is_empty() && self.progress.is_some() && !self.is_in_cluster() {
            checkpoint::open_guarded(&self.parties, (self.id, self.sent), &mut self.batch);
        }
    }

    fn close_transaction(&mut self, next: Lsn) {
        self.open_transaction();
        self.sent = self.sent.then(next);
        if self.is_in_cluster() {
            return;
        }
        self.translator.select(DbIndex(0), &mut self.batch);
        checkpoint::write_position(self.id, self.sent, &mut self.batch);
        self.batch.push_keyed(&[b"EXEC"], 0..0, checkpoint::CONTROL);
    }

    pub(super) fn on_event(&mut self, event: Event) -> Result<(), FlowError> {
        if self.is_backlog() {
            self.check_backlog(&event)?;
        }
        if let Event::Entry(entry) = &event
            && self.is_phantom(&entry.header, &entry.value)
        {
            self.count_phantom();
            return Ok(());
        }
        if let Event::Entry(Entry { header, .. }) | Event::Open { header, .. } = &event {
            self.see_value(header);
        }
        let mut out = Output { now: self.arrived, commands: &mut self.batch };
        match event {
            // A session that resumes says again what the first one said.
            Event::Aux { .. } if self.progress.is_some() => {}
            Event::Aux { key, value } => {
                let effect = self.translator.aux(&key, &value)?;
                self.note(effect, &value);
            }
            Event::Entry(entry) => {
                let effect = self.translator.entry(&entry, &mut out)?;
                self.count_key();
                self.note(effect, &entry.header.key);
            }
            Event::Open { id, header, type_id } => {
                self.owners.see(&header.key, self.id, self.source.1);
                let effect = self.translator.open((id, type_id), &header, &mut out)?;
                self.note(effect, &header.key);
            }
            Event::Piece { id, piece } => {
                let effect = self.translator.piece(id, &piece, &mut out)?;
                self.note(effect, b"");
            }
            Event::Close { id } => {
                self.translator.close(id, &mut out)?;
                self.count_key();
            }
            Event::JournalBlob(blob) => self.on_blob(blob)?,
            Event::FullSyncEnd => self.signal(Signal::Cut)?,
            Event::JournalOffset(lsn) => self.on_offset(Lsn(lsn)),
            Event::End { .. } => self.expect_token()?,
            other => debug!(flow = self.id.0, ?other, "passed over"),
        }
        Ok(())
    }

    /// A value has come in the snapshot.
    fn see_value(&mut self, header: &KeyHeader) {
        self.suspects.on_entry(|| (header.db, header.key.clone()));
        if let Some(stale) = &mut self.stale {
            stale.see(header.db, &header.key);
        }
        self.expiring.learn_value((header.db, &header.key), header.expire_at);
    }

    /// A copy that PFMERGE left on a flow that does not own the key (protocol section 3.10).
    fn is_phantom(&mut self, header: &KeyHeader, value: &RawValue) -> bool {
        let text = value.payload().get(..16.min(value.payload().len())).unwrap_or_default();
        if memchr::memmem::find(text, HYLL).is_some() {
            return self.is_foreign(&header.key);
        }
        self.owners.see(&header.key, self.id, self.source.1);
        false
    }

    fn is_foreign(&self, key: &[u8]) -> bool {
        match self.sharding {
            Some(sharding) => sharding.owner(key, self.source.1) != self.id,
            None => self.owners.is_foreign(key, self.id, self.source.1),
        }
    }

    /// Where the snapshot had too few keys to show how the source spreads them, the journal's tell.
    fn see_owner(&mut self, command: &Command) {
        if let [(_, key)] = wanted::places(command).as_slice() {
            self.owners.see(key, self.id, self.source.1);
            self.sharding = self.owners.certain();
        }
    }

    /// Applies one record that arrived at `now`; `next` is the position behind it, if it counts.
    pub(super) fn on_record(
        &mut self,
        record: &Record,
        next: Option<Lsn>,
        now: UnixMillis,
    ) -> Result<Option<Want>, FlowError> {
        match record {
            Record::Command(command) => {
                if next.is_some() {
                    self.open_transaction();
                }
                if let Some(want) = self.on_command(command, next, now)? {
                    return Ok(Some(want));
                }
            }
            Record::Ping => self.ack_schedule.on_ping(next.unwrap_or_default()),
            Record::Exec(_) => {}
        }
        if let (Some(progress), Some(next)) = (&mut self.progress, next) {
            progress.receive(next);
        }
        Ok(None)
    }

    fn on_command(
        &mut self,
        command: &Command,
        next: Option<Lsn>,
        now: UnixMillis,
    ) -> Result<Option<Want>, FlowError> {
        self.count_record();
        if next.is_none() {
            self.suspects.on_record(command);
        }
        if next.is_some_and(|next| self.is_passed(command, Lsn(next.0.saturating_sub(1)))) {
            return Ok(None);
        }
        if !self.wanted.rereads.is_empty() && self.is_held_back(command, next) {
            return Ok(None);
        }
        if self.is_stale(command) || self.check_expiring(command, next.is_some()) {
            return Ok(None);
        }
        let is_set = command.args.len() == 3 && command.args.name() == b"SET";
        if is_set && command.args.get(2).is_some_and(|value| value.starts_with(HYLL)) {
            let key = command.args.get(1).unwrap_or_default();
            if self.is_foreign(key) {
                self.count_phantom();
                return Ok(None);
            }
        } else if self.sharding.is_none() && self.source.1 > 1 && !self.owners.is_sated() {
            self.see_owner(command);
        }
        let translated = self.translator.record(command, &mut Output { now, commands: &mut self.batch });
        let effect = translated.map_err(|error| match next {
            Some(next) => FlowError::Record { lsn: Lsn(next.0.saturating_sub(1)), error },
            None => error.into(),
        })?;
        self.learn_expiry(command, now);
        match effect {
            Effect::Flush(flush) if flush.on_target(&self.config.rules.selection) == Emptied::Nothing => {}
            Effect::Flush(flush) => return Ok(Some(Want::Flush(flush, next.unwrap_or_default()))),
            Effect::Reread => self.take_rereads(),
            _ => self.note(effect, command.args.get(1).unwrap_or_default()),
        }
        Ok(None)
    }

    /// The journal follows, from `next` on. Behind a backlog the positions go on.
    pub(super) fn enter_journal(&mut self, next: Lsn) {
        self.journal_from = next;
        match self.progress {
            Some(_) => self.stage = super::Stage::stable(next, &self.config),
            None => self.begin_positions(next),
        }
    }

    /// The first position is stored behind the snapshot on the same connection, so a stored position implies a durable
    /// snapshot.
    fn begin_positions(&mut self, next: Lsn) {
        self.hand_over();
        self.read_suspects_again();
        self.stage = super::Stage::stable(next, &self.config);
        self.progress = Some(Progress::at(next));
        self.counters.see_owners(&self.owners);
        self.sharding = self.owners.certain();
        self.write_wanted();
        self.translator.select(DbIndex(0), &mut self.batch);
        (self.sent, self.written) = (Position { transaction: 0, next }, Position { transaction: 0, next });
        if self.is_in_cluster() {
            // Stored once all before it is carried out.
            self.submit(Mark::Before(self.sent));
            self.settle();
            return;
        }
        checkpoint::write_entry((&self.source.0, self.source.1), (self.id, self.sent), &mut self.batch);
        if let Some(sharding) = self.sharding {
            checkpoint::write_sharding(sharding, &mut self.batch);
        }
        self.submit(Mark::Entry);
        self.settle();
    }

    /// Whether the slots of all keys of a record hold it already. Where one of them is to be read again, all are: what was read
    /// may be older than the record, and what the record made of the others comes of it; and so are all keys of a record that
    /// only some slots hold.
    fn is_passed(&mut self, command: &Command, lsn: Lsn) -> bool {
        if self.passed.is_behind(lsn) {
            return false;
        }
        let places = wanted::places(command);
        let selection = &self.config.rules.selection;
        let slots = places.iter().filter_map(|(db, key)| selection.destination(*db, key));
        let verdict = self.passed.verdict(lsn, slots.map(|(_, key)| Slot::of(&key)));
        let is_wanted = match verdict {
            Verdict::Apply => return false,
            Verdict::Pass => places.iter().any(|place| self.wanted.rereads.wants(place)),
            Verdict::Torn => true,
        };
        if is_wanted {
            places.into_iter().for_each(|place| self.want(place));
        }
        true
    }

    pub(super) fn sweeps(&self) -> bool {
        self.entered && self.translator.expiring_keys() > 0
    }

    /// Removes members that are due, with the time of the last record that is written, so that none meets a member that
    /// went too early.
    pub(super) fn sweep(&mut self) {
        let now = Instant::now();
        if !self.sweeps() || now < self.sweep_at || !self.sink.has_room() || self.at_flush.is_waiting() {
            return;
        }
        self.sweep_at = now + self.config.sweep_interval;
        let time = self.spill.time_of_next().unwrap_or_else(|| self.config.clock.now());
        self.open_transaction();
        self.translator.sweep(time, &mut self.batch);
    }

    pub(super) fn note(&self, effect: Effect, key: &[u8]) {
        if let Effect::Lost(loss) = effect {
            debug!(flow = self.id.0, %loss, key = %key.escape_ascii(), "left out");
        }
    }

    /// Counts what was left out, and tells the first of each kind if the user wants to know.
    fn count_losses(&mut self) {
        let losses = self.translator.take_losses();
        if losses.is_empty() {
            return;
        }
        for loss in self.counters.lose(&losses) {
            if self.config.rules.policies.of_loss(loss) == Policy::Warn {
                warn!(flow = self.id.0, %loss, "the target cannot hold this; it is left out and counted");
            }
        }
    }

    fn count_key(&self) {
        if let Some(counters) = self.counters.flow(self.id) {
            FlowCounters::add(&counters.keys, 1);
        }
    }

    fn count_record(&self) {
        if let Some(counters) = self.counters.flow(self.id) {
            FlowCounters::add(&counters.records, 1);
        }
    }

    fn count_phantom(&self) {
        if let Some(counters) = self.counters.flow(self.id) {
            FlowCounters::add(&counters.phantoms, 1);
        }
    }
}
