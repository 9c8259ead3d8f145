//! Real servers, the small client, and comparisons that must find what was planted.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

use std::collections::BTreeMap;
use std::net::TcpListener;

use bytes::Bytes;
use dfly_testkit::{
    CanonicalValue, CompareOptions, Comparison, Recording, RedisClient, RedisOptions, RedisServer, Reply,
    Row, Value, What, compare, keyspace,
};

fn start() -> (RedisServer, RedisClient) {
    let server = RedisServer::start(RedisOptions::default()).unwrap();
    let client = server.client().unwrap();
    (server, client)
}

fn run(client: &mut RedisClient, line: &str) -> Reply {
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    client.expect(&args).unwrap()
}

/// The server's content as rows, so that a comparison with it must be equal.
fn rows_of(client: &mut RedisClient) -> Vec<Row> {
    let row = |((db, key), held): ((u32, Bytes), CanonicalValue)| Row {
        db,
        key,
        value: held.value,
        expire_at_ms: held.expire_at_ms,
        member_ttls: BTreeMap::new(),
        native_replica: None,
    };
    keyspace(client).unwrap().into_iter().map(row).collect()
}

const FILL: &[&str] = &[
    "SET s hello PXAT 1893456000123",
    "RPUSH l a b c",
    "SADD set a b c",
    "HSET h f v g w",
    "ZADD z 0.1 a -inf b 1e300 c -0 d",
    "XADD x 5-1 f v",
    "XADD x 5-2 f v",
    "XADD x 5-3 f v",
    "XDEL x 5-1",
    "XGROUP CREATE x g 0",
    "XREADGROUP GROUP g c1 COUNT 1 STREAMS x >",
    "SELECT 3",
    "SET other 1",
    "SELECT 0",
];

fn differences(plant: &str) -> (Comparison, Vec<String>) {
    let (_server, mut client) = start();
    FILL.iter().for_each(|line| drop(run(&mut client, line)));
    let rows = rows_of(&mut client);
    assert_eq!(rows.len(), 7);
    client.select(0).unwrap();
    plant.split(';').filter(|line| !line.is_empty()).for_each(|line| drop(run(&mut client, line)));
    let options = CompareOptions { reserved_prefix: Some("df2redis:".into()), ..CompareOptions::default() };
    let found = compare(&mut client, &rows, &options).unwrap();
    let text = found.differences.iter().map(ToString::to_string).collect();
    (found, text)
}

#[test]
fn a_server_equals_itself() {
    let (found, text) = differences("SET df2redis:checkpoint 1");
    assert_eq!(text, [""; 0]);
    assert_eq!(found.equal, 7);
    assert_eq!(found.compared["stream"], 1);
}

/// P21: a planted difference of each kind is found, and only that one.
#[test]
fn p21_every_planted_difference_is_found() {
    for (plant, expected) in [
        ("DEL l", "db 0 key l: missing"),
        ("SET extra 1", "db 0 key extra: should not be there"),
        ("SELECT 7;SET extra 1", "db 7 key extra: should not be there"),
        ("DEL s;RPUSH s hello;PEXPIREAT s 1893456000123", "db 0 key s: type list, expected string"),
        ("SET s hellO KEEPTTL", "db 0 key s: 5 bytes, expected 5; they differ from byte 4 on"),
        ("PERSIST s", "db 0 key s: expires at -1, expected 1893456000123"),
        ("PEXPIREAT s 1893456000124", "db 0 key s: expires at 1893456000124, expected 1893456000123"),
        ("EXPIREAT l 1893456000", "db 0 key l: expires at 1893456000000, expected -1"),
        ("LSET l 1 x", "db 0 key l: index 1: another value"),
        ("RPUSH l d", "db 0 key l: index 3: should not be there"),
        ("SREM set b", "db 0 key set: member b: missing"),
        ("SADD set d", "db 0 key set: member d: should not be there"),
        ("HSET h f x", "db 0 key h: field f: another value"),
        ("HDEL h g", "db 0 key h: field g: missing"),
        ("ZADD z 0.10000000000000002 a", "db 0 key z: member a: another value"),
        ("XDEL x 5-3", "they differ from entry 1 on"),
        ("XSETID x 9-9", "last-generated-id"),
        ("XGROUP CREATE x h 0", "groups"),
        ("XGROUP SETID x g 5-3", "group g: last-delivered-id"),
        ("XACK x g 5-2", "group g: pending"),
        ("XCLAIM x g c1 0 5-2 IDLE 100000", "group g: delivery times"),
        ("XGROUP CREATECONSUMER x g c2", "group g: consumers"),
        ("SELECT 3;INCR other", "db 3 key other: 1 bytes, expected 1; they differ from byte 0 on"),
    ] {
        let (found, text) = differences(plant);
        assert!(text.iter().any(|what| what.contains(expected)), "{plant}: {text:?}");
        assert!(!found.is_equal());
        assert_eq!(found.equal, if plant.contains("extra") { 7 } else { 6 }, "{plant}");
    }
}

