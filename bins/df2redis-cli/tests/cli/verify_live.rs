//! What the journal of a live Dragonfly does not tell (docs/source-quirks.md, rows that differ) is found and mended by
//! `replicate --verify-continuously`. Needs `DF2REDIS_DRAGONFLY`.

use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::time::Instant;

use dfly_testkit::{RedisClient, RedisOptions, RedisServer, Reply};

use crate::binary::{run, stderr};
use crate::cutover_live::run::{Kind, Target, tool_with};
use crate::cutover_live::{dragonfly, stdout, until};

/// A row of the table, what is there before, and the command that the journal does not tell. What the target holds behind it
/// is compared under these keys.
struct Row {
    name: &'static str,
    before: &'static [&'static str],
    command: &'static str,
    /// Whether the source refuses the command, and has changed something all the same.
    is_refused: bool,
    keys: &'static [&'static str],
}

const ROWS: [Row; 6] = [
    Row {
        name: "list-pop-count",
        before: &["RPUSH row:pop a b c d e"],
        command: "LMPOP 1 row:pop LEFT COUNT 3",
        is_refused: false,
        keys: &["row:pop"],
    },
    Row {
        name: "set-past-expiry",
        before: &["SET row:past v"],
        command: "SET row:past w PXAT 1000",
        is_refused: false,
        keys: &["row:past"],
    },
    Row {
        name: "bitop-expiry, in a script",
        before: &["SET row:bits a", "SET row:to b EX 5000"],
        command: "EVAL redis.call('BITOP','NOT',KEYS[1],KEYS[2]) 2 row:to row:bits",
        is_refused: false,
        keys: &["row:to"],
    },
    Row {
        name: "xreadgroup-history",
        before: &[
            "XADD row:stream 1-1 f v",
            "XGROUP CREATE row:stream g 0",
            "XREADGROUP GROUP g c STREAMS row:stream >",
        ],
        command: "XREADGROUP GROUP g c STREAMS row:stream 0",
        is_refused: false,
        keys: &["row:stream"],
    },
    Row {
        name: "xreadgroup-consumer",
        // Of so many streams without the group one lies on another shard.
        before: &[
            "XADD row:read 1-1 f v",
            "XGROUP CREATE row:read g 0",
            "XADD row:no1 1-1 f v",
            "XADD row:no2 1-1 f v",
            "XADD row:no3 1-1 f v",
            "XADD row:no4 1-1 f v",
            "XADD row:no5 1-1 f v",
            "XADD row:no6 1-1 f v",
        ],
        command: "XREADGROUP GROUP g c STREAMS row:read row:no1 row:no2 row:no3 row:no4 row:no5 row:no6 > > > > > > >",
        is_refused: true,
        keys: &["row:read"],
    },
    Row {
        name: "move-onto-document",
        before: &["JSON.SET row:moved $ 1", "SELECT 1", "SET row:moved v"],
        command: "MOVE row:moved 0",
        is_refused: false,
        keys: &["row:moved"],
    },
];

fn words(line: &str) -> Vec<&[u8]> {
    // A script has no spaces of its own here.
    line.split(' ').map(str::as_bytes).collect()
}

/// Sends a line of memcached's protocol, and gives the answer.
fn memcached(at: SocketAddr, line: &str) -> String {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(format!("{line}\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    answer.trim_end().to_owned()
}

fn carry_out(client: &mut RedisClient, row: &Row) {
    client.select(0).unwrap();
    for line in row.before.iter().chain([&row.command]) {
        let reply = client.command(&words(line)).unwrap();
        let is_refused = row.is_refused && *line == row.command;
        assert_eq!(reply.error().is_some(), is_refused, "{}: {line}: {reply:?}", row.name);
    }
}

/// The comparison in step, of the run in this folder.
fn check(sides: &[&str], state: &tempfile::TempDir) -> std::process::Output {
    let state = ["check", "--state-dir", state.path().to_str().unwrap(), "--on-unsupported", "skip"];
    run(&[&state[..], sides].concat())
}

#[test]
fn what_the_journal_does_not_tell_is_mended() {
    let Some(binary) = dragonfly() else { return };
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let memcached_port = format!("--memcached_port={port}");
    let flags = ["--proactor_threads=2", &memcached_port];
    let source = RedisServer::start(RedisOptions::dragonfly(binary, &flags)).unwrap();
    let (target, state) = (Target::start(Kind::Server), tempfile::tempdir().unwrap());
    let (from, to) = (format!("dragonfly://{}", source.address()), target.url());
    let sides = ["--source", from.as_str(), "--target", to.as_str()];
    let quirks = ["--quirks", "cheap", "--on-unsupported", "skip", "--verify-continuously", "100000"];
    let _tool = tool_with(&source, &target, &state, &quirks);
    until("in sync", || {
        let status = run(&["status", "--state-dir", state.path().to_str().unwrap()]);
        stdout(&status).contains("in order: in sync")
    });
    let mut client = source.client().unwrap();
    let at = SocketAddr::from(([127, 0, 0, 1], port));
    client.expect(&words("SET row:delta 5")).unwrap();
    for row in &ROWS {
        carry_out(&mut client, row);
    }
    assert_eq!(memcached(at, "incr row:delta 10"), "15");
    assert_eq!(memcached(at, "append row:none 0 0 1\r\nx"), "NOT_STORED");
    let began = Instant::now();
    let wrong = ROWS.len() as u64 + 2;
    until("mended", || repaired(&state) >= wrong && check(&sides, &state).status.code() == Some(0));
    println!(
        "{wrong} rows are equal {} ms after the last of their writes",
        (Instant::now() - began).as_millis()
    );
    let equal = check(&sides, &state);
    assert_eq!(equal.status.code(), Some(0), "{}{}", stdout(&equal), stderr(&equal));
    for key in ROWS.iter().flat_map(|row| row.keys).chain(&["row:delta", "row:none"]) {
        // A document is what the target cannot hold.
        if *key != "row:moved" {
            let (here, there) = (exists(&source, key), exists_on(&target, key));
            assert_eq!(here, there, "{key}");
        }
    }
}

/// How many keys differed and were mended, as the status says.
fn repaired(state: &tempfile::TempDir) -> u64 {
    let status = run(&["status", "--state-dir", state.path().to_str().unwrap(), "--format", "json"]);
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let repaired = status.pointer("/verified/repaired");
    repaired.and_then(serde_json::Value::as_u64).unwrap_or(0)
}

fn exists(server: &RedisServer, key: &str) -> bool {
    let reply = server.client().unwrap().expect(&[b"EXISTS", key.as_bytes()]).unwrap();
    reply == Reply::Int(1)
}

fn exists_on(target: &Target, key: &str) -> bool {
    target.servers().iter().any(|server| exists(server, key))
}
