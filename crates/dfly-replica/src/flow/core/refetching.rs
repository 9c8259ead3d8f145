//! Keys that are read again from the source: why, when the source is asked, and how the value is written.

use std::collections::BTreeSet;
use std::time::Instant;

use dfly_translate::{CommandFacts, Loss, Losses, Policy, Reason};
use redis_resp::EncodedCommand;
use tracing::{info, warn};

use super::records::note_loss;
use super::{Action, FlowCore, RefetchOutcome};
use crate::clock::Now;
use crate::error::FlowError;
use crate::flow::admission::omitted_deletes::Suspects;
use crate::flow::refetch::{Answer, Fetched, Missing, Presence, Resolved, Ticket, Verdict};
use crate::flow::writer::FlowWriter;
use crate::keys::{RecordKeys, SourceKey, TargetKey};
use crate::target::writer::TargetWriter;

impl FlowCore {
    /// What a run before has noted as ambiguous: all keys are refetched that its keys of the target may come from.
    pub(super) fn group_adopted(&mut self, now: Instant) {
        for key in self.refetch.take_adopted() {
            if let Some((db, name)) = self.rules.selection.destination(key.db, &key.name) {
                self.refetch.add_origins(&TargetKey::new(db, name), &self.rules.selection, now);
            }
        }
    }

    /// A record shows which of several origins of a key is meant.
    pub(super) fn refetch_ambiguous(&mut self, record: &RecordKeys<'_>, now: Now) {
        if self.refetch.len() == 0 || !record.is_known() {
            return;
        }
        self.refetch.confirm(record.all(), &self.rules.selection);
        if record.deletes() {
            return;
        }
        // The source has, or had, such a key: what becomes of it is not left as it is.
        for key in
            record.all().iter().filter(|key| self.refetch.is_ambiguous(key)).cloned().collect::<Vec<_>>()
        {
            self.refetch.add(key, now.instant);
        }
    }

    /// What the translator could not tell from a record.
    pub(super) fn take_refetches(&mut self, now: Now) {
        for refetch in self.writer.take_refetches() {
            let key = SourceKey::new(refetch.db, refetch.key);
            if refetch.reason == Reason::KeptExpiry && !self.admission.expiry.may_expire(&key) {
                continue;
            }
            self.counters.refetch(refetch.reason);
            self.refetch.add(key, now.instant);
        }
    }

    /// The snapshot is complete: keys that the source may have deleted without a record are refetched.
    pub(super) fn refetch_omitted_deletes(&mut self, now: Now) {
        let Suspects { keys, has_overflowed } = self.admission.omitted.take();
        if has_overflowed {
            warn!(
                flow = self.id.0,
                "MSET wrote more keys during the full synchronisation than are remembered: some that were deleted again may have stayed; journal_omit_redundant_writes=false on the source avoids it"
            );
        }
        if !keys.is_empty() {
            info!(
                flow = self.id.0,
                keys = keys.len(),
                "keys that may have gone without a record are refetched"
            );
        }
        keys.into_iter().for_each(|key| self.refetch.add(key, now.instant));
    }

    /// Asks the source for what is due.
    pub(super) fn ask_source(&mut self, now: Instant) {
        if !self.positions.has_entered() || self.refetch.is_idle() {
            return;
        }
        while let Some(question) = self.refetch.next_question(now) {
            self.actions.push_back(Action::Ask(question));
        }
    }

    /// The source has answered.
    ///
    /// # Errors
    /// [`FlowError::Unreadable`], if it refuses for good and the user wants to stop then.
    pub(crate) fn on_value(
        &mut self,
        key: &SourceKey,
        ticket: Ticket,
        answer: Answer,
        target: &dyn TargetWriter,
        now: Instant,
    ) -> Result<(), FlowError> {
        match self.refetch.on_value(key, ticket, answer, now) {
            Some(reason) => self.give_up(key, reason, target),
            None => Ok(()),
        }
    }

    /// A key cannot be read: it falls under the policy for what cannot be replicated.
    fn give_up(
        &mut self,
        key: &SourceKey,
        reason: String,
        target: &dyn TargetWriter,
    ) -> Result<(), FlowError> {
        if self.rules.policies.of_loss(Loss::Unreadable) == Policy::Fail {
            let name = key.name.escape_ascii().to_string();
            return Err(FlowError::Unreadable { key: name, db: key.db.0, reason });
        }
        let mut losses = Losses::default();
        losses.count(Loss::Unreadable);
        if !self.counters.lose(&losses).is_empty() {
            warn!(
                flow = self.id.0,
                reason,
                key = %key.name.escape_ascii(),
                "a key cannot be read again from the source; the target keeps an older value of it, and such keys are counted"
            );
        }
        self.refetch.remove(key);
        self.tell_not_refetched(key, RefetchOutcome::Refused);
        self.write_notes(target);
        Ok(())
    }

    /// The source has said which keys it has.
    pub(crate) fn on_presence(&mut self, ticket: Ticket, presence: Option<Presence>) {
        self.refetch.on_presence(ticket, presence);
    }

    /// Writes the values that hold at this point of the journal.
    pub(super) fn write_refetched(
        &mut self,
        target: &mut dyn TargetWriter,
        now: Now,
    ) -> Result<(), FlowError> {
        let Some(next) = self.positions.received().filter(|_| self.positions.has_entered()) else {
            return Ok(());
        };
        if self.refetch.is_idle() && self.refetch.takes_extra_keys() {
            return Ok(());
        }
        if let Some(verdict) = self.refetch.resolve_extra_keys(next) {
            self.write_extra_keys(verdict, target, now)?;
        }
        while let Some((key, resolved)) = self.refetch.resolve(next, now.instant) {
            if let Resolved::Exact(value, behind) = resolved {
                self.write_value(&key, value, target, now)?;
                for record in behind {
                    self.replay(&record, target, now)?;
                }
            }
            if self.writer.is_full() {
                self.commit(target, now);
            }
        }
        Ok(())
    }

