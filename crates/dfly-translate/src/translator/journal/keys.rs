//! Commands on keys of any type, and commands that store a result under another key.

use dfly_rdb::payload::parse_dump;
use dfly_rdb::{Element, RawValue, ValueKind};
use dfly_wire::{DbIndex, UnixMillis};

use super::{Received, number};
use crate::error::{TranslateError, shown};
use crate::facts::CommandFacts;
use crate::policy::Loss;
use crate::refetch::Reason;
use crate::script::{self, Script};
use crate::table::database;
use crate::translator::snapshot::Baseline;
use crate::translator::{Effect, Output, Place, Translator};

impl Translator {
    /// A command that stores its result under another key. If source and destination are in different shards, the master
    /// journals only the keys of the flow's own shard (protocol section 3.9).
    pub(super) fn store(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        match r.args().len() {
            2 => self.again_or_lose(Reason::Truncated, Loss::Truncated, r),
            _ => Ok(self.verbatim(r, out)),
        }
    }

    /// SORT and GEORADIUS. They are carried out, and the stored key is refetched if refetches are served. Redis sorts and
    /// measures differently in some cases, and deletes the destination if the source key is missing. Dragonfly journals
    /// these commands even if they fail.
    pub(super) fn sort_store(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let words = r.words();
        let stored = r.spec.key_positions(&words).get(1).and_then(|at| words.get(*at)).is_some();
        match (r.args().len(), r.origin.txid.0) {
            // A SORT with one argument and without a transaction stores nothing.
            (2, 0) if r.args().name() == b"SORT" => Ok(Effect::Nothing),
            (2, _) => self.again_or_lose(Reason::Truncated, Loss::Truncated, r),
            _ if !stored => Ok(Effect::Nothing),
            _ => {
                let effect = self.verbatim(r, out);
                let stored = r.origin_keys().get(1).copied().filter(|_| self.rules.refetches);
                stored.inspect(|key| self.read_again(Reason::Stored, *key));
                Ok(if stored.is_some() { Effect::Refetch } else { effect })
            }
        }
    }

    /// PEXPIREAT. If the time is in the past, the source deletes the key and journals that instead. Time 0 stands for
    /// never.
    pub(super) fn pexpireat(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        match r.arg(2) {
            b"0" => self.push(r, &[b"PERSIST", r.arg(1)], 1..2, out),
            _ => self.verbatim(r, out),
        }
    }

    /// PFMERGE of a master before v1.19. Every flow gets only its own keys, so the record is complete only with one flow.
    /// Its keys are refetched if refetches are served.
    pub(super) fn store_all(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        if self.rules.refetches {
            return self.again_or_lose(Reason::Truncated, Loss::Truncated, r);
        }
        Ok(self.verbatim(r, out))
    }

    /// RENAME and RENAMENX by a script, because the key may have been left out.
    pub(super) fn rename(&mut self, script: &Script, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        self.script(script, r, out)
    }

    /// `MOVE key db`, after the selection has been applied. So `db` is a database of the target.
    pub(super) fn move_key(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let Some(to) = database(r.arg(2)) else { return self.lose(Loss::Malformed, &r.place()) };
        let (from, key) = (r.db(), r.arg(1));
        self.check_db(&Place { db: to, ..r.place() })?;
        let facts = CommandFacts::data(from).moving_to(to);
        if !self.notes.is_expiring(from, key) {
            self.write(facts, &r.words(), 1..2, out.commands);
            return Ok(self.moved(to, r));
        }
        let beside = self.notes.beside(key);
        // It is watched in both, because a move onto another key does nothing, and leaves the due times where they were.
        self.notes.watch(to, key);
        let keys = [&b"EVAL"[..], script::MOVE.as_bytes(), b"3", key, &beside.expiry, &beside.registry];
        let words = [&keys[..], &[r.arg(2), &beside.member]].concat();
        self.write(facts, &words, 3..6, out.commands);
        // The next sweep finds out when the first member is due.
        let words = [&b"ZADD"[..], &beside.registry, b"0", &beside.member];
        self.write(CommandFacts::side_key(to), &words, 1..2, out.commands);
        Ok(self.moved(to, r))
    }

    /// A record of MOVE does not say whether the source moved anything: it did not if the name was taken in the other database,
    /// perhaps by a value that was left out. Then both keys are refetched.
    fn moved(&mut self, to: DbIndex, r: &Received<'_>) -> Effect {
        let may_be_taken = self.notes.is_left_out(to, r.arg(1));
        match self.rules.refetches && may_be_taken {
            true => self.read_all_again(Reason::Ambiguous, r),
            false => Effect::Written,
        }
    }

    /// `DELEX key [IFEQ|IFNE value|IFDEQ|IFDNE digest]`. It is journaled even if nothing was deleted.
    pub(super) fn delex(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        let condition = r.arg(2).to_ascii_uppercase();
        let equal: &[u8] = match (r.args().len(), condition.as_slice()) {
            (2, _) => return Ok(self.push(r, &[b"DEL", r.arg(1)], 1..2, out)),
            (4, b"IFEQ") => b"1",
            (4, b"IFNE") => b"0",
            _ => return self.again_or_lose(Reason::Form, Loss::Form, r),
        };
        let script = script::DELEX.text.as_bytes();
        Ok(self.push(r, &[b"EVAL", script, b"1", r.arg(1), equal, r.arg(3)], 3..4, out))
    }

    /// `RESTORE key ttl payload [REPLACE] [ABSTTL] [STICK] [IDLETIME s] [FREQ n]`. The payload may come from any server, so
    /// it is decoded and encoded again for the target. The command succeeded on the source, so it replaces any value on the
    /// target.
    pub(super) fn restore_record(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let Some(ttl) = number(r.arg(2)) else { return self.lose(Loss::Malformed, &r.place()) };
        let has = |option: &[u8]| r.args().iter().skip(4).any(|arg| arg.eq_ignore_ascii_case(option));
        let expire_at = match ttl {
            0 => None,
            ttl if has(b"ABSTTL") => Some(UnixMillis(ttl)),
            ttl => Some(UnixMillis(out.now.0.saturating_add(ttl))),
        };
        let (key, db) = (r.arg(1), r.db());
        let value = match parse_dump(r.args().shared(3).unwrap_or_default()) {
            Ok(value) => value,
            Err(error) => {
                let damaged = |_unsupported| TranslateError::Dump { key: shown(key), db, error };
                return self.again_or_lose(Reason::Form, Loss::Malformed, r).map_err(damaged);
            }
        };
        if !self.rules.selection.takes_kind(value.kind()) {
            return Ok(self.push(r, &[b"DEL", key], 1..2, out));
        }
        let baseline = Baseline { db, key, expire_at };
        let effect = match scalar(&value) {
            Some(text) => self.text(&baseline, &text, out),
            None => self.baseline(&baseline, &value, out)?,
        };
        if has(b"STICK") { self.lose(Loss::Sticky, &r.place()).map(|_counted| effect) } else { Ok(effect) }
    }
}

/// The text of a document that is a number, a string, a boolean or null. The source itself turns such a document into a
/// string when it restores it, for example when it moves a key to another shard.
fn scalar(value: &RawValue) -> Option<Vec<u8>> {
    if value.kind() != ValueKind::Json {
        return None;
    }
    match value.elements().next()? {
        Ok(Element::Json(text)) => {
            let text = text.to_vec();
            let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
            first.is_some_and(|byte| !matches!(byte, b'{' | b'[')).then_some(text)
        }
        _ => None,
    }
}
