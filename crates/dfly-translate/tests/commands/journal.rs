//! Records as the journal decoder returns them, and their translation by one flow.

use bytes::Bytes;
use dfly_journal::{Command, Decoder, Record, TxId, encode};
use dfly_rdb::Family;
use dfly_rdb::payload::TargetFormat;
use dfly_translate::{Ability, Effect, Output, Rules, Target, TranslateError, Translator};
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::CommandBatch;

pub(crate) const NOW: UnixMillis = UnixMillis(4_000_000_000_000);

pub(crate) fn redis(major: u16, minor: u16) -> Target {
    Target::plain(TargetFormat { family: Family::Redis, version: (major, minor) })
}

/// The target with every ability that a module provides.
pub(crate) fn with_modules(target: Target) -> Target {
    Ability::OF_MODULES.into_iter().fold(target, |target, (ability, _)| target.with(ability))
}

/// A record as the journal decoder returns it.
pub(crate) fn record(db: u32, txid: u64, args: &[&[u8]]) -> Command {
    let mut wire = Vec::new();
    encode::select(DbIndex(db), &mut wire);
    encode::command(TxId(txid), args, &mut wire);
    let mut records = Vec::new();
    Decoder::blobs().decode_blob(Bytes::from(wire), &mut records).unwrap();
    match records.pop() {
        Some(Record::Command(command)) => command,
        other => panic!("{other:?}"),
    }
}

pub(crate) fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(str::as_bytes).collect()
}

/// A translator and what it has written.
pub(crate) struct Flow {
    pub translator: Translator,
    pub batch: CommandBatch,
}

impl Flow {
    pub(crate) fn new(target: Target, rules: impl Into<Rules>) -> Self {
        let rules: Rules = rules.into();
        Self { translator: Translator::new(target, rules), batch: CommandBatch::default() }
    }

    pub(crate) fn apply(&mut self, db: u32, line: &str) -> Result<Effect, TranslateError> {
        self.apply_at(&record(db, 0, &words(line)), NOW)
    }

    pub(crate) fn apply_at(&mut self, record: &Command, now: UnixMillis) -> Result<Effect, TranslateError> {
        self.translator.record(record, &mut Output { commands: &mut self.batch, now })
    }

    /// The commands so far, one line each. Their facts are checked.
    pub(crate) fn lines(&self) -> Vec<String> {
        crate::facts::check(&self.batch, self.translator.target().is_cluster());
        self.batch.iter().map(|command| shown(&command.arguments().collect::<Vec<_>>())).collect()
    }
}

/// A command as `cases.txt` writes it.
pub(crate) fn shown(words: &[&[u8]]) -> String {
    let show = |word: &&[u8]| match word {
        [] => "(empty)".to_owned(),
        word if word.starts_with(b"\x10\x0d") => "PAYLOAD".to_owned(),
        word => String::from_utf8_lossy(word).replace(' ', "_"),
    };
    match words {
        [b"EVAL", script, _keys, rest @ ..] => {
            let rest: Vec<String> = rest.iter().map(show).collect();
            format!("{} {}", script_name(script), rest.join(" "))
        }
        words => words.iter().map(show).collect::<Vec<_>>().join(" "),
    }
}

/// The name of a script, by a text that only that script contains.
fn script_name(script: &[u8]) -> &'static str {
    let script = std::str::from_utf8(script).unwrap();
    let names = [
        ("'XADD',KEYS[2]", "MOVE-ENTRIES-SCRIPT"),
        ("ipairs", "SWEEP-ALL-SCRIPT"),
        ("stopped early", "LREM-SCRIPT"),
        ("been left out", "SET-KEEPTTL-SCRIPT"),
        ("the scores differ", "ZREMRANGEBYLEX-SCRIPT"),
        ("may have ignored", "ZADD-SCRIPT"),
        ("repeat local due", "SWEEP-SCRIPT"),
        ("at>0 then", "HINCRBYFLOAT-KEEPING-SCRIPT"),
        ("HPEXPIRETIME", "HSETEX-SCRIPT"),
        ("HPERSIST", "EXPIRE-MEMBERS-SCRIPT"),
        ("'SADD',KEYS[1],ARGV[i]", "SADDEX-SCRIPT"),
        ("'RENAME',KEYS[3],KEYS[4]", "MOVE-MEMBERS-SCRIPT"),
        ("'MOVE',KEYS[1]", "MOVE-SCRIPT"),
        ("'HGET',KEYS[1]", "HINCRBYFLOAT-SCRIPT"),
        ("local function text", "INCRBYFLOAT-SCRIPT"),
        ("..(redis.call('GET'", "PREPEND-SCRIPT"),
        ("'RENAMENX',KEYS[1]", "RENAMENX-SCRIPT"),
        ("'RENAME',KEYS[1]", "RENAME-SCRIPT"),
        ("==ARGV[2]", "DELEX-SCRIPT"),
    ];
    names.iter().find(|(part, _)| script.contains(part)).unwrap().1
}

/// A real DUMP payload of a Dragonfly: a hash of one field, type 16, footer version 9.
pub(crate) fn payload() -> Vec<u8> {
    let mut payload = b"\x10\x0d\x0d\x00\x00\x00\x02\x00\x81f\x02\x81v\x02\xff\x09\x00".to_vec();
    payload.extend(dfly_wire::crc64::checksum(&payload).to_le_bytes());
    payload
}
