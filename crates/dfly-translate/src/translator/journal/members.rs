//! Expiries of members and fields. Redis has expiries for fields only, and only since 7.4 (Valkey 9). If the target does
//! not, due times are kept beside the key (`notes.rs`). Relative times count from the record's arrival and are written as
//! absolute times (P16).

use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::CommandBatch;

use super::modules::whole_documents;
use super::{Received, number};
use crate::error::TranslateError;
use crate::facts::CommandFacts;
use crate::policy::Loss;
use crate::refetch::Reason;
use crate::script;
use crate::table::{Members, Rule};
use crate::translator::notes::Beside;
use crate::translator::{Effect, Output, Translator};

/// A new expiry for members.
struct Expiry<'a> {
    /// `None` if they no longer expire.
    due: Option<UnixMillis>,
    /// NX, XX, GT, LT or nothing.
    condition: &'a [u8],
    members: Vec<&'a [u8]>,
}

/// `HSETEX` in either of its two syntaxes.
struct HSetEx<'a> {
    /// NX for each field; FNX or FXX for all of them; or nothing.
    condition: Vec<u8>,
    keeps: bool,
    due: Option<UnixMillis>,
    pairs: Vec<&'a [u8]>,
}

impl Translator {
    /// Translates a record when some keys have notes.
    pub(super) fn with_notes(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let words = r.words();
        let keys: Vec<&[u8]> =
            r.spec.key_positions(&words).into_iter().filter_map(|at| words.get(at).copied()).collect();
        if self.changes_left_out(r, &keys) {
            return self.again_or_lose(Reason::Refused, Loss::Refused, r);
        }
        let start = out.commands.len();
        for key in &keys {
            self.sweep_key((r.db(), key), out);
        }
        if let (Rule::Rename | Rule::RenameNx, [from, to]) = (r.spec.rule, keys.as_slice()) {
            self.move_notes(r, (from, to), out);
        }
        let effect = self.apply(r, out).inspect_err(|_| out.commands.truncate(start))?;
        self.follow(r, &keys, out);
        Ok(effect)
    }

    /// Removes the members of a key that were due before the record arrived. On the source, they no longer existed.
    fn sweep_key(&mut self, (db, key): (DbIndex, &[u8]), out: &mut Output<'_>) {
        if self.notes.is_expiring(db, key) {
            let beside = self.notes.beside(key);
            self.select(db, out.commands);
            let mut sweep = out.commands.start(8);
            sweep.arg(b"EVAL").arg(script::SWEEP.as_bytes()).int(3);
            sweep.key(key).key(&beside.expiry).key(&beside.registry).arg(&beside.member);
            sweep.int(out.now.0).finish_with(CommandFacts::data(db).tag());
        }
    }

    /// Moves the notes of a key that is renamed.
    fn move_notes(&mut self, r: &Received<'_>, (from, to): (&[u8], &[u8]), out: &mut Output<'_>) {
        let db = r.db();
        if from == to {
            return;
        }
        if self.notes.take_in(db, from) {
            self.note_left_out((db, to), out.commands);
        } else {
            self.notes.take_in(db, to);
        }
        if !self.notes.is_expiring(db, from) && !self.notes.is_expiring(db, to) {
            return;
        }
        let (old, new) = (self.notes.beside(from), self.notes.beside(to));
        let only_new: &[u8] = if r.spec.rule == Rule::RenameNx { b"1" } else { b"0" };
        let keys = [from, to, &old.expiry, &new.expiry, &old.registry, &new.registry];
        let head = [&b"EVAL"[..], script::MOVE_MEMBERS.as_bytes(), b"6"];
        let words = [&head[..], &keys[..], &[&old.member, &new.member, only_new]].concat();
        self.write(CommandFacts::data(db), &words, 3..9, out.commands);
        // Both names are watched, because a rename that does nothing leaves the due times where they were.
        self.notes.watch(db, to);
    }

    /// Writes what the record changes beside its keys, after its own commands.
    fn follow(&mut self, r: &Received<'_>, keys: &[&[u8]], out: &mut Output<'_>) {
        let db = r.db();
        match r.spec.members {
            Members::Kept | Members::Moved => {}
            Members::Replaced => {
                let documents = whole_documents(&r.words());
                let written = match r.spec.rule {
                    // The source keys of a stored result do not change.
                    Rule::Store => keys.get(..1).unwrap_or_default(),
                    Rule::SortStore => keys.get(1..).unwrap_or_default(),
                    // DELEX is conditional, and RESTORE updates the notes itself.
                    Rule::DelEx | Rule::Restore => &[],
                    // A part of a document replaces no value.
                    Rule::Json | Rule::JsonSet => &documents,
                    _ => keys,
                };
                for key in written {
                    self.forget_members((db, key), out.commands);
                }
            }
            Members::Removed => self.forget_some(r, 1, out),
            Members::Written => self.forget_some(r, 2, out),
            Members::Expiry => self.expire_beside(r, out),
        }
    }

