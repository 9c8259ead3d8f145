//! Applies the selection to records: databases are mapped, and keys are left out or renamed.

use dfly_journal::{Args, Command};
use dfly_wire::DbIndex;

use super::Received;
use crate::error::TranslateError;
use crate::facts::CommandFacts;
use crate::policy::Loss;
use crate::refetch::Reason;
use crate::table::{CommandSpec, Rule, database};
use crate::translator::{Effect, Flush, Output, Translator};

impl Translator {
    /// Translates the part of a record that is selected.
    pub(super) fn selected(
        &mut self,
        origin: &Command,
        spec: &'static CommandSpec,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let r = Received::new(origin, origin, spec);
        let db = self.rules.selection.dbs.get(origin.db);
        if !self.rules.selection.takes_command(spec) {
            return Ok(Effect::Unselected);
        }
        // The record's database is that of the client that sent the command, so it does not matter.
        if spec.rule == Rule::FlushAll {
            return Ok(Effect::Flush(Flush::All));
        }
        let Some(db) = db else { return self.leads_in(&r) };
        let words = r.words();
        let positions = spec.key_positions(&words);
        let rules = std::sync::Arc::clone(&self.rules);
        let taken = |at: &&usize| words.get(**at).is_some_and(|key| rules.selection.takes(origin.db, key));
        for key in positions.iter().filter_map(|at| words.get(*at)) {
            self.stop_at((origin.db, key))?;
        }
        let kept: Vec<usize> = positions.iter().filter(taken).copied().collect();
        let reserved = if kept.len() < positions.len() { self.lose_reserved(&r)? } else { None };
        if kept.is_empty() && !positions.is_empty() {
            return Ok(reserved.unwrap_or(Effect::Unselected));
        }
        let words = match kept.len() == positions.len() {
            true => words,
            false if splits_by_key(spec) => only(&words, &kept, spec),
            false => return self.again_or_lose(Reason::Torn, Loss::Torn, &r),
        };
        let Some(words) = self.under_target_names(&r, words) else { return self.leads_out(&r, db, out) };
        let record = Command { db, txid: origin.txid, args: Args::of(&words) };
        self.in_slots(&Received::new(origin, &record, spec), out)
    }

    /// Counts the selected keys of the record that have a reserved name on the target. `None` if there are none.
    fn lose_reserved(&mut self, r: &Received<'_>) -> Result<Option<Effect>, TranslateError> {
        let mut effect = None;
        for key in r.origin_keys() {
            let (_, key) = key;
            if self.rules.selection.takes_key(key) && self.rules.selection.is_reserved(key) {
                effect = Some(self.lose(Loss::Reserved, &r.place())?);
            }
        }
        Ok(effect)
    }

    /// The words with the names that keys and databases have on the target. `None` if MOVE moves a key out of the
    /// selection, or to the same database of the target.
    fn under_target_names(&self, r: &Received<'_>, words: Vec<&[u8]>) -> Option<Vec<Vec<u8>>> {
        let selection = &self.rules.selection;
        let mut words: Vec<Vec<u8>> = words.into_iter().map(<[u8]>::to_vec).collect();
        let positions = {
            let borrowed: Vec<&[u8]> = words.iter().map(Vec::as_slice).collect();
            r.spec.key_positions(&borrowed)
        };
        for at in positions {
            if let Some(word) = words.get_mut(at)
                && let Some(renamed) = selection.renamed(word)
            {
                *word = renamed;
            }
        }
        if r.spec.rule == Rule::Move {
            let to = selection.dbs.get(database(r.arg(2))?)?;
            if selection.dbs.get(r.origin.db) == Some(to) {
                return None;
            }
            *words.get_mut(2)? = to.to_string().into_bytes();
        }
        Some(words)
    }

    /// A record in a database that is left out. MOVE may move a key from there into the selection.
    fn leads_in(&mut self, r: &Received<'_>) -> Result<Effect, TranslateError> {
        let to = database(r.arg(2))
            .filter(|to| r.spec.rule == Rule::Move && self.rules.selection.dbs.get(*to).is_some());
        let Some(to) = to else { return Ok(Effect::Unselected) };
        if !self.rules.refetches {
            return self.lose(Loss::Torn, &r.place());
        }
        self.read_again(Reason::Torn, (to, r.arg(1)));
        Ok(Effect::Refetch)
    }

    /// MOVE to a database that is left out, or that is the same database on the target.
    fn leads_out(
        &mut self,
        r: &Received<'_>,
        db: DbIndex,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let same = database(r.arg(2)).is_some_and(|to| self.rules.selection.dbs.get(to) == Some(db));
        if same {
            return Ok(Effect::Nothing);
        }
        let key = self.rules.selection.renamed(r.arg(1)).unwrap_or_else(|| r.arg(1).to_vec());
        self.write(CommandFacts::data(db), &[b"DEL", &key], 1..2, out.commands);
        Ok(Effect::Written)
    }
}

/// Whether the command can be split into one command for each key with its arguments.
pub(super) fn splits_by_key(spec: &CommandSpec) -> bool {
    matches!(spec.rule, Rule::Verbatim | Rule::Stick | Rule::Json | Rule::Nothing)
        && spec.keys.is_many()
        && !matches!(spec.name, "LMOVE" | "RPOPLPUSH" | "SMOVE" | "MSETNX")
}

/// The command with only the keys at these positions, and their arguments.
pub(super) fn only<'a>(words: &[&'a [u8]], kept: &[usize], spec: &CommandSpec) -> Vec<&'a [u8]> {
    let step = spec.keys.step();
    let first = spec.keys.first().unwrap_or(1);
    let head = words.get(..first).unwrap_or_default().iter().copied();
    let groups = kept.iter().filter_map(|at| words.get(*at..(at + step).min(words.len())));
    head.chain(groups.flatten().copied()).collect()
}
