//! A source that refuses questions, and a folder that cannot be used: what the user is told.

use std::time::Duration;

use dfly_replica::{Error, OnStart, Report};
use dfly_testkit::{MasterOptions, Script, ScriptedMaster};
use dfly_translate::{Policy, Rules};
use tokio::time::timeout;

use crate::run::redis;
use crate::workload::{LIMIT, Run, patient};

async fn master(refused: Vec<(&'static str, &'static str)>) -> ScriptedMaster {
    let options = MasterOptions { refused, ..MasterOptions::default() };
    let script = (0..200).fold(Script::new(1), |script, n| script.before(format!("SET key:{n} v").as_str()));
    ScriptedMaster::start(script, options).await.unwrap()
}

async fn error(run: Run) -> Error {
    timeout(LIMIT, run.task).await.unwrap().unwrap().unwrap_err()
}

/// The scan for extra keys needs EXISTS.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_refuses_exists() {
    let redis = redis();
    redis.client().unwrap().expect(&[b"SET", b"extra", b"v"]).unwrap();
    let refused = vec![("EXISTS", "NOPERM this user has no permissions to run the 'exists' command")];
    let mut run = Run::go_on_with(master(refused).await, redis, |config| {
        patient(config);
        config.on_start = OnStart::Mirror;
    });
    let told = |report: &Report| {
        report
            .events
            .iter()
            .any(|event| event.text.contains("not all removed") && event.text.contains("EXISTS with: NOPERM"))
    };
    assert!(timeout(LIMIT, run.reports.wait_for(told)).await.is_ok(), "{:?}", run.reports.borrow().events);
    assert!(!run.task.is_finished(), "the run goes on, and the next one looks again");
}

/// A key that cannot be refetched falls under the policy for what cannot be replicated.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_cannot_be_refetched() {
    for policy in [Policy::Warn, Policy::Fail] {
        let refused = vec![("DUMP", "NOPERM this user has no permissions to run the 'dump' command")];
        let mut run = Run::go_on_with(master(refused).await, redis(), |config| {
            patient(config);
            config.rules = Rules::from(policy).into();
        });
        run.caught_up().await;
        let control = run.control.clone();
        let key = dfly_replica::SourceKey::new(dfly_wire::DbIndex(0), "key:7");
        let asked = tokio::spawn(async move { control.refetch(vec![key]).await });
        if policy == Policy::Fail {
            let text = error(run).await.to_string();
            assert!(text.contains("key:7") && text.contains("NOPERM"), "{text}");
            continue;
        }
        let answer = timeout(LIMIT, asked).await.unwrap().unwrap().unwrap();
        assert_eq!(answer[0].1, dfly_replica::RefetchOutcome::Refused);
        let report = run.ends_as_the_model().await;
        let unreadable = report.losses.iter().find(|(loss, _)| *loss == dfly_translate::Loss::Unreadable);
        assert_eq!(unreadable.map(|(_, count)| count), Some(1), "{:?}", report.losses);
    }
}

/// C4: a source before v1.22 has no PEXPIRETIME. It is asked for the time that is left, and for its clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_without_pexpiretime() {
    fn clock() -> Duration {
        Duration::from_secs(1_980_000_000)
    }
    let refused = vec![("PEXPIRETIME", "ERR unknown command `PEXPIRETIME`")];
    let options = MasterOptions {
        refused,
        clock: Some(clock),
        release: Some("df-v1.21.4".to_owned()),
        ..MasterOptions::default()
    };
    let script = Script::new(1).before("SET mortal v PXAT 1990000000123").before("SET eternal v");
    let master = ScriptedMaster::start(script, options).await.unwrap();
    let mut run = Run::go_on_with(master, redis(), patient);
    run.caught_up().await;
    let mut client = run.redis.client().unwrap();
    client.expect(&[b"SET", b"mortal", b"damaged"]).unwrap();
    client.expect(&[b"SET", b"eternal", b"damaged", b"EX", b"1000"]).unwrap();
    let keys = ["mortal", "eternal", "never"];
    let keys = keys.map(|key| dfly_replica::SourceKey::new(dfly_wire::DbIndex(0), key)).to_vec();
    let answers = timeout(LIMIT, run.control.refetch(keys)).await.unwrap().unwrap();
    let written = |(_, outcome): &&(_, _)| matches!(outcome, dfly_replica::RefetchOutcome::Written(_));
    assert_eq!(answers.iter().filter(written).count(), 2, "{answers:?}");
    run.ends_as_the_model().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_directory_that_cannot_be_used() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let path = file.path().to_owned();
    let run = Run::go_on_with(master(Vec::new()).await, redis(), |config| {
        patient(config);
        config.state_dir = Some(path.clone());
        config.relay_max_bytes = 1 << 20;
    });
    let text = error(run).await.to_string();
    assert!(text.contains(&path.display().to_string()) && !text.contains("unexpectedly"), "{text}");
}
