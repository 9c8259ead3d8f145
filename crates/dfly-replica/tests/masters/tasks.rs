//! Several replications into one target, each under a name of its own.

use dfly_replica::{EngineConfig, Error};
use dfly_testkit::{MasterOptions, RedisServer, Script, ScriptedMaster};
use dfly_translate::{Choice, Glob, Policy, ReservedNames, Rules, Selection, TaskName};
use tokio::time::timeout;

use crate::run::redis;
use crate::workload::{LIMIT, Run, patient};

/// Under this name, with keys that begin with it alone.
fn named(name: &'static str) -> impl Fn(&mut EngineConfig) {
    move |config| {
        patient(config);
        let task: TaskName = name.parse().unwrap();
        let keys = Choice { allow: vec![Glob::new(format!("{name}*"))], block: Vec::new() };
        let selection = Selection { keys, ..Selection::default() };
        config.rules =
            Rules { selection, names: ReservedNames::new(&task), ..Rules::from(Policy::Fail) }.into();
        config.on_start = dfly_replica::OnStart::Merge;
    }
}

async fn master(script: Script) -> ScriptedMaster {
    ScriptedMaster::start(script, MasterOptions::default()).await.unwrap()
}

fn value(redis: &RedisServer, key: &str) -> Option<String> {
    redis.client().unwrap().expect(&[b"GET", key.as_bytes()]).unwrap().text()
}

/// Two sources at the same time: neither closes the other's connections nor touches its positions.
#[tokio::test(flavor = "multi_thread")]
async fn two_sources_into_one_target() {
    let redis = std::sync::Arc::new(redis());
    let (east, west) =
        (master(Script::new(2).before("SET east:n 1")), master(Script::new(1).before("SET west:n 1")));
    let mut east = Run::go_on_with(east.await, std::sync::Arc::clone(&redis), named("east"));
    east.caught_up().await;
    let mut west = Run::go_on_with(west.await, std::sync::Arc::clone(&redis), named("west"));
    west.caught_up().await;
    for _ in 0..5 {
        east.master.apply("INCR east:n").unwrap();
        west.master.apply("INCR west:n").unwrap();
    }
    east.caught_up().await;
    west.caught_up().await;
    assert_eq!((value(&redis, "east:n"), value(&redis, "west:n")), (Some("6".into()), Some("6".into())));
    let first = |run: &Run<std::sync::Arc<RedisServer>>| run.master.acks(1, 0).is_empty();
    assert!(first(&east) && first(&west), "neither needed a second session");
    east.ends_as(|_, _| {}).await;
    west.ends_as(|_, _| {}).await;
}

/// Positions of the same source that a run with a name has left, where a run without one starts, and the other way round:
/// the start says so and stops.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_missing_is_missed() {
    let unnamed = |config: &mut EngineConfig| {
        patient(config);
        config.on_start = dfly_replica::OnStart::Merge;
    };
    let run = Run::go_on_with(master(Script::new(1).before("SET east:n 1")).await, redis(), named("east"));
    let (master_of_east, redis_of_east) = crate::resume::stops_as_the_model(run).await;
    let run = Run::go_on_with(master_of_east, redis_of_east, unnamed);
    let error = timeout(LIMIT, run.task).await.unwrap().unwrap().unwrap_err();
    assert!(
        matches!(&error, Error::OtherTask { theirs, ours } if theirs == "east" && ours.is_empty()),
        "{error}"
    );
    Run::go_on_with(run.master, run.redis, named("east")).ends_as_the_model().await;

    let run = Run::go_on_with(master(Script::new(1).before("SET east:n 1")).await, redis(), unnamed);
    let (master, redis) = crate::resume::stops_as_the_model(run).await;
    let run = Run::go_on_with(master, redis, named("east"));
    let error = timeout(LIMIT, run.task).await.unwrap().unwrap().unwrap_err();
    assert!(
        matches!(&error, Error::OtherTask { theirs, ours } if theirs.is_empty() && ours == "east"),
        "{error}"
    );
}
