//! Connections to the target that have nothing to do, or break, while the snapshot is read.

use std::time::Duration;

use dfly_testkit::{Hold, MasterOptions, RedisOptions, RedisServer, Script, ScriptedMaster};
use tokio::time::{sleep, timeout};

use crate::workload::{LIMIT, Run, patient};

/// A source whose second shard has all but the end of its snapshot sent.
async fn held(script: Script) -> ScriptedMaster {
    let hold = Hold { session: 0, flow: 1, bytes: 60 };
    ScriptedMaster::start(script, MasterOptions { hold: Some(hold), ..MasterOptions::default() })
        .await
        .unwrap()
}

fn script() -> Script {
    (0..300).fold(Script::new(2).before("RPUSH l a b c"), |script, n| {
        script.before(format!("SET key:{n} v").as_str())
    })
}

fn number(redis: &RedisServer, field: &str) -> u64 {
    let info = redis.client().unwrap().expect(&[b"INFO"]).unwrap().text().unwrap();
    let line = info.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().parse().unwrap()
}

fn synchronisations(master: &ScriptedMaster) -> usize {
    let is_sync = |words: &&Vec<bytes::Bytes>| words.iter().any(|word| word.eq_ignore_ascii_case(b"SYNC"));
    master.commands().iter().filter(is_sync).count()
}

/// A target that closes connections which say nothing for a second, and a shard that has nothing to send for longer.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_without_work_is_kept_alive() {
    let redis = RedisServer::start(RedisOptions {
        args: ["--timeout", "2"].map(str::to_owned).into(),
        ..RedisOptions::default()
    });
    let mut run = Run::go_on_with(held(script()).await, redis.unwrap(), patient);
    let started = number(&run.redis, "uptime_in_seconds");
    let waited = timeout(LIMIT, async {
        while number(&run.redis, "uptime_in_seconds") < started + 6 {
            sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(waited.await.is_ok() && !run.task.is_finished());
    run.master.release();
    run.caught_up().await;
    assert_eq!(synchronisations(&run.master), 1);
    run.ends_as_the_model().await;
}

/// Every connection to the target is closed in the middle of the snapshot: what was in flight is sent again, and the snapshot
/// goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_breaks_in_the_snapshot_is_opened_again() {
    let mut run = Run::go_on_with(held(script()).await, crate::run::redis(), patient);
    let wants = |report: &dfly_replica::Report| report.keys() > 100;
    assert!(timeout(LIMIT, run.reports.wait_for(wants)).await.is_ok());
    let killed = run.redis.client().unwrap().expect(&[b"CLIENT", b"KILL", b"TYPE", b"normal"]).unwrap();
    assert!(killed.int().unwrap() >= 2, "{killed:?}");
    run.master.release();
    run.caught_up().await;
    assert_eq!(synchronisations(&run.master), 1);
    run.ends_as_the_model().await;
}

/// The same while large values grow on the target, by commands of which one that is repeated adds its elements twice.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_grows_is_never_doubled() {
    let element = "e".repeat(500);
    let script = (0..60).fold(Script::new(2), |script, list| {
        let elements = (0..80).map(|n| format!("{n}:{element}"));
        let words = ["RPUSH".to_owned(), format!("list:{list}")].into_iter().chain(elements);
        script.before(dfly_testkit::Op::new(words))
    });
    let mut run = Run::go_on_with(held(script).await, crate::run::redis(), patient);
    for _round in 0..6 {
        let before = run.reports.borrow().keys();
        let more = |report: &dfly_replica::Report| report.keys() > before + 3;
        if timeout(Duration::from_secs(1), run.reports.wait_for(more)).await.is_err() {
            break;
        }
        let mut client = run.redis.client().unwrap();
        client.expect(&[b"CLIENT", b"KILL", b"TYPE", b"normal"]).unwrap();
    }
    run.master.release();
    run.ends_as_the_model().await;
}

/// C39: another client empties the target while the source has nothing to say. The keepalive notices.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_emptied_is_filled_again() {
    let mut run = Run::go_on_with(
        ScriptedMaster::start(script(), MasterOptions::default()).await.unwrap(),
        crate::run::redis(),
        |config| {
            patient(config);
            config.target_keepalive = Duration::from_millis(100);
        },
    );
    run.caught_up().await;
    run.settled().await;
    run.redis.client().unwrap().expect(&[b"FLUSHALL"]).unwrap();
    let noticed = |report: &dfly_replica::Report| {
        report.events.iter().any(|event| event.text.starts_with("the target has lost data"))
    };
    assert!(timeout(LIMIT, run.reports.wait_for(noticed)).await.is_ok());
    run.ends_as_the_model().await;
}

/// C3: a source that answers PING, and sends no more of one flow's snapshot. Another attempt is made.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_snapshot_is_begun_again() {
    let mut run = Run::go_on_with(held(script()).await, crate::run::redis(), |config| {
        patient(config);
        config.progress_timeout = Duration::from_millis(500);
    });
    let told = |report: &dfly_replica::Report| {
        report.events.iter().any(|event| event.text.contains("nothing of flow 1's snapshot"))
    };
    assert!(timeout(LIMIT, run.reports.wait_for(told)).await.is_ok(), "{:?}", run.reports.borrow());
    run.ends_as_the_model().await;
}
