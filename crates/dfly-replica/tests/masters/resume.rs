//! Resuming in both forms (protocol section 6.2), at every moment, with records that must not be repeated.

use std::time::Duration;

use dfly_replica::{Error, FlowError, Stop};
use dfly_testkit::{
    Blobs, Cut, Mangle, MasterOptions, Model, Op, PartialForm, RedisServer, Script, ScriptedMaster,
    SnapshotStyle,
};
use tokio::time::timeout;

use crate::run::redis;
use crate::scripted::journal_offset;
use crate::workload::{LIMIT, Run, Workload, patient};

const FORMS: [PartialForm; 2] = [PartialForm::Sync, PartialForm::StartStable];

/// Records each of which shows if it is carried out twice, or not at all.
const ONCE: [&str; 7] =
    ["INCR n", "APPEND s x", "RPUSH l a b", "RPOP l", "ZINCRBY z 1.5 m", "RPUSH old x", "RENAME old l2"];

pub(crate) async fn apply_once(master: &ScriptedMaster, round: u64) {
    for line in ONCE {
        master.apply(line).unwrap();
    }
    master.apply(format!("XADD x {round}-1 f v").as_str()).unwrap();
    tokio::task::yield_now().await;
}

pub(crate) async fn caught_up(run: &Run) {
    let caught_up = timeout(LIMIT, run.master.caught_up()).await.is_ok();
    let (has_ended, report) = (run.task.is_finished(), run.reports.borrow());
    assert!(caught_up, "ended: {has_ended}, {:?}, {report:?}", run.master.violations());
}

fn workload(seed: u64) -> Workload {
    Workload { random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), model: Model::default() }
}

/// How many keys of snapshots the run has read, in a report that was made behind this moment.
pub(crate) async fn keys(run: &mut Run) -> u64 {
    for _ in 0..2 {
        run.reports.changed().await.unwrap();
    }
    run.reports.borrow().keys()
}

/// Starts a run that reconnects for as long as it takes.
async fn start(script: Script) -> Run {
    Run::start_with(script, patient).await
}

/// P18, whatever the form: cuts at moments that no one chose, with records before, between and behind them.
#[tokio::test(flavor = "multi_thread")]
async fn cuts_under_load_repeat_nothing_in_either_form() {
    for (seed, form) in (1u64..).zip(FORMS.into_iter().cycle()).take(8) {
        let style = SnapshotStyle {
            blobs: [Blobs::None, Blobs::Lz4, Blobs::Zstd, Blobs::None][usize::try_from(seed % 4).unwrap()],
            marks_in_blobs: seed % 3 == 0,
            ..SnapshotStyle::default()
        };
        let mut work = workload(seed);
        let mut script = Script::new(usize::try_from(seed % 3 + 1).unwrap()).partial(form).style(style);
        for op in work.ops(100) {
            script = script.before(op);
        }
        let mut run = start(script).await;
        caught_up(&run).await;
        let keys = keys(&mut run).await;
        for cut in 0..30u64 {
            for op in work.ops(40) {
                run.master.apply(op).unwrap();
            }
            run.master.cut();
            for op in work.ops(30) {
                run.master.apply(op).unwrap();
                if cut % 3 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            if cut % 4 == 0 {
                caught_up(&run).await;
            }
        }
        let report = run.ends_as_the_model().await;
        assert_eq!(report.keys(), keys, "seed {seed}: no second snapshot");
    }
}

/// The second session's stream of one flow, at every byte: `CUT_STEP=1` for each of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_resumed_flow_is_cut_at_many_bytes() {
    let step = option_env!("CUT_STEP").map_or(41, |step| step.parse().unwrap());
    let mut redis = redis();
    for form in FORMS {
        let (mut offset, mut length) = (0, 1);
        while offset < length {
            (redis, length) = resumed_and_cut(redis, (form, offset)).await;
            offset += step;
        }
        assert!(length > 80, "{form:?}: {length}");
    }
}

