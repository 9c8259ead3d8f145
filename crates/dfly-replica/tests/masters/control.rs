//! What a running replication can be asked for.

use dfly_journal::Lsn;
use dfly_replica::{Control, ControlError, Error, RateLimits, RefetchOutcome, Report, SourceKey};
use dfly_testkit::{MasterOptions, Script, ScriptedMaster};
use dfly_wire::DbIndex;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::run::redis;
use crate::workload::{LIMIT, Run, patient};

type Refetching = JoinHandle<Result<Vec<(SourceKey, RefetchOutcome)>, ControlError>>;

fn key(name: &'static str) -> SourceKey {
    SourceKey::new(DbIndex(0), name)
}

fn refetch(control: &Control, names: &[&'static str]) -> Refetching {
    let (control, keys) = (control.clone(), names.iter().map(|name| key(name)).collect());
    tokio::spawn(async move { control.refetch(keys).await })
}

async fn answered(refetching: Refetching) -> Vec<(SourceKey, RefetchOutcome)> {
    timeout(LIMIT, refetching).await.unwrap().unwrap().unwrap()
}

fn all_durable(lsns: &[u64]) -> impl FnMut(&Report) -> bool + '_ {
    move |report| {
        let durable = report.flows.iter().map(|flow| flow.positions.map_or(0, |at| at.durable.0));
        report.flows.len() == lsns.len() && durable.zip(lsns).all(|(durable, lsn)| durable >= *lsn)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_are_refetched_with_an_answer() {
    let script = (0..200).fold(Script::new(2).before("SET there v"), |script, n| {
        script.before(format!("SET other:{n} v").as_str())
    });
    let mut run = Run::start(script).await;
    run.caught_up().await;
    run.settled().await;
    let mut client = run.redis.client().unwrap();
    client.expect(&[b"SET", b"there", b"damaged"]).unwrap();
    client.expect(&[b"SET", b"never", b"planted"]).unwrap();
    let mut done = answered(refetch(&run.control, &["there", "never"])).await;
    done.sort_by(|one, other| one.0.cmp(&other.0));
    assert!(matches!(&done[0], (never, RefetchOutcome::Removed(_)) if *never == key("never")), "{done:?}");
    assert!(matches!(&done[1], (there, RefetchOutcome::Written(_)) if *there == key("there")), "{done:?}");
    run.ends_as_the_model().await;
}

/// A record of the key comes between any two looks at the LSN, so only a transaction reads it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_written_to_all_the_time_is_refetched() {
    let mut run = Run::start(Script::new(1).before("SET hot 1")).await;
    run.caught_up().await;
    run.settled().await;
    run.redis.client().unwrap().expect(&[b"DEL", b"hot"]).unwrap();
    let refetching = refetch(&run.control, &["hot"]);
    let writes = async {
        loop {
            run.master.apply("INCR hot").unwrap();
            tokio::task::yield_now().await;
        }
    };
    let done = tokio::select! {
        done = answered(refetching) => done,
        () = writes => unreachable!(),
    };
    assert!(matches!(&done[..], [(_, RefetchOutcome::Written(_))]), "{done:?}");
    run.ends_as_the_model().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_pauses_and_goes_on() {
    let mut run = Run::start(Script::new(1).before("SET n 1")).await;
    run.caught_up().await;
    run.control.pause().await.unwrap();
    assert!(timeout(LIMIT, run.reports.wait_for(|report| report.is_paused)).await.is_ok());
    run.master.apply("INCR n").unwrap();
    let (lsns, answer) = (run.master.lsns(), refetch(&run.control, &["n"]));
    // A refetch is asked for while the run is paused: its answer waits, so nothing was applied before it.
    for _report in 0..10 {
        run.reports.changed().await.unwrap();
        assert!(!all_durable(&lsns)(&run.reports.borrow()) && !answer.is_finished());
    }
    run.control
        .limit(RateLimits { target_ops_per_second: Some(10_000), ..RateLimits::default() })
        .await
        .unwrap();
    run.control.resume().await.unwrap();
    assert_eq!(answered(answer).await.len(), 1);
    run.ends_as_the_model().await;
}

/// The target holds exactly the records before the agreed positions, and the run ends.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_stops_at_agreed_positions() {
    let mut run = Run::start(Script::new(1).before("SET n 1")).await;
    run.caught_up().await;
    run.settled().await;
    run.control.pause().await.unwrap();
    run.master.apply("INCR n").unwrap();
    let agreed: Vec<Lsn> = run.master.lsns().into_iter().map(Lsn).collect();
    run.master.apply("INCR n").unwrap();
    assert_eq!(run.control.stop_at(vec![Lsn(1), Lsn(2)]).await, Err(ControlError::WrongFlows { flows: 1 }),);
    // Asked for in this order.
    let both = async { tokio::join!(biased; run.control.stop_at(agreed), run.control.resume()) };
    assert_eq!(timeout(LIMIT, both).await.unwrap(), (Ok(()), Ok(())));
    assert!(timeout(LIMIT, run.task).await.unwrap().unwrap().is_ok());
    let n = run.redis.client().unwrap().expect(&[b"GET", b"n"]).unwrap().text();
    assert_eq!(n.as_deref(), Some("2"));
    assert_eq!(run.control.refetch(vec![key("n")]).await, Err(ControlError::Ended));
}

/// A source that is taken over goes once all of its journal is acknowledged: not while a value is still to be read from it.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_waits_for_keys_that_are_refetched() {
    let refused = vec![("DUMP", "LOADING Dragonfly is loading the dataset in memory")];
    let options = MasterOptions { refused, ..MasterOptions::default() };
    let master = ScriptedMaster::start(Script::new(1).before("SET k v"), options).await.unwrap();
    let mut run = Run::go_on_with(master, redis(), patient);
    run.caught_up().await;
    let refetching = refetch(&run.control, &["k"]);
    let waits = |report: &Report| report.flows.iter().any(|flow| flow.refetching == 1);
    assert!(timeout(LIMIT, run.reports.wait_for(waits)).await.is_ok());
    run.master.apply("SET other v").unwrap();
    run.master.ping();
    let lsns = run.master.lsns();
    assert!(timeout(LIMIT, run.reports.wait_for(all_durable(&lsns))).await.is_ok());
    for _report in 0..20 {
        run.reports.changed().await.unwrap();
        assert!(run.master.acks(0, 0).last() < Some(&lsns[0]), "acknowledged while a key waits");
    }
    run.master.release();
    assert!(matches!(answered(refetching).await[..], [(_, RefetchOutcome::Written(_))]));
    run.ends_as_the_model().await;
}

