//! Records under names that no table has: aliases of the source, and commands that this release does not know.

use dfly_replica::{EngineConfig, Error};
use dfly_testkit::{Op, RedisServer, Script};
use dfly_translate::{Alias, Loss, Policy, Reason, Rules};
use tokio::time::timeout;

use crate::workload::{LIMIT, Run};

fn value(redis: &RedisServer, key: &str) -> Option<String> {
    redis.client().unwrap().expect(&[b"GET", key.as_bytes()]).unwrap().text()
}

fn raw(line: &str) -> Op {
    Op::line(line).raw()
}

fn fails(config: &mut EngineConfig) {
    config.rules = Rules::from(Policy::Fail).into();
}

/// C43: a record under an alias that was named is that of the command.
#[tokio::test(flavor = "multi_thread")]
async fn aliases_stand_for_their_commands() {
    let script = Script::new(2)
        .before("SET k v")
        .before("SET gone v")
        .during(raw("___APPEND k w"))
        .stable(raw("___APPEND k x"))
        .stable(raw("___DEL gone"));
    let run = Run::start_with(script, |config| {
        let aliases = ["___APPEND=APPEND", "___DEL=DEL"].map(|text| text.parse::<Alias>().unwrap());
        let aliases = aliases.into_iter().collect();
        config.rules = Rules { aliases, ..Rules::from(Policy::Fail) }.into();
    })
    .await;
    let report = run
        .ends_as(|_, redis| {
            let found = value(redis, "k").unwrap();
            assert!(found.ends_with('x') && found.contains('w'), "{found}");
            assert_eq!(value(redis, "gone"), None);
        })
        .await;
    assert!(report.refetches.is_empty() && report.losses.is_empty(), "{report:?}");
}

/// C43: without an alias, whatever may be a key of the record is read again from the source, under every policy.
#[tokio::test(flavor = "multi_thread")]
async fn keys_of_unknown_commands_are_refetched() {
    let script = Script::new(2).before("SET k v").before("SET l v").during(raw("___SET k u"));
    let mut run = Run::start_with(script, fails).await;
    run.caught_up().await;
    run.settled().await;
    let mut client = run.redis.client().unwrap();
    client.expect(&[b"SET", b"k", b"stale"]).unwrap();
    client.expect(&[b"SET", b"gone", b"stale"]).unwrap();
    for line in ["___SET k v", "___DEL gone k"] {
        run.master.apply(raw(line)).unwrap();
    }
    let report = run.ends_as_the_model().await;
    assert!(report.refetches.get(&Reason::Unknown) >= Some(&2), "{:?}", report.refetches);
    assert!(report.losses.is_empty(), "{}", report.losses);
}

/// C43: what may be a flush has no key. It ends the run, or is counted.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_under_another_name_is_never_passed_over() {
    let script = || Script::new(1).before("SET k v").stable(raw("___FLUSHALL ASYNC"));
    let run = Run::start_with(script(), fails).await;
    let error = timeout(LIMIT, run.task).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, Error::Flow { .. }) && error.to_string().contains("___FLUSHALL"), "{error}");
    let report = Run::start(script()).await.ends_as_the_model().await;
    assert_eq!(report.losses.iter().collect::<Vec<_>>(), [(Loss::Unknown, 1)]);
    assert!(report.refetches.is_empty(), "{:?}", report.refetches);
}