    /// Removes the due times of the members in every `step`-th argument from 2 on.
    fn forget_some(&mut self, r: &Received<'_>, step: usize, out: &mut Output<'_>) {
        if self.notes.is_expiring(r.db(), r.arg(1)) {
            let beside = self.notes.beside(r.arg(1));
            let members = r.args().iter().skip(2).step_by(step);
            let words: Vec<&[u8]> = [&b"ZREM"[..], &beside.expiry].into_iter().chain(members).collect();
            self.write(CommandFacts::side_key(r.db()), &words, 1..2, out.commands);
        }
    }

    /// Gives the due times beside a key the same expiry as the key.
    fn expire_beside(&mut self, r: &Received<'_>, out: &mut Output<'_>) {
        if self.notes.is_expiring(r.db(), r.arg(1)) {
            let beside = self.notes.beside(r.arg(1));
            let rest = r.args().iter().skip(2);
            let words: Vec<&[u8]> = [r.arg(0), &beside.expiry].into_iter().chain(rest).collect();
            self.write(CommandFacts::side_key(r.db()), &words, 1..2, out.commands);
        }
    }

    /// `SADDEX key [KEEPTTL] seconds member...`.
    pub(super) fn saddex(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let keeps = r.arg(2).eq_ignore_ascii_case(b"KEEPTTL");
        let seconds = if keeps { 3 } else { 2 };
        let members: Vec<&[u8]> = r.args().iter().skip(seconds + 1).collect();
        let (Some(due), false) = (due(r.arg(seconds), Unit::SECONDS, out.now), members.is_empty()) else {
            return self.lose(Loss::Malformed, &r.place());
        };
        if !self.emulates() {
            let effect = self.lose(Loss::MemberTtl, &r.place())?;
            self.push(r, &[&[&b"SADD"[..], r.arg(1)], &members[..]].concat(), 1..2, out);
            return Ok(effect);
        }
        let beside = self.watch_members((r.db(), r.arg(1)), out.commands);
        let options = [if keeps { &b"1"[..] } else { b"0" }.to_vec(), text(due)];
        self.member_script((r, &beside), (script::SADDEX, &options, &members), out.commands);
        Ok(Effect::Written)
    }

    /// `HSETEX key [NX|FNX|FXX] [KEEPTTL] seconds field value...` and
    /// `HSETEX key [FNX|FXX] [EX s|PX ms|EXAT s|PXAT ms|KEEPTTL] FIELDS n field value...`.
    pub(super) fn hsetex(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let Some(set) = parse_hsetex(&r.words(), out) else {
            return self.again_or_lose(Reason::Form, Loss::Malformed, r);
        };
        let native = self.has_field_ttl();
        if !native && !self.emulates() {
            let plain = set.condition.is_empty();
            let effect = self.lose(if plain { Loss::MemberTtl } else { Loss::Form }, &r.place())?;
            if plain {
                self.push(r, &[&[&b"HSET"[..], r.arg(1)], &set.pairs[..]].concat(), 1..2, out);
            }
            return Ok(effect);
        }
        let beside = match native {
            true => self.notes.beside(r.arg(1)),
            false => self.watch_members((r.db(), r.arg(1)), out.commands),
        };
        let flag = |is: bool| if is { b"1".to_vec() } else { b"0".to_vec() };
        let due = set.due.map(text).unwrap_or_default();
        let options = [flag(native), set.condition, flag(set.keeps), due];
        self.member_script((r, &beside), (script::HSETEX, &options, &set.pairs), out.commands);
        Ok(Effect::Written)
    }

    /// `HEXPIRE key seconds [NX|XX|GT|LT] FIELDS n field...`.
    pub(super) fn hexpire(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let plain = r.arg(3).eq_ignore_ascii_case(b"FIELDS");
        let (condition, fields) = if plain { (&b""[..], 5) } else { (r.arg(3), 6) };
        let members = r.args().iter().skip(fields).collect();
        match due(r.arg(2), Unit::SECONDS, out.now) {
            Some(at) => self.expire_members(r, &Expiry { due: Some(at), condition, members }, out),
            None => self.again_or_lose(Reason::Form, Loss::Malformed, r),
        }
    }

    /// `FIELDEXPIRE key seconds field...`, of hashes and of sets.
    pub(super) fn fieldexpire(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let members = r.args().iter().skip(3).collect();
        match due(r.arg(2), Unit::SECONDS, out.now) {
            Some(at) => self.expire_members(r, &Expiry { due: Some(at), condition: b"", members }, out),
            None => self.again_or_lose(Reason::Form, Loss::Malformed, r),
        }
    }

    /// `HGETEX key [EX s|PX ms|EXAT s|PXAT ms|PERSIST] FIELDS n field...`.
    pub(super) fn hgetex(
        &mut self,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let option = r.arg(2).to_ascii_uppercase();
        let (due, fields) = match option.as_slice() {
            b"FIELDS" => return Ok(Effect::Nothing),
            b"PERSIST" => (None, 5),
            unit => match Unit::named(unit).and_then(|unit| due(r.arg(3), unit, out.now)) {
                Some(at) => (Some(at), 6),
                None => return self.again_or_lose(Reason::Form, Loss::Malformed, r),
            },
        };
        let members = r.args().iter().skip(fields).collect();
        self.expire_members(r, &Expiry { due, condition: b"", members }, out)
    }

