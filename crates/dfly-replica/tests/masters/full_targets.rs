//! A target that is full for a while: of data, or of clients.

use std::time::Duration;

use dfly_replica::Report;
use dfly_testkit::{MasterOptions, RedisClient, RedisServer, Script, ScriptedMaster};
use tokio::time::timeout;

use crate::run::redis;
use crate::workload::{LIMIT, Run};

async fn master(script: Script) -> ScriptedMaster {
    ScriptedMaster::start(script, MasterOptions::default()).await.unwrap()
}

fn set(client: &mut RedisClient, name: &str, value: &str) {
    client.expect(&[b"CONFIG", b"SET", name.as_bytes(), value.as_bytes()]).unwrap();
}

fn connections(client: &mut RedisClient) -> u64 {
    let info = client.expect(&[b"INFO", b"stats"]).unwrap().text().unwrap();
    let count = info.lines().find_map(|line| line.strip_prefix("total_connections_received:"));
    count.unwrap().trim().parse().unwrap()
}

/// Pauses as in a run, so that attempts can be counted.
fn paced(config: &mut dfly_replica::EngineConfig) {
    config.reconnect = dfly_replica::Reconnect::default();
}

async fn is_stalled(run: &mut Run<RedisServer>, retries: u64) {
    let stalled = |report: &Report| {
        let tried = report.retries.get("target connection").copied().unwrap_or_default();
        tried >= retries && report.flows.iter().any(|flow| flow.stalled.is_some())
    };
    let seen = timeout(LIMIT, run.reports.wait_for(stalled)).await.is_ok();
    assert!(seen, "{:?}", run.reports.borrow());
    // C41: in words, and without the key.
    let told = |flow: &dfly_replica::FlowReport| {
        flow.stalled.as_ref().is_some_and(|why| why.starts_with("the target is out of memory: OOM"))
    };
    assert!(run.reports.borrow().flows.iter().any(told), "{:?}", run.reports.borrow());
}

/// C31: in stable sync, attempts come ever more seldom, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn out_of_memory_in_the_journal() {
    let mut run = Run::go_on_with(master(Script::new(1).before("SET k v")).await, redis(), paced);
    run.caught_up().await;
    let mut client = run.redis.client().unwrap();
    set(&mut client, "maxmemory", "1");
    let before = connections(&mut client);
    for n in 0..50 {
        run.master.apply(format!("SET k{n} v").as_str()).unwrap();
    }
    is_stalled(&mut run, 4).await;
    let made = connections(&mut client) - before;
    assert!(made < 20, "{made} connections for four attempts");
    set(&mut client, "maxmemory", "0");
    let report = run.ends_as_the_model().await;
    assert!(report.flows.iter().all(|flow| flow.stalled.is_none()), "{report:?}");
}

/// C31: what the source deletes further on makes room for what is written before it.
#[tokio::test(flavor = "multi_thread")]
async fn deletions_go_alone_where_memory_is_full() {
    let script = (0..40).fold(Script::new(1), |script, n| {
        script.before(format!("SET big{n} {}", "x".repeat(100_000)).as_str())
    });
    let mut run = Run::go_on_with(master(script.before("SET k v")).await, redis(), paced);
    run.caught_up().await;
    let mut client = run.redis.client().unwrap();
    let used = client.expect(&[b"INFO", b"memory"]).unwrap().text().unwrap();
    let used = used.lines().find_map(|line| line.strip_prefix("used_memory:")).unwrap().to_owned();
    set(&mut client, "maxmemory", &used);
    run.master.apply(format!("SET new {}", "y".repeat(100_000)).as_str()).unwrap();
    run.master.apply("APPEND big39 z").unwrap();
    for n in 0..40 {
        run.master.apply(format!("DEL big{n}").as_str()).unwrap();
    }
    // Nobody makes room but the source.
    run.ends_as_the_model().await;
}

