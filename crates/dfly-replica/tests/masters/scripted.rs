//! Scripted masters: whatever they write, the target ends as their model.

use std::time::Duration;

use dfly_replica::{Blame, Engine, Stop};
use dfly_testkit::{Mangle, MasterOptions, Model, Op, RedisServer, Script, ScriptedMaster};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::run::{config_for, redis, until_it_ends};
use crate::workload::{LIMIT, Run, Workload, patient, styles};

/// P1, P3, P12 and the order of records: random operations before, during and after the snapshot, in every style, with
/// the session cut and resumed in between.
#[tokio::test(flavor = "multi_thread")]
async fn random_operations_end_as_the_model() {
    for (seed, style) in (1u64..).zip(styles().into_iter().cycle()).take(12) {
        let mut script = Script::new(usize::try_from(seed % 4 + 1).unwrap()).style(style);
        let mut work = Workload { random: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15), model: Model::default() };
        for op in work.ops(200) {
            script = script.before(op);
        }
        for op in work.ops(120) {
            script = script.during(op);
        }
        for op in work.ops(40) {
            script = script.tail(op);
        }
        for op in work.ops(200) {
            script = script.stable(op);
        }
        let run = Run::start_with(script, patient).await;
        assert!(
            timeout(LIMIT, run.master.caught_up()).await.is_ok(),
            "seed {seed}: {:?}",
            run.master.violations()
        );
        for _cut in 0..3 {
            for op in work.ops(150) {
                run.master.apply(op).unwrap();
            }
            run.master.cut();
            for op in work.ops(50) {
                run.master.apply(op).unwrap();
            }
        }
        run.ends_as_the_model().await;
    }
}

/// P10: each flush once, after what precedes it on every flow and before what follows it on any.
#[tokio::test(flavor = "multi_thread")]
async fn flushes_pass_once() {
    let mut script = Script::new(4);
    let mut work = Workload { random: 7, model: Model::default() };
    for _round in 0..10 {
        for op in work.ops(60) {
            script = script.stable(op);
        }
        for flush in [Op::line("FLUSHDB").in_db(3), Op::line("FLUSHALL"), Op::line("FLUSHDB")] {
            script = script.stable(flush.clone());
            work.model.apply(&flush).unwrap();
            for op in work.ops(10) {
                script = script.stable(op);
            }
        }
    }
    let run = Run::start(script).await;
    let report = run.ends_as_the_model().await;
    assert!(report.records() > 700, "{}", report.records());
}

/// A flush during the full sync makes what the snapshot still says wrong, so the sync starts over (protocol section 4.5).
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_during_the_full_sync_starts_over() {
    let mut script = Script::new(2).before("SET old:1 v").before("RPUSH old:2 a b");
    for i in 0..50 {
        script = script.before(format!("SET old:{i}:{i} v").as_str());
    }
    script = script.during("SET during 1").during("FLUSHALL").during("SET after 2").stable("INCR n");
    let run = Run::start(script).await;
    run.ends_as_the_model().await;
}

/// P18 within one run: a cut at any moment neither repeats nor loses records that are not idempotent.
#[tokio::test(flavor = "multi_thread")]
async fn a_cut_repeats_nothing() {
    let run = Run::start_with(Script::new(3), patient).await;
    run.master.caught_up().await;
    for _cut in 0..20 {
        for _ in 0..30 {
            for line in ["INCR a", "INCR b", "INCR c", "RPUSH l x", "APPEND s y"] {
                run.master.apply(line).unwrap();
            }
        }
        run.master.cut();
    }
    run.ends_as_the_model().await;
}

/// P18 across runs: each run goes on where the one before stopped, by the positions that the target holds.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_run_goes_on_where_the_last_one_stopped() {
    let mut run = Run::start(Script::new(3)).await;
    assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
    for round in 0..5 {
        for i in 0..200 {
            for line in
                [format!("INCR n{}", i % 7), format!("RPUSH l{} {i}", i % 5), format!("APPEND s{} x", i % 3)]
            {
                run.master.apply(line.as_str()).unwrap();
            }
            if round == 3 && i == 100 {
                run.master.apply("FLUSHALL").unwrap();
            }
        }
        assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok(), "round {round}");
        run.stop.send_replace(Stop::Drain);
        let report = run.task.await.unwrap().unwrap();
        assert_eq!(report.keys(), 0, "round {round}: no snapshot was needed");
        for _while_away in 0..20 {
            run.master.apply("INCR away").unwrap();
        }
        run = Run::go_on(run.master, run.redis);
    }
    run.ends_as_the_model().await;
}

/// P5: a record that the target refuses is not passed over: its key is read again from the source, in step with the
/// journal.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_record_has_its_key_read_again() {
    let run = Run::start(Script::new(1).before("RPUSH l a").before("RPUSH m a")).await;
    assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
    // Somebody else writes to the target: the records that the source journals next are refused there.
    let mut client = run.redis.client().unwrap();
    client.expect(&[b"MSET", b"l", b"text", b"m", b"text"]).unwrap();
    drop(client);
    run.master.apply("INCR before").unwrap();
    for i in 0..100 {
        run.master.apply(format!("RPUSH l {i}").as_str()).unwrap();
        run.master.apply("INCR n").unwrap();
    }
    run.master.apply("RPUSH m b").unwrap();
    run.master.apply("RENAME m k").unwrap();
    let report = run.ends_as_the_model().await;
    assert!(report.refetched >= 1, "{report:?}");
}