/// Cuts the second session of flow 0 behind `offset` bytes; gives how long its stream is at least.
async fn resumed_and_cut(redis: RedisServer, (form, offset): (PartialForm, usize)) -> (RedisServer, usize) {
    redis.client().unwrap().expect(&[b"FLUSHALL"]).unwrap();
    let options =
        MasterOptions { cut: Some(Cut { session: 1, flow: offset % 2, offset }), ..MasterOptions::default() };
    let master = ScriptedMaster::start(Script::new(2).partial(form), options).await.unwrap();
    let run = Run::go_on_with(master, redis, patient);
    caught_up(&run).await;
    run.master.cut();
    for round in 1..4 {
        apply_once(&run.master, round).await;
    }
    assert!(timeout(LIMIT, run.master.session_ended(1)).await.is_ok() || run.master.sent(1, 0) < offset);
    apply_once(&run.master, 4).await;
    caught_up(&run).await;
    let length = run.master.sent(1, 0).max(run.master.sent(2, 0));
    let (master, redis) = stops_as_the_model(run).await;
    drop(master);
    (redis, length)
}

/// As [`Run::ends_as_the_model`], with what is left of the run.
pub(crate) async fn stops_as_the_model(mut run: Run) -> (ScriptedMaster, RedisServer) {
    caught_up(&run).await;
    run.settled().await;
    run.stop.send_replace(Stop::Drain);
    run.task.await.unwrap().unwrap();
    crate::workload::assert_equal(&run.master.keyspace(), &crate::run::user_keys(&run.redis));
    assert_eq!(run.master.violations(), [""; 0]);
    (run.master, run.redis)
}

/// P18 across runs, in the form of older masters: the records that came meanwhile are in the blobs.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_run_goes_on_from_an_older_master() {
    let mut run = start(Script::new(3).partial(PartialForm::Sync).before("RPUSH l a")).await;
    caught_up(&run).await;
    for round in 1..6 {
        for i in 0..50 {
            apply_once(&run.master, round * 1000 + i).await;
            if round == 3 && i == 25 {
                run.master.apply(Op::line("FLUSHALL")).unwrap();
                run.master.apply("RPUSH l a").unwrap();
            }
        }
        let (master, redis) = stops_as_the_model(run).await;
        for i in 100..150 {
            apply_once(&master, round * 1000 + i).await;
        }
        run = Run::go_on_with(master, redis, patient);
        caught_up(&run).await;
        assert_eq!(keys(&mut run).await, 0, "round {round}: no snapshot was needed");
    }
    run.ends_as_the_model().await;
}

/// P10 in the form of older masters: a flush in the blobs passes once, and the positions go on behind it.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_in_the_backlog_passes_once() {
    for form in FORMS {
        let mut work = workload(5);
        let run = start(Script::new(3).partial(form)).await;
        caught_up(&run).await;
        for _round in 0..10 {
            run.master.cut();
            for flush in [Op::line("FLUSHALL"), Op::line("FLUSHDB").in_db(3), Op::line("FLUSHDB")] {
                for op in work.ops(15) {
                    run.master.apply(op).unwrap();
                }
                work.model.apply(&flush).unwrap();
                run.master.apply(flush).unwrap();
            }
            for op in work.ops(15) {
                run.master.apply(op).unwrap();
            }
            caught_up(&run).await;
        }
        run.ends_as_the_model().await;
    }
}

/// A backlog that reaches back on one flow and not on the other is asked for nothing: everything is synchronised anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_reaches_back_on_some_flows_is_synchronised_fully() {
    for form in FORMS {
        let mut run = start(Script::new(2).partial(form).backlog(10).before("SET gone v")).await;
        caught_up(&run).await;
        let keys = keys(&mut run).await;
        run.master.cut();
        // One key, so one flow: the other one's backlog still reaches back.
        for _ in 0..30 {
            run.master.apply("INCR n").unwrap();
        }
        run.master.apply("DEL gone").unwrap();
        assert!(timeout(LIMIT, run.master.stable()).await.is_ok());
        let report = run.ends_as_the_model().await;
        assert!(report.keys() > keys, "{form:?}: a snapshot was needed");
    }
}

