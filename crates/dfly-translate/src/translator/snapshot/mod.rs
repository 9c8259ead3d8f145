//! Translates values of the snapshot into commands. A baseline, which is a key's value in the snapshot, replaces whatever
//! the target has under its key (P3).

mod pieces;

use std::borrow::Cow;

use dfly_rdb::payload::{Plan, plan, write_dump};
use dfly_rdb::{Element, Entry, IntBuffer, KeyHeader, RawValue, ValueError, ValueKind};
use dfly_wire::{DbIndex, UnixMillis};

use crate::error::{TranslateError, shown};
use crate::facts::CommandFacts;
use crate::names::ReservedNames;
use crate::policy::Loss;
use crate::target::Ability;
use crate::translator::destination::Destination;
use crate::translator::elements;
use crate::translator::{Effect, Form, Output, Place, Translator, is_due};

pub(crate) use pieces::OpenValue;

/// A key's database and name on the target.
type Chosen<'a> = (DbIndex, Cow<'a, [u8]>);

/// A key, its database and its expiry.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Baseline<'a> {
    pub db: DbIndex,
    pub key: &'a [u8],
    pub expire_at: Option<UnixMillis>,
}

impl<'a> Baseline<'a> {
    pub(crate) fn place(&self) -> Place<'a> {
        Place { what: "the value", key: self.key, db: self.db }
    }

    fn destination(&self) -> Destination<'a> {
        Destination::value(self.db, self.key)
    }

    fn damaged(&self, error: ValueError) -> TranslateError {
        TranslateError::Value { key: shown(self.key), db: self.db, error }
    }
}

impl Translator {
    /// Writes the commands that replace what the target has under a key with a whole value.
    ///
    /// # Errors
    /// [`TranslateError`]. Nothing of the key is written in that case.
    pub fn entry(&mut self, entry: &Entry, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        let header = &entry.header;
        let kind = entry.value.kind();
        let Some((db, key)) = self.chosen(header, kind)? else { return self.unchosen(header, kind) };
        let baseline = Baseline { db, key: &key, expire_at: header.expire_at };
        self.check_db(&baseline.place())?;
        let effect = self.baseline(&baseline, &entry.value, out)?;
        self.attributes(header, &baseline)?;
        Ok(effect)
    }

