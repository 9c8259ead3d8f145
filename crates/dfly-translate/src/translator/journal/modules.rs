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
            self.verbatim(r, out);
            return Ok(self.persist_whole_documents(r, out));
        }
        if self.rules.policies.json_as_string() {
            return self.again_or_lose(Reason::JsonText, Loss::Json, r);
        }
        let effect = self.lose(Loss::Json, &r.place())?;
        // On the source, the old values of whole documents' keys no longer exist.
        for key in whole_documents(&r.words()) {
            self.push(r, &[b"DEL", key], 1..2, out);
        }
        Ok(effect)
    }

    /// A document that is written as a whole has no expiry any more on the source. A Redis keeps it.
    fn persist_whole_documents(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        for key in whole_documents(&r.words()) {
            self.push(r, &[b"PERSIST", key], 1..2, out);
        }
        Effect::Written
    }

    /// `JSON.SET key path text`. At the root, it writes the whole document.
    pub(super) fn json_set(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let is_whole = is_root(r.arg(2)) && r.args().len() == 4;
        let is_text = self.rules.policies.json_as_string() && !self.target.has(Ability::Json);
        if is_text && is_whole && !self.rules.refetches {
            return Ok(self.push(r, &[b"SET", r.arg(1), r.arg(3)], 1..2, out));
        }
        self.json(r, out)
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

/// Whether a path names the whole document.
pub(crate) fn is_root(path: &[u8]) -> bool {
    matches!(path, b"$" | b".")
}

/// The keys whose values a record replaces by whole documents. With NX, the value is only written if there was none.
pub(super) fn whole_documents<'a>(words: &[&'a [u8]]) -> Vec<&'a [u8]> {
    match words {
        [b"JSON.SET", key, path, _, rest @ ..] if is_root(path) => {
            let creates = rest.iter().any(|option| option.eq_ignore_ascii_case(b"NX"));
            if creates { Vec::new() } else { vec![key] }
        }
        [b"JSON.MSET", documents @ ..] => {
            let (documents, _) = documents.as_chunks::<3>();
            documents.iter().filter(|[_, path, _]| is_root(path)).map(|[key, ..]| *key).collect()
        }
        _ => Vec::new(),
    }
}