/// A stop while the target takes nothing ends with why it takes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_while_the_target_is_full() {
    let mut run = Run::go_on_with(master(Script::new(1).before("SET k v")).await, redis(), |config| {
        paced(config);
        config.drain_timeout = Duration::from_secs(1);
    });
    run.caught_up().await;
    set(&mut run.redis.client().unwrap(), "maxmemory", "1");
    run.master.apply("SET k w").unwrap();
    is_stalled(&mut run, 1).await;
    run.stop.send_replace(dfly_replica::Stop::Drain);
    let error = timeout(LIMIT, run.task).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("within 1 s: the target is out of memory: OOM"), "{error}");
    assert_eq!(error.blame(), dfly_replica::Blame::Target);
}

/// C31: in the snapshot too.
#[tokio::test(flavor = "multi_thread")]
async fn out_of_memory_in_the_snapshot() {
    let script = (0..2000).fold(Script::new(1), |script, n| script.before(format!("SET k{n} v").as_str()));
    let redis = redis();
    let mut client = redis.client().unwrap();
    let mut run = Run::go_on_with(master(script).await, redis, |config| {
        paced(config);
        config.snapshot_bytes_per_second = Some(8000);
    });
    let begun = |report: &Report| report.keys() > 10;
    assert!(timeout(LIMIT, run.reports.wait_for(begun)).await.is_ok());
    set(&mut client, "maxmemory", "1");
    is_stalled(&mut run, 2).await;
    set(&mut client, "maxmemory", "0");
    let report = run.ends_as_the_model().await;
    assert_eq!(report.keys(), 2000, "one synchronisation");
}

/// C32: a target that has too many clients for a moment is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn too_many_clients() {
    let redis = redis();
    let mut client = redis.client().unwrap();
    set(&mut client, "maxclients", "4");
    let others: Vec<RedisClient> = (0..3).map(|_| redis.client().unwrap()).collect();
    let mut run = Run::go_on_with(master(Script::new(1).before("SET k v")).await, redis, paced);
    let waits = |report: &Report| report.retries.get("target").copied().unwrap_or_default() > 1;
    tokio::select! {
        ended = &mut run.task => panic!("the run ended by itself: {ended:?}"),
        waited = timeout(Duration::from_secs(20), run.reports.wait_for(waits)) => assert!(waited.is_ok()),
    }
    drop(others);
    set(&mut client, "maxclients", "1000");
    run.ends_as_the_model().await;
}

/// C23: a target that can never take as many clients as there are flows is refused before anything is written.
#[tokio::test(flavor = "multi_thread")]
async fn too_few_places_for_clients() {
    let redis = redis();
    set(&mut redis.client().unwrap(), "maxclients", "12");
    let run = Run::go_on_with(master(Script::new(16).before("SET k v")).await, redis, paced);
    let (task, redis) = (run.task, run.redis);
    let error = timeout(LIMIT, task).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, dfly_replica::Error::TooFewClients { flows: 16, most: 12, .. }), "{error}");
    assert!(crate::run::user_keys(&redis).is_empty());
}

/// C25: a target that stands still until the relay log is full. The source is left, and asked again when the target is back.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_relay_log_leaves_the_source() {
    let state = tempfile::tempdir().unwrap();
    let mut run = Run::go_on_with(master(Script::new(2).before("SET k v")).await, redis(), |config| {
        crate::workload::patient(config);
        config.state_dir = Some(state.path().to_owned());
        (config.relay_max_bytes, config.relay_frame, config.read_ahead) = (200_000, 10_000, 40_000);
        config.window.bytes = 20_000;
        config.target_timeout = Duration::from_millis(500);
        config.drain_timeout = Duration::from_secs(1);
        config.target.reply_timeout = Duration::from_secs(1);
    });
    run.caught_up().await;
    run.redis.pause().unwrap();
    let value = "v".repeat(1000);
    for n in 0..2000 {
        run.master.apply(format!("SET k{n} {value}").as_str()).unwrap();
    }
    let left = |report: &Report| report.events.iter().any(|event| event.text.contains("is full"));
    assert!(timeout(LIMIT, run.reports.wait_for(left)).await.is_ok(), "{:?}", run.reports.borrow());
    run.redis.resume().unwrap();
    run.ends_as_the_model().await;
}
