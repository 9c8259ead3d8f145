//! The same with a cluster as the target: of the `redis-server` in `PATH`, or of the program that
//! `DF2REDIS_CLUSTER_SERVER` names, as `make test-targets` does.

mod captures;
mod many_keys;
mod open_slots;
mod primaries;
mod property;

use std::sync::Arc;
use std::time::Duration;

use dfly_replica::{Engine, EngineConfig, Error, Report, Stop};
use dfly_testkit::{ClusterOptions, Comparison, RecordedMaster, Recording, RedisCluster, Resharding};
use dfly_translate::Rules;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::run::{LIMIT, comparing, config};
use crate::workload::Keyspace;

pub(crate) fn options() -> ClusterOptions {
    let program = std::env::var_os("DF2REDIS_CLUSTER_SERVER").unwrap_or("redis-server".into());
    ClusterOptions { program, ..ClusterOptions::default() }
}

fn cluster() -> RedisCluster {
    RedisCluster::start(&options()).unwrap()
}

/// Moves the slots of these keys, one after the other.
fn reshard(cluster: &Arc<RedisCluster>, keys: &[&str]) -> Resharding {
    let slots: Vec<u16> = keys.iter().map(|key| cluster.slot(key.as_bytes()).unwrap()).collect();
    let cluster = Arc::clone(cluster);
    Resharding::start(move |round| {
        cluster.move_slowly(slots[round % slots.len()], Duration::from_millis(3)).unwrap();
    })
}

/// Everything that the primaries hold but this tool's own keys.
pub(crate) fn user_keys(cluster: &RedisCluster) -> Keyspace {
    let mut keys = cluster.keyspace().unwrap();
    keys.retain(|(_, key), _| !key.starts_with(b"df2redis:"));
    keys
}

fn empty(cluster: &RedisCluster) {
    for node in 0..cluster.len() {
        cluster.client(node).unwrap().expect(&[b"FLUSHALL"]).unwrap();
    }
}

fn without_3(rules: &Rules) -> Arc<Rules> {
    let mut rules = rules.clone();
    rules.selection.dbs = "3=skip".parse().unwrap();
    Arc::new(rules)
}

/// As for a single server, with its databases but 0 left out.
fn without_db_3(master: &RecordedMaster, cluster: &RedisCluster) -> EngineConfig {
    let mut config = config(master, cluster);
    config.rules = without_3(&config.rules);
    config.report_interval = Duration::from_millis(20);
    config
}

/// Runs until the recording is sent and acknowledged to its end, and no key is to be read again; then stops the run.
async fn to_the_end(config: EngineConfig, master: &RecordedMaster) -> Result<Report, Error> {
    let (engine, mut reports) = Engine::new(config);
    let (stop, stopped) = watch::channel(Stop::Running);
    let mut run = std::pin::pin!(engine.run(stopped));
    let done = async {
        master.finished().await;
        // Two reports that were made since then, at least one of them wholly.
        reports.borrow_and_update();
        for _ in 0..2 {
            reports.changed().await?;
        }
        let is_mended = |report: &Report| report.flows.iter().all(|flow| flow.refetching == 0);
        reports.wait_for(is_mended).await.map(drop)
    };
    tokio::select! {
        done = &mut run => return done,
        done = timeout(LIMIT, done) => {
            assert!(done.is_ok(), "{}: not at its end in time; violations {:?}", master.recording().meta.scenario, master.violations());
        }
    }
    stop.send_replace(Stop::Drain);
    run.await
}

/// What differs from database 0 of the recorded master.
fn differences(cluster: &RedisCluster, recording: &Recording) -> Comparison {
    let rows: Vec<_> = recording.expected().iter().filter(|row| row.db == 0).cloned().collect();
    cluster.compare(&rows, &comparing(recording)).unwrap()
}