#[test]
fn zeros_of_either_sign_are_one_score() {
    let (_, text) = differences("ZADD z 0 d");
    assert_eq!(text, [""; 0]);
}

fn string_row(key: &'static str, value: Value, native_replica: Option<Option<Box<Row>>>) -> Row {
    let expire_at_ms = if value == Value::None { -2 } else { -1 };
    Row { db: 0, key: key.into(), value, expire_at_ms, member_ttls: BTreeMap::new(), native_replica }
}

#[test]
fn a_row_may_equal_what_the_native_replica_held() {
    let (_server, mut client) = start();
    run(&mut client, "SET native n");
    run(&mut client, "SET master m");
    run(&mut client, "SET wrong w");
    let held = |text: &'static str| Value::String(text.into());
    let native = |key| Some(Some(Box::new(string_row(key, held("n"), None))));
    let rows = [
        string_row("native", held("m"), native("native")),
        string_row("master", held("m"), native("master")),
        string_row("wrong", held("m"), native("wrong")),
        string_row("gone", held("m"), Some(None)),
        string_row("nobody", Value::None, native("nobody")),
        string_row("json", Value::Json("1".into()), None),
        string_row("bloom", Value::Other("MBbloom--".into()), None),
    ];
    let found = compare(&mut client, &rows, &CompareOptions::default()).unwrap();
    assert_eq!((found.equal, found.equal_to_native), (4, 2));
    assert_eq!(found.skipped, BTreeMap::from([("MBbloom--".to_owned(), 1), ("ReJSON-RL".to_owned(), 1)]));
    assert_eq!(found.differences.len(), 1);
    assert_eq!(found.differences[0].key, "wrong");
}

#[test]
fn a_key_that_only_the_native_replica_has_may_be_there() {
    let (_server, mut client) = start();
    run(&mut client, "SET k n");
    let native = Some(Some(Box::new(string_row("k", Value::String("n".into()), None))));
    let with =
        compare(&mut client, &[string_row("k", Value::None, native)], &CompareOptions::default()).unwrap();
    assert!(with.is_equal());
    let without =
        compare(&mut client, &[string_row("k", Value::None, None)], &CompareOptions::default()).unwrap();
    assert_eq!(without.differences[0].what, What::Extra);
}

#[test]
fn an_empty_server_misses_every_row_of_a_recording() {
    let (_server, mut client) = start();
    let recording = Recording::embedded().unwrap();
    let found = compare(&mut client, recording.expected(), &CompareOptions::default()).unwrap();
    let skipped: usize = found.skipped.values().sum();
    assert_eq!(skipped, 11);
    assert_eq!(found.equal_to_native, 2, "j:hshort and j:sorted, which the native replica does not hold");
    assert_eq!(found.differences.len() + skipped + 2, recording.expected().len());
    assert!(found.differences.iter().all(|difference| difference.what == What::Missing));
}

#[test]
fn servers_end_come_back_and_stand_still() {
    let options = RedisOptions {
        requirepass: Some("pw".into()),
        append_only: true,
        debug_command: true,
        ..Default::default()
    };
    let mut server = RedisServer::start(options).unwrap();
    let mut client = server.client().unwrap();
    run(&mut client, "CONFIG SET appendfsync always");
    run(&mut client, "SET kept 1");
    assert_eq!(run(&mut client, "DEBUG SLEEP 0"), Reply::Simple("OK".into()));
    let stranger = RedisClient::connect(server.address()).unwrap().command(&[b"PING"]).unwrap();
    assert!(stranger.error().unwrap().starts_with("NOAUTH"));
    let state =
        |server: &RedisServer| std::fs::read_to_string(format!("/proc/{}/stat", server.pid())).unwrap();
    server.pause().unwrap();
    assert!(state(&server).contains(") T "), "stopped by a signal");
    server.resume().unwrap();
    assert_eq!(run(&mut client, "PING"), Reply::Simple("PONG".into()));
    server.kill().unwrap();
    assert!(client.command(&[b"PING"]).is_err());
    assert!(server.client().is_err());
    server.restart().unwrap();
    assert_eq!(run(&mut server.client().unwrap(), "GET kept"), Reply::Bulk("1".into()));
    let address = server.address();
    drop(server);
    TcpListener::bind(address).expect("the port is free again");
}

