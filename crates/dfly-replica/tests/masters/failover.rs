//! Following the master that takes another one's place (protocol section 6.3).

use std::time::Duration;

use dfly_replica::{Error, OnStart, Stop};
use dfly_testkit::{Capa, MasterOptions, PartialForm, Script, ScriptedMaster};
use tokio::time::timeout;

use crate::resume::{apply_once, caught_up, keys, stops_as_the_model};
use crate::run::{redis, user_keys};
use crate::workload::{LIMIT, Run, Workload, assert_equal, patient};

const FORMS: [PartialForm; 2] = [PartialForm::Sync, PartialForm::StartStable];

fn source(run: &Run) -> String {
    let mut client = run.redis.client().unwrap();
    client.expect(&[b"HGET", b"df2redis:checkpoint", b"source"]).unwrap().text().unwrap()
}

/// Waits until the target has read what its other clients had sent.
fn only_client(redis: &dfly_testkit::RedisServer) {
    let mut client = redis.client().unwrap();
    while !client.command(&[b"INFO", b"clients"]).unwrap().text().unwrap().contains("connected_clients:1\r") {
    }
}

fn lines(master: &ScriptedMaster) -> Vec<Vec<String>> {
    let words = |command: Vec<bytes::Bytes>| {
        command.iter().map(|w| String::from_utf8_lossy(w).into_owned()).collect()
    };
    master.flow_commands().into_iter().map(words).collect()
}

/// Runs on through fail-overs, each followed by the next: what the positions are of changes, and nothing else.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_follows_one_after_another() {
    for (form, capa) in
        FORMS.into_iter().flat_map(|form| [(form, Capa::Dragonfly), (form, Capa::FourElements)])
    {
        let options = MasterOptions { capa, ..MasterOptions::default() };
        let script = Script::new(3).partial(form).before("RPUSH l a");
        let master = ScriptedMaster::start(script, options).await.unwrap();
        let mut work = Workload { random: 0x1234_5678_9abc_def1, model: master_model() };
        let mut run = Run::go_on_with(master, redis(), patient);
        caught_up(&run).await;
        let keys = keys(&mut run).await;
        for round in 1..12 {
            for op in work.ops(40) {
                run.master.apply(op).unwrap();
            }
            caught_up(&run).await;
            run.master.fail_over();
            for op in work.ops(40) {
                run.master.apply(op).unwrap();
            }
            // A fail-over that nobody of ours saw cannot be followed.
            let stable = timeout(LIMIT, run.master.stable()).await.is_ok();
            assert!(stable, "{form:?} {capa:?} {round}: {:?}", run.reports.borrow());
            if round % 3 == 0 {
                run.master.cut();
            }
        }
        caught_up(&run).await;
        assert_eq!(source(&run), run.master.repl_id(), "{form:?} {capa:?}");
        let report = run.ends_as_the_model().await;
        assert_eq!(report.keys(), keys, "{form:?} {capa:?}: no second snapshot");
    }
}

fn master_model() -> dfly_testkit::Model {
    Script::new(1).before("RPUSH l a").model().clone()
}

/// Between two runs.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_run_follows() {
    for form in FORMS {
        let mut run = Run::start_with(Script::new(2).partial(form), patient).await;
        caught_up(&run).await;
        for round in 1..6 {
            apply_once(&run.master, round * 10).await;
            let (master, redis) = stops_as_the_model(run).await;
            let was = master.repl_id();
            master.fail_over();
            apply_once(&master, round * 10 + 1).await;
            run = Run::go_on_with(master, redis, patient);
            caught_up(&run).await;
            let asked =
                lines(&run.master).into_iter().filter(|line| line.len() == 7 && line[5] == was).count();
            assert_eq!(asked, 4, "{form:?}: for each flow and the record before it, by the last master's id");
            assert_eq!(source(&run), run.master.repl_id());
            assert_eq!(keys(&mut run).await, 0, "{form:?}: no snapshot was needed");
        }
        run.ends_as_the_model().await;
    }
}

/// Where the new master's backlog does not reach back, or two fail-overs lie between, everything is synchronised, and what
/// was deleted meanwhile goes (P17).
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_followed_is_synchronised_fully() {
    for (form, chained) in FORMS.into_iter().flat_map(|form| [(form, false), (form, true)]) {
        let script = Script::new(2).partial(form).backlog(10).before("SET gone:1 v").before("SET stays v");
        let run = Run::start_with(script, patient).await;
        run.master.stable().await;
        run.master.apply("RPUSH gone:2 1").unwrap();
        let (master, redis) = stops_as_the_model(run).await;
        master.fail_over();
        let records = if chained { 1 } else { 100 };
        for i in 0..records {
            master.apply(format!("SET k{i} v").as_str()).unwrap();
        }
        if chained {
            master.fail_over();
        }
        master.apply("DEL gone:1 gone:2").unwrap();
        let (master, redis) = refused(master, redis).await;
        let run = Run::go_on_with(master, redis, forced);
        assert!(timeout(LIMIT, run.master.stable()).await.is_ok());
        let report = run.ends_as_the_model().await;
        assert_eq!(report.keys(), 1 + records, "{form:?} {chained}");
    }
}