    fn write_extra_keys(
        &mut self,
        verdict: Verdict,
        target: &mut dyn TargetWriter,
        now: Now,
    ) -> Result<(), FlowError> {
        self.counters.removed(verdict.gone.len());
        let received = self.positions.received().unwrap_or_default();
        verdict.gone.iter().for_each(|key| self.watched.touch(key, received));
        for record in FlowWriter::deletions(&verdict.gone) {
            self.replay(&record, target, now)?;
            if self.writer.is_full() {
                self.commit(target, now);
            }
        }
        for key in verdict.there {
            self.refetch.add(key, now.instant);
        }
        self.write_notes(target);
        Ok(())
    }

    fn write_value(
        &mut self,
        key: &SourceKey,
        value: Option<Fetched>,
        target: &mut dyn TargetWriter,
        now: Now,
    ) -> Result<(), FlowError> {
        let expire_at = value.as_ref().and_then(|value| value.expire_at);
        self.admission.see_value(key.db, &key.name, expire_at);
        self.tell_refetched(key, value.as_ref());
        self.watched.touch(key, self.positions.received().unwrap_or_default());
        match value {
            Some(value) => {
                let effect = self.writer.value(key, value, now.wall)?;
                note_loss(self.id, effect, &key.name);
            }
            // The target holds another key under that name.
            None if self.refetch.miss(key) == Missing::Left => {}
            None => {
                for record in FlowWriter::deletions(std::slice::from_ref(key)) {
                    self.replay(&record, target, now)?;
                }
            }
        }
        self.refetch.written(key, self.positions.sent().transaction + 1);
        self.refuse_oversized(target, now)?;
        self.counters.refetched();
        Ok(())
    }

    /// A record that was parked, or made here. It may ask for its key to be refetched.
    fn replay(
        &mut self,
        record: &dfly_journal::Command,
        target: &mut dyn TargetWriter,
        now: Now,
    ) -> Result<(), FlowError> {
        let keys = RecordKeys::of(record);
        if !self.admission.expiry.is_quiet() && !keys.replaces() {
            self.admission.expiry.to_check(&keys).iter().for_each(|key| self.writer.check(key, target));
        }
        self.writer.waiting_record(record, now.wall)?;
        self.admission.see_applied(&keys, now.wall);
        self.take_refetches(now);
        self.refuse_oversized(target, now)?;
        self.write_notes(target);
        Ok(())
    }

    /// The place of commands on these keys among others was lost.
    pub(super) fn on_reordered(&mut self, keys: Vec<TargetKey>, target: &dyn TargetWriter, now: Now) {
        keys.iter().for_each(|_| self.counters.refetch(Reason::Moved));
        self.refetch_with_followers(keys.into_iter().collect(), target, now);
    }

    /// Refetches these keys of the target, and those that commands which are not answered make of them.
    pub(super) fn refetch_with_followers(
        &mut self,
        mut keys: BTreeSet<TargetKey>,
        target: &dyn TargetWriter,
        now: Now,
    ) {
        self.for_each_unanswered(target, &mut |command| spread(command, &mut keys));
        for key in keys {
            self.refetch.add_origins(&key, &self.rules.selection, now.instant);
        }
        self.write_notes(target);
    }

    /// The target has let something wait for so long that keys may have expired which no check was made for.
    pub(super) fn look_through_overdue(&mut self, target: &mut dyn TargetWriter, now: Now) {
        if !self.admission.expiry.is_overdue(now.instant) || !self.positions.counts() {
            return;
        }
        self.turn_ttl_index(now);
        if !self.admission.expiry.is_quiet() {
            let keys = self.at_risk_in_flight(target);
            info!(
                flow = self.id.0,
                keys = keys.len(),
                "the target has let records wait; keys that may have expired meanwhile are refetched"
            );
            for key in keys {
                self.counters.refetch(Reason::Expired);
                self.refetch.add_origins(&key, &self.rules.selection, now.instant);
            }
            self.write_notes(target);
        }
        self.admission.expiry.looked_through(now.instant);
    }

    fn at_risk_in_flight(&self, target: &dyn TargetWriter) -> BTreeSet<TargetKey> {
        let (selection, expiry) = (&self.rules.selection, &self.admission.expiry);
        let is_at_risk = |key: &TargetKey| {
            let mut origins = selection.origins(key.db, &key.name).into_iter();
            origins.any(|(db, name)| expiry.is_at_risk(&SourceKey::new(db, name)))
        };
        let mut found = BTreeSet::new();
        self.for_each_unanswered(target, &mut |command| {
            let named: Vec<TargetKey> = TargetKey::of_command(command).collect();
            // The source may have found the destination alive, and moved nothing.
            let goes_together = CommandFacts::of(command).moves_to.is_some() && named.iter().any(is_at_risk);
            found.extend(named.into_iter().filter(|key| goes_together || is_at_risk(key)));
        });
        found
    }
}

/// Adds the keys of a command that names one of `keys` among others.
pub(super) fn spread(command: EncodedCommand<'_>, keys: &mut BTreeSet<TargetKey>) {
    let named: Vec<TargetKey> = TargetKey::of_command(command).collect();
    if named.len() > 1 && named.iter().any(|key| keys.contains(key)) {
        keys.extend(named);
    }
}
