//! Commands that the target refuses. A record's key is refetched. A value that is refused as a payload is written by
//! commands, and the other way round. One that is refused in both forms falls under the policy.

use std::collections::BTreeSet;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_translate::{CommandFacts, CommandKind, Loss, Losses, Policy, Reason, ReservedNames};
use redis_resp::EncodedCommand;
use redis_sink::Refusal;
use tracing::{debug, warn};

use super::FlowCore;
use crate::clock::Now;
use crate::error::FlowError;
use crate::keys::TargetKey;
use crate::target::writer::TargetWriter;

/// What the target answers when it has let a key expire that a record needs.
const MISSING: &str = "MISSING";

/// What the target answers to a record that it has not carried out, because it may not mean what it says.
const AMBIGUOUS: &str = "AMBIGUOUS";

/// The command that carries a payload.
const RESTORE: &str = "RESTORE";

/// Whether the first of many refused values was logged.
#[derive(Debug, Default)]
pub(super) struct RefusedValues {
    is_told: bool,
}

impl RefusedValues {
    fn tell(&mut self, flow: FlowId, refusal: &Refusal) {
        let (command, error) = (refusal.describe(), &refusal.error);
        match std::mem::replace(&mut self.is_told, true) {
            true => debug!(flow = flow.0, %command, %error, "the target refused a value"),
            false => warn!(
                flow = flow.0, %command, %error,
                "the target refused a value; it is refetched and written in another form, as others will be without another warning"
            ),
        }
    }
}

impl FlowCore {
    /// The target refused a command, and others of its batch stand: its keys, and those that commands behind it have made of
    /// them, are not what they were on the source.
    pub(super) fn on_refusal(
        &mut self,
        refusal: &Refusal,
        target: &dyn TargetWriter,
        now: Now,
    ) -> Result<(), FlowError> {
        if !refusal.error.line.starts_with(AMBIGUOUS) {
            self.counters.refused(&refusal.error.line);
        }
        let facts = CommandFacts::from_tag(refusal.tag());
        if self.writer.is_of_notes(refusal.keys()) {
            self.on_refused_note(refusal);
            return Ok(());
        }
        // The next sweep comes.
        if facts.kind == CommandKind::Sweep {
            debug!(flow = self.id.0, error = %refusal.error, "a sweep was refused");
            return Ok(());
        }
        let values = self.refused_values_of(refusal, facts, target);
        if !values.is_empty() {
            return values.into_iter().try_for_each(|key| self.on_refused_value(key, refusal, target, now));
        }
        let mut keys: BTreeSet<TargetKey> = TargetKey::of_command(refusal.command()).collect();
        refusal.rest().for_each(|command| super::refetching::spread(command, &mut keys));
        if keys.is_empty() {
            return Err(FlowError::Refused(Box::new(refusal.clone())));
        }
        self.refetch_with_followers(keys, target, now);
        self.count_refusal(refusal, facts.kind);
        Ok(())
    }

    /// Without its list, nothing that was written is told apart from what others have written.
    fn on_refused_note(&mut self, refusal: &Refusal) {
        warn!(flow = self.id.0, error = %refusal.error, "the target refuses notes of what is written: if this synchronisation is broken off, the next start does not know what others have written meanwhile");
        self.writer.abandon_notes();
    }

    /// What the target does not take is not sent, and dealt with as if the target had refused it.
    pub(super) fn refuse_oversized(&mut self, target: &dyn TargetWriter, now: Now) -> Result<(), FlowError> {
        for refusal in self.writer.set_oversized_aside() {
            self.on_refusal(&refusal, target, now)?;
        }
        Ok(())
    }

    /// The keys whose values, or a part of one, the refused command was to write.
    fn refused_values_of(
        &self,
        refusal: &Refusal,
        facts: CommandFacts,
        target: &dyn TargetWriter,
    ) -> Vec<TargetKey> {
        match facts.kind {
            CommandKind::Value => TargetKey::of_command(refusal.command()).collect(),
            CommandKind::SideKey => self.growing_key(refusal, facts, target).into_iter().collect(),
            _ => Vec::new(),
        }
    }