    /// The database and name of a key on the target; `None` if it is left out.
    fn chosen<'a>(
        &self,
        header: &'a KeyHeader,
        kind: ValueKind,
    ) -> Result<Option<Chosen<'a>>, TranslateError> {
        let key: &[u8] = &header.key;
        if !self.selects && !ReservedNames::is_reserved(key) {
            return Ok(Some((header.db, Cow::Borrowed(key))));
        }
        self.stop_at((header.db, key))?;
        let selection = &self.rules.selection;
        let db = selection
            .dbs
            .get(header.db)
            .filter(|_| selection.takes(header.db, key) && selection.takes_kind(kind));
        Ok(db.map(|db| (db, selection.renamed(key).map_or(Cow::Borrowed(key), Cow::Owned))))
    }

    /// Handles a key that is left out. It is a loss if only its reserved name is the reason.
    fn unchosen(&mut self, header: &KeyHeader, kind: ValueKind) -> Result<Effect, TranslateError> {
        let (key, selection) = (&header.key[..], &self.rules.selection);
        let is_selected =
            selection.dbs.get(header.db).is_some() && selection.takes_kind(kind) && selection.takes_key(key);
        match is_selected && selection.is_reserved(key) {
            true => self.lose(Loss::Reserved, &Place { what: "the value", key, db: header.db }),
            false => Ok(Effect::Unselected),
        }
    }

    /// An error if the target already had the key, and the policy for conflicts is to stop.
    pub(crate) fn stop_at(&self, (db, key): (DbIndex, &[u8])) -> Result<(), TranslateError> {
        match self.rules.selection.stops_at(db, key) {
            true => Err(TranslateError::Conflict { key: shown(key), db }),
            false => Ok(()),
        }
    }

    /// Writes the command that loads a library of functions and replaces one of the same name. Writes nothing and returns
    /// false if the target has no functions (Redis before 7.0).
    pub fn function(&mut self, source: &[u8], out: &mut Output<'_>) -> bool {
        let known = self.target.has(Ability::Functions);
        if known {
            // Functions belong to the server, not to a database.
            let tag = CommandFacts::data(DbIndex(0)).tag();
            out.commands.push_keyed(&[b"FUNCTION", b"LOAD", b"REPLACE", source], 0..0, tag);
        }
        known
    }

    /// Handles a named property of the stream. The definition of a search index is a loss.
    ///
    /// # Errors
    /// [`TranslateError::Unsupported`] under [`crate::Policy::Fail`].
    pub fn aux(&mut self, name: &[u8], value: &[u8]) -> Result<Effect, TranslateError> {
        match name {
            b"search-index" | b"search-synonyms" => {
                let index = value.split(|byte| *byte == b' ').next().unwrap_or_default();
                self.lose(Loss::Search, &Place { what: "the index", key: index, db: DbIndex(0) })
            }
            _ => Ok(Effect::Nothing),
        }
    }

    /// Counts the attributes of a key that only Dragonfly has.
    fn attributes(&mut self, header: &KeyHeader, baseline: &Baseline<'_>) -> Result<(), TranslateError> {
        if header.sticky {
            self.lose(Loss::Sticky, &baseline.place())?;
        }
        if header.memcache_flags.is_some() {
            self.lose(Loss::MemcacheFlags, &baseline.place())?;
        }
        Ok(())
    }

    /// Writes a whole value, from the snapshot or from a RESTORE record.
    pub(crate) fn baseline(
        &mut self,
        baseline: &Baseline<'_>,
        value: &RawValue,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        if let Some(loss) = self.unheld(value.kind()) {
            return self.leave_out(loss, baseline, out);
        }
        self.forget_members((baseline.db, baseline.key), out.commands);
        if is_due(baseline.expire_at, out.now) {
            self.delete(baseline, out);
            return Ok(Effect::Written);
        }
        let form = self.form_of(baseline.db, baseline.key);
        let is_string = value.kind() == ValueKind::String;
        if value.kind() == ValueKind::Json {
            return self.json_document(baseline, value, out);
        }
        match (form, plan(value, &self.target.format)) {
            (Form::Cheapest | Form::Commands, _) if is_string => self.string(baseline, value, out),
            (Form::Cheapest | Form::Restore, Plan::Verbatim | Plan::Reencode) => {
                self.restore(baseline, value, out)
            }
            (_, Plan::Commands) | (Form::Commands, _) => self.commands(baseline, value, out),
        }
    }

    fn string(
        &mut self,
        baseline: &Baseline<'_>,
        value: &RawValue,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let Some(element) = value.elements().next() else { return Ok(Effect::Nothing) };
        let Element::String(text) = element.map_err(|error| baseline.damaged(error))? else {
            return Ok(Effect::Nothing);
        };
        let mut digits = IntBuffer::new();
        Ok(self.text(baseline, text.as_bytes(&mut digits), out))
    }

    /// Writes a string with these bytes.
    pub(crate) fn text(&mut self, baseline: &Baseline<'_>, text: &[u8], out: &mut Output<'_>) -> Effect {
        self.select(baseline.db, out.commands);
        let mut set = out.commands.start(if baseline.expire_at.is_some() { 5 } else { 3 });
        set.arg(b"SET").key(baseline.key).arg(text);
        if let Some(at) = baseline.expire_at {
            set.arg(b"PXAT").int(at.0);
        }
        let is_plain = baseline.expire_at.is_none() && self.marks_plain_sets();
        set.finish_with(CommandFacts::value(baseline.db).idempotent().plain_set(is_plain).tag());
        Effect::Written
    }

    fn restore(
        &mut self,
        baseline: &Baseline<'_>,
        value: &RawValue,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let mut payload = Vec::with_capacity(value.payload().len() + 16);
        match write_dump(value, &self.target.format, &mut payload).map_err(|error| baseline.damaged(error))? {
            Plan::Commands => return self.commands(baseline, value, out),
            Plan::Verbatim | Plan::Reencode => {}
        }
        self.select(baseline.db, out.commands);
        let expire_at = baseline.expire_at.map_or(0, |at| at.0);
        let mut restore = out.commands.start(6);
        restore
            .arg(b"RESTORE")
            .key(baseline.key)
            .int(expire_at)
            .arg(&payload)
            .arg(b"REPLACE")
            .arg(b"ABSTTL")
            .finish_with(CommandFacts::value(baseline.db).idempotent().tag());
        Ok(Effect::Written)
    }

    /// What is lost of a value of this kind, if the target cannot hold it.
    pub(crate) fn unheld(&self, kind: ValueKind) -> Option<Loss> {
        let json = self.target.has(Ability::Json) || self.rules.policies.json_as_string();
        Loss::of(kind).filter(|loss| *loss != Loss::Json || !json)
    }

    /// Leaves a value out. Later changes to a sketch are then left out too. The positions of its bits depend on the
    /// source's hash function (protocol section 7.6.8), so no module can use its content.
    fn leave_out(
        &mut self,
        loss: Loss,
        baseline: &Baseline<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let effect = self.lose(loss, &baseline.place())?;
        // What the target has under that name is not the source's value.
        self.delete(baseline, out);
        let held = Ability::OF_MODULES.iter().any(|(a, _)| self.target.has(*a) && Loss::without(*a) == loss);
        if held {
            self.note_left_out((baseline.db, baseline.key), out.commands);
        }
        Ok(effect)
    }

    /// Writes a document as a document, or as its text.
    fn json_document(
        &mut self,
        baseline: &Baseline<'_>,
        value: &RawValue,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let mut text = Vec::with_capacity(value.payload().len());
        for element in value.elements() {
            if let Element::Json(part) = element.map_err(|error| baseline.damaged(error))? {
                text.extend_from_slice(part.as_bytes(&mut IntBuffer::new()));
            }
        }
        let facts = CommandFacts::value(baseline.db);
        if self.target.has(Ability::Json) {
            self.delete(baseline, out);
            self.write(facts, &[b"JSON.SET", baseline.key, b"$", &text], 1..2, out.commands);
        } else {
            self.write(facts, &[b"SET", baseline.key, &text], 1..2, out.commands);
        }
        elements::write_expiry(baseline.destination(), baseline.expire_at, out.commands);
        Ok(Effect::Written)
    }

    /// Writes a value by the commands that a client would send. The old value is deleted first, and readers see the new one
    /// grow.
    fn commands(
        &mut self,
        baseline: &Baseline<'_>,
        value: &RawValue,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let mut effect = Effect::Written;
        let expires = self.loses_ttl(value).map_err(|error| baseline.damaged(error))?;
        if expires && !self.emulates() {
            effect = self.lose(Loss::MemberTtl, &baseline.place())?;
        }
        if loses_pending(value).map_err(|error| baseline.damaged(error))? {
            effect = self.lose(Loss::Pending, &baseline.place())?;
        }
        self.select(baseline.db, out.commands);
        let start = out.commands.len();
        self.delete(baseline, out);
        let place = (baseline.db, baseline.key);
        let beside = (expires && self.emulates()).then(|| self.watch_members(place, out.commands));
        let due = beside.as_ref().map(|beside| Destination::side_key(baseline.db, &beside.expiry));
        let rules = self.element_rules(due, out.now);
        let written = elements::write(baseline.destination(), value.elements(), rules, out.commands);
        let earliest = match written {
            Ok(written) => written.earliest,
            Err(error) => {
                out.commands.truncate(start);
                return Err(baseline.damaged(error));
            }
        };
        if let Some(beside) = &beside {
            let due = Destination::side_key(baseline.db, &beside.expiry);
            elements::write_expiry(due, baseline.expire_at, out.commands);
            elements::write_due(baseline.db, beside, earliest, out.commands);
        }
        elements::write_expiry(baseline.destination(), baseline.expire_at, out.commands);
        Ok(effect)
    }

    fn delete(&mut self, baseline: &Baseline<'_>, out: &mut Output<'_>) {
        self.write(CommandFacts::data(baseline.db), &[b"DEL", baseline.key], 1..2, out.commands);
    }

    pub(crate) fn element_rules<'a>(
        &self,
        beside: Option<Destination<'a>>,
        now: UnixMillis,
    ) -> elements::Rules<'a> {
        elements::Rules {
            now,
            field_ttl: self.has_field_ttl(),
            counters: self.target.has(Ability::StreamCounters),
            beside,
            rebuild: None,
        }
    }

    /// Whether a member or field has an expiry that the target cannot keep.
    fn loses_ttl(&self, value: &RawValue) -> Result<bool, ValueError> {
        for element in value.elements() {
            if elements::loses_ttl(&element?, self.has_field_ttl()) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Whether a stream has pending entries that are deleted from it, which no command creates.
fn loses_pending(value: &RawValue) -> Result<bool, ValueError> {
    if value.kind() != ValueKind::Stream {
        return Ok(false);
    }
    // In ascending order.
    let mut entries = Vec::new();
    for element in value.elements() {
        match element? {
            Element::StreamEntry(entry) => entries.push(entry.id()),
            Element::StreamTail(tail) => {
                let mut pending = tail.groups.iter().flat_map(|group| &group.pending);
                return Ok(pending.any(|pending| entries.binary_search(&pending.id).is_err()));
            }
            _ => {}
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use dfly_rdb::payload::TargetFormat;
    use dfly_rdb::{Family, KeyHeader, TypeId};
    use dfly_wire::UnixMillis;
    use redis_resp::{CommandBatch, EncodedCommand};

    use super::*;
    use crate::policy::Policy;
    use crate::target::Target;
    use crate::translator::Rules;

    fn redis(major: u16, minor: u16) -> Target {
        Target::plain(TargetFormat { family: Family::Redis, version: (major, minor) })
    }

    fn names(form: Form, type_id: TypeId, payload: &'static [u8]) -> Vec<String> {
        let mut translator = Translator::new(redis(7, 0), Rules::from(Policy::Fail)).with_form(form);
        let mut commands = CommandBatch::default();
        let header = KeyHeader { key: "k".into(), ..KeyHeader::default() };
        let entry = Entry { header, value: RawValue::new(type_id, Bytes::from_static(payload)) };
        let mut out = Output { commands: &mut commands, now: UnixMillis(0) };
        assert_eq!(translator.entry(&entry, &mut out), Ok(Effect::Written));
        commands.iter().map(EncodedCommand::name).collect()
    }

    #[test]
    fn forms() {
        let (text, list): (&[u8], &[u8]) = (b"\x01v", b"\x01\x01v");
        for (form, string, list_form) in [
            (Form::Cheapest, "SET", &["RESTORE"][..]),
            (Form::Restore, "RESTORE", &["RESTORE"]),
            (Form::Commands, "SET", &["DEL", "RPUSH"]),
        ] {
            assert_eq!(names(form, TypeId::String, text), [string], "{form:?}");
            assert_eq!(names(form, TypeId::List, list), list_form, "{form:?}");
        }
        // Redis 7.0 has no payload that can hold it.
        let hash = b"\x01\x01f\x01v\xff\xff\xff\xff\xff\xff\xff\xff";
        assert_eq!(names(Form::Restore, TypeId::HashValkey, hash), ["DEL", "HSET"]);
    }

    #[test]
    fn functions() {
        let mut commands = CommandBatch::default();
        let mut out = Output { commands: &mut commands, now: UnixMillis(0) };
        let source = b"#!lua name=l\nredis.call()";
        assert!(!Translator::new(redis(6, 2), Rules::from(Policy::Fail)).function(source, &mut out));
        assert!(Translator::new(redis(7, 0), Rules::from(Policy::Fail)).function(source, &mut out));
        assert_eq!(commands.len(), 1);
        let words: Vec<&[u8]> = commands.command(0).unwrap().arguments().collect();
        assert_eq!(words, [&b"FUNCTION"[..], b"LOAD", b"REPLACE", source]);
    }
}
