//! `convert` makes files that a real Redis 7.0 loads, and that hold the same for every other target.

use std::path::Path;

use dfly_testkit::{CompareOptions, RedisOptions, RedisServer, Reply, compare};
use serde_json::Value;

use crate::command::{lines, ok, run};
use crate::files::{Snapshot, snapshot, snapshots};
use crate::resp::unexplained;

/// A Redis 7.0 that loaded a file.
fn loaded(folder: &Path, file: &str) -> RedisServer {
    let folder = folder.to_str().unwrap();
    let args = ["--dir", folder, "--dbfilename", file].map(str::to_owned).into();
    RedisServer::start(RedisOptions { args, ..RedisOptions::default() }).unwrap()
}

fn check(snapshot: &Snapshot, flags: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    let args =
        ["convert", "--to", "redis-7.0", "--on-unsupported", "skip", &snapshot.file(), out.to_str().unwrap()];
    let done = run(&[&args[..], flags].concat());
    assert_eq!(done.code, 0, "{}", done.err);
    let redis = loaded(folder.path(), "out.rdb");
    let mut client = redis.client().unwrap();
    let rows = snapshot.rows();
    let comparison = compare(&mut client, &rows, &CompareOptions::default()).unwrap();
    let skipped: usize = comparison.skipped.values().sum();
    assert_eq!(skipped, rows.iter().filter(|row| !row.value.is_redis_type()).count());
    let different = unexplained(snapshot, comparison);
    assert!(different.is_empty(), "{} {flags:?}: {different:#?}", snapshot.name);
    let functions = client.expect(&[b"FUNCTION", b"LIST"]).unwrap();
    let has_functions = !snapshot.is_dragonfly() && !snapshot.is_6_2();
    assert_eq!(functions.array().map(<[Reply]>::len), Some(usize::from(has_functions)));
}

#[test]
fn redis_7_0_loads_every_snapshot() {
    for snapshot in snapshots() {
        check(&snapshot, &[]);
        check(&snapshot, &["--hold", "64"]);
    }
}

fn report(args: &[&str]) -> Value {
    lines(&run(args).out).pop().unwrap()
}

/// For other targets: what the file holds equals what the source held, but for what was left out.
#[test]
fn other_targets_hold_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    let out = out.to_str().unwrap();
    for snapshot in snapshots() {
        for target in
            ["redis-5.0", "redis-6.2", "redis-7.2", "redis-7.4", "redis-8.6", "valkey-8.1", "valkey-9.1"]
        {
            let file = snapshot.file();
            let flags = ["--on-unsupported", "skip", "--format", "json", "--force", "--hold", "300"];
            let made = report(&[&["convert", "--to", target, &file, out], &flags[..]].concat());
            let lost = |name: &str| made["left_out"][name].as_u64().unwrap_or_default();
            let modules: u64 =
                ["json", "bloom", "cuckoo", "count-min-sketch", "top-k"].map(lost).iter().sum();
            let modules = modules + if snapshot.name == "redis-7.4-modules" { 7 } else { 0 };
            let diff = report(&["diff", "--format", "json", &file, out]);
            let stated = [
                ("only_in_a", modules),
                ("only_in_b", 0),
                ("type", 0),
                ("expiry", 0),
                ("value", lost("member-ttl")),
            ];
            for (name, count) in stated {
                assert_eq!(diff[name], count, "{} for {target}: {name}: {made} {diff}", snapshot.name);
            }
            let keeps_ttl = ["redis-7.4", "redis-8.6", "valkey-9.1"].contains(&target);
            assert!(!keeps_ttl || lost("member-ttl") <= 1, "only the members of a Dragonfly set: {made}");
        }
    }
}

#[test]
fn nothing_is_left_of_a_conversion_that_fails() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    let out = out.to_str().unwrap();
    let failed = run(&["convert", "--to", "redis-7.0", &snapshot("dragonfly-1.40-rdb").file(), out]);
    assert_eq!(failed.code, 5);
    assert!(failed.err.contains("the target cannot hold "), "{}", failed.err);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let functions = run(&["convert", "--to", "redis-6.2", &snapshot("redis-7.0").file(), out]);
    assert!(functions.code == 5 && functions.err.contains("#!lua name=lib"), "{}", functions.err);
}

#[test]
fn a_file_is_replaced_only_by_force() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    std::fs::write(&out, b"precious").unwrap();
    let (file, out) = (snapshot("redis-6.2").file(), out.to_str().unwrap());
    let refused = run(&["convert", "--to", "redis-7.0", &file, out]);
    assert_eq!(
        (refused.code, refused.err),
        (2, format!("error: {out} already exists; --force replaces it [DF0001]\n"))
    );
    assert_eq!(std::fs::read(out).unwrap(), b"precious");
    let told = ok(&["convert", "--to", "redis-7.0", "--force", &file, out]);
    assert!(told.starts_with(&format!("{out}: 103 keys for redis-7.0, ")), "{told}");
    assert!(std::fs::read(out).unwrap().starts_with(b"REDIS0010"));
}

#[test]
fn some_keys_only() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out.rdb");
    let (file, out) = (snapshot("dragonfly-1.40-df-2shards").file(), out.to_str().unwrap());
    ok(&["convert", "--to", "redis-7.0", "--type", "list", "--db", "3", &file, out]);
    let keys = lines(&ok(&["keys", "--format", "json", out]));
    assert_eq!(keys.iter().map(|key| key["key"].as_str().unwrap()).collect::<Vec<_>>(), ["db3:l"]);
}