/// A first start does not take it for granted that this is the right source.
async fn refused(
    master: ScriptedMaster,
    redis: dfly_testkit::RedisServer,
) -> (ScriptedMaster, dfly_testkit::RedisServer) {
    let run = Run::go_on_with(master, redis, patient);
    let ended = timeout(LIMIT, run.task).await.unwrap().unwrap();
    assert!(matches!(ended, Err(Error::OtherSource { .. })), "{ended:?}");
    (run.master, run.redis)
}

fn forced(config: &mut dfly_replica::EngineConfig) {
    patient(config);
    config.force_resync = true;
}

/// A release that announces the same number and does not know the form is never asked in it (protocol section 1.3).
#[tokio::test(flavor = "multi_thread")]
async fn an_older_release_is_not_asked_for_its_last_master() {
    let options = MasterOptions {
        capa: Capa::FourElements,
        release: Some("df-v1.21.4".into()),
        ..MasterOptions::default()
    };
    let script = Script::new(2).partial(PartialForm::Sync).before("SET s v");
    let master = ScriptedMaster::start(script, options).await.unwrap();
    let (master, redis) = stops_as_the_model(Run::go_on_with(master, redis(), patient)).await;
    master.fail_over();
    let (master, redis) = refused(master, redis).await;
    let run = Run::go_on_with(master, redis, forced);
    caught_up(&run).await;
    assert!(lines(&run.master).iter().all(|line| line.len() == 5), "{:?}", lines(&run.master));
    let report = run.ends_as_the_model().await;
    assert_eq!(report.keys(), 1);
}

/// A run that was killed between taking the positions over and its first record: they are the new master's by then.
#[tokio::test(flavor = "multi_thread")]
async fn positions_that_were_taken_over_are_the_new_masters() {
    for form in FORMS {
        let run = Run::start_with(Script::new(2).partial(form), patient).await;
        caught_up(&run).await;
        apply_once(&run.master, 1).await;
        let (master, redis) = stops_as_the_model(run).await;
        master.fail_over();
        let mut client = redis.client().unwrap();
        let key = b"df2redis:checkpoint";
        client.expect(&[b"HSET", key, b"source", master.repl_id().as_bytes()]).unwrap();
        drop(client);
        apply_once(&master, 2).await;
        // The master that it was promoted from is not asked for again.
        let before = master.flow_commands().len();
        let run = Run::go_on_with(master, redis, patient);
        caught_up(&run).await;
        assert!(lines(&run.master)[before..].iter().all(|line| line.len() == 6), "{:?}", lines(&run.master));
        assert_eq!(run.ends_as_the_model().await.keys(), 0);
    }
}

/// A run whose positions another one has taken over to a new master ends, and undoes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_overtaken_ends() {
    let run = Run::start_with(Script::new(2).before("SET s v"), patient).await;
    caught_up(&run).await;
    let other = "f".repeat(40);
    let mut client = run.redis.client().unwrap();
    client.expect(&[b"HSET", b"df2redis:checkpoint", b"source", other.as_bytes()]).unwrap();
    let before = user_keys(&run.redis);
    run.master.apply("INCR n").unwrap();
    let error = timeout(LIMIT, run.task).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, Error::Overtaken), "{error}");
    assert_equal(&before, &user_keys(&run.redis));
    let source = client.expect(&[b"HGET", b"df2redis:checkpoint", b"source"]).unwrap().text();
    assert_eq!(source, Some(other));
}

