//! Writes the seeds of every target to `corpus`, made of the recorded snapshots and sessions and of built streams:
//! `cargo run -p df2redis-fuzz --example seeds`.

#![expect(unused, reason = "the tests of dfly-rdb use more of the shared builders")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use bytes::{Bytes, BytesMut};
use dfly_rdb::{Config, Decoder, Entry, Event, Family, Magic, RawValue, TypeId};
use dfly_testkit::Recording;
use dfly_wire::{DbIndex, Step, UnixMillis};
use relay_log::segment::SegmentHeader;
use relay_log::{Appended, Frame, Identity, Options, RelayLog};

#[path = "../../crates/dfly-rdb/tests/it/build.rs"]
mod build;
#[path = "../../crates/dfly-rdb/tests/it/built.rs"]
mod built;

/// The largest seed, in bytes: small inputs are run often.
const LARGEST: usize = 1500;

/// The seeds of all targets, each once.
#[derive(Default)]
struct Corpus(BTreeMap<&'static str, BTreeMap<String, Vec<u8>>>);

impl Corpus {
    fn add(&mut self, target: &'static str, name: &str, bytes: &[u8]) {
        let seeds = self.0.entry(target).or_default();
        let known = seeds.values().any(|seed| seed == bytes);
        if bytes.len() <= LARGEST && !known {
            seeds.insert(slug(name), bytes.to_vec());
        }
    }

    fn write(&self, root: &Path) {
        for (target, seeds) in &self.0 {
            let folder = root.join(target);
            fs::create_dir_all(&folder).unwrap();
            for (name, bytes) in seeds {
                fs::write(folder.join(name), bytes).unwrap();
            }
        }
    }
}

fn slug(name: &str) -> String {
    let text = name.chars().map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' });
    let text: String = text.collect::<String>().to_lowercase();
    text.split('-').filter(|word| !word.is_empty()).collect::<Vec<_>>().join("-")
}

/// A value with where it comes from.
struct Found {
    name: String,
    magic: Magic,
    entry: Entry,
}

fn main() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut corpus = Corpus::default();
    for (name, stream) in built::streams() {
        corpus.add("rdb_split", name, &stream);
        corpus.add("rdb_garbage", name, &stream[9..]);
        let items = stream.get(9..stream.len() - 9).unwrap_or_default();
        for target in ["lz4_blob", "zstd_blob"] {
            corpus.add(target, &format!("items of {name}"), items);
        }
    }
    frames(&mut corpus);
    made_containers(&mut corpus);
    replies(&mut corpus);
    segments(&mut corpus);
    configurations(&here.join("../examples"), &mut corpus);
    requests(&mut corpus);
    topologies(&here.join("../crates/redis-slots/tests/data"), &mut corpus);
    values(&here.join("../crates/dfly-rdb/tests/data/snapshots"))
        .iter()
        .for_each(|found| value(found, &mut corpus));
    built_values().iter().for_each(|found| value(found, &mut corpus));
    journals(&mut corpus);
    corpus.write(&here.join("corpus"));
}

/// Frames of a string and of a repetitive value.
fn frames(corpus: &mut Corpus) {
    let one = build::Build::part().key(0, "k").str("value").0;
    let many = (0..20)
        .fold(build::Build::part().key(4, "k").len(20), |part, i| part.str(format!("field{i}")).str("v"));
    for (name, items) in [("a string", one), ("a hash", many.0)] {
        let lz4 = build::Build::part().lz4(&items).0;
        let head = 1 + if lz4.len() - 2 < 64 { 1 } else { 2 };
        corpus.add("lz4_blob", &format!("frame of {name}"), &lz4[head..]);
        corpus.add("lz4_blob", &format!("block of {name}"), &lz4_flex::block::compress(&items));
        corpus.add("zstd_blob", &format!("frame of {name}"), &zstd::encode_all(&items[..], 1).unwrap());
    }
}

