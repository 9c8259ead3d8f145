//! Slots that stay open, members that are due in one that moves, and flushes at odd places.

use std::sync::Arc;
use std::time::Duration;

use dfly_replica::Report;
use dfly_testkit::{Op, RedisCluster, Script};
use tokio::time::timeout;

use super::{cluster, reshard, user_keys, without_3};
use crate::workload::{LIMIT, Run, assert_equal, patient};

async fn start(script: Script, cluster: Arc<RedisCluster>) -> Run<Arc<RedisCluster>> {
    let master = dfly_testkit::ScriptedMaster::start(script, dfly_testkit::MasterOptions::default());
    Run::go_on_with(master.await.unwrap(), cluster, |config| {
        patient(config);
        config.rules = without_3(&config.rules);
        config.sweep_interval = Duration::from_millis(5);
    })
}

/// What a key holds, wherever it is.
async fn until_holds(cluster: &RedisCluster, key: &str, value: &str) {
    let held =
        || cluster.client_for(key.as_bytes()).unwrap().expect(&[b"GET", key.as_bytes()]).unwrap().text();
    let began = std::time::Instant::now();
    while held().as_deref() != Some(value) {
        assert!(std::time::Instant::now() - began < LIMIT, "{key} does not come to {value}");
        tokio::task::yield_now().await;
    }
}

/// Somebody began to move a slot and went away. What a transaction names there lies at both ends, so it waits; the rest is
/// written, in a second run too, and all of it when the slot is whole again.
#[tokio::test(flavor = "multi_thread")]
async fn a_session_begins_and_another_resumes() {
    let cluster = Arc::new(cluster());
    let slot = cluster.slot(b"s").unwrap();
    let migration = cluster.begin_migration(slot, (cluster.owner(slot).unwrap() + 1) % 3).unwrap();
    let mut run = start(Script::new(2).before("SET s 1").before("SET n 0"), Arc::clone(&cluster)).await;
    for round in 1..3 {
        assert!(timeout(LIMIT, run.master.stable()).await.is_ok());
        for line in ["APPEND s x", "INCR n", "SET m 1"] {
            run.master.apply(line).unwrap();
        }
        until_holds(&cluster, "n", &round.to_string()).await;
        run.task.abort();
        assert!(run.task.await.unwrap_err().is_cancelled());
        run = Run::go_on_with(run.master, run.redis, |config| {
            patient(config);
            config.rules = without_3(&config.rules);
        });
    }
    run.master.apply("INCR n").unwrap();
    until_holds(&cluster, "n", "3").await;
    cluster.finish_migration(migration).unwrap();
    run.ends_as(|model, cluster| assert_equal(&model, &user_keys(cluster))).await;
}

/// Strings of one slot go to a node in one command, which no node takes while the slot is open: then they go one by one.
#[tokio::test(flavor = "multi_thread")]
async fn strings_of_a_slot_that_stays_open() {
    let cluster = Arc::new(cluster());
    let slot = cluster.slot(b"s").unwrap();
    let migration = cluster.begin_migration(slot, (cluster.owner(slot).unwrap() + 1) % 3).unwrap();
    let script = (0..100).fold(Script::new(1), |script, n| script.before(format!("SET {{s}}{n} v").as_str()));
    let mut run = start(script, Arc::clone(&cluster)).await;
    run.caught_up().await;
    for n in 50..150 {
        run.master.apply(format!("SET {{s}}{n} w").as_str()).unwrap();
    }
    run.caught_up().await;
    cluster.finish_migration(migration).unwrap();
    run.ends_as(|model, cluster| assert_equal(&model, &user_keys(cluster))).await;
}

/// A sweep names keys that a moving slot has on another node by then.
#[tokio::test(flavor = "multi_thread")]
async fn members_are_removed_from_a_slot_that_moves() {
    let cluster = Arc::new(cluster());
    let mut run = start(Script::new(1), Arc::clone(&cluster)).await;
    assert!(timeout(LIMIT, run.master.stable()).await.is_ok());
    for i in 0..40 {
        run.master.apply(Op::line(&format!("SADD {{t}}{i} stays")).raw()).unwrap();
        run.master.apply(Op::line(&format!("SADDEX {{t}}{i} 1 goes")).raw()).unwrap();
    }
    run.caught_up().await;
    let resharding = reshard(&cluster, &["t"]);
    // The members are due in the middle of it.
    tokio::time::sleep(Duration::from_secs(2)).await;
    resharding.end();
    let held = || format!("{:?}", user_keys(&cluster));
    let began = std::time::Instant::now();
    while held().contains("goes") {
        assert!(std::time::Instant::now() - began < LIMIT, "{}", held());
        tokio::task::yield_now().await;
    }
    let report = run.ends_as(|_, cluster| assert_eq!(user_keys(cluster).len(), 40));
    assert_eq!(report.await.refetched, 0);
}

/// What a node sends elsewhere is told of it, and so is what each node has carried out.
#[tokio::test(flavor = "multi_thread")]
async fn redirects_are_counted() {
    let cluster = Arc::new(cluster());
    let slot = cluster.slot(b"s").unwrap();
    let owner = cluster.owner(slot).unwrap();
    let migration = cluster.begin_migration(slot, (owner + 1) % 3).unwrap();
    let mut run = start(Script::new(1).before("SET a 1").before("SET b 1"), Arc::clone(&cluster)).await;
    assert!(timeout(LIMIT, run.master.stable()).await.is_ok());
    // A key that the owner of the slot does not have belongs to the node that the slot moves to.
    run.master.apply("SET {s}new 1").unwrap();
    let is_sent_on = |report: &Report| report.nodes.iter().any(|node| node.tally.ask > 0);
    assert!(timeout(LIMIT, run.reports.wait_for(is_sent_on)).await.is_ok());
    cluster.finish_migration(migration).unwrap();
    let report = run.ends_as(|model, cluster| assert_equal(&model, &user_keys(cluster))).await;
    assert!(report.nodes.iter().all(|node| node.tally.refused == 0), "{:?}", report.nodes);
    let done: u64 = report.nodes.iter().map(|node| node.tally.done()).sum();
    assert!(done >= 4 && report.nodes.len() > 1, "{:?}", report.nodes);
}

/// FLUSHDB of a database that is left out, and FLUSHALL of a client that was in it.
#[tokio::test(flavor = "multi_thread")]
async fn flushes_of_other_databases() {
    let script = Script::new(3)
        .before("SET s 1")
        .stable(Op::line("SET other 1").in_db(3))
        .stable(Op::line("FLUSHDB").in_db(3))
        .stable("INCR n")
        .stable(Op::line("FLUSHALL").in_db(3))
        .stable("APPEND s 2")
        .stable(Op::line("FLUSHDB").in_db(3))
        .stable("RPUSH l a");
    let run = start(script, Arc::new(cluster())).await;
    run.ends_as(|model, cluster| assert_equal(&model, &user_keys(cluster))).await;
}

/// Before any flow has stored its first position.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_is_the_first_record() {
    let script = Script::new(3).before("SET s 1").before("RPUSH l a").stable("FLUSHDB").stable("INCR n");
    let run = start(script, Arc::new(cluster())).await;
    assert!(timeout(LIMIT, run.master.stable()).await.is_ok());
    run.ends_as(|model, cluster| assert_equal(&model, &user_keys(cluster))).await;
}
