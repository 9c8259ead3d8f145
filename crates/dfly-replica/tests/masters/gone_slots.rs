//! C44: a source that is a node of a Dragonfly Cluster gives slots away. Their keys go from the target, and no others.

use std::sync::Arc;

use dfly_replica::{OnStart, Report};
use dfly_testkit::{MasterOptions, Script, ScriptedMaster};
use tokio::time::timeout;

use crate::run::{redis, user_keys};
use crate::workload::{LIMIT, Run, assert_equal, patient};

fn script() -> Script {
    (0..300).fold(Script::new(3), |script, n| script.before(format!("SET k{n} v").as_str()))
}

async fn master(options: MasterOptions) -> ScriptedMaster {
    ScriptedMaster::start(script(), options).await.unwrap()
}

async fn tells<T: crate::run::Target>(run: &mut Run<T>, words: &str) {
    let told = |report: &Report| report.events.iter().any(|event| event.text.contains(words));
    let is_told = tokio::select! {
        ended = &mut run.task => panic!("the run ended by itself: {ended:?}"),
        told = timeout(LIMIT, run.reports.wait_for(told)) => told.is_ok(),
    };
    assert!(is_told, "{words}: {:?}", run.reports.borrow().events);
}

const GONE: &str = "are gone";

#[tokio::test(flavor = "multi_thread")]
async fn keys_go_with_their_slots() {
    let mut run = Run::go_on_with(master(MasterOptions::default()).await, redis(), patient);
    run.caught_up().await;
    // A slot that was given away before its records have come: they are behind it on no flow.
    for n in 0..300 {
        run.master.apply(format!("SET k{n} w").as_str()).unwrap();
    }
    run.master.give_away(0..=8000).unwrap();
    tells(&mut run, "the source has given 8001 slots away").await;
    tells(&mut run, GONE).await;
    run.master.give_away(9000..=9999).unwrap();
    run.master.give_away(12_000..=12_000).unwrap();
    run.caught_up().await;
    let report = run.ends_as_the_model().await;
    assert_eq!(report.keys(), 300, "one synchronisation");
    assert!(report.extra_keys_removed > 100 && report.losses.is_empty(), "{report:?}");
}

/// Many slots, one after the other, each with records of its own on every flow.
#[tokio::test(flavor = "multi_thread")]
async fn many_slots_one_by_one() {
    let mut run = Run::go_on_with(master(MasterOptions::default()).await, redis(), patient);
    run.caught_up().await;
    for slot in (0..16_000).step_by(20) {
        run.master.give_away(slot..=slot + 9).unwrap();
    }
    run.caught_up().await;
    run.ends_as_the_model().await;
}

/// While the snapshot is read, its entries of such keys come all the same.
#[tokio::test(flavor = "multi_thread")]
async fn while_the_snapshot_is_read() {
    let script = script().during("DFLYCLUSTER FLUSHSLOTS 0 8000");
    let mut run = Run::start_with(script, patient).await;
    run.caught_up().await;
    tells(&mut run, GONE).await;
    run.ends_as_the_model().await;
}

/// A run that ends before the keys are gone has noted what is left to do.
#[tokio::test(flavor = "multi_thread")]
async fn the_next_run_goes_on() {
    let refused = vec![("EXISTS", "NOPERM this user has no permissions")];
    let master = master(MasterOptions { refused, ..MasterOptions::default() }).await;
    let mut run = Run::go_on_with(master, redis(), patient);
    run.caught_up().await;
    run.master.give_away(0..=8000).unwrap();
    tells(&mut run, "are not all removed").await;
    run.caught_up().await;
    run.stop.send_replace(dfly_replica::Stop::Drain);
    run.task.await.unwrap().unwrap();
    assert_eq!(user_keys(&run.redis).len(), 300);
    run.master.release();
    let mut run = Run::go_on_with(run.master, run.redis, patient);
    tells(&mut run, GONE).await;
    let (report, redis) = run.ends_with(|model, redis| assert_equal(&model, &user_keys(redis))).await;
    assert_eq!(report.keys(), 0, "no synchronisation");
    let fields = redis.client().unwrap().expect(&[b"HKEYS", b"df2redis:checkpoint"]).unwrap();
    assert!(!format!("{fields:?}").contains("gone:"), "{fields:?}");
}

/// With keys of others on the target, those of other slots stay.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_others_stay_in_other_slots() {
    let redis = redis();
    let mut client = redis.client().unwrap();
    // Slots 449 and 12706.
    for key in ["{k2}theirs", "{k1}theirs"] {
        client.expect(&[b"SET", key.as_bytes(), b"v"]).unwrap();
    }
    let mut run = Run::go_on_with(master(MasterOptions::default()).await, redis, |config| {
        patient(config);
        config.on_start = OnStart::Merge;
    });
    run.caught_up().await;
    run.master.give_away(0..=8000).unwrap();
    tells(&mut run, GONE).await;
    run.ends_as(|model, redis| {
        let mut found = user_keys(redis);
        assert!(found.remove(&(0, "{k1}theirs".into())).is_some());
        assert_equal(&model, &found);
    })
    .await;
}

/// The node that took the slots may be followed by another task that writes to the same target: nothing is removed.
#[tokio::test(flavor = "multi_thread")]
async fn another_task_may_have_them() {
    let redis = redis();
    let mut client = redis.client().unwrap();
    client.expect(&[b"SADD", b"df2redis@:tasks", b"other"]).unwrap();
    client.expect(&[b"HSET", b"df2redis@other:checkpoint", b"source", b"somebody"]).unwrap();
    let mut run = Run::go_on_with(master(MasterOptions::default()).await, redis, patient);
    run.caught_up().await;
    run.master.give_away(0..=8000).unwrap();
    tells(&mut run, "another task (other) writes to the target, so they stay").await;
    run.ends_as(|_model, redis| assert_eq!(user_keys(redis).len(), 300)).await;
}

/// Into a cluster.
#[tokio::test(flavor = "multi_thread")]
async fn into_a_cluster() {
    let cluster = Arc::new(dfly_testkit::RedisCluster::start(&crate::cluster::options()).unwrap());
    let mut run = Run::go_on_with(master(MasterOptions::default()).await, cluster, patient);
    run.caught_up().await;
    run.master.give_away(0..=8000).unwrap();
    tells(&mut run, GONE).await;
    run.ends_as(|model, cluster| assert_equal(&model, &crate::cluster::user_keys(cluster))).await;
}
