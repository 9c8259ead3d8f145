//! From journal bytes to target commands, a line a case.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation must stop the test"
)]

use bytes::Bytes;
use dfly_journal::{Command, Decoder, Record, encode};
use dfly_rdb::Family;
use dfly_rdb::payload::TargetFormat;
use dfly_translate::{Effect, Flush, Loss, Output, Policy, TranslateError, Translator, specs};
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::{CommandBatch, arguments};

const REDIS_7_0: TargetFormat = TargetFormat { family: Family::Redis, version: (7, 0) };
const REDIS_7_4: TargetFormat = TargetFormat { family: Family::Redis, version: (7, 4) };
const NOW: UnixMillis = UnixMillis(1_000_000);

/// A record as it comes out of the journal decoder.
fn record(db: u32, args: &[&[u8]]) -> Command {
    let mut wire = Vec::new();
    encode::select(DbIndex(db), &mut wire);
    encode::command(Default::default(), args, &mut wire);
    let mut records = Vec::new();
    Decoder::blobs().decode_blob(Bytes::from(wire), &mut records).unwrap();
    match records.pop() {
        Some(Record::Command(command)) => command,
        other => panic!("{other:?}"),
    }
}

fn words(line: &str) -> Vec<&[u8]> {
    line.split(' ').map(str::as_bytes).collect()
}

struct Case {
    translator: Translator,
    batch: CommandBatch,
}

impl Case {
    fn new(target: TargetFormat, policy: Policy) -> Self {
        Self { translator: Translator::new(target, policy), batch: CommandBatch::default() }
    }

    fn apply(&mut self, record: &Command) -> Result<Effect, TranslateError> {
        self.translator.record(record, &mut Output { commands: &mut self.batch, now: NOW })
    }

    /// The commands so far, scripts shown as `SCRIPT`.
    fn commands(&self) -> Vec<String> {
        let show = |i| {
            let mut words: Vec<String> =
                arguments(self.batch.command(i).unwrap()).map(|w| w.escape_ascii().to_string()).collect();
            if words[0] == "EVAL" {
                words[1] = "SCRIPT".into();
            }
            words.join(" ")
        };
        (0..self.batch.len()).map(show).collect()
    }
}

/// One record to a Redis 7.0 that leaves out what it cannot hold.
fn check(line: &str, expected: &[&str], effect: Effect) {
    let mut case = Case::new(REDIS_7_0, Policy::Skip);
    assert_eq!(case.apply(&record(0, &words(line))).unwrap(), effect, "{line}");
    assert_eq!(case.commands(), expected, "{line}");
}

#[test]
fn what_a_redis_knows_passes_unchanged() {
    for line in [
        "APPEND k v",
        "BITFIELD k SET u8 0 1",
        "DECR k",
        "DEL a b",
        "GEOADD k 1 2 p",
        "GEORADIUS a 1 2 3 km STORE b",
        "GETDEL k",
        "HINCRBY k f 2",
        "LINSERT k BEFORE a b",
        "LPOP k",
        "LTRIM k 0 1",
        "MOVE k 3",
        "MSET a 1 b 2",
        "PERSIST k",
        "PEXPIREAT k 99",
        "PFADD k a",
        "SMOVE a b m",
        "SORT a STORE b",
        "XADD k MINID 1-0 1-1 f v",
        "XAUTOCLAIM k g c 0 0",
        "XCLAIM k g c 0 1-1 TIME 9 RETRYCOUNT 1 FORCE JUSTID LASTID 1-1",
        "XGROUP SETID k g 1-1 ENTRIESREAD 2",
        "ZADD k XX INCR 5 a",
        "ZPOPMIN k 2",
        "ZRANGESTORE d s 0 1",
    ] {
        check(line, &[line], Effect::Written);
    }
}

