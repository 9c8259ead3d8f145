//! Payloads at real servers: RESTORE of what was written gives what the elements say.
//!
//! Redis 7.0 of `PATH` always; and every server of the folder that `DF2REDIS_TARGETS` names, one launcher each, as
//! `crates/dfly-testkit/targets/fetch.sh` leaves them.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use bytes::Bytes;
use dfly_rdb::payload::{Plan, TargetFormat, parse_dump, write_dump};
use dfly_rdb::{Entry, Family, StreamGroup, StreamId, StreamTail, TypeId};
use dfly_testkit::{RedisClient, RedisOptions, RedisServer, Reply};

use crate::model::Content;
use crate::payload::{as_in, content, recorded_values};

/// Fields that expire this soon are not asked for, in milliseconds.
const SOON_MS: i64 = 60_000;

/// The servers of the folder that the environment names.
fn programs() -> Vec<PathBuf> {
    let Some(folder) = std::env::var_os("DF2REDIS_TARGETS") else { return Vec::new() };
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_file());
    found.sort();
    found
}

fn start(program: PathBuf) -> RedisServer {
    RedisServer::start(RedisOptions { program: program.into(), ..RedisOptions::default() }).unwrap()
}

/// Family and release, as the server says.
fn format_of(client: &mut RedisClient) -> TargetFormat {
    let info = client.expect(&[b"INFO", b"server"]).unwrap().text().unwrap();
    let version = |name| info.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
    let (family, version) = match version("valkey_version:") {
        Some(version) => (Family::Valkey, version),
        None => (Family::Redis, version("redis_version:").unwrap()),
    };
    let mut parts = version.split('.').map(|part| part.parse().unwrap());
    TargetFormat { family, version: (parts.next().unwrap(), parts.next().unwrap()) }
}

/// What was restored.
struct Restored {
    entry: Entry,
    key: Vec<u8>,
    /// What the payload says.
    content: Content,
    type_id: TypeId,
}