/// Containers with elements of every form.
fn made_containers(corpus: &mut Corpus) {
    let ints = [0, 12, 13, -1, 127, 128, -4096, 4095, 4096, 1 << 15, -(1 << 23), 1 << 23, 1 << 31, i64::MIN];
    let ints: Vec<build::Elem> = ints.into_iter().map(build::Elem::Int).collect();
    let texts = [0, 1, 63, 64, 126, 127, 253, 254];
    let texts: Vec<build::Elem> = texts.into_iter().map(|n| build::Elem::Text(vec![b'a'; n])).collect();
    let hash: Vec<build::Elem> = vec!["field".into(), 1.into(), "other".into(), "2.5".into()];
    for (name, elements) in [("numbers", ints), ("texts", texts), ("pairs", hash), ("nothing", Vec::new())] {
        corpus.add("listpack", name, &build::listpack(&elements));
        corpus.add("ziplist", name, &build::ziplist(&elements));
    }
    for (name, pairs, unused) in
        [("short", &[("f", "v")][..], 0), ("gaps", &[("f", "v"), ("g", "")], 3), ("nothing", &[], 0)]
    {
        corpus.add("zipmap", name, &build::zipmap(pairs, unused));
    }
    let long = "x".repeat(300);
    corpus.add("zipmap", "long value", &build::zipmap(&[("f", &long)], 0));
    for (name, width) in [("two bytes", 2), ("four bytes", 4), ("eight bytes", 8)] {
        corpus.add("intset", name, &build::intset(width, &[-7, 0, 300]));
    }
    for (name, text) in
        [("run", "a".repeat(500)), ("words", "ab cd ab cd ef ab".into()), ("literal", "abcdef".into())]
    {
        let length = u16::try_from(text.len()).unwrap().to_le_bytes();
        corpus.add("lzf", name, &[&length[..], &build::lzf(text.as_bytes())].concat());
    }
}

fn replies(corpus: &mut Corpus) {
    let session = b"+OK\r\n:-42\r\n$-1\r\n*-1\r\n$5\r\nhe\r\no\r\n*2\r\n$1\r\na\r\n*1\r\n:7\r\n-MOVED 1 a:2\r\n$0\r\n\r\n*0\r\n";
    corpus.add("resp_split", "one of each", session);
    for error in [
        "-ASK 3999 127.0.0.1:6381\r\n",
        "-READONLY You can't write against a read only replica.\r\n",
        "-CLUSTERDOWN The cluster is down\r\n",
        "-OOM command not allowed when used memory > 'maxmemory'.\r\n",
        "-LOADING Redis is loading the dataset in memory\r\n",
    ] {
        let name = error.split(' ').next().unwrap();
        corpus.add("resp_split", name, error.as_bytes());
    }
    corpus.add("resp_split", "pipeline of writes", &b"+OK\r\n:1\r\n:0\r\n+OK\r\n".repeat(8));
    for name in Recording::bundled_names().unwrap() {
        let control = Recording::bundled(&name).unwrap().connections.remove(0);
        corpus.add("resp_split", &format!("control connection of {name}"), &control.s2c);
    }
}

/// The examples of configuration files, and forms that they do not show.
fn configurations(examples: &Path, corpus: &mut Corpus) {
    let mut files: Vec<PathBuf> =
        fs::read_dir(examples).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let target = match file.extension().and_then(|ending| ending.to_str()) {
            Some("toml") => "config_toml",
            Some("yaml") => "config_go_tool",
            _ => continue,
        };
        corpus.add(target, file.file_stem().unwrap().to_str().unwrap(), &fs::read(&file).unwrap());
    }
    for (name, text) in [
        (
            "flat",
            "source = 'dragonfly://u:p@h:1,[::1]:2'\ntarget = 'redis+sentinel://:p@a,b/name'\nallow-keys = ['a*']\n",
        ),
        ("tables", "[target]\nurl = 'unix:/s'\ntls.insecure = true\n[limits]\nmax-removals = 7\n"),
        ("set twice", "target-mode = 'cluster'\n[target]\nmode = 'auto'\n"),
        ("unknown key", "sorce = 'dragonfly://h'\n"),
    ] {
        corpus.add("config_toml", name, text.as_bytes());
    }
    for (name, text) in [
        (
            "cluster",
            "source:\n  addr: h:1\n  tls: true\ntarget:\n  type: redis-cluster\n  cluster:\n    seeds: [a:1, b:2]\n",
        ),
        ("conflict", "taskName: t\nconflict:\n  policy: panic\ndashboard:\n  addr: :8080\n"),
        ("unknown key", "source:\n  adr: h:1\n"),
    ] {
        corpus.add("config_go_tool", name, text.as_bytes());
    }
}

