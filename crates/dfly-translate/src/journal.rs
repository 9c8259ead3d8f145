//! Journal records into commands.

use dfly_journal::{Args, Command};
use dfly_rdb::payload::parse_dump;
use dfly_wire::UnixMillis;

use crate::error::{TranslateError, shown};
use crate::policy::Loss;
use crate::script::{self, Script};
use crate::snapshot::Baseline;
use crate::table::{CommandSpec, Rule, lookup};
use crate::translator::{Effect, Flush, Output, Place, Translator};

impl Translator {
    /// Writes the commands that carry out one record. The time is that of its arrival.
    ///
    /// # Errors
    /// [`TranslateError`]; nothing of the record is written then.
    pub fn record(&mut self, record: &Command, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        let spec = lookup(record.args.name());
        let place = place(record, spec);
        match spec {
            Some(spec) if record.args.len() < spec.least_args => self.lose(Loss::Malformed, &place),
            Some(spec) => self.apply(spec.rule, &Received { record, place }, out),
            None => self.lose(Loss::Unknown, &place),
        }
    }

    fn apply(
        &mut self,
        rule: Rule,
        r: &Received<'_>,
        out: &mut Output<'_>,
    ) -> Result<Effect, TranslateError> {
        match rule {
            Rule::Verbatim => Ok(self.verbatim(r, out)),
            Rule::Store => self.store(r, out),
            Rule::Set => self.set(r, out),
            Rule::IncrByFloat => Ok(self.script(&script::INCRBYFLOAT, r, out)),
            Rule::HIncrByFloat => Ok(self.script(&script::HINCRBYFLOAT, r, out)),
            Rule::Prepend => Ok(self.script(&script::PREPEND, r, out)),
            Rule::Rename => Ok(self.script(&script::RENAME, r, out)),
            Rule::RenameNx => Ok(self.script(&script::RENAMENX, r, out)),
            Rule::Restore => self.restore_record(r, out),
            Rule::DelEx if r.args().len() == 2 => Ok(self.push(r, &[b"DEL", r.arg(1)], out)),
            Rule::DelEx => self.lose(Loss::Form, &r.place),
            Rule::SAddEx => self.saddex(r, out),
            Rule::HSetEx => self.hsetex(r, out),
            Rule::HExpire => self.hexpire(r, out),
            Rule::FieldExpire | Rule::HGetEx => self.lose(Loss::MemberTtl, &r.place),
            Rule::Nothing => Ok(Effect::Nothing),
            Rule::Stick => self.lose(Loss::Sticky, &r.place),
            Rule::Lost(loss) => self.lose(loss, &r.place),
            Rule::FlushAll => Ok(Effect::Flush(Flush::All)),
            Rule::FlushDb => Ok(Effect::Flush(Flush::Db(r.record.db))),
            Rule::DflyCluster => self.lose(Loss::FlushSlots, &r.place),
        }
    }

    fn verbatim(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        self.select(r.record.db, out.commands);
        let mut command = out.commands.start(r.args().len());
        for arg in r.args() {
            command.arg(arg);
        }
        command.finish();
        Effect::Written
    }

    fn push(&mut self, r: &Received<'_>, words: &[&[u8]], out: &mut Output<'_>) -> Effect {
        self.select(r.record.db, out.commands);
        out.commands.push(words);
        Effect::Written
    }

    /// A script with the record's arguments.
    fn script(&mut self, script: &Script, r: &Received<'_>, out: &mut Output<'_>) -> Effect {
        self.select(r.record.db, out.commands);
        let mut command = out.commands.start(r.args().len() + 2);
        command.arg(b"EVAL").arg(script.text.as_bytes()).int(script.keys);
        for arg in r.args().iter().skip(1) {
            command.arg(arg);
        }
        command.finish();
        Effect::Written
    }

    /// A command that stores its result under another key. A master with several shards journals only the keys of the
    /// flow's own shard when source and destination are apart (protocol section 3.9).
    fn store(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        let stores =
            |arg: &[u8]| arg.eq_ignore_ascii_case(b"STORE") || arg.eq_ignore_ascii_case(b"STOREDIST");
        match (r.args().len(), r.args().name()) {
            (2, _) => self.lose(Loss::Truncated, &r.place),
            (_, b"SORT" | b"GEORADIUS" | b"GEORADIUSBYMEMBER") if !r.args().iter().any(stores) => {
                Ok(Effect::Nothing)
            }
            _ => Ok(self.verbatim(r, out)),
        }
    }

    fn set(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        let mut words: Vec<&[u8]> = Vec::with_capacity(r.args().len());
        words.extend(r.args().iter().take(3));
        let (mut effect, mut options) = (Effect::Written, r.args().iter().skip(3));
        while let Some(option) = options.next() {
            match option {
                b"KEEPTTL" => words.push(option),
                b"PXAT" => words.extend([Some(option), options.next()].into_iter().flatten()),
                b"STICK" => effect = self.lose(Loss::Sticky, &r.place)?,
                b"_MCFLAGS" => {
                    options.next();
                    effect = self.lose(Loss::MemcacheFlags, &r.place)?;
                }
                _ => return self.lose(Loss::Form, &r.place),
            }
        }
        self.push(r, &words, out);
        Ok(effect)
    }

