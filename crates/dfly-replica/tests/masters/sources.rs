//! A source that is not what it was: the target loses nothing to it without a word.

use dfly_replica::{Error, OnNewSource, OnStart, Report};
use dfly_testkit::{RedisServer, Script, ScriptedMaster};
use tokio::time::timeout;

use crate::resume::stops_as_the_model;
use crate::run::user_keys;
use crate::workload::{LIMIT, Run, patient};

/// A target that an unfinished synchronisation has left, with ten keys, and its source, which has two of them.
async fn left_unfinished() -> (ScriptedMaster, RedisServer) {
    let script = (0..10).fold(Script::new(1), |script, n| script.before(format!("SET k{n} v").as_str()));
    let (master, redis) = stops_as_the_model(Run::start(script).await).await;
    redis.client().unwrap().expect(&[b"HDEL", b"df2redis:checkpoint", b"flow:0"]).unwrap();
    for n in 2..10 {
        master.apply(format!("DEL k{n}").as_str()).unwrap();
    }
    (master, redis)
}

async fn asked(run: &mut Run) -> String {
    let is_asked = |report: &Report| report.question.is_some();
    assert!(timeout(LIMIT, run.reports.wait_for(is_asked)).await.is_ok(), "{:?}", run.reports.borrow());
    let question = run.reports.borrow().question.clone();
    question.unwrap()
}

/// More keys would go than may: none does, until a person says so.
#[tokio::test(flavor = "multi_thread")]
async fn most_keys_are_not_removed_without_a_word() {
    let (master, redis) = left_unfinished().await;
    let mut run = Run::go_on_with(master, redis, patient);
    let question = asked(&mut run).await;
    assert!(question.contains("8 of the target's 10 keys"), "{question}");
    assert_eq!(user_keys(&run.redis).len(), 10);
    assert!(run.reports.borrow().is_removing_extra_keys, "not in sync yet");
    run.control.accept().await.unwrap();
    run.ends_as_the_model().await;
}

/// The answer may be no: the keys stay, and the next start asks again.
#[tokio::test(flavor = "multi_thread")]
async fn keys_stay_where_a_person_says_so() {
    let (master, redis) = left_unfinished().await;
    let mut run = Run::go_on_with(master, redis, patient);
    asked(&mut run).await;
    run.control.refuse().await.unwrap();
    run.caught_up().await;
    run.stop.send_replace(dfly_replica::Stop::Drain);
    run.task.await.unwrap().unwrap();
    assert_eq!(user_keys(&run.redis).len(), 10);
    let mut again = Run::go_on_with(run.master, run.redis, patient);
    asked(&mut again).await;
    again.control.accept().await.unwrap();
    again.ends_as_the_model().await;
}

/// A setting is a word too.
#[tokio::test(flavor = "multi_thread")]
async fn settings_say_that_keys_may_go() {
    for (on_start, max_removals) in [(OnStart::Mirror, 50), (OnStart::RequireEmpty, 80)] {
        let (master, redis) = left_unfinished().await;
        let run = Run::go_on_with(master, redis, |config| {
            patient(config);
            (config.on_start, config.max_removals) = (on_start, max_removals);
        });
        run.ends_as_the_model().await;
    }
}

/// C34: an unfinished synchronisation is of its own source, and goes on with no other one.
#[tokio::test(flavor = "multi_thread")]
async fn an_unfinished_synchronisation_knows_its_source() {
    let (master, redis) = left_unfinished().await;
    master.restart();
    let run = Run::go_on_with(master, redis, patient);
    let Run { master, redis, task, .. } = run;
    let error = task.await.unwrap().unwrap_err();
    assert!(matches!(error, Error::OtherSource { .. }), "{error}");
    assert_eq!(user_keys(&redis).len(), 10);
    let run = Run::go_on_with(master, redis, |config| {
        patient(config);
        (config.on_new_source, config.max_removals) = (OnNewSource::Resync, 100);
    });
    run.ends_as_the_model().await;
}

/// C37: where positions show that the source was there once, one that refuses connections is waited for. Without them, its
/// address may be wrong.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away_at_a_start_is_waited_for() {
    let (master, redis) = stops_as_the_model(Run::start(Script::new(1).before("SET k v")).await).await;
    let nobody = |config: &mut dfly_replica::EngineConfig| {
        patient(config);
        config.source.port = 1;
    };
    let mut run = Run::go_on_with(master, redis, nobody);
    let waits = |report: &Report| report.retries.get("source").copied().unwrap_or_default() > 2;
    assert!(timeout(LIMIT, run.reports.wait_for(waits)).await.is_ok(), "{:?}", run.reports.borrow());
    run.stop.send_replace(dfly_replica::Stop::Drain);
    run.task.await.unwrap().unwrap();
    let first = Run::go_on_with(run.master, crate::run::redis(), nobody);
    assert!(matches!(first.task.await.unwrap(), Err(Error::Source(_))));
}
