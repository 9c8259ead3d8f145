//! Records with several keys, for a cluster: the keys of one command must be in one slot (P7, P8).

use std::collections::BTreeMap;

use dfly_journal::{Args, Command};
use redis_slots::Slot;

use super::Received;
use super::select::{only, splits_by_key};
use crate::error::TranslateError;
use crate::policy::Loss;
use crate::refetch::Reason;
use crate::translator::{Effect, Output, Translator};

impl Translator {
    /// Translates a record as a whole if its keys share a slot, or as one command for each slot if it can be split.
    /// Otherwise, its keys are refetched from the source.
    pub(super) fn split_by_slot(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let words = r.words();
        let mut slots: BTreeMap<Slot, Vec<usize>> = BTreeMap::new();
        for at in r.spec.key_positions(&words) {
            slots.entry(Slot::of(words.get(at).copied().unwrap_or_default())).or_default().push(at);
        }
        if slots.len() < 2 {
            return self.carry_out(r, out);
        }
        if !splits_by_key(r.spec) {
            return self.again_or_lose(Reason::Torn, Loss::Torn, r);
        }
        let start = out.commands.len();
        let mut effect = Effect::Nothing;
        for kept in slots.values() {
            let args = Args::of(&only(&words, kept, r.spec));
            let part = Command { db: r.record.db, txid: r.record.txid, args };
            let carried = self.carry_out(&Received::new(r.origin, &part, r.spec), out);
            effect = carried.inspect_err(|_| out.commands.truncate(start))?;
        }
        Ok(effect)
    }
}