/// P6: a target that is full is waited for; nothing is passed over.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_target_loses_nothing() {
    let mut run = Run::start_with(Script::new(2), patient).await;
    assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
    let mut client = run.redis.client().unwrap();
    client.expect(&[b"CONFIG", b"SET", b"maxmemory", b"1"]).unwrap();
    for i in 0..50 {
        run.master.apply(format!("RPUSH l{} {i}", i % 3).as_str()).unwrap();
        run.master.apply("INCR n").unwrap();
    }
    let refused = |errors: &RedisServer| {
        let info = errors.client().unwrap().expect(&[b"INFO", b"errorstats"]).unwrap().text().unwrap();
        info.contains("errorstat_OOM")
    };
    while !refused(&run.redis) {
        run.reports.changed().await.unwrap();
    }
    client.expect(&[b"CONFIG", b"SET", b"maxmemory", b"0"]).unwrap();
    drop(client);
    run.ends_as_the_model().await;
}

/// P17: where the source cannot resume, everything is synchronised again, and keys that it deleted meanwhile go.
#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_is_too_short_or_another_master_is_synchronised_fully() {
    for restart in [false, true] {
        let script = Script::new(2).backlog(10).before("SET gone:1 v").before("SET stays v");
        let run = Run::start(script).await;
        run.master.stable().await;
        run.master.apply("RPUSH gone:2 1").unwrap();
        assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
        run.master.cut();
        for i in 0..100 {
            run.master.apply(format!("SET k{i} v").as_str()).unwrap();
        }
        run.master.apply("DEL gone:1 gone:2").unwrap();
        if restart {
            run.master.restart();
        }
        assert!(timeout(LIMIT, run.master.stable()).await.is_ok());
        let report = run.ends_as_the_model().await;
        assert_eq!(report.extra_keys_removed, 2, "restart {restart}");
        // C29: how far it has come is told.
        assert!(report.extra_keys.looked_at > 0 && report.extra_keys.of >= report.extra_keys.looked_at);
    }
}

/// A PING record of the master is answered at once, not at the next interval.
#[tokio::test(flavor = "multi_thread")]
async fn a_ping_is_acknowledged_at_once() {
    let run = Run::start_with(Script::new(2), |config| config.ack_interval = Duration::from_secs(3600)).await;
    run.master.stable().await;
    for line in ["INCR a", "INCR b", "INCR c"] {
        run.master.apply(line).unwrap();
    }
    run.master.ping();
    run.ends_as_the_model().await;
}

/// P6: a target that stays away ends the run with a clear reason, if it is not to be waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_stays_away_ends_the_run() {
    let mut run =
        Run::start_with(Script::new(2), |config| config.reconnect.give_up_after = Some(Duration::ZERO)).await;
    assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
    run.redis.kill().unwrap();
    let error = timeout(LIMIT, run.task).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("gave up after 0 s without the target"), "{error}");
    assert_eq!(error.blame(), Blame::Target);
}

/// P4: a target whose connections break, again and again, in the middle of transactions that must not be repeated.
#[tokio::test(flavor = "multi_thread")]
async fn connections_to_the_target_that_break_repeat_nothing() {
    let run = Run::start_with(Script::new(3), patient).await;
    assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
    let mut client = run.redis.client().unwrap();
    for _break in 0..20 {
        for _ in 0..30 {
            for line in ["INCR a", "INCR b", "INCR c", "RPUSH l x", "APPEND s y"] {
                run.master.apply(line).unwrap();
            }
        }
        client.expect(&[b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"yes"]).unwrap();
    }
    drop(client);
    run.ends_as_the_model().await;
}

/// P13 and P22: bytes that no master sends end the run, and say where.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_journal_ends_the_run() {
    let redis = redis();
    let offset = journal_offset(&redis).await;
    let mangle = Mangle { session: 0, flow: 0, offset, remove: 0, insert: vec![0x05] };
    let options = MasterOptions { mangle: Some(mangle), ..MasterOptions::default() };
    let master = ScriptedMaster::start(Script::new(1).stable("SET k v"), options).await.unwrap();
    let error = until_it_ends(config_for(master.address(), &redis)).await.unwrap_err();
    assert!(error.to_string().contains("flow 0: the journal cannot be read: journal byte"), "{error}");
}

/// How many bytes of an empty master's flow precede its journal.
pub(crate) async fn journal_offset(redis: &RedisServer) -> usize {
    let master = ScriptedMaster::start(Script::new(1), MasterOptions::default()).await.unwrap();
    let (engine, _reports) = Engine::new(config_for(master.address(), redis));
    let (stop, stopped) = watch::channel(Stop::Running);
    let task = tokio::spawn(engine.run(stopped));
    master.caught_up().await;
    stop.send_replace(Stop::Drain);
    task.await.unwrap().unwrap();
    redis.client().unwrap().expect(&[b"FLUSHALL"]).unwrap();
    master.sent(0, 0)
}