/// A request to each path, and some that are refused.
fn requests(corpus: &mut Corpus) {
    let mut add = |name: &str, line: &str, body: &str| {
        let headers = "host: localhost\r\ncontent-type: application/json\r\nconnection: close\r\n";
        let text = format!("{line} HTTP/1.1\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
        corpus.add("api_request", name, text.as_bytes());
    };
    for path in
        ["status", "flows", "history?after=1", "events", "config", "openapi.json", "checks", "cutover"]
    {
        add(path, &format!("GET /api/v1/{path}"), "");
    }
    for (path, body) in [
        ("limits", r#"{"snapshot_bytes_per_second":1}"#),
        ("repair", r#"{"keys":[{"db":0,"key":"k"},{"key_base64":"/w=="}]}"#),
        ("check", r#"{"mode":"full","sample":"1%","keys_per_second":9,"repair":true}"#),
        ("verify", r#"{"keys_per_second":9}"#),
        ("cutover", r#"{"method":"pause","verify":"recent","timeout":1,"patience":2,"dry_run":true}"#),
        ("step/watch", r#"{"keys":[{"key":"k"}],"holds":true}"#),
        ("step/settle", r#"{"watch":1,"before":[1,2],"behind":[3]}"#),
        ("step/release", r#"{"watch":1}"#),
        ("checkpoint", "{}"),
        ("release", "{}"),
        ("accept", "not json"),
    ] {
        add(&format!("post {path}"), &format!("POST /api/v1/{path}"), body);
    }
    add("go tool", "GET /api/sync/summary", "");
    add("delete", "DELETE /api/v1/checks", "");
    corpus.add("api_request", "other origin", b"GET /api/v1/status HTTP/1.1\r\nhost: evil.example\r\n\r\n");
    corpus.add("api_request", "no http", b"\x16\x03\x01\x02\x00");
}

/// What recorded clusters said, and their refusals.
fn topologies(data: &Path, corpus: &mut Corpus) {
    let mut folders: Vec<PathBuf> = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    for folder in folders {
        let mut files: Vec<PathBuf> =
            fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in files {
            let name = |path: &Path| path.file_stem().unwrap().to_str().unwrap().to_owned();
            let server = folder.file_name().unwrap().to_str().unwrap();
            corpus.add("topology", &format!("{server} {}", name(&file)), &fs::read(&file).unwrap());
        }
    }
    let errors = "-MOVED 12182 127.0.0.1:21002\r\n-MOVED 12182 ?:21002\r\n-MOVED 12182 :21002\r\n-ASK 12182 ::1:21001\r\n\
        -TRYAGAIN Multiple keys request during rehashing of slot\r\n-CLUSTERDOWN The cluster is down\r\n";
    corpus.add("topology", "errors", errors.as_bytes());
}

/// The segments of small logs: several frames, frames without records, one that is cut, and a header alone.
fn segments(corpus: &mut Corpus) {
    let body = [b"\x06\x00\x0a\x05\x01\x03\x09\x03SET\x03foo\x03bar".as_slice(); 12].concat();
    for (name, counts) in [("several frames", &[1, 0, 3, 12][..]), ("one frame", &[2]), ("no frame", &[])] {
        let dir = tempfile::tempdir().unwrap();
        let identity = Identity::new("6b1f0e7c9d4a3b2586f0d1c2e3a4b5968778695a", 1, 4).unwrap();
        let mut log = RelayLog::open(dir.path(), identity.clone(), Options::default()).unwrap().0;
        let mut next = 65;
        for records in counts {
            let body = &body[..records * 18];
            let (first, received_at) = (next, UnixMillis(1_700_000_000_000));
            next += *records as u64;
            assert_eq!(
                log.append(&Frame { first, next, db: DbIndex(0), received_at, body }).unwrap(),
                Appended::Yes
            );
        }
        log.sync().unwrap();
        let header = SegmentHeader { identity, first: 65 };
        let bytes = fs::read(dir.path().join(header.file_name())).unwrap_or(header.encode());
        corpus.add("relay_segment", name, &bytes);
        corpus.add("relay_segment", &format!("{name} cut"), &bytes[..bytes.len() - 9]);
    }
}

/// The smallest value of each type in each recorded snapshot.
fn values(snapshots: &Path) -> Vec<Found> {
    let mut found = BTreeMap::<(String, u8), Found>::new();
    let mut folders: Vec<PathBuf> =
        fs::read_dir(snapshots).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    for folder in folders {
        let server = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let files = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|path| path.extension().is_some_and(|e| e == "rdb" || e == "dfs")) {
            for (magic, entry) in entries(&fs::read(file).unwrap()) {
                let id = entry.value.type_id();
                let size = entry.value.payload().len();
                let name = format!("{server} {}", entry.header.key.escape_ascii());
                let best = found.get(&(server.clone(), id.wire()));
                if best.is_none_or(|best| best.entry.value.payload().len() > size) {
                    found.insert((server.clone(), id.wire()), Found { name, magic, entry });
                }
            }
        }
    }
    found.into_values().collect()
}

fn built_values() -> Vec<Found> {
    let streams = built::streams().into_iter().filter_map(|(name, stream)| {
        let (magic, entry) = entries(&stream).into_iter().next()?;
        Some(Found { name: format!("built {name}"), magic, entry })
    });
    streams.collect()
}

fn entries(stream: &[u8]) -> Vec<(Magic, Entry)> {
    let mut config = Config::default();
    config.limits.piece = usize::MAX >> 2;
    let (mut decoder, mut src) = (Decoder::new(config), BytesMut::from(stream));
    let (mut found, mut magic) = (Vec::new(), Magic { family: Family::Redis, version: 12 });
    while let Step::Ready(event) = decoder.decode(&mut src).unwrap() {
        match event {
            Event::Magic(is) => magic = is,
            Event::Entry(entry) => found.push((magic, entry)),
            _ => {}
        }
    }
    found
}

/// The seeds that a value gives.
fn value(found: &Found, corpus: &mut Corpus) {
    let (name, value) = (&found.name[..], &found.entry.value);
    let (id, payload) = (value.type_id(), value.payload());
    let dump = [&[id.wire()][..], payload, &found.magic.version.to_le_bytes()].concat();
    corpus.add("payload", name, &dump);
    let key = &found.entry.header.key;
    let magic: &[u8] = if found.magic.family == Family::Valkey { b"VALKEY080" } else { b"REDIS0012" };
    let stream = build::Build::part().raw(magic).raw(&[id.wire()]).str(key).raw(payload).end();
    corpus.add("rdb_split", name, &stream);
    let streams = [TypeId::Stream, TypeId::Stream2, TypeId::Stream3, TypeId::Stream4];
    chosen("stream_value", &streams, (found, corpus));
    let sketches = [
        TypeId::Json,
        TypeId::Bloom,
        TypeId::Bloom2,
        TypeId::CountMinSketch,
        TypeId::TopK,
        TypeId::Cuckoo,
        TypeId::Module,
    ];
    chosen("sketch", &sketches, (found, corpus));
    containers(found, corpus);
}

fn chosen(target: &'static str, types: &[TypeId], (found, corpus): (&Found, &mut Corpus)) {
    let value = &found.entry.value;
    if let Some(at) = types.iter().position(|id| *id == value.type_id()) {
        let at = u8::try_from(at).unwrap();
        corpus.add(target, &found.name, &[&[at][..], value.payload()].concat());
    }
}

fn containers(found: &Found, corpus: &mut Corpus) {
    let (name, value) = (&found.name[..], &found.entry.value);
    let (target, prefix) = match value.type_id() {
        TypeId::HashListpack | TypeId::SetListpack | TypeId::SortedSetListpack => ("listpack", 0),
        TypeId::ListQuicklist2 => ("listpack", 2),
        TypeId::ListZiplist | TypeId::HashZiplist | TypeId::SortedSetZiplist => ("ziplist", 0),
        TypeId::ListQuicklist => ("ziplist", 1),
        TypeId::HashZipmap => ("zipmap", 0),
        TypeId::SetIntset => ("intset", 0),
        TypeId::String => ("none", 0),
        _ => return,
    };
    match value.payload().get(prefix..) {
        Some([size @ ..64, rest @ ..]) if rest.len() >= usize::from(*size) && target != "none" => {
            corpus.add(target, name, &rest[..usize::from(*size)]);
        }
        Some([high @ 0x40..0x80, low, rest @ ..]) if target != "none" => {
            let size = usize::from(high & 0x3f) << 8 | usize::from(*low);
            corpus.add(target, name, rest.get(..size).unwrap_or_default());
        }
        Some([0xc3, rest @ ..]) => lzf((name, target), rest, corpus),
        _ => {}
    }
}

/// A compressed string behind its marker.
fn lzf((name, target): (&str, &'static str), input: &[u8], corpus: &mut Corpus) {
    let Ok((input, stored)) = dfly_wire::packed::size(input, LARGEST) else { return };
    let Ok((input, length)) = dfly_wire::packed::size(input, 1 << 16) else { return };
    let Ok(short) = u16::try_from(length) else { return };
    let packed = &input[..stored.min(input.len())];
    corpus.add("lzf", name, &[&short.to_le_bytes()[..], packed].concat());
}

/// The start of every recorded flow's journal, cut behind a record.
fn journals(corpus: &mut Corpus) {
    for name in Recording::bundled_names().unwrap() {
        let recording = Recording::bundled(&name).unwrap();
        let flows = recording.sessions.iter().flat_map(|session| &session.flows);
        for (i, flow) in flows.enumerate() {
            let walk = dfly_testkit::walk(flow.journal(), flow.start_lsn).unwrap();
            let end = walk.marks.iter().map(|mark| mark.end).take_while(|end| *end < LARGEST - 2).last();
            let Ok(first) = u16::try_from(flow.start_lsn) else { continue };
            if let Some(end) = end {
                let seed = [&first.to_le_bytes()[..], &flow.journal()[..end]].concat();
                corpus.add("journal_split", &format!("{name} flow {i}"), &seed);
            }
        }
    }
}