type Counts = BTreeMap<(TypeName, &'static str), usize>;
type TypeName = (u8, String);

fn name_of(type_id: TypeId) -> TypeName {
    (type_id.wire(), format!("{type_id:?}"))
}

/// Restores every recorded value at the server, in encodings for `format`, and reads it back.
fn check(server: &RedisServer, format: TargetFormat) -> Counts {
    let mut client = server.client().unwrap();
    client.expect(&[b"FLUSHALL"]).unwrap();
    let (mut counts, mut restored, mut commands) = (Counts::new(), Vec::new(), Vec::new());
    for (at, entry) in recorded_values().into_iter().enumerate() {
        let mut dump = Vec::new();
        let plan = write_dump(&entry.value, &format, &mut dump).unwrap();
        let word = match plan {
            Plan::Verbatim => "verbatim",
            Plan::Reencode => "re-encoded",
            Plan::Commands => "commands",
        };
        *counts.entry((name_of(entry.value.type_id()), word)).or_default() += 1;
        if plan == Plan::Commands {
            continue;
        }
        let type_id = parse_dump(Bytes::copy_from_slice(&dump)).unwrap().type_id();
        let (key, content) = (format!("value {at}").into_bytes(), as_in(type_id, content(&entry.value)));
        commands.push(vec![b"RESTORE".to_vec(), key.clone(), b"0".to_vec(), dump]);
        restored.push(Restored { entry, key, content, type_id });
    }
    let replies = client.pipeline(&commands).unwrap();
    let now = now_ms(&mut client);
    for (restored, reply) in restored.iter().zip(replies) {
        let name =
            format!("{format:?}, {:?} {:?}", restored.entry.header.key, restored.entry.value.type_id());
        assert_eq!(reply, Reply::Simple("OK".into()), "{name}");
        same(&mut client, restored, (now, &name));
    }
    counts
}

fn now_ms(client: &mut RedisClient) -> i64 {
    let time = client.expect(&[b"TIME"]).unwrap();
    time.array().unwrap()[0].text().unwrap().parse::<i64>().unwrap() * 1000
}

fn same(client: &mut RedisClient, restored: &Restored, (now, name): (i64, &str)) {
    let key = &restored.key[..];
    let mut ask = |words: &[&[u8]]| client.expect(words).unwrap_or_else(|error| panic!("{name}: {error}"));
    match &restored.content {
        Content::Text(text) => assert_eq!(ask(&[b"GET", key]).bytes().unwrap(), text, "{name}"),
        Content::List(items) => {
            assert_eq!(texts(&ask(&[b"LRANGE", key, b"0", b"-1"])), *items, "{name}");
        }
        Content::Set(members) => {
            let mut found = texts(&ask(&[b"SMEMBERS", key]));
            found.sort();
            assert_eq!(found, members.keys().cloned().collect::<Vec<_>>(), "{name}");
        }
        Content::Hash(fields) => same_hash(&mut ask, (key, fields), (now, name)),
        Content::SortedSet(members) => {
            let found = pairs(&ask(&[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]));
            let score = |text: Vec<u8>| String::from_utf8(text).unwrap().parse::<f64>().unwrap();
            let found = found.into_iter().map(|(member, text)| (member, score(text)));
            assert_eq!(found.collect::<BTreeMap<_, _>>(), *members, "{name}");
        }
        Content::Stream { entries, tail } => {
            let found = ask(&[b"XRANGE", key, b"-", b"+"]);
            let found = found.array().unwrap().iter().map(|entry| {
                let [id, fields] = entry.array().unwrap() else { panic!("{name}") };
                (id_of(id), texts(fields))
            });
            assert_eq!(found.collect::<Vec<_>>(), *entries, "{name}");
            let info = ask(&[b"XINFO", b"STREAM", key, b"FULL", b"COUNT", b"0"]);
            same_tail(&info, tail, (restored, name));
        }
        Content::Opaque { .. } => panic!("{name}: restored"),
    }
}

type Fields = BTreeMap<Vec<u8>, (Vec<u8>, Option<i64>)>;

fn same_hash(
    ask: &mut impl FnMut(&[&[u8]]) -> Reply,
    (key, fields): (&[u8], &Fields),
    (now, name): (i64, &str),
) {
    let lasts = |expire_at: Option<i64>| expire_at.is_none_or(|at| at > now + SOON_MS);
    let mut found: BTreeMap<_, _> = pairs(&ask(&[b"HGETALL", key])).into_iter().collect();
    found.retain(|field, _| fields.get(field).is_none_or(|(_, expire_at)| lasts(*expire_at)));
    let stated: BTreeMap<_, _> = fields.iter().filter(|(_, (_, at))| lasts(*at)).collect();
    let values = stated.iter().map(|(field, (value, _))| ((*field).clone(), value.clone()));
    assert_eq!(found, values.collect(), "{name}");
    for (field, (_, expire_at)) in stated {
        if let Some(expire_at) = expire_at {
            let at = ask(&[b"HPEXPIRETIME", key, b"FIELDS", b"1", field]);
            assert_eq!(at.array().unwrap(), [Reply::Int(*expire_at)], "{name}");
        }
    }
}

fn texts(reply: &Reply) -> Vec<Vec<u8>> {
    reply.array().unwrap().iter().map(|item| item.bytes().unwrap().to_vec()).collect()
}

fn pairs(reply: &Reply) -> Vec<(Vec<u8>, Vec<u8>)> {
    texts(reply).chunks(2).map(|pair| (pair[0].clone(), pair[1].clone())).collect()
}

fn id_of(reply: &Reply) -> StreamId {
    let text = reply.text().unwrap();
    let (ms, seq) = text.split_once('-').unwrap();
    StreamId { ms: ms.parse().unwrap(), seq: seq.parse().unwrap() }
}

/// A reply that lists names and values in turn.
fn named(reply: &Reply) -> BTreeMap<String, &Reply> {
    reply.array().unwrap().chunks(2).map(|pair| (pair[0].text().unwrap(), &pair[1])).collect()
}

/// A server does not tell what it does not know: Redis 6.2 no totals, Redis before 7.2 no active times.
fn same_tail(reply: &Reply, tail: &StreamTail, (restored, name): (&Restored, &str)) {
    let info = named(reply);
    assert_eq!(info["length"].int(), i64::try_from(tail.length).ok(), "{name}");
    assert_eq!(id_of(info["last-generated-id"]), tail.last_id, "{name}");
    if let (Some(first), Some(stated)) = (info.get("recorded-first-entry-id"), tail.first_id) {
        assert_eq!(id_of(first), stated, "{name}");
        assert_eq!(Some(id_of(info["max-deleted-entry-id"])), tail.max_deleted_id, "{name}");
        let added = info["entries-added"].int().map(i64::cast_unsigned);
        assert_eq!(added, tail.entries_added, "{name}");
    }
    let groups = info["groups"].array().unwrap();
    let groups: BTreeMap<_, _> = groups.iter().map(|group| (named(group)["name"].bytes(), group)).collect();
    assert_eq!(groups.len(), tail.groups.len(), "{name}");
    for group in &tail.groups {
        same_group(&named(groups[&Some(group.name.clone())]), group, (restored, name));
    }
}

fn same_group(found: &BTreeMap<String, &Reply>, group: &StreamGroup, (restored, name): (&Restored, &str)) {
    assert_eq!(id_of(found["last-delivered-id"]), group.last_id, "{name}");
    if let Some(read) = found.get("entries-read").filter(|_| restored.type_id != TypeId::Stream) {
        assert_eq!(read.int().map(i64::cast_unsigned), group.entries_read, "{name}");
    }
    let pending = found["pending"].array().unwrap().iter().map(|one| {
        let [id, consumer, time, count] = one.array().unwrap() else { panic!("{name}") };
        (id_of(id), consumer.bytes().unwrap(), time.int().unwrap(), count.int().unwrap())
    });
    let stated = group.pending.iter().map(|one| {
        let consumer = &group.consumers[one.consumer.unwrap()];
        (one.id, consumer.name.clone(), one.delivered_at.0, one.deliveries.cast_signed())
    });
    assert_eq!(pending.collect::<Vec<_>>(), stated.collect::<Vec<_>>(), "{name}");
    let consumers = found["consumers"].array().unwrap();
    let consumers: BTreeMap<_, _> = consumers.iter().map(|one| (named(one)["name"].bytes(), one)).collect();
    assert_eq!(consumers.len(), group.consumers.len(), "{name}");
    for consumer in &group.consumers {
        let found = named(consumers[&Some(consumer.name.clone())]);
        assert_eq!(found["seen-time"].int(), Some(consumer.seen_at.0), "{name}");
        let active = found.get("active-time").and_then(|at| at.int());
        if let Some(active) = active.filter(|_| restored.type_id == TypeId::Stream3) {
            assert_eq!(active, consumer.active_at.map_or(-1, |at| at.0), "{name}");
        }
    }
}

/// All values in the encodings for the server itself, and in those for Redis 6.2, which all servers take.
fn check_server(server: &RedisServer) -> (TargetFormat, Counts) {
    let format = format_of(&mut server.client().unwrap());
    let oldest = TargetFormat { family: Family::Redis, version: (6, 2) };
    let rewritten = check(server, oldest);
    assert!(sum(&rewritten, "re-encoded") >= 200, "{rewritten:?}");
    (format, check(server, format))
}

fn sum(counts: &Counts, word: &str) -> usize {
    counts.iter().filter(|((_, found), _)| *found == word).map(|(_, count)| count).sum()
}

#[test]
fn redis_of_the_path_holds_what_the_elements_say() {
    let (format, counts) = check_server(&start("redis-server".into()));
    assert_eq!(format.family, Family::Redis);
    assert!(sum(&counts, "verbatim") > 400, "{counts:?}");
}

/// Prints a line a type: which server takes how many values how (`cargo test ... -- --nocapture`).
#[test]
fn every_target_holds_what_the_elements_say() {
    for program in programs() {
        let (format, counts) = check_server(&start(program));
        assert!(sum(&counts, "verbatim") > 400, "{counts:?}");
        for (((wire, name), word), count) in counts {
            println!(
                "{:?} {}.{}: {wire:2} {name:18} {count:4} {word}",
                format.family, format.version.0, format.version.1
            );
        }
    }
}
