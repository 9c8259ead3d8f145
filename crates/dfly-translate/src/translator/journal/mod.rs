//! Translates journal records into commands.

mod keys;
mod lists;
mod members;
mod modules;
mod select;
mod slots;
mod streams;
mod strings;

use std::ops::Range;

use dfly_journal::{Args, Command};
use dfly_wire::DbIndex;
use redis_resp::CommandWriter;

use crate::error::TranslateError;
use crate::facts::CommandFacts;
use crate::names::ReservedNames;
use crate::policy::Loss;
use crate::refetch::{Reason, RefetchRequest};
use crate::script::{self, Script};
use crate::table::{CommandSpec, Rule, lookup};
use crate::translator::{Effect, Flush, Output, Place, Translator, flushed_slots};

pub(crate) use modules::is_root;

impl Translator {
    /// Writes the commands that carry out one record. [`Output::now`] is the time of its arrival.
    ///
    /// # Errors
    /// [`TranslateError`]. Nothing of the record is written in that case.
    pub fn record(&mut self, record: &Command, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        let effect = self.translate(record, out);
        self.first_halves.follow(record);
        effect
    }

    /// The same for a record that waited while later ones of the flow were carried out.
    ///
    /// # Errors
    /// As [`Self::record`].
    pub fn waiting_record(
        &mut self,
        record: &Command,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        let effect = self.translate(record, out);
        self.first_halves.follow_waiting(record);
        effect
    }

    fn translate(&mut self, record: &Command, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        let Some(spec) = lookup(record.args.name()) else {
            return self.lose(Loss::Unknown, &place(record, None));
        };
        if record.args.len() < spec.least_args {
            return self.lose(Loss::Malformed, &place(record, Some(spec)));
        }
        if self.selects || may_name_reserved(&record.args) {
            return self.selected(record, spec, out);
        }
        self.in_slots(&Received::new(record, record, spec), out)
    }

    /// Translates a record that has the target's names and only selected keys.
    fn in_slots(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        match r.spec.rule {
            Rule::Nothing | Rule::FlushAll => {}
            // The target has no data in that database.
            Rule::FlushDb if r.db().0 >= self.target.databases() => return Ok(Effect::Nothing),
            _ => self.check_db(&Place { db: r.db(), ..r.place() })?,
        }
        if self.target.is_cluster()
            && (r.spec.keys.is_many() || matches!(r.spec.rule, Rule::Store | Rule::SortStore))
        {
            return self.split_by_slot(r, out);
        }
        self.carry_out(r, out)
    }

    /// Translates a record whose keys may all be used in one command.
    fn carry_out(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        if self.notes.is_empty() {
            return self.apply(r, out);
        }
        self.with_notes(r, out)
    }

    fn apply(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        if self.rules.refetched_records.contains(r.spec.name) {
            return self.again_or_lose(Reason::Refused, Loss::Refused, r);
        }
        match r.spec.rule {
            Rule::Verbatim => Ok(self.verbatim(r, out)),
            Rule::Push => Ok(self.push_elements(r, out)),
            Rule::LRem => Ok(self.lrem(r, out)),
            Rule::LexRange if self.follows_possible_signs() => {
                Ok(self.script(&script::ZREMRANGEBYLEX, r, out))
            }
            Rule::LexRange => Ok(self.verbatim(r, out)),
            Rule::Store => self.store(r, out),
            Rule::SortStore => self.sort_store(r, out),
            Rule::PExpireAt => Ok(self.pexpireat(r, out)),
            Rule::StoreAll => self.store_all(r, out),
            Rule::Set => self.set(r, out),
            Rule::ZAdd => Ok(self.zadd(r, out)),
            Rule::IncrByFloat => Ok(self.script(&script::INCRBYFLOAT, r, out)),
            Rule::HIncrByFloat if self.has_field_ttl() => {
                Ok(self.script(&script::HINCRBYFLOAT_KEEPING, r, out))
            }
            Rule::HIncrByFloat => Ok(self.script(&script::HINCRBYFLOAT, r, out)),
            Rule::Prepend => Ok(self.script(&script::PREPEND, r, out)),
            Rule::Rename => Ok(self.rename(&script::RENAME, r, out)),
            Rule::RenameNx => Ok(self.rename(&script::RENAMENX, r, out)),
            Rule::Move => self.move_key(r, out),
            Rule::Restore => self.restore_record(r, out),
            Rule::DelEx => self.delex(r, out),
            Rule::Pops => self.again_or_lose(Reason::Form, Loss::Form, r),
            Rule::SAddEx => self.saddex(r, out),
            Rule::HSetEx => self.hsetex(r, out),
            Rule::HExpire => self.hexpire(r, out),
            Rule::FieldExpire => self.fieldexpire(r, out),
            Rule::HGetEx => self.hgetex(r, out),
            Rule::XClaim => Ok(self.xclaim(r, out)),
            Rule::XGroup => Ok(self.xgroup(r, out)),
            Rule::StreamCounters => Ok(self.stream_counters(r, out)),
            Rule::Json => self.json(r, out),
            Rule::JsonSet => self.json_set(r, out),
            Rule::Sketch => self.sketch(r, out),
            Rule::CmsMerge => self.cms_merge(r, out),
            Rule::Nothing => Ok(Effect::Nothing),
            Rule::Stick => self.lose(Loss::Sticky, &r.place()),
            Rule::Lost(loss) => self.lose(loss, &r.place()),
            Rule::FlushAll => Ok(Effect::Flush(Flush::All)),
            Rule::FlushDb => self.flush_db(r),
            Rule::DflyCluster if self.rules.refetches && flushed_slots(r.args()).is_some() => {
                Ok(Effect::FlushSlots)
            }
            Rule::DflyCluster => self.lose(Loss::FlushSlots, &r.place()),
        }
    }

