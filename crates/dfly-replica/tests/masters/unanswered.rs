//! C30: what the target has not answered goes to disk, so that neither a stop nor a kill needs the source's backlog for it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use dfly_replica::{EngineConfig, Error, FlowReport, OnStart, Report, Stop};
use dfly_testkit::{MasterOptions, RedisServer, Script, ScriptedMaster};
use tokio::time::timeout;

use crate::resume::apply_once;
use crate::run::{Target, redis};
use crate::workload::{LIMIT, Run, patient};

/// Records that come while the target says nothing.
const ROUNDS: u64 = 100;

fn with_log(dir: &Path) -> impl Fn(&mut EngineConfig) + use<> {
    let dir: PathBuf = dir.to_owned();
    move |config| {
        patient(config);
        config.state_dir = Some(dir.clone());
        config.on_start = OnStart::Merge;
    }
}

/// A source that keeps a single record: only what is on disk can be gone on with.
async fn forgetful() -> ScriptedMaster {
    let script = Script::new(1).backlog(1).before("SET k v");
    ScriptedMaster::start(script, MasterOptions::default()).await.unwrap()
}

/// A run in stable sync whose target says nothing any more; what the source wrote since is on disk.
async fn unanswered<T: Target>(mut run: Run<T>, pause: impl FnOnce(&T)) -> Run<T> {
    apply_once(&run.master, 1).await;
    run.caught_up().await;
    run.settled().await;
    pause(&run.redis);
    for round in 2..ROUNDS {
        apply_once(&run.master, round).await;
    }
    // Every record was sent, and all of them are on disk.
    let lsns = run.master.lsns();
    let kept = |report: &Report| {
        report.flows.iter().zip(&lsns).all(|(flow, lsn)| received(flow, *lsn) && flow.relay_bytes > 0)
    };
    assert!(timeout(LIMIT, run.reports.wait_for(kept)).await.is_ok(), "{:?}", run.reports.borrow());
    run
}

fn received(flow: &FlowReport, next: u64) -> bool {
    flow.positions.is_some_and(|positions| positions.received.0 == next)
}

fn paused(redis: &RedisServer) {
    redis.pause().unwrap();
}

/// The next run goes on with what is on disk, and reads no snapshot.
async fn goes_on(master: ScriptedMaster, redis: RedisServer, dir: &Path) {
    redis.resume().unwrap();
    let run = Run::go_on_with(master, redis, with_log(dir));
    let report = run.ends_as_the_model().await;
    assert_eq!(report.keys(), 0, "everything was synchronised again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_leaves_it_on_disk_within_two_seconds() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::go_on_with(forgetful().await, redis(), with_log(dir.path()));
    let run = unanswered(run, paused).await;
    run.stop.send_replace(Stop::Drain);
    let ended = timeout(Duration::from_secs(2), run.task).await.expect("it takes too long").unwrap();
    assert!(matches!(ended, Err(Error::LeftOnDisk { records }) if records > ROUNDS), "{ended:?}");
    goes_on(run.master, run.redis, dir.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_loses_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let run = Run::go_on_with(forgetful().await, redis(), with_log(dir.path()));
    let run = unanswered(run, paused).await;
    run.task.abort();
    drop(run.task.await);
    goes_on(run.master, run.redis, dir.path()).await;
}

/// A stop at once, before anything went to disk by itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_keeps_what_is_in_flight() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::go_on_with(forgetful().await, redis(), with_log(dir.path()));
    apply_once(&run.master, 1).await;
    run.caught_up().await;
    run.settled().await;
    run.redis.pause().unwrap();
    for round in 2..ROUNDS {
        apply_once(&run.master, round).await;
    }
    let lsns = run.master.lsns();
    let sent = |report: &Report| report.flows.iter().zip(&lsns).all(|(flow, lsn)| received(flow, *lsn));
    assert!(timeout(LIMIT, run.reports.wait_for(sent)).await.is_ok(), "{:?}", run.reports.borrow());
    run.stop.send_replace(Stop::Drain);
    let ended = run.task.await.unwrap();
    assert!(matches!(ended, Err(Error::LeftOnDisk { .. })), "{ended:?}");
    goes_on(run.master, run.redis, dir.path()).await;
}
