//! `replicate` from start to an orderly end.

use std::io::{BufRead, BufReader};
use std::sync::Arc;
use std::time::Duration;

use dfly_testkit::{
    CompareOptions, MasterOptions, RecordedMaster, Recording, RedisOptions, RedisServer, RewritingProxy,
    Rewritten, Script, ScriptedMaster, compare, keyspace,
};
use rustix::process::Signal;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::binary::{run, signal, spawn, spawn_within, stderr, stop};

const LIMIT: Duration = Duration::from_secs(60);

/// A recording to its end through the real binary; gives the exit code and what it logged.
async fn through_the_binary(extra: &[&str], with: Signal) -> (Option<i32>, String) {
    let recording = Recording::bundled("requirepass").unwrap();
    let master = RecordedMaster::start(recording, MasterOptions::default()).await.unwrap();
    let redis =
        RedisServer::start(RedisOptions { requirepass: Some("p@ss".into()), ..RedisOptions::default() })
            .unwrap();
    let source = format!("dragonfly://:s3cret@{}", master.address());
    let target = format!("redis://:p%40ss@{}", redis.address());
    let args = ["replicate", "--source", &source, "--target", &target, "--on-unsupported", "warn"];
    let child = spawn(&[&args, extra].concat());
    assert!(timeout(LIMIT, master.finished()).await.is_ok(), "{:?}", master.violations());
    let (status, log) = stop(child, with);
    let options = CompareOptions { reserved_prefix: Some("df2redis:".into()), ..CompareOptions::default() };
    let comparison = compare(&mut redis.client().unwrap(), master.recording().expected(), &options).unwrap();
    assert!(comparison.is_equal(), "{:#?}", comparison.differences);
    assert_eq!(master.violations(), [""; 0]);
    (status.code(), log)
}

#[tokio::test(flavor = "multi_thread")]
async fn sigint_drains_and_ends_with_0() {
    let state = tempfile::tempdir().unwrap();
    let (code, log) = through_the_binary(&["--state-dir", state.path().to_str().unwrap()], Signal::INT).await;
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("stopped; the target has everything that was read keys=99"), "{log}");
    assert!(log.contains("left_out=") && log.contains("json 3"), "{log}");
    assert!(!log.contains("s3cret") && !log.contains("p@ss"), "{log}");
    let saved = std::fs::read_to_string(state.path().join("state.json")).unwrap();
    assert!(saved.contains("\"phase\": \"stopped\"") && saved.contains("\"durable_lsn\": 1"), "{saved}");
}

/// P29: no key above debug, no value ever.
#[tokio::test(flavor = "multi_thread")]
async fn sigterm_too_and_json_logs_name_no_key() {
    let (code, log) = through_the_binary(&["--log-format", "json"], Signal::TERM).await;
    assert_eq!(code, Some(0), "{log}");
    for line in log.lines() {
        assert!(line.starts_with('{') && line.ends_with('}'), "{line}");
    }
    assert!(!log.contains("json:doc") && !log.contains("set:ttl"), "{log}");
}

/// A target that answers no command on keys of the source. Notifies when one came.
async fn silent_target(redis: &RedisServer) -> (RewritingProxy, Arc<Notify>) {
    let received = Arc::new(Notify::new());
    let notify = Arc::clone(&received);
    let proxy = RewritingProxy::start(redis.address(), move |words| {
        let is_data = match words {
            [name, key, ..] => (name == "SET" || name == "RESTORE") && !key.starts_with(b"df2redis:"),
            _ => false,
        };
        if is_data {
            notify.notify_one();
        }
        if is_data { Rewritten::Lost } else { Rewritten::AsItIs }
    });
    (proxy.await.unwrap(), received)
}

/// The first signal waits for the target to answer what it has received; the second does not.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_aborts() {
    let recording = Recording::bundled("types-lz4-2shards").unwrap();
    let master = RecordedMaster::start(recording, MasterOptions::default()).await.unwrap();
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let (proxy, received) = silent_target(&redis).await;
    let (source, target) =
        (format!("dragonfly://{}", master.address()), format!("redis://{}", proxy.address()));
    let mut child =
        spawn(&["replicate", "--source", &source, "--target", &target, "--on-unsupported", "skip"]);
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(log.by_ref().any(|line| line.unwrap().contains("the source sends what was asked for")));
    assert!(timeout(LIMIT, received.notified()).await.is_ok());
    signal(&child, Signal::INT);
    assert!(log.by_ref().any(|line| line.unwrap().contains("stopping: waiting for the target")));
    let (status, _) = stop(child, Signal::INT);
    assert_eq!(status.code(), Some(130), "{status}");
}

/// A signal is heard while the target does not even say what it is.
#[tokio::test(flavor = "multi_thread")]
async fn a_signal_before_there_is_a_session() {
    let master = RecordedMaster::start(Recording::bundled("types-sbf1").unwrap(), MasterOptions::default())
        .await
        .unwrap();
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let target = format!("redis://{}", deaf.local_addr().unwrap());
    let source = format!("dragonfly://{}", master.address());
    let child = spawn(&["replicate", "--source", &source, "--target", &target]);
    let (_stream, _) = deaf.accept().await.unwrap();
    let (status, log) = stop(child, Signal::TERM);
    assert_eq!(status.code(), Some(0), "{log}");
}

