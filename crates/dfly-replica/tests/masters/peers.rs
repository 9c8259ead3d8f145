//! Servers that are there, and do not do what they should.

use std::time::Duration;

use dfly_replica::Phase;
use dfly_testkit::{CutProxy, MasterOptions, RedisServer, Script, ScriptedMaster};
use tokio::time::timeout;

use crate::run::redis;
use crate::workload::{LIMIT, Run, patient};

/// P27: a source that says nothing, though its connections are open, is not taken for an idle one.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_source_counts_as_gone() {
    let master =
        ScriptedMaster::start(Script::new(2).before("SET s v"), MasterOptions::default()).await.unwrap();
    let way = CutProxy::start(master.address(), None).await.unwrap();
    let mut run = Run::go_on_with(master, redis(), |config| {
        patient(config);
        config.source.port = way.address().port();
        config.source.reply_timeout = Duration::from_millis(200);
        config.ping_interval = Duration::from_millis(50);
    });
    assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
    way.set_silent(true);
    run.master.apply("INCR n").unwrap();
    let gone = run.reports.wait_for(|report| report.phase == Phase::Reconnecting);
    assert!(timeout(LIMIT, gone).await.is_ok(), "{:?}", run.reports.borrow().phase);
    run.master.apply("INCR n").unwrap();
    way.set_silent(false);
    run.ends_as_the_model().await;
}

fn refusals(redis: &RedisServer, code: &str) -> bool {
    let info = redis.client().unwrap().expect(&[b"INFO", b"errorstats"]).unwrap().text().unwrap();
    info.contains(&format!("errorstat_{code}"))
}

/// P6: a target that was made a replica is waited for, and written to again once it is a primary.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_demoted_loses_nothing() {
    let mut run = Run::start_with(Script::new(2), patient).await;
    assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
    let mut client = run.redis.client().unwrap();
    // Nothing listens there, so it keeps what it has.
    client.expect(&[b"REPLICAOF", b"127.0.0.1", b"1"]).unwrap();
    for i in 0..50 {
        run.master.apply(format!("RPUSH l{} {i}", i % 3).as_str()).unwrap();
        run.master.apply("INCR n").unwrap();
    }
    while !refusals(&run.redis, "READONLY") {
        run.reports.changed().await.unwrap();
    }
    // C41: told as what it is.
    let told = |report: &dfly_replica::Report| {
        let mut flows = report.flows.iter().filter_map(|flow| flow.stalled.as_ref());
        flows.any(|why| why.starts_with("the target is a replica now, and takes no writes: READONLY"))
    };
    assert!(timeout(LIMIT, run.reports.wait_for(told)).await.is_ok(), "{:?}", run.reports.borrow());
    client.expect(&[b"REPLICAOF", b"NO", b"ONE"]).unwrap();
    drop(client);
    run.ends_as_the_model().await;
}

/// A target that refuses a command of the snapshot: that is what the user is told, whichever task hears first what follows
/// from it.
#[tokio::test(flavor = "multi_thread")]
async fn the_first_cause_is_told() {
    let script = (0..400)
        .fold(Script::new(3).before(dfly_testkit::Op::line("SET s v").in_db(1)), |script, n| {
            script.before(format!("RPUSH l:{n} a b c").as_str())
        });
    let master = ScriptedMaster::start(script, MasterOptions::default()).await.unwrap();
    let redis = redis();
    let rules: [&[u8]; 6] = [b"ACL", b"SETUSER", b"default", b"resetkeys", b"~df2redis*", b"~s"];
    redis.client().unwrap().expect(&rules).unwrap();
    let run = Run::go_on_with(master, redis, patient);
    let error = timeout(LIMIT, run.task).await.unwrap().unwrap().unwrap_err().to_string();
    assert!(error.contains("RESTORE \"l:") && error.contains("NOPERM"), "{error}");
    assert!(!error.contains("STARTSTABLE"), "{error}");
}