    fn expire_members(
        &mut self,
        r: &Received<'_>,
        expiry: &Expiry<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let native = self.has_field_ttl();
        if !self.emulates() && (!native || r.spec.rule == Rule::FieldExpire) {
            return self.lose(Loss::MemberTtl, &r.place());
        }
        let place = (r.db(), r.arg(1));
        // A hash on a target that removes fields itself never has due times beside it; a set may.
        let beside = match native && r.spec.rule != Rule::FieldExpire {
            true => self.notes.beside(r.arg(1)),
            false => self.watch_members(place, out.commands),
        };
        let native = if native { b"1".to_vec() } else { b"0".to_vec() };
        let due = expiry.due.map(text).unwrap_or_default();
        let options = [text(out.now), native, due, expiry.condition.to_ascii_uppercase()];
        self.member_script((r, &beside), (script::EXPIRE_MEMBERS, &options, &expiry.members), out.commands);
        Ok(Effect::Written)
    }

    /// Writes a script on the record's key, its due times and the registry.
    fn member_script(
        &mut self,
        (r, beside): (&Received<'_>, &Beside),
        (script, options, members): (&str, &[Vec<u8>], &[&[u8]]),
        out: &mut CommandBatch,
    ) {
        self.select(r.db(), out);
        let mut command = out.start(7 + options.len() + members.len());
        command.arg(b"EVAL").arg(script.as_bytes()).int(3);
        command.key(r.arg(1)).key(&beside.expiry).key(&beside.registry).arg(&beside.member);
        for option in options {
            command.arg(option);
        }
        for member in members {
            command.arg(member);
        }
        command.finish_with(CommandFacts::data(r.db()).tag());
    }
}

/// The unit of a time.
#[derive(Clone, Copy)]
struct Unit {
    millis: i64,
    absolute: bool,
}

impl Unit {
    const SECONDS: Self = Self { millis: 1000, absolute: false };

    fn named(option: &[u8]) -> Option<Self> {
        let (millis, absolute) = match option {
            b"EX" => (1000, false),
            b"PX" => (1, false),
            b"EXAT" => (1000, true),
            b"PXAT" => (1, true),
            _ => return None,
        };
        Some(Self { millis, absolute })
    }
}

/// When members are due (D2). The source counts whole seconds: the time that is left, rounded up, from the second of its clock
/// on in which it carried the command out. So an absolute time in milliseconds may be rounded either way.
fn due(time: &[u8], unit: Unit, now: UnixMillis) -> Option<UnixMillis> {
    let time = number(time)?.saturating_mul(unit.millis);
    let left = if unit.absolute { time.saturating_sub(now.0) } else { time };
    let seconds = left.div_euclid(1000).saturating_add(i64::from(left.rem_euclid(1000) > 0));
    Some(UnixMillis(now.0.div_euclid(1000).saturating_add(seconds).saturating_mul(1000)))
}

fn text(at: UnixMillis) -> Vec<u8> {
    at.0.to_string().into_bytes()
}

fn parse_hsetex<'a>(words: &[&'a [u8]], out: &Output<'_>) -> Option<HSetEx<'a>> {
    let mut set = HSetEx { condition: Vec::new(), keeps: false, due: None, pairs: Vec::new() };
    let mut rest = words.get(2..)?.iter();
    loop {
        let word = rest.next()?.to_ascii_uppercase();
        match word.as_slice() {
            b"NX" | b"FNX" | b"FXX" => set.condition = word,
            b"KEEPTTL" => set.keeps = true,
            b"FIELDS" => {
                rest.next()?;
                break;
            }
            other => match Unit::named(other) {
                Some(unit) => set.due = Some(due(rest.next()?, unit, out.now)?),
                None => {
                    set.due = Some(due(other, Unit::SECONDS, out.now)?);
                    break;
                }
            },
        }
    }
    set.pairs = rest.copied().collect();
    (!set.pairs.is_empty() && set.pairs.len().is_multiple_of(2)).then_some(set)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// D2: at every tenth of a second.
    #[test]
    fn due_times_lie_on_whole_seconds_of_the_source() {
        let at = |now: i64, time: &str, option: &[u8]| {
            let unit = Unit::named(option).unwrap();
            due(time.as_bytes(), unit, UnixMillis(now)).unwrap().0
        };
        for tenth in 0..10 {
            let now = 7_000 + tenth * 100;
            assert_eq!(at(now, "1", b"EX"), 8_000, "{now}");
            assert_eq!(at(now, "1500", b"PX"), 9_000, "{now}");
            assert_eq!(at(now, "9", b"EXAT"), 9_000, "{now}");
            for (time, turns_at) in [("9100", 1), ("9400", 4), ("9900", 9)] {
                let due = if tenth < turns_at { 10_000 } else { 9_000 };
                assert_eq!(at(now, time, b"PXAT"), due, "{time} at {now}");
            }
        }
    }
}