    /// FLUSHDB. It is a loss if other databases of the source share the target's database.
    fn flush_db(&mut self, r: &Received<'_>) -> Result<Effect, TranslateError> {
        if self.rules.selection.dbs.is_shared(r.db()) && !self.rules.selection.dbs.is_identity() {
            return self.lose(Loss::Form, &r.place());
        }
        Ok(Effect::Flush(Flush::Db(r.origin.db)))
    }

    fn verbatim(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        self.select(r.db(), out.commands);
        let command = out.commands.start(r.args().len());
        let facts = CommandFacts::data(r.db()).of_words(r.args());
        match r.spec.stores() {
            false => write_args(command, r.args(), r.key_positions(), facts),
            true => write_args(command, r.args(), r.spec.key_positions(&r.words()), facts),
        }
        Effect::Written
    }

    /// Writes a command with these words in the record's database. The words at the positions `keys` are its keys.
    fn push(
        &mut self,
        r: &Received<'_>,
        words: &[&[u8]],
        keys: Range<usize>,
        out: &mut Output<'_>,
    ) -> Effect {
        self.write(CommandFacts::data(r.db()), words, keys, out.commands);
        Effect::Written
    }

    /// Writes a script with the record's arguments.
    fn script(&mut self, script: &Script, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        self.select(r.db(), out.commands);
        let mut command = out.commands.start(r.args().len() + 2);
        command.arg(b"EVAL").arg(script.text.as_bytes()).int(i64::from(script.keys));
        let mut args = r.args().iter().skip(1);
        for key in args.by_ref().take(usize::from(script.keys)) {
            command.key(key);
        }
        for arg in args {
            command.arg(arg);
        }
        command.finish_with(CommandFacts::data(r.db()).tag());
        Effect::Written
    }

    /// Requests a refetch of the record's keys. If refetches are not served, the record is a loss.
    fn again_or_lose(
        &mut self,
        reason: Reason,
        loss: Loss,
        r: &Received<'_>,
    ) -> Result<Effect, TranslateError> {
        if !self.rules.refetches {
            return self.lose(loss, &r.place());
        }
        Ok(self.read_all_again(reason, r))
    }

    fn read_again(&mut self, reason: Reason, (db, key): (DbIndex, &[u8])) {
        if self.rules.selection.takes(db, key) {
            self.queue(RefetchRequest { db, key: key.to_vec().into(), reason });
        }
    }
}

/// A record as the source wrote it (`origin`), and as it is for the target (`record`).
pub(super) struct Received<'a> {
    pub origin: &'a Command,
    pub record: &'a Command,
    pub spec: &'static CommandSpec,
}

impl<'a> Received<'a> {
    fn new(origin: &'a Command, record: &'a Command, spec: &'static CommandSpec) -> Self {
        Self { origin, record, spec }
    }

    pub(super) fn args(&self) -> &'a Args {
        &self.record.args
    }

    /// The database on the target.
    pub(super) fn db(&self) -> DbIndex {
        self.record.db
    }

    /// Argument `index`; empty if there is none.
    fn arg(&self, index: usize) -> &'a [u8] {
        self.record.args.get(index).unwrap_or_default()
    }

    /// The positions of its keys. Not for commands that may [`store`](CommandSpec::stores) a result.
    fn key_positions(&self) -> impl Iterator<Item = usize> + use<> {
        self.spec.keys.positions_among(self.args().len(), |at| self.args().get(at))
    }

    fn words(&self) -> Vec<&'a [u8]> {
        self.record.args.iter().collect()
    }

    /// The keys on the source, with their databases.
    fn origin_keys(&self) -> Vec<(DbIndex, &'a [u8])> {
        let words: Vec<&[u8]> = self.origin.args.iter().collect();
        let named = self.spec.named_keys(self.origin.db, &words).into_iter();
        named.filter_map(|key| Some((key.db, words.get(key.at).copied()?))).collect()
    }

    /// What messages say about the record if it cannot be carried out.
    fn place(&self) -> Place<'a> {
        place(self.origin, Some(self.spec))
    }
}

/// Whether an argument has a reserved name. It need not be a key.
fn may_name_reserved(args: &Args) -> bool {
    args.iter().skip(1).any(ReservedNames::is_reserved)
}

/// Writes the arguments of a record, and marks those at the ascending positions `keys` as keys.
fn write_args(
    mut command: CommandWriter<'_>,
    args: &Args,
    keys: impl IntoIterator<Item = usize>,
    facts: CommandFacts,
) {
    let mut keys = keys.into_iter();
    let mut next = keys.next();
    for (at, arg) in args.iter().enumerate() {
        if next == Some(at) {
            command.key(arg);
            next = keys.next();
        } else {
            command.arg(arg);
        }
    }
    command.finish_with(facts.tag());
}

fn place<'a>(record: &'a Command, spec: Option<&CommandSpec>) -> Place<'a> {
    let what = std::str::from_utf8(record.args.name()).unwrap_or("a command");
    let key = spec.and_then(|spec| record.args.get(spec.keys.first()?));
    Place { what, key: key.unwrap_or_default(), db: record.db }
}

pub(crate) fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
