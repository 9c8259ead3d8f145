//! Whatever a client sends to a live source, the target ends equal: every command in every state, and random sequences.
//! Needs `DF2REDIS_DRAGONFLY`, the path of a Dragonfly binary; without it each test says in one line that it was skipped.
//!
//! `SEEDS` says how many sequences are tried, `FIRST_SEED` with which they begin, `STOP_AFTER` after how many unexplained
//! differences no more are, `SHARDS` how many the source has, and `TARGET_SERVER` the program of the target. What differs is
//! shrunk to the least commands that do, and shown with the records of the journal. `xtask mutants` reads what is shown.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed expectation must stop the test")]

#[path = "../../../dfly-replica/src/flow/core/pair/chance.rs"]
mod chance;
mod due;
#[path = "../../../dfly-replica/tests/live/follower.rs"]
mod follower;
mod grammar;
mod known;
#[path = "../../../dfly-replica/tests/live/memcached.rs"]
mod memcached;
mod rig;
mod sequence;
#[path = "../../../dfly-replica/tests/live/source.rs"]
mod source;
#[path = "../../../dfly-replica/tests/live/quirks/tape.rs"]
mod tape;

use std::io::{Write, stderr};

use dfly_testkit::{ClusterOptions, RedisCluster, RedisOptions, RedisServer};

use self::grammar::{Grammar, WAYS, written};
use self::rig::{Found, Rig, Target};
use self::sequence::Sequence;
use self::source::binary;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var_os(name).map_or(default, |text| text.to_str().unwrap().parse().unwrap())
}

/// The target: the `redis-server` of this host, or the program that `TARGET_SERVER` names.
fn server() -> Target {
    let options = match std::env::var_os("TARGET_SERVER") {
        Some(program) => RedisOptions { program, ..RedisOptions::default() },
        None => RedisOptions::default(),
    };
    Target::Server(RedisServer::start(options).unwrap())
}

/// What is left once known differences are left out.
fn unexplained(found: &[Found]) -> Vec<String> {
    let show = |found: &Found| {
        let (differences, journal) = (found.differences.join("\n    "), found.journal.join("\n    "));
        format!("seed {}: {}\n    {differences}\n  journal\n    {journal}", found.tag, found.least)
    };
    found.iter().filter(|found| known::name(&found.least).is_none()).map(show).collect()
}

fn campaign(target: Target, all: &[(u64, Sequence)]) {
    let Some(binary) = binary("differential") else { return };
    let mut rig = Rig::start(&binary, setting("SHARDS", 3), 0, target);
    let mut left = setting("STOP_AFTER", u64::MAX);
    let tried = rig.run(all, |found| {
        left -= u64::from(known::name(&found.least).is_none());
        left == 0
    });
    let (count, wrong) = (tried.found.len(), unexplained(&tried.found));
    let told = format!(
        "{} sequences, {count} differ, {} unexplained; {}\n",
        tried.sequences,
        wrong.len(),
        rig.end()
    );
    stderr().write_all(told.as_bytes()).unwrap();
    assert!(wrong.is_empty(), "{} unexplained:\n{}", wrong.len(), wrong.join("\n"));
}