    /// The key that a value grows for: it is open, or a command behind the refused one puts the value in its place.
    fn growing_key(
        &self,
        refusal: &Refusal,
        facts: CommandFacts,
        target: &dyn TargetWriter,
    ) -> Option<TargetKey> {
        let name = refusal.keys().next()?;
        if let Some(key) = self.writer.grows_under(facts.db, name) {
            return Some(key);
        }
        let mut names = BTreeSet::from([Bytes::copy_from_slice(name)]);
        let mut follow = |command: EncodedCommand<'_>| {
            let is_of_value = CommandFacts::of(command).db == facts.db;
            if is_of_value && command.keys().any(|key| names.contains(key)) {
                names.extend(command.keys().map(Bytes::copy_from_slice));
            }
        };
        refusal.rest().for_each(&mut follow);
        self.for_each_unanswered(target, &mut follow);
        let key = names.into_iter().find(|name| !ReservedNames::is_reserved(name))?;
        Some(TargetKey::new(facts.db, key))
    }

    fn on_refused_value(
        &mut self,
        key: TargetKey,
        refusal: &Refusal,
        target: &dyn TargetWriter,
        now: Now,
    ) -> Result<(), FlowError> {
        // Of a value that is written anew, or was left out, any part may be refused.
        let mut origins = self.rules.selection.origins(key.db, &key.name).into_iter();
        let is_settled = self.writer.leaves_out(&key)
            || origins.any(|(db, name)| self.refetch.contains(&crate::keys::SourceKey::new(db, name)));
        let has_other_form = self.writer.refuse_value(&key, refusal.name() == RESTORE);
        if is_settled {
            return Ok(());
        }
        if has_other_form {
            self.counters.refetch(Reason::Refused);
            self.refused_values.tell(self.id, refusal);
            self.refetch_with_followers([key].into(), target, now);
            return Ok(());
        }
        self.leave_out_refused(&key, refusal, target, now)
    }

    /// The target takes the value in no form.
    fn leave_out_refused(
        &mut self,
        key: &TargetKey,
        refusal: &Refusal,
        target: &dyn TargetWriter,
        now: Now,
    ) -> Result<(), FlowError> {
        if self.rules.policies.of_loss(Loss::Refused) == Policy::Fail {
            return Err(FlowError::Refused(Box::new(refusal.clone())));
        }
        let mut losses = Losses::default();
        losses.count(Loss::Refused);
        let is_told = self.rules.policies.of_loss(Loss::Refused) == Policy::Warn;
        if !self.counters.lose(&losses).is_empty() && is_told {
            warn!(flow = self.id.0, command = %refusal.describe(), error = %refusal.error, "the target takes a value in no form; it is left out and counted");
        }
        self.writer.leave_out_refused(key, now.wall);
        let mut others = BTreeSet::from([key.clone()]);
        self.for_each_unanswered(target, &mut |command| super::refetching::spread(command, &mut others));
        others.remove(key);
        for other in others {
            self.refetch.add_origins(&other, &self.rules.selection, now.instant);
        }
        self.write_notes(target);
        Ok(())
    }

    fn count_refusal(&self, refusal: &Refusal, kind: CommandKind) {
        if kind == CommandKind::ExpiryCheck && refusal.error.to_string().starts_with(MISSING) {
            debug!(flow = self.id.0, %refusal, "a key had expired");
            self.counters.refetch(Reason::Expired);
            return;
        }
        if refusal.error.line.starts_with(AMBIGUOUS) {
            debug!(flow = self.id.0, %refusal, "a record may not mean what it says");
            self.counters.refetch(Reason::Ambiguous);
            return;
        }
        self.counters.refetch(Reason::Refused);
        warn!(flow = self.id.0, command = %refusal.name(), error = %refusal.error, "the target refused a record; its key is refetched from the source");
    }
}