/// C5: the advice names the flag that the source's release has.
#[tokio::test(flavor = "multi_thread")]
async fn advice_about_the_backlog_is_for_the_release() {
    for (release, flag) in [
        ("df-v1.40.1", "it keeps --shard_repl_backlog_len"),
        ("df-v1.41.0", "--shard_repl_backlog_time_ms (5 s unless"),
    ] {
        let options = MasterOptions { release: Some(release.to_owned()), ..MasterOptions::default() };
        let script = Script::new(1).backlog(10).before("SET k v");
        let mut run =
            Run::go_on_with(ScriptedMaster::start(script, options).await.unwrap(), redis(), patient);
        caught_up(&run).await;
        run.master.cut();
        for _ in 0..30 {
            run.master.apply("INCR n").unwrap();
        }
        let advised =
            |report: &dfly_replica::Report| report.events.iter().any(|event| event.text.contains(flag));
        let seen = timeout(LIMIT, run.reports.wait_for(advised)).await.is_ok();
        assert!(seen, "{release}: {:?}", run.reports.borrow().events);
        run.ends_as_the_model().await;
    }
}

/// What the header of flow 0 is long: an empty master sends FULLSYNC_END, JOURNAL_OFFSET, EOF and the token behind it.
async fn header_len(redis: &RedisServer) -> usize {
    journal_offset(redis).await - 9 - 9 - 9 - 40
}

/// A run whose second session's flow 0 is mangled.
async fn mangled(redis: RedisServer, mangle: Mangle) -> Error {
    let options = MasterOptions { mangle: Some(mangle), ..MasterOptions::default() };
    let script = Script::new(1).partial(PartialForm::Sync);
    let master = ScriptedMaster::start(script, options).await.unwrap();
    let run = Run::go_on_with(master, redis, |config| {
        patient(config);
        config.ping_interval = Duration::from_secs(3600);
    });
    caught_up(&run).await;
    run.master.apply("INCR n").unwrap();
    caught_up(&run).await;
    run.master.cut();
    let error = timeout(LIMIT, run.task).await.unwrap().unwrap().unwrap_err();
    let mut client = run.redis.client().unwrap();
    assert_eq!(client.command(&[b"GET", b"n"]).unwrap().text().as_deref(), Some("1"));
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_among_the_backlog_ends_the_run() {
    let redis = redis();
    let offset = header_len(&redis).await;
    let insert = b"\x00\x01n\x019".to_vec();
    let error = mangled(redis, Mangle { session: 1, flow: 0, offset, remove: 0, insert }).await;
    assert!(matches!(error, Error::Flow { error: FlowError::EntryInBacklog { .. }, .. }), "{error}");
    assert!(error.to_string().contains("the value of key \"n\" in database 0"), "{error}");
}

/// JOURNAL_OFFSET must be what comes behind the last record of the blobs.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_is_not_whole_ends_the_run() {
    let redis = redis();
    let offset = header_len(&redis).await + 9 + 1;
    let error = mangled(redis, Mangle { session: 1, flow: 0, offset, remove: 1, insert: vec![9] }).await;
    let is_backlog = matches!(error, Error::Flow { error: FlowError::Backlog { .. }, .. });
    assert!(is_backlog && error.to_string().contains("up to record 2, and says that record 9"), "{error}");
}

/// P10 while the target is behind: records that are received and not applied are behind the flush, not before it.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_in_the_relay_log_passes_over_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut run = Run::start_with(Script::new(2), |config| {
        patient(config);
        config.state_dir = Some(dir.path().to_path_buf());
        config.read_ahead = 1 << 10;
    })
    .await;
    caught_up(&run).await;
    run.redis.pause().unwrap();
    let mut work = workload(9);
    for _flush in 0..3 {
        for op in work.ops(800) {
            run.master.apply(op).unwrap();
        }
        let flush = Op::line("FLUSHALL");
        work.model.apply(&flush).unwrap();
        run.master.apply(flush).unwrap();
    }
    for op in work.ops(800) {
        run.master.apply(op).unwrap();
    }
    let relayed = |report: &dfly_replica::Report| report.flows.iter().all(|flow| flow.relay_bytes > 450_000);
    assert!(timeout(LIMIT, run.reports.wait_for(relayed)).await.is_ok(), "{:?}", run.reports.borrow());
    run.redis.resume().unwrap();
    run.ends_as_the_model().await;
}