/// Differences that were seen once, each by its id in `docs/cases.md`. D2 depends on the moment, and is tested where it is decided.
const LISTED: [(&str, &str); 14] = [
    ("D1", "ZADD {j} 1234567.891 a ; ZUNIONSTORE {k} 1 {j} ; MOVE {k} 1"),
    ("D1", "RPUSH {j} 3 1 2 ; SORT {j} STORE {k} ; MOVE {k} 2"),
    ("D3", "RPUSH {k} {y*4000} x {z*5000} x ; LREM {k} 0 x"),
    ("D3", "RPUSH {k} {y*4000} x {z*5000} x {y*4000} x ; LREM {k} -2 x"),
    ("D4", "ZADD {k} 1234567.891 a ; EVAL return(redis.call('zunionstore',KEYS[2],1,KEYS[1])) 2 {k} {j}"),
    ("D5", "JSON.SET {k} $ {doc} ; EXPIRE {k} 500 ; JSON.SET {k} $ {doc}"),
    ("D5", "JSON.SET {k} $ {doc} ; EXPIRE {k} 500 ; JSON.MSET {k} $ {doc}"),
    ("D7", "RPUSH {k} a ; EXPIRE {k} 500 ; LMOVE {k} {k} LEFT RIGHT"),
    ("D7", "RPUSH {k} a ; EXPIRE {k} 500 ; RPOPLPUSH {k} {k}"),
    ("D8", "HSET {k} g 1 ; HSETEX {k} KEEPTTL 200 g 2"),
    ("C8", "ZADD {k} 5 a 1=..129 ; ZADD {k} GT 3 a"),
    ("C8", "ZADD {k} 5 a 1 {x*33} ; ZADD {k} GT 3 a"),
    ("C8", "ZADD {k} 5 a 1 {x*33} ; ZADD {k} XX LT CH -3 a 4 a"),
    ("C8", "ZADD {k} 5 b 1 {x*33} ; ZADD {k} LT 3 a 4 a ; ZADD {k} XX GT 5 c 3 c"),
];

/// D6: what the target refuses.
const REFUSED: [&str; 6] = [
    "SET {k} 5 ; INCRBY {k} +5",
    "SET {k} v ; ZPOPMAX {k}",
    "RPUSH {k} a ; ZPOPMIN {k}",
    "RPUSH {k} a b ; SORT {k} STORE {j}",
    "HSET {k} f 1 ; HINCRBY {k} f +2",
    "INCRBY {k} +1",
];

#[test]
fn listed_differences() {
    let all: Vec<(u64, Sequence)> =
        (1..).zip(LISTED).map(|(tag, (_, text))| (tag, written(text, tag))).collect();
    campaign(server(), &all);
    let Some(binary) = binary("listed_differences") else { return };
    let refused: Vec<(u64, Sequence)> =
        (1..).zip(REFUSED).map(|(tag, text)| (tag, written(text, tag))).collect();
    let mut rig = Rig::start(&binary, setting("SHARDS", 3), 100_000, server());
    let wrong = unexplained(&rig.run_within_snapshot(&refused));
    rig.end();
    assert!(wrong.is_empty(), "D6: {}", wrong.join("\n"));
}

fn random(grammar: &Grammar) -> Vec<(u64, Sequence)> {
    let first = setting("FIRST_SEED", 1);
    (first..first + setting("SEEDS", 300)).map(|seed| (seed, grammar.random(seed))).collect()
}

#[test]
fn random_sequences() {
    campaign(server(), &random(&Grammar::new(false)));
}

/// While the source is synchronised, its records come inside the snapshot.
#[test]
fn random_sequences_within_a_snapshot() {
    let Some(binary) = binary("random_sequences_within_a_snapshot") else { return };
    let all = random(&Grammar::new(false));
    let mut wrong = Vec::new();
    for part in all.chunks(300) {
        let mut rig = Rig::start(&binary, setting("SHARDS", 3), 100_000, server());
        wrong.extend(unexplained(&rig.run_within_snapshot(part)));
        rig.end();
    }
    assert!(wrong.is_empty(), "{} unexplained:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn random_sequences_into_a_cluster() {
    let cluster = RedisCluster::start(&ClusterOptions::default()).unwrap();
    campaign(Target::Cluster(cluster), &random(&Grammar::new(true)));
}

#[test]
fn every_command_in_every_state() {
    let grammar = Grammar::new(false);
    // A part of them, unless all are asked for.
    let (every, mut tag, mut all) = (setting("EVERY", 40), 0, Vec::new());
    for form in &grammar.forms {
        for state in &grammar.states {
            for way in WAYS.into_iter().filter(|way| form.is_sent(*way)) {
                tag += 1;
                if tag % every == 0 {
                    all.push((tag, grammar.one(form, state, way, tag)));
                }
            }
        }
    }
    campaign(server(), &all);
}