/// P15: no word of Dragonfly's dialect reaches the target.
#[test]
fn the_dialect_becomes_what_a_redis_knows() {
    use Effect::{Lost, Nothing, Written};
    check("SET k v", &["SET k v"], Written);
    check("SET k v KEEPTTL", &["SET k v KEEPTTL"], Written);
    check("SET k v PXAT 99 STICK", &["SET k v PXAT 99"], Lost(Loss::Sticky));
    check("SET k v _MCFLAGS 7", &["SET k v"], Lost(Loss::MemcacheFlags));
    check("SET k v NX", &[], Lost(Loss::Form));
    check("PREPEND k v", &["EVAL SCRIPT 1 k v"], Written);
    check("INCRBYFLOAT k 0.1", &["EVAL SCRIPT 1 k 0.1"], Written);
    check("HINCRBYFLOAT k f 0.1", &["EVAL SCRIPT 1 k f 0.1"], Written);
    check("RENAME a b", &["EVAL SCRIPT 2 a b"], Written);
    check("RENAMENX a b", &["EVAL SCRIPT 2 a b"], Written);
    check("DELEX k", &["DEL k"], Written);
    check("DELEX k IFEQ v", &[], Lost(Loss::Form));
    check("SADDEX k 60 a b", &["SADD k a b"], Lost(Loss::MemberTtl));
    check("SADDEX k KEEPTTL 60 a b", &["SADD k a b"], Lost(Loss::MemberTtl));
    check("HSETEX k 60 f v g w", &["HSET k f v g w"], Lost(Loss::MemberTtl));
    check("HSETEX k KEEPTTL 60 f v", &["HSET k f v"], Lost(Loss::MemberTtl));
    check("HSETEX k FNX EX 60 FIELDS 1 f v", &[], Lost(Loss::Form));
    check("HSETEX k 60 f v g", &[], Lost(Loss::Malformed));
    check("HEXPIRE k 60 FIELDS 1 f", &[], Lost(Loss::MemberTtl));
    check("FIELDEXPIRE k 60 f", &[], Lost(Loss::MemberTtl));
    check("STICK a b", &[], Lost(Loss::Sticky));
    check("SHRINK k", &[], Nothing);
    check("PING", &[], Nothing);
    check("SCRIPT LOAD x", &[], Nothing);
    check("GEORADIUS k 1 2 3 km", &[], Nothing);
}

/// Where the target keeps expiries of fields, relative times count from the record's arrival (P16).
#[test]
fn field_expiries_are_absolute() {
    let mut case = Case::new(REDIS_7_4, Policy::Fail);
    case.apply(&record(0, &words("HSETEX h 60 f v g w"))).unwrap();
    case.apply(&record(0, &words("HEXPIRE h 5 FIELDS 2 f g"))).unwrap();
    let expected =
        ["HSET h f v g w", "HPEXPIREAT h 1060000 FIELDS 2 f g", "HPEXPIREAT h 1005000 FIELDS 2 f g"];
    assert_eq!(case.commands(), expected);
}

#[test]
fn what_a_redis_has_not_is_named() {
    for (line, loss) in [
        ("JSON.SET k $ 1", Loss::Json),
        ("BF.ADD k a", Loss::Bloom),
        ("CF.ADD k a", Loss::Cuckoo),
        ("CMS.MERGE a", Loss::CountMinSketch),
        ("TOPK.ADD k a", Loss::TopK),
        ("FT.CREATE i", Loss::Search),
        ("CL.THROTTLE k 1 2 3", Loss::Throttle),
        ("SORT a", Loss::Truncated),
        ("GEORADIUS a", Loss::Truncated),
        ("DFLYCLUSTER FLUSHSLOTS 0 1", Loss::FlushSlots),
        ("NOSUCHCOMMAND k", Loss::Unknown),
        ("SET k", Loss::Malformed),
        ("RESTORE k soon x", Loss::Malformed),
    ] {
        check(line, &[], Effect::Lost(loss));
        let mut strict = Case::new(REDIS_7_0, Policy::Fail);
        let error = strict.apply(&record(3, &words(line))).unwrap_err().to_string();
        assert!(error.contains("in database 3") && error.contains(loss.name()), "{error}");
        assert!(strict.batch.is_empty(), "{line}: nothing is written");
    }
}