/// The same, when the other run moves them between this one's look at them and its attempt to take them over.
#[tokio::test(flavor = "multi_thread")]
async fn positions_are_taken_over_only_as_they_were_read() {
    use dfly_replica::{Checkpoint, Stored, TargetConnection};
    let run = Run::start_with(Script::new(2), patient).await;
    caught_up(&run).await;
    apply_once(&run.master, 1).await;
    let (_master, redis) = stops_as_the_model(run).await;
    let mut endpoint = crate::run::endpoint(redis_resp::connection::Peer::Target, redis.address());
    endpoint.connect_timeout = Duration::from_secs(5);
    let target = redis_resp::connection::Connection::open(&endpoint).await.unwrap();
    let mut target = TargetConnection::from(target);
    let Stored::Whole(old) = Checkpoint::load(&mut target).await.unwrap() else { panic!("positions") };
    let new = old.moved_to(&"e".repeat(40));
    for _answer_was_lost in 0..2 {
        assert!(Checkpoint::replace(&mut target, &old, &new).await.unwrap());
        assert_eq!(Checkpoint::load(&mut target).await.unwrap(), Stored::Whole(new.clone()));
    }
    let third = old.moved_to(&"d".repeat(40));
    assert!(!Checkpoint::replace(&mut target, &old, &third).await.unwrap());
    assert_eq!(Checkpoint::load(&mut target).await.unwrap(), Stored::Whole(new));
}

/// C1: a replica that had not received the last record is promoted, and gives its number to a record of its own. The position
/// behind that number is no position in its journal, although it accepts it.
#[tokio::test(flavor = "multi_thread")]
async fn a_promoted_replica_that_lacked_something_is_not_followed_on() {
    for form in FORMS {
        let mut run = Run::start_with(Script::new(1).partial(form), patient).await;
        apply_once(&run.master, 1).await;
        run.caught_up().await;
        let replica = run.master.replica();
        run.master.apply("SET only:on-the-old-master v").unwrap();
        run.caught_up().await;
        run.master.fail_over_to(replica);
        run.master.apply("SET only:on-the-new-one v").unwrap();
        apply_once(&run.master, 2).await;
        let told = |report: &dfly_replica::Report| {
            report
                .events
                .iter()
                .any(|event| event.text.contains("synchronising fully: the source was promoted"))
        };
        assert!(timeout(LIMIT, run.reports.wait_for(told)).await.is_ok(), "{:?}", run.reports.borrow());
        run.ends_as_the_model().await;
    }
}

/// A source that hands over in order (TAKEOVER) says so with a PING as the last record, which the promoted one has too.
#[tokio::test(flavor = "multi_thread")]
async fn a_hand_over_is_followed_without_a_question() {
    for form in FORMS {
        let mut run = Run::start_with(Script::new(2).partial(form).before("SET k v"), patient).await;
        run.caught_up().await;
        apply_once(&run.master, 1).await;
        run.caught_up().await;
        let keys = keys(&mut run).await;
        run.master.ping();
        run.caught_up().await;
        let was = run.master.repl_id();
        run.master.fail_over();
        apply_once(&run.master, 2).await;
        run.caught_up().await;
        let asked = lines(&run.master).into_iter().filter(|line| line.len() == 7 && line[5] == was).count();
        assert_eq!(asked, 2, "{form:?}: each flow, and nothing else");
        let report = run.ends_as_the_model().await;
        assert_eq!(report.keys(), keys, "{form:?}");
    }
}

/// What a run has on disk belongs to the positions that were reached with the old master: it is applied before what the
/// new one sends.
#[tokio::test(flavor = "multi_thread")]
async fn the_relay_log_is_followed_over() {
    for form in FORMS {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().to_path_buf();
        let with_log = |config: &mut dfly_replica::EngineConfig| {
            patient(config);
            config.state_dir = Some(state.clone());
            config.read_ahead = 1 << 10;
            config.window.commands = 8;
            config.on_start = OnStart::Merge;
            config.drain_timeout = Duration::from_millis(200);
        };
        let mut run = Run::start_with(Script::new(1).partial(form).backlog(3000), with_log).await;
        caught_up(&run).await;
        run.redis.pause().unwrap();
        for round in 0..600 {
            apply_once(&run.master, round).await;
        }
        // The target takes nothing, so all of it that is not in flight is on disk.
        let sent = run.master.everything_sent().await;
        let relayed = |report: &dfly_replica::Report| {
            report.flows.iter().any(|flow| flow.relay_bytes > 40_000 && flow.bytes == sent)
        };
        assert!(timeout(LIMIT, run.reports.wait_for(relayed)).await.is_ok(), "{:?}", run.reports.borrow());
        run.stop.send_replace(Stop::Drain);
        let _ended_with_what_is_in_flight = run.task.await.unwrap().is_ok();
        run.redis.resume().unwrap();
        only_client(&run.redis);
        run.master.fail_over();
        apply_once(&run.master, 1000).await;
        let mut run = Run::go_on_with(run.master, run.redis, with_log);
        run.caught_up().await;
        assert_eq!(keys(&mut run).await, 0, "{form:?}: no snapshot was needed: {:?}", lines(&run.master));
        run.ends_as_the_model().await;
    }
}
