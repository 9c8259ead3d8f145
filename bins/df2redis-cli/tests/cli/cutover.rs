//! A cutover that does not come about, by the real binary.

use std::process::Output;
use std::time::{Duration, Instant};

use dfly_testkit::{MasterOptions, RedisOptions, RedisServer, Script, ScriptedMaster};
use rustix::process::Signal;

use crate::binary::{run, spawn_quiet, stderr, stop};

const LIMIT: Duration = Duration::from_secs(60);

/// A lag that never ends: the source writes faster than the target may be written to. Nothing is stopped, and the exit code says
/// so.
#[tokio::test(flavor = "multi_thread")]
async fn a_lag_that_never_ends_stops_nothing() {
    let master =
        ScriptedMaster::start(Script::new(2).before("SET a 1"), MasterOptions::default()).await.unwrap();
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let state = tempfile::tempdir().unwrap();
    let (source, dir) =
        (format!("dragonfly://{}", master.address()), state.path().to_str().unwrap().to_owned());
    let servers = ["replicate", "--source", &source, "--target", &redis.url(), "--state-dir", &dir];
    let tool = spawn_quiet(&[&servers[..], &["--target-ops-per-second", "10"]].concat());
    master.stable().await;
    let ask = |args: &[&str]| -> Output { run(&[args, &["--state-dir", &dir]].concat()) };
    let deadline = Instant::now() + LIMIT;
    let mut writes = 0..;
    let mut said = String::new();
    while !said.contains("lagging: the target is") {
        assert!(Instant::now() < deadline, "it does not lag: {said}");
        for n in writes.by_ref().take(50) {
            master.apply(format!("SET k{n} v").as_str()).unwrap();
        }
        said = String::from_utf8_lossy(&ask(&["status"]).stdout).into_owned();
    }
    let out = ask(&["cutover", "--patience", "1"]);
    let said = stderr(&out);
    assert_eq!(out.status.code(), Some(10), "{said}");
    assert!(said.contains("records and") && said.contains("ms behind"), "{said}");
    let is_pause =
        |words: &Vec<bytes::Bytes>| words.get(1).is_some_and(|word| word.eq_ignore_ascii_case(b"PAUSE"));
    assert!(!master.commands().iter().any(is_pause), "no pause was begun");
    stop(tool, Signal::INT);
}