#[test]
fn a_program_that_is_none_is_named() {
    let options = RedisOptions { program: "/nonexistent/redis-server".into(), ..RedisOptions::default() };
    let failed = RedisServer::start(options).unwrap_err();
    assert_eq!(failed.to_string(), "cannot run /nonexistent/redis-server");
    let options =
        RedisOptions { args: vec!["--no-such-option".into(), "1".into()], ..RedisOptions::default() };
    assert!(RedisServer::start(options).unwrap_err().to_string().contains("did not come up"));
}

#[test]
fn pipelines_keep_errors_in_their_place() {
    let (_server, mut client) = start();
    let mut commands: Vec<Vec<&[u8]>> = vec![vec![b"INCR", b"n"]; 1000];
    commands[500] = vec![b"LPUSH", b"n", b"x"];
    let replies = client.pipeline(&commands).unwrap();
    assert_eq!(replies[499], Reply::Int(500));
    assert!(replies[500].error().unwrap().starts_with("WRONGTYPE"));
    assert_eq!(replies[999], Reply::Int(999));
}

/// What replaying XCLAIM and XGROUP SETID cannot keep is let through only where it was asked for, and only later times.
#[test]
fn replayed_streams_may_have_later_times() {
    let (_server, mut client) = start();
    FILL.iter().for_each(|line| drop(run(&mut client, line)));
    client.select(0).unwrap();
    let mut rows = rows_of(&mut client);
    let row = rows.iter_mut().find(|row| row.key == "x").unwrap();
    let Value::Stream(stream) = &mut row.value else { unreachable!("x is a stream") };
    let group = stream.info.groups.get_mut(&b"g"[..]).unwrap();
    let consumer = group.consumers.get_mut(&b"c1"[..]).unwrap();
    consumer.seen_at_ms -= 5;
    let mut compare_with = |rows: &[Row], options: CompareOptions| -> Vec<String> {
        let found = compare(&mut client, rows, &options).unwrap();
        found.differences.iter().map(ToString::to_string).collect()
    };
    let strict = compare_with(&rows, CompareOptions::default());
    assert!(strict.len() == 1 && strict[0].contains("seen-time"), "{strict:?}");
    let seen_later = || CompareOptions { consumers_seen_later: true, ..CompareOptions::default() };
    assert_eq!(compare_with(&rows, seen_later()), [""; 0]);

    let change = |rows: &mut Vec<Row>, change: fn(&mut dfly_testkit::Group)| {
        let row = rows.iter_mut().find(|row| row.key == "x").unwrap();
        let Value::Stream(stream) = &mut row.value else { unreachable!("x is a stream") };
        change(stream.info.groups.get_mut(&b"g"[..]).unwrap());
    };
    change(&mut rows, |group| group.pending[0].delivered_at_ms -= 5);
    assert!(compare_with(&rows, seen_later())[0].contains("delivery times"));
    let replayed = || CompareOptions { replayed: ["x".into()].into(), ..CompareOptions::default() };
    assert_eq!(compare_with(&rows, replayed()), [""; 0]);
    change(&mut rows, |group| group.pending[0].delivered_at_ms += 1_000_000);
    assert!(compare_with(&rows, replayed())[0].contains("delivery times"), "an earlier time is wrong");
}

#[test]
fn a_forgotten_entries_read_is_let_through_only_if_asked() {
    let (_server, mut client) = start();
    for line in ["XADD x 5-1 f v", "XGROUP CREATE x g 5-1 ENTRIESREAD 1"] {
        run(&mut client, line);
    }
    let rows = rows_of(&mut client);
    run(&mut client, "XGROUP SETID x g 5-1");
    let mut differences = |entries_read_may_be_unknown| {
        let replayed = ["x".into()].into();
        let options = CompareOptions { replayed, entries_read_may_be_unknown, ..CompareOptions::default() };
        compare(&mut client, &rows, &options).unwrap().differences.len()
    };
    assert_eq!(differences(false), 1);
    assert_eq!(differences(true), 0);
}
