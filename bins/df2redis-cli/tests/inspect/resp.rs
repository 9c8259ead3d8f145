//! `resp` into a real Redis 7.0 gives what the source held.

use std::process::{Command, Stdio};

use dfly_testkit::{CompareOptions, Comparison, Difference, RedisOptions, RedisServer, What, compare};

use crate::command::{inspect, lines, ok, run};
use crate::files::{Snapshot, snapshot, snapshots};

/// What a Redis 7.0 says of a stream without entries that it loads in the encoding of Redis 6.2.
const FIRST_OF_NONE: &str = "recorded-first-entry-id \"18446744073709551615-18446744073709551615\"";

/// Differences that the source itself explains are left out.
pub(crate) fn unexplained(snapshot: &Snapshot, comparison: Comparison) -> Vec<Difference> {
    let explained = |difference: &Difference| match &difference.what {
        // Redis 6.2 was asked for a PTTL, to which a clock was added.
        What::Expiry { expected, found } => snapshot.is_6_2() && (expected - found).abs() <= 5,
        // Redis 6.2 does not know, and Redis 7.0 works it out where it can.
        What::Stream(what) => {
            snapshot.is_6_2() && (what.contains("entries-read") || what.contains(FIRST_OF_NONE))
        }
        _ => false,
    };
    comparison.differences.into_iter().filter(|difference| !explained(difference)).collect()
}

pub(crate) fn redis() -> RedisServer {
    RedisServer::start(RedisOptions::default()).unwrap()
}

/// `inspect resp … | redis-cli --pipe`.
fn pipe(snapshot: &Snapshot, flags: &[&str], redis: &RedisServer) {
    let file = snapshot.file();
    let args = [&["resp", "--on-unsupported", "skip", &file], flags].concat();
    let mut source = inspect(&args).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let port = redis.address().port().to_string();
    let loaded = Command::new("redis-cli")
        .args(["-p", &port, "--pipe"])
        .stdin(source.stdout.take().unwrap())
        .output()
        .unwrap();
    assert!(source.wait().unwrap().success());
    let told = String::from_utf8_lossy(&loaded.stdout).into_owned();
    assert!(loaded.status.success() && told.contains("errors: 0,"), "{}: {told}", snapshot.name);
}

fn check(snapshot: &Snapshot, flags: &[&str], redis: &RedisServer) {
    let mut client = redis.client().unwrap();
    client.expect(&[b"FLUSHALL"]).unwrap();
    pipe(snapshot, flags, redis);
    let options = CompareOptions { consumers_seen_later: true, ..CompareOptions::default() };
    let rows = snapshot.rows();
    let comparison = compare(&mut client, &rows, &options).unwrap();
    let skipped: usize = comparison.skipped.values().sum();
    assert_eq!(skipped, rows.iter().filter(|row| !row.value.is_redis_type()).count());
    let different = unexplained(snapshot, comparison);
    assert!(different.is_empty(), "{} {flags:?}: {different:#?}", snapshot.name);
}

#[test]
fn commands_rebuild_the_data() {
    let redis = redis();
    for snapshot in snapshots() {
        check(&snapshot, &[], &redis);
        check(&snapshot, &["--hold", "64"], &redis);
    }
}

#[test]
fn restores_rebuild_the_data() {
    let redis = redis();
    for snapshot in snapshots() {
        check(&snapshot, &["--restore"], &redis);
        check(&snapshot, &["--restore", "--hold", "500"], &redis);
    }
}

/// Names of the commands and how often each comes.
fn names(args: &[&str]) -> std::collections::BTreeMap<String, usize> {
    let mut names = std::collections::BTreeMap::new();
    for command in lines(&ok(args)) {
        *names.entry(command[0].as_str().unwrap().to_owned()).or_default() += 1;
    }
    names
}

#[test]
fn each_form_is_what_it_says() {
    let file = snapshot("redis-7.0").file();
    let commands = names(&["resp", "--format", "json", &file]);
    assert!(
        commands.contains_key("SET") && commands.contains_key("XADD") && !commands.contains_key("RESTORE")
    );
    let restores = names(&["resp", "--format", "json", "--restore", &file]);
    let stated = [("FUNCTION", 1), ("RESTORE", 103), ("SELECT", 1)];
    assert_eq!(restores, stated.map(|(name, count)| (name.to_owned(), count)).into());
}

#[test]
fn what_the_server_cannot_hold() {
    let file = snapshot("dragonfly-1.40-rdb").file();
    let failed = run(&["resp", &file]);
    assert_eq!(failed.code, 5);
    assert_eq!(failed.err.lines().count(), 1);
    assert!(failed.err.starts_with("error: the target cannot hold the value of key \""), "{}", failed.err);
    assert!(failed.err.contains("--on-unsupported warn or skip leaves it out"), "{}", failed.err);
    let skipped = run(&["resp", "--on-unsupported", "skip", &file]);
    assert_eq!(skipped.code, 0);
    let stated = "left out: json 3, bloom 1, cuckoo 1, count-min-sketch 1, top-k 1, member-ttl 3, sticky 1\n";
    assert_eq!(skipped.err, stated);
    let warned = run(&["resp", "--on-unsupported", "warn", &file]);
    assert_eq!((warned.code, warned.err.matches("warning: left out: ").count()), (0, 7));
    // Field expiries are kept by newer servers.
    let args = ["resp", "--on-unsupported", "skip", "--target-version", "redis-7.4", &file];
    assert!(run(&args).err.contains("member-ttl 1,"), "only the set's are lost");
    let functions = run(&["resp", "--target-version", "redis-6.2", &snapshot("redis-7.0").file()]);
    assert!(functions.code == 5 && functions.err.contains("the function library"), "{}", functions.err);
}