    /// `RESTORE key ttl payload [REPLACE] [ABSTTL] [STICK] [IDLETIME s] [FREQ n]`. The payload may come from any
    /// producer, so it is read and written anew for the target. It succeeded on the source, so it replaces here.
    fn restore_record(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        let Some(ttl) = number(r.arg(2)) else { return self.lose(Loss::Malformed, &r.place) };
        let has = |option: &[u8]| r.args().iter().skip(4).any(|arg| arg.eq_ignore_ascii_case(option));
        let expire_at = match ttl {
            0 => None,
            ttl if has(b"ABSTTL") => Some(UnixMillis(ttl)),
            ttl => Some(UnixMillis(out.now.0.saturating_add(ttl))),
        };
        let (key, db) = (r.arg(1), r.record.db);
        let value = match parse_dump(r.args().shared(3).unwrap_or_default()) {
            Ok(value) => value,
            Err(error) => {
                let damaged = |_unsupported| TranslateError::Dump { key: shown(key), db, error };
                return self.lose(Loss::Malformed, &r.place).map_err(damaged);
            }
        };
        let effect = self.baseline(&Baseline { db, key, expire_at }, &value, out)?;
        if has(b"STICK") { self.lose(Loss::Sticky, &r.place).map(|_counted| effect) } else { Ok(effect) }
    }

    /// `SADDEX key [KEEPTTL] seconds member...`.
    fn saddex(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        let members = if r.arg(2).eq_ignore_ascii_case(b"KEEPTTL") { 4 } else { 3 };
        if r.args().len() <= members {
            return self.lose(Loss::Malformed, &r.place);
        }
        let effect = self.lose(Loss::MemberTtl, &r.place)?;
        let words: Vec<&[u8]> =
            [&b"SADD"[..], r.arg(1)].into_iter().chain(r.args().iter().skip(members)).collect();
        self.push(r, &words, out);
        Ok(effect)
    }

    /// Dragonfly's `HSETEX key seconds field value...`; the forms with a condition, and Redis 8's with FIELDS, have no
    /// equal on every target.
    fn hsetex(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        let fields = if r.arg(2).eq_ignore_ascii_case(b"KEEPTTL") { 4 } else { 3 };
        let Some(seconds) = number(r.arg(fields - 1)) else { return self.lose(Loss::Form, &r.place) };
        if r.args().len() <= fields || !(r.args().len() - fields).is_multiple_of(2) {
            return self.lose(Loss::Malformed, &r.place);
        }
        let keeps = self.has_field_ttl() && fields == 3;
        let effect = if keeps { Effect::Written } else { self.lose(Loss::MemberTtl, &r.place)? };
        let pairs = r.args().iter().skip(fields);
        let words: Vec<&[u8]> = [&b"HSET"[..], r.arg(1)].into_iter().chain(pairs.clone()).collect();
        self.push(r, &words, out);
        if keeps {
            self.field_expiry(r, FieldExpiry { seconds, fields: pairs.step_by(2).collect() }, out);
        }
        Ok(effect)
    }

    /// `HEXPIRE key seconds [NX|XX|GT|LT] FIELDS n field...`.
    fn hexpire(&mut self, r: &Received<'_>, out: &mut Output<'_>) -> Result<Effect, TranslateError> {
        let (Some(seconds), true) = (number(r.arg(2)), r.arg(3).eq_ignore_ascii_case(b"FIELDS")) else {
            return self.lose(Loss::Form, &r.place);
        };
        if !self.has_field_ttl() {
            return self.lose(Loss::MemberTtl, &r.place);
        }
        self.field_expiry(r, FieldExpiry { seconds, fields: r.args().iter().skip(5).collect() }, out);
        Ok(Effect::Written)
    }

    fn field_expiry(&mut self, r: &Received<'_>, expiry: FieldExpiry<'_>, out: &mut Output<'_>) {
        self.select(r.record.db, out.commands);
        let at = out.now.0.saturating_add(expiry.seconds.saturating_mul(1000));
        let mut command = out.commands.start(5 + expiry.fields.len());
        command
            .arg(b"HPEXPIREAT")
            .arg(r.arg(1))
            .int(at)
            .arg(b"FIELDS")
            .arg(expiry.fields.len().to_string().as_bytes());
        for field in expiry.fields {
            command.arg(field);
        }
        command.finish();
    }
}

/// Fields that expire some seconds after the record's arrival.
struct FieldExpiry<'a> {
    seconds: i64,
    fields: Vec<&'a [u8]>,
}

/// A record, and what is said of it when it cannot be carried out.
struct Received<'a> {
    record: &'a Command,
    place: Place<'a>,
}

impl<'a> Received<'a> {
    fn args(&self) -> &'a Args {
        &self.record.args
    }

    /// Argument `index`; empty when there is none.
    fn arg(&self, index: usize) -> &'a [u8] {
        self.record.args.get(index).unwrap_or_default()
    }
}

fn place<'a>(record: &'a Command, spec: Option<&CommandSpec>) -> Place<'a> {
    let what = std::str::from_utf8(record.args.name()).unwrap_or("a command");
    let key = spec.and_then(|spec| record.args.get(spec.keys.first()?));
    Place { what, key: key.unwrap_or_default(), db: record.db }
}

fn number(text: &[u8]) -> Option<i64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
