//! Commands on values that need a module on the target.

use super::Received;
use crate::error::TranslateError;
use crate::policy::Loss;
use crate::refetch::Reason;
use crate::table::Availability;
use crate::target::Ability;
use crate::translator::{Effect, Output, Translator};

impl Translator {
    /// A change to a document. If documents are stored as strings, the key is refetched.
    pub(super) fn json(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        if self.target.has(Ability::Json) {
            return Ok(self.verbatim(r, out));
        }
        if self.rules.policies.json_as_string() {
            return self.again_or_lose(Reason::JsonText, Loss::Json, r);
        }
        self.lose(Loss::Json, &r.place())
    }

    /// `JSON.SET key path text`. At the root, it writes the whole document.
    pub(super) fn json_set(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let root = matches!(r.arg(2), b"$" | b".") && r.args().len() == 4;
        let as_string = self.rules.policies.json_as_string();
        if self.target.has(Ability::Json) || !root || (as_string && self.rules.refetches) {
            return self.json(r, out);
        }
        if as_string {
            return Ok(self.push(r, &[b"SET", r.arg(1), r.arg(3), b"KEEPTTL"], 1..2, out));
        }
        // On the source, the key's old value no longer exists.
        let effect = self.lose(Loss::Json, &r.place())?;
        self.push(r, &[b"DEL", r.arg(1)], 1..2, out);
        Ok(effect)
    }

    /// A change to a sketch. If the sketch was left out, its changes are left out too. Otherwise the target would hold only
    /// a part of its content.
    pub(super) fn sketch(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let Availability::Module(ability) = r.spec.target else { return Ok(Effect::Nothing) };
        if !self.target.has(ability) || self.notes.is_left_out(r.db(), r.arg(1)) {
            return self.lose(Loss::without(ability), &r.place());
        }
        Ok(self.verbatim(r, out))
    }

    /// `CMS.MERGE dest n source..`. If the keys are in different shards, each flow gets only its own keys (protocol section
    /// 3.9).
    pub(super) fn cms_merge(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        if self.target.has(Ability::CountMin) && r.args().len() < 4 {
            // A refetch cannot help: the target cannot use the counters, because it hashes differently from the source.
            return self.lose(Loss::Truncated, &r.place());
        }
        self.sketch(r, out)
    }
}
