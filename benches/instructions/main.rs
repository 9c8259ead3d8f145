//! How many instructions does each hot path need, for the same input every time?
//!
//! Expected: the same number to the third digit whenever the code, the compiler and the processor are the same, whatever else the
//! machine does. `make bench-instructions` compares with the numbers in `baseline.json` and fails if one has risen by more
//! than 3 %. What is prepared for a path, and what is dropped behind it, is not counted; neither is the kernel. Time is what the
//! other benches measure: fewer instructions are not always less time.

#![expect(clippy::expect_used, reason = "a bench that cannot run has no result")]
#![expect(missing_docs, reason = "the macros make public functions of the benches")]
#![expect(unused_qualifications, reason = "the macros write whole paths")]

use std::hint::black_box;

use bytes::BytesMut;
use df2redis_benches::{logs, streams};
use dfly_journal::{Lsn, Record, TxId, encode};
use dfly_rdb::payload::{TargetFormat, write_dump};
use dfly_rdb::{Config, Decoder, Event, Family, RawValue};
use dfly_translate::{Output, Policy, Rules, Target, Translator};
use dfly_wire::{Step, UnixMillis};
use gungraun::{Callgrind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use redis_resp::CommandBatch;
use redis_slots::{KeySpec, Route, SLOTS, SlotOwners, SlotTable};
use relay_log::RelayLog;
use tempfile::TempDir;

/// Records, commands and keys of a bench.
const MANY: u32 = 50_000;

/// Commands that are taken from a batch at a time, as a writer does.
const BATCH: usize = 512;

/// What goes into the relay log, in bytes.
const LOGGED: usize = 16 << 20;

const fn redis(major: u16, minor: u16) -> TargetFormat {
    TargetFormat { family: Family::Redis, version: (major, minor) }
}

/// Bytes of a source, and what turns them into commands.
#[derive(Debug)]
pub struct Flow {
    bytes: BytesMut,
    translator: Translator,
    commands: CommandBatch,
}

impl Flow {
    fn new(bytes: &[u8]) -> Self {
        let translator = Translator::new(Target::plain(redis(7, 0)), Rules::from(Policy::Fail));
        Self { bytes: BytesMut::from(bytes), translator, commands: CommandBatch::default() }
    }

    fn take_if_many(&mut self) {
        if self.commands.len() >= BATCH {
            black_box(self.commands.take());
        }
    }
}

fn snapshot_of(items: fn() -> Vec<u8>) -> Flow {
    Flow::new(&streams::stream(&items()))
}

fn strings() -> Vec<u8> {
    streams::entries(0, |key, out| streams::string(&streams::text(key, 100), out))
}

#[library_benchmark]
#[bench::strings(args = (strings), setup = snapshot_of)]
#[bench::listpack_hashes(args = (streams::listpack_hashes), setup = snapshot_of)]
#[bench::plain_hashes(args = (streams::plain_hashes), setup = snapshot_of)]
#[bench::quicklists(args = (streams::quicklists), setup = snapshot_of)]
fn snapshot_to_commands(mut flow: Flow) -> Flow {
    let mut decoder = Decoder::new(Config::default());
    while let Ok(Step::Ready(event)) = decoder.decode(&mut flow.bytes) {
        if let Event::Entry(entry) = &event {
            let mut out = Output { commands: &mut flow.commands, now: UnixMillis(0) };
            flow.translator.entry(entry, &mut out).expect("a value that a Redis 7.0 can hold");
        }
        flow.take_if_many();
    }
    assert!(decoder.is_finished());
    flow
}

fn journal_of(words: fn(u32) -> Vec<String>) -> Flow {
    let mut records = Vec::new();
    for n in 0..MANY {
        let words = words(n);
        let words: Vec<&[u8]> = words.iter().map(String::as_bytes).collect();
        encode::command(TxId(n.into()), &words, &mut records);
    }
    Flow::new(&records)
}

fn key(n: u32) -> String {
    format!("key:{:08}", n.wrapping_mul(7919) % 50_000)
}

fn set(n: u32) -> Vec<String> {
    vec!["SET".to_owned(), key(n), format!("{n:0100}")]
}

fn increment(n: u32) -> Vec<String> {
    vec!["INCRBY".to_owned(), key(n), "1".to_owned()]
}

fn hash(n: u32) -> Vec<String> {
    vec!["HSET".to_owned(), key(n), format!("field:{}", n % 50), format!("value-{n:020}")]
}

#[library_benchmark]
#[bench::set(args = (set), setup = journal_of)]
#[bench::increment(args = (increment), setup = journal_of)]
#[bench::hash(args = (hash), setup = journal_of)]
fn journal_to_commands(mut flow: Flow) -> Flow {
    let mut decoder = dfly_journal::Decoder::stream(Lsn(1));
    while let Ok(Step::Ready(record)) = decoder.decode(&mut flow.bytes) {
        if let Record::Command(command) = &record {
            let mut out = Output { commands: &mut flow.commands, now: UnixMillis(0) };
            flow.translator.record(command, &mut out).expect("a record that is known");
        }
        flow.take_if_many();
    }
    assert_eq!(decoder.next_lsn(), Some(Lsn(u64::from(MANY) + 1)));
    flow
}

fn keys() -> Vec<Vec<u8>> {
    (0..MANY).map(|n| key(n).into_bytes()).collect()
}

#[library_benchmark(setup = keys)]
fn command_encoding(keys: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let (mut commands, value) = (CommandBatch::default(), [b'v'; 100]);
    for key in &keys {
        commands.start(3).arg(b"SET").key(key).arg(&value).finish_with(1);
        if commands.len() >= BATCH {
            black_box(commands.take());
        }
    }
    keys
}

/// Values, and the release that is to hold them.
#[derive(Debug)]
pub struct Payloads {
    values: Vec<RawValue>,
    target: TargetFormat,
}

fn values_of(items: fn() -> Vec<u8>, target: TargetFormat) -> Payloads {
    Payloads { values: streams::values(&items()), target }
}

#[library_benchmark]
#[bench::strings_unchanged(args = (strings, redis(7, 0)), setup = values_of)]
#[bench::listpack_hashes_unchanged(args = (streams::listpack_hashes, redis(7, 0)), setup = values_of)]
#[bench::listpack_hashes_written_again(args = (streams::listpack_hashes, redis(6, 2)), setup = values_of)]
fn payload_with_checksum(payloads: Payloads) -> Payloads {
    let mut out = Vec::new();
    for value in &payloads.values {
        out.clear();
        write_dump(value, &payloads.target, &mut out).expect("a value that the target can hold");
        black_box(&out);
    }
    payloads
}

/// Keys, and a cluster of three nodes in ranges of ten slots.
#[derive(Debug)]
pub struct Routing {
    keys: Vec<Vec<u8>>,
    table: SlotTable,
}

fn slots() -> Routing {
    let ranges = (0..SLOTS).step_by(10);
    let owners: SlotOwners<u16> =
        ranges.map(|start| (start..=start.saturating_add(9).min(SLOTS - 1), start / 10 % 3)).collect();
    Routing { keys: keys(), table: SlotTable::new(&owners).expect("an owner of every slot") }
}

#[library_benchmark(setup = slots)]
fn slot_routing(routing: Routing) -> Routing {
    for key in &routing.keys {
        let Route::Slot(slot) = KeySpec::FIRST.route(&[b"SET", key.as_slice(), b"value"]) else { continue };
        black_box(routing.table.owner(slot));
    }
    routing
}

/// An empty log, its folder, and what is appended.
#[derive(Debug)]
pub struct Logging {
    log: RelayLog,
    body: Vec<u8>,
    _folder: TempDir,
}

fn logging(size: usize) -> Logging {
    let folder = logs::folder();
    Logging { log: logs::open(&folder), body: (0..=u8::MAX).cycle().take(size).collect(), _folder: folder }
}

#[library_benchmark]
#[bench::small_frames(args = (256), setup = logging)]
#[bench::large_frames(args = (64 << 10), setup = logging)]
fn relay_log_append(mut logging: Logging) -> Logging {
    for position in (0..).take(LOGGED / logging.body.len()) {
        logs::append(&mut logging.log, position, &logging.body);
    }
    logging.log.sync().expect("space");
    logging
}

library_benchmark_group!(
    name = hot_paths,
    benchmarks = [
        snapshot_to_commands,
        journal_to_commands,
        command_encoding,
        payload_with_checksum,
        slot_routing,
        relay_log_append
    ]
);

main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = hot_paths
);
