//! Commands on values that a module of the target brings.

use super::Received;
use crate::error::TranslateError;
use crate::policy::Loss;
use crate::refetch::Reason;
use crate::table::Availability;
use crate::target::Ability;
use crate::translator::{Effect, Output, Translator};

impl Translator {
    /// A change of a document. Where documents are kept as strings, it is the text that has to be read again.
    pub(super) fn json(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        if self.target.has(Ability::Json) {
            return Ok(self.verbatim(r, out));
        }
        if self.rules.policies.json_as_string() {
            return self.again_or_lose(Reason::JsonText, Loss::Json, r);
        }
        self.lose(Loss::Json, &r.place())
    }

    /// `JSON.SET key path text`: at the root it writes the whole document.
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
        // What the key held before is gone on the source.
        let effect = self.lose(Loss::Json, &r.place())?;
        self.push(r, &[b"DEL", r.arg(1)], 1..2, out);
        Ok(effect)
    }

    /// A change of a sketch. One whose content was left out does not come to life again with a part of it.
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

    /// `CMS.MERGE dest n source..`, of which each flow gets its own keys when they are apart (protocol section 3.9).
    pub(super) fn cms_merge(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        if self.target.has(Ability::CountMin) && r.args().len() < 4 {
            // Its counters cannot be read again: no target hashes as the source does.
            return self.lose(Loss::Truncated, &r.place());
        }
        self.sketch(r, out)
    }
}