/// What would end the run is asked about instead: yes synchronises fully, no ends it with the error.
#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_asked() {
    for accepts in [true, false] {
        let run = Run::start(Script::new(1).before("SET s v").before("SET gone v")).await;
        let (master, redis) = crate::resume::stops_as_the_model(run).await;
        master.restart();
        master.apply("DEL gone").unwrap();
        let mut run = Run::go_on_with(master, redis, |config| {
            patient(config);
            config.asks = true;
        });
        let asks = |report: &Report| report.question.is_some();
        let question = timeout(LIMIT, run.reports.wait_for(asks)).await.unwrap().unwrap().question.clone();
        assert!(question.unwrap().contains("another process"));
        assert_eq!(run.control.refetch(vec![key("s")]).await, Err(ControlError::NoSession));
        if accepts {
            assert_eq!(run.control.accept().await, Ok(()));
            run.caught_up().await;
            assert_eq!(run.control.accept().await, Err(ControlError::NothingAsked));
            assert_eq!(run.reports.borrow().question, None);
            run.ends_as_the_model().await;
        } else {
            assert_eq!(run.control.refuse().await, Ok(()));
            let error = timeout(LIMIT, run.task).await.unwrap().unwrap().unwrap_err();
            assert!(matches!(error, Error::OtherSource { .. }), "{error}");
        }
    }
}
