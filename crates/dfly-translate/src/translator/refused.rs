//! Values that the target has refused: as a payload, or in every form.

use std::collections::BTreeMap;

use bytes::Bytes;
use dfly_wire::DbIndex;

use super::journal::Received;
use crate::facts::CommandFacts;
use crate::table::Rule;
use crate::translator::{Form, Output, Translator};

/// So many refused values show that the target takes no payloads. All values are written by commands from then on.
const MOST: usize = 64;

/// The forms in which the target has refused a value.
#[derive(Debug, Clone, Copy, Default)]
struct Refused {
    payload: bool,
    commands: bool,
}

/// The keys of the target whose values it has refused.
#[derive(Debug, Default)]
pub(crate) struct RefusedValues(BTreeMap<(DbIndex, Bytes), Refused>);

impl RefusedValues {
    fn is_full(&self) -> bool {
        self.0.len() >= MOST
    }

    fn of(&self, db: DbIndex, key: &[u8]) -> Refused {
        match self.0.is_empty() {
            true => Refused::default(),
            false => self.0.get(&(db, Bytes::copy_from_slice(key))).copied().unwrap_or_default(),
        }
    }

    fn note(&mut self, db: DbIndex, key: &[u8]) -> Option<&mut Refused> {
        let name = (db, Bytes::copy_from_slice(key));
        let has_room = !self.is_full() || self.0.contains_key(&name);
        has_room.then(|| self.0.entry(name).or_default())
    }
}

impl Translator {
    /// The target has refused a value: as a payload, or a command of it. From now on it is written in the other form.
    /// Returns false if there is none that the target has not refused.
    pub fn refuse_value(&mut self, db: DbIndex, key: &[u8], is_payload: bool) -> bool {
        let takes_payload = !self.avoids_payload(db, key);
        let Some(refused) = self.refused.note(db, key) else { return is_payload };
        match is_payload {
            true => refused.payload = true,
            false => refused.commands = true,
        }
        if is_payload { !refused.commands } else { takes_payload }
    }

    /// Whether a value of the target is never written as a payload.
    pub(crate) fn avoids_payload(&self, db: DbIndex, key: &[u8]) -> bool {
        self.rules.without_restore || self.refused.is_full() || self.refused.of(db, key).payload
    }

    /// The form in which a value of the target is written.
    pub(super) fn form_of(&self, db: DbIndex, key: &[u8]) -> Form {
        if self.avoids_payload(db, key) {
            return Form::Commands;
        }
        if self.refused.of(db, key).commands { Form::Restore } else { self.form }
    }

    /// Leaves out the value of a key of the target that the target refuses in every form. Until a record replaces the value,
    /// records of the key have it refetched.
    pub fn leave_out_refused(&mut self, db: DbIndex, key: &[u8], out: &mut Output<'_>) {
        self.forget_members((db, key), out.commands);
        self.write(CommandFacts::data(db), &[b"DEL", key], 1..2, out.commands);
        self.note_left_out((db, key), out.commands);
    }

    /// The key of the target whose value grows, or is rebuilt, under a name of the tool.
    pub fn grows_under(&self, db: DbIndex, name: &[u8]) -> Option<&[u8]> {
        let mut open = self.open.values().filter(|value| value.db() == db);
        open.find(|value| value.grows_under(&self.rules.names, name)).map(|value| value.key())
    }

    /// Whether a record changes a value that was left out, so that only the whole value can be written. Changes to a sketch
    /// that was left out are left out too.
    pub(super) fn changes_left_out(&self, r: &Received<'_>, keys: &[&[u8]]) -> bool {
        let is_of_module = matches!(r.spec.rule, Rule::Json | Rule::JsonSet | Rule::Sketch | Rule::CmsMerge);
        let replaces = matches!(r.spec.rule, Rule::Set | Rule::Restore | Rule::DelEx)
            || matches!(r.args().name(), b"DEL" | b"UNLINK" | b"SETEX" | b"PSETEX" | b"MSET");
        let keeps_expiry = r.args().iter().any(|word| word.eq_ignore_ascii_case(b"KEEPTTL"));
        let moves = matches!(r.spec.rule, Rule::Rename | Rule::RenameNx);
        self.rules.refetches
            && !is_of_module
            && (!replaces || keeps_expiry)
            && !moves
            && keys.iter().any(|key| self.notes.is_left_out(r.db(), key))
    }
}

#[cfg(test)]
mod tests {
    use dfly_rdb::Family;
    use dfly_rdb::payload::TargetFormat;

    use super::*;
    use crate::target::Target;
    use crate::translator::Rules;

    /// C12: a target that refuses many values gets no payloads any more, and no number of keys takes more memory.
    #[test]
    fn many_refused_payloads_stand_for_all() {
        let target = Target::plain(TargetFormat { family: Family::Redis, version: (7, 0) });
        let mut translator = Translator::new(target, Rules::default());
        for n in 0..MOST {
            assert!(!translator.avoids_payload(DbIndex(0), b"other"));
            assert!(translator.refuse_value(DbIndex(0), n.to_string().as_bytes(), true));
        }
        assert!(translator.avoids_payload(DbIndex(0), b"other"));
        assert!(translator.refuse_value(DbIndex(0), b"other", true), "it can be written by commands");
        assert!(!translator.refuse_value(DbIndex(0), b"other", false));
        assert_eq!(translator.refused.0.len(), MOST);
    }

    #[test]
    fn each_form_is_tried_once() {
        let target = Target::plain(TargetFormat { family: Family::Redis, version: (7, 0) });
        let mut translator = Translator::new(target, Rules::default());
        let form = |translator: &Translator| translator.form_of(DbIndex(0), b"k");
        assert!(translator.refuse_value(DbIndex(0), b"k", false));
        assert_eq!(form(&translator), Form::Restore);
        assert!(!translator.refuse_value(DbIndex(0), b"k", true));
        assert!(translator.refuse_value(DbIndex(0), b"l", true));
        assert_eq!(translator.form_of(DbIndex(0), b"l"), Form::Commands);
        assert!(!translator.refuse_value(DbIndex(0), b"l", false));
    }
}