/// The configuration file alone is enough, and a flag goes before it.
#[tokio::test(flavor = "multi_thread")]
async fn by_configuration_file() {
    let master = RecordedMaster::start(Recording::bundled("types-sbf1").unwrap(), MasterOptions::default())
        .await
        .unwrap();
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("df2redis.toml");
    let text = format!(
        "source = \"dragonfly://{}\"\ntarget = \"redis://127.0.0.1:1\"\non-unsupported = \"skip\"\n",
        master.address()
    );
    std::fs::write(&file, text).unwrap();
    let child = spawn(&["replicate", "--config", file.to_str().unwrap(), "--target", &redis.url()]);
    assert!(timeout(LIMIT, master.finished()).await.is_ok(), "{:?}", master.violations());
    let (status, log) = stop(child, Signal::INT);
    assert_eq!(status.code(), Some(0), "{log}");
}

/// C23: a process that may open too few files says so; one that may have more of them takes them.
#[tokio::test(flavor = "multi_thread")]
async fn limits_of_open_files() {
    for (limits, is_enough) in [("ulimit -n 39", false), ("ulimit -Sn 39", true)] {
        let recording = Recording::bundled("types-lz4-2shards").unwrap();
        let master = RecordedMaster::start(recording, MasterOptions::default()).await.unwrap();
        let redis = RedisServer::start(RedisOptions::default()).unwrap();
        let (source, target) = (format!("dragonfly://{}", master.address()), redis.url());
        let args = ["replicate", "--source", &source, "--target", &target, "--on-unsupported", "skip"];
        let child = spawn_within(limits, &args);
        if is_enough {
            assert!(timeout(LIMIT, master.finished()).await.is_ok(), "{:?}", master.violations());
            let (status, log) = stop(child, Signal::TERM);
            assert_eq!(status.code(), Some(0), "{log}");
        } else {
            let output = child.wait_with_output().unwrap();
            let log = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{log}");
            assert!(log.contains("may open 39 files and connections, and needs 40"), "{log}");
        }
    }
}

/// Until the run has read records that the target has not taken.
fn until_records_wait(state_dir: &str) {
    let waits = || {
        let output = run(&["status", "--format", "json", "--state-dir", state_dir]);
        let status: Option<serde_json::Value> = serde_json::from_slice(&output.stdout).ok();
        status
            .and_then(|status| status.get("lag")?.get("records")?.as_u64())
            .is_some_and(|records| records > 0)
    };
    let end = std::time::Instant::now() + LIMIT;
    while !waits() {
        assert!(std::time::Instant::now() < end, "it reads nothing");
    }
}

/// C30: a target that says nothing does not hold up a stop. What it has not answered is on disk, the exit code says so, and the
/// next run goes on with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_target_does_not_hold_up_a_stop() {
    let state = tempfile::tempdir().unwrap();
    let script = Script::new(2).before("SET k v");
    let master = ScriptedMaster::start(script, MasterOptions::default()).await.unwrap();
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let (source, target) =
        (format!("dragonfly://{}", master.address()), format!("redis://{}", redis.address()));
    let args = ["replicate", "--source", &source, "--target", &target];
    let args = [&args[..], &["--state-dir", state.path().to_str().unwrap()]].concat();
    let child = spawn(&args);
    assert!(timeout(LIMIT, master.caught_up()).await.is_ok(), "{:?}", master.violations());
    redis.pause().unwrap();
    for n in 0..200 {
        master.apply(format!("RPUSH l{} {n}", n % 7).as_str()).unwrap();
    }
    let state_dir = state.path().to_str().unwrap().to_owned();
    let has_read = tokio::task::spawn_blocking(move || until_records_wait(&state_dir));
    timeout(LIMIT, has_read).await.expect("it reads nothing").unwrap();
    let stopped = tokio::task::spawn_blocking(move || stop(child, Signal::TERM));
    let (status, log) = timeout(Duration::from_secs(3), stopped).await.expect("it takes too long").unwrap();
    assert_eq!(status.code(), Some(7), "{log}");
    let last = log.lines().last().unwrap_or_default();
    assert!(last.starts_with("stopped with ") && last.contains("records on disk"), "{last}");
    redis.resume().unwrap();
    let child = spawn(&args);
    assert!(timeout(LIMIT, master.caught_up()).await.is_ok(), "{:?}", master.violations());
    let (status, log) = stop(child, Signal::TERM);
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("resumed from where the target stands"), "{log}");
    let mut held = keyspace(&mut redis.client().unwrap()).unwrap();
    held.retain(|(_, key), _| !key.starts_with(b"df2redis"));
    assert_eq!(held, master.keyspace());
}

/// A target that listens at a socket of this machine.
#[tokio::test(flavor = "multi_thread")]
async fn into_a_socket() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("redis.sock").display().to_string();
    let args = vec!["--unixsocket".to_owned(), path.clone()];
    let redis = RedisServer::start(RedisOptions { args, ..RedisOptions::default() }).unwrap();
    let master = RecordedMaster::start(Recording::bundled("types-sbf1").unwrap(), MasterOptions::default())
        .await
        .unwrap();
    let (source, target) = (master.address().to_string(), format!("unix:{path}"));
    let child = spawn(&["replicate", "--source", &source, "--target", &target, "--on-unsupported", "skip"]);
    assert!(timeout(LIMIT, master.finished()).await.is_ok(), "{:?}", master.violations());
    let (status, log) = stop(child, Signal::INT);
    assert!(status.success() && log.contains(&format!("target=unix:{path}")), "{log}");
    let options = CompareOptions { reserved_prefix: Some("df2redis:".into()), ..CompareOptions::default() };
    let comparison = compare(&mut redis.client().unwrap(), master.recording().expected(), &options).unwrap();
    assert!(comparison.is_equal(), "{:#?}", comparison.differences);
}
