//! C33: a first synchronisation that was broken off, and what others have written into its target meanwhile.

use std::time::Duration;

use bytes::Bytes;
use dfly_replica::{EngineConfig, Error, OnStart, Report, Stop};
use dfly_testkit::{RedisServer, Script, ScriptedMaster};
use tokio::time::{sleep, timeout};

use crate::run::user_keys;
use crate::workload::{LIMIT, Run, patient};

/// Keys of the source, of four kilobytes each and in two databases.
const KEYS: usize = 200;

/// How a run ends in the middle of its snapshot.
#[derive(Debug, Clone, Copy)]
enum End {
    Stopped,
    Killed,
}

/// Half of the keys go, so that some of what was written has to go too.
fn patient_and_strict(config: &mut EngineConfig) {
    patient(config);
    config.max_removals = 90;
}

fn slow(config: &mut EngineConfig) {
    patient_and_strict(config);
    config.snapshot_bytes_per_second = Some(100_000);
}

fn script() -> Script {
    // Text that does not shrink when it is compressed.
    let mut random = 7u64;
    let mut value = || {
        let word = |_| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            format!("{random:016x}")
        };
        (0..256).map(word).collect::<String>()
    };
    (0..KEYS).fold(Script::new(2), |script, n| {
        let op = dfly_testkit::Op::line(format!("SET k{n} {}", value()).as_str());
        script.before(op.in_db(u32::try_from(n % 2).unwrap()))
    })
}

/// Ends a run in the middle of its snapshot; the source deletes half of its keys meanwhile.
async fn broken_off(mut run: Run, end: End) -> (ScriptedMaster, RedisServer) {
    let has_begun = timeout(LIMIT, async {
        while user_keys(&run.redis).len() < KEYS / 4 {
            assert!(!run.task.is_finished(), "{:?}", run.task);
            sleep(Duration::from_millis(5)).await;
        }
    });
    assert!(has_begun.await.is_ok(), "{:?}", run.reports.borrow());
    match end {
        End::Stopped => {
            run.stop.send_replace(Stop::Drain);
            (&mut run.task).await.unwrap().unwrap();
        }
        End::Killed => {
            run.task.abort();
            assert!((&mut run.task).await.is_err());
        }
    }
    assert!(user_keys(&run.redis).len() < KEYS, "it was broken off");
    (run.master, run.redis)
}

fn delete_half(master: &ScriptedMaster) {
    for n in 0..KEYS / 2 {
        let op = dfly_testkit::Op::line(format!("DEL k{n}").as_str());
        master.apply(op.in_db(u32::try_from(n % 2).unwrap())).unwrap();
    }
}

fn write_others(redis: &RedisServer) {
    let mut client = redis.client().unwrap();
    for n in 0..50 {
        client.expect(&[b"SET", format!("theirs:{n}").as_bytes(), b"x"]).unwrap();
    }
}

fn theirs(redis: &RedisServer) -> usize {
    user_keys(redis).keys().filter(|(_, name)| name.starts_with(b"theirs:")).count()
}

fn notes(redis: &RedisServer) -> Vec<Bytes> {
    let mut keys = dfly_testkit::keyspace(&mut redis.client().unwrap()).unwrap();
    keys.retain(|(_, key), _| key.starts_with(b"df2redis:written:"));
    keys.into_keys().map(|(_, key)| key).collect()
}

async fn without_notes(redis: &RedisServer) {
    let is_gone = timeout(LIMIT, async {
        while !notes(redis).is_empty() {
            sleep(Duration::from_millis(10)).await;
        }
    });
    assert!(is_gone.await.is_ok(), "{:?}", notes(redis));
}

/// C33: the run stops before anything is removed, at every start, until a person says what becomes of the keys.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_others_stay_and_the_run_stops() {
    for end in [End::Stopped, End::Killed] {
        let (master, redis) = broken_off(Run::start_with(script(), slow).await, end).await;
        delete_half(&master);
        write_others(&redis);
        let (mut master, mut redis) = (master, redis);
        for start in 0..2 {
            let run = Run::go_on_with(master, redis, patient_and_strict);
            let error = timeout(LIMIT, run.task).await.unwrap().unwrap().unwrap_err();
            assert!(matches!(error, Error::KeysOfOthers { keys: 50, .. }), "{end:?}, start {start}: {error}");
            assert!(
                error.to_string().contains("50 keys") && error.to_string().contains("\"theirs:"),
                "{error}"
            );
            assert_eq!(theirs(&run.redis), 50, "{end:?}, start {start}");
            (master, redis) = (run.master, run.redis);
        }
        let mut run = Run::go_on_with(master, redis, |config| {
            patient(config);
            config.on_start = OnStart::Mirror;
        });
        run.caught_up().await;
        run.settled().await;
        without_notes(&run.redis).await;
        let report = run.ends_as_the_model().await;
        assert!(report.extra_keys_removed >= 50, "{report:?}");
    }
}

/// C33: what the runs before have written themselves goes without a word, also if more than one was broken off.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_written_before_is_replaced_and_removed() {
    let (master, redis) = broken_off(Run::start_with(script(), slow).await, End::Killed).await;
    let noted = notes(&redis).len();
    let again = Run::go_on_with(master, redis, slow);
    let (master, redis) = broken_off(again, End::Killed).await;
    assert!(noted > 0 && notes(&redis).len() >= noted);
    delete_half(&master);
    let run = Run::go_on_with(master, redis, patient_and_strict);
    let report = run.ends_as_the_model().await;
    assert!(report.extra_keys_removed > 0, "{report:?}");
}

/// C33: a question that a person answers, where there is one.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_may_let_them_go() {
    let (master, redis) = broken_off(Run::start_with(script(), slow).await, End::Stopped).await;
    write_others(&redis);
    let mut run = Run::go_on_with(master, redis, |config| {
        patient_and_strict(config);
        config.asks = true;
    });
    let is_asked = |report: &Report| report.question.is_some();
    assert!(timeout(LIMIT, run.reports.wait_for(is_asked)).await.is_ok(), "{:?}", run.reports.borrow());
    assert_eq!(theirs(&run.redis), 50);
    run.control.accept().await.unwrap();
    run.ends_as_the_model().await;
}

/// A first start that is not broken off leaves no notes.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_the_notes() {
    let mut run = Run::start(script()).await;
    run.caught_up().await;
    without_notes(&run.redis).await;
    run.ends_as_the_model().await;
}