/// Every record of the table, in every length from its name alone, is either carried out or named; nothing else is
/// disturbed.
#[test]
fn every_command_of_the_table_in_every_length() {
    for spec in specs() {
        for len in 1..=8 {
            let args: Vec<&[u8]> =
                std::iter::once(spec.name.as_bytes()).chain([&b"1"[..]; 7]).take(len).collect();
            let mut case = Case::new(REDIS_7_0, Policy::Skip);
            case.apply(&record(0, &words("SET before 1"))).unwrap();
            match case.apply(&record(0, &args)) {
                Ok(Effect::Lost(Loss::Malformed)) => assert_eq!(case.batch.len(), 1, "{} {len}", spec.name),
                Ok(_) => assert!(len >= spec.least_args, "{} with {len} words", spec.name),
                Err(error) => panic!("{} {len}: {error}", spec.name),
            }
            assert_eq!(case.commands()[0], "SET before 1");
        }
    }
}

/// P11: databases are kept, with one SELECT for each change.
#[test]
fn databases() {
    let mut case = Case::new(REDIS_7_0, Policy::Fail);
    for (db, line) in [(0, "INCR a"), (3, "INCR b"), (3, "INCR c"), (0, "INCR d")] {
        case.apply(&record(db, &words(line))).unwrap();
    }
    assert_eq!(case.commands(), ["INCR a", "SELECT 3", "INCR b", "INCR c", "SELECT 0", "INCR d"]);
}

#[test]
fn flushes_are_left_to_the_barrier() {
    let mut case = Case::new(REDIS_7_0, Policy::Fail);
    assert_eq!(case.apply(&record(3, &words("FLUSHALL SYNC"))).unwrap(), Effect::Flush(Flush::All));
    assert_eq!(case.apply(&record(3, &words("FLUSHDB"))).unwrap(), Effect::Flush(Flush::Db(DbIndex(3))));
    assert!(case.batch.is_empty());
    Flush::Db(DbIndex(3)).write(&mut case.translator, &mut case.batch);
    Flush::All.write(&mut case.translator, &mut case.batch);
    assert_eq!(case.commands(), ["SELECT 3", "FLUSHDB", "FLUSHALL"]);
}

/// A real DUMP payload of a Dragonfly: a hash of one field, type 16, footer version 9.
fn payload() -> Vec<u8> {
    let mut payload = b"\x10\x0d\x0d\x00\x00\x00\x02\x00\x81f\x02\x81v\x02\xff\x09\x00".to_vec();
    payload.extend(dfly_wire::crc64::checksum(&payload).to_le_bytes());
    payload
}

#[test]
fn restores_are_written_anew() {
    let payload = payload();
    let restore = |target, line: &str| {
        let mut args = words(line);
        args[3] = &payload;
        let mut case = Case::new(target, Policy::Skip);
        case.apply(&record(0, &args)).unwrap();
        case.commands()
            .into_iter()
            .map(|c| {
                c.split(' ')
                    .map(|w| if w.contains("\\x") { "PAYLOAD" } else { w }.to_owned())
                    .collect::<Vec<_>>()
                    .join(" ")
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(restore(REDIS_7_0, "RESTORE k 0 P REPLACE ABSTTL"), ["RESTORE k 0 PAYLOAD REPLACE ABSTTL"]);
    assert_eq!(
        restore(REDIS_7_0, "RESTORE k 2000000 P ABSTTL STICK"),
        ["RESTORE k 2000000 PAYLOAD REPLACE ABSTTL"]
    );
    assert_eq!(
        restore(REDIS_7_0, "RESTORE k 500 P"),
        ["RESTORE k 1000500 PAYLOAD REPLACE ABSTTL"],
        "relative"
    );
    assert_eq!(restore(REDIS_7_0, "RESTORE k 999 P ABSTTL"), ["DEL k"], "expired on the way");
}
