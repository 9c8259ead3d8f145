//! Recorded sessions whose course matters, not only their end: a resume, a flush, writes during the full synchronisation,
//! and a TAKEOVER.

use std::time::Duration;

use dfly_replica::{Engine, Report, Stop};
use dfly_testkit::{
    Answer, Cut, Hold, MasterOptions, Model, RecordedMaster, Recording, RedisServer, RefusingProxy, Script,
    ScriptedMaster,
};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::resume::{apply_once, caught_up};
use crate::run::{config, differences, redis, replicate, to_the_end, user_keys};
use crate::workload::{LIMIT, Run, Workload, assert_equal, patient};

/// How often a Redis has carried a command out.
fn calls(redis: &RedisServer, command: &str) -> u64 {
    let stats = redis.client().unwrap().expect(&[b"INFO", b"commandstats"]).unwrap().text().unwrap();
    let name = format!("cmdstat_{command}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(&name));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

/// The second session asks for the LSN that the recorded replica asked for (the master refuses any other), without SYNC, and
/// a counter that went on meanwhile is neither short nor ahead (P18).
#[tokio::test(flavor = "multi_thread")]
async fn partial_resync() {
    let recording = Recording::bundled("partial-resync").unwrap();
    let [full, partial] = recording.sessions.as_slice() else { panic!("two sessions") };
    assert!(!full.is_partial() && partial.is_partial());
    assert!(recording.expected().iter().any(|row| row.key == "cut:ctr"), "what went on while cut");
    for split in [None, Some(1), Some(13)] {
        let options = MasterOptions { split, ..MasterOptions::default() };
        let (master, _report) = replicate(recording.clone(), options).await;
        let commands = master.commands();
        let asked = |word: &str| commands.iter().filter(|c| c.get(1).is_some_and(|w| w == word)).count();
        assert_eq!((asked("SYNC"), asked("STARTSTABLE")), (1, 2), "one snapshot, two sessions");
        let flows = master.flow_commands();
        let lsns: Vec<u64> =
            flows.iter().filter_map(|c| std::str::from_utf8(c.get(5)?).ok()?.parse().ok()).collect();
        let recorded: Vec<u64> = partial.flows.iter().filter_map(|flow| flow.lsn).collect();
        assert_eq!(lsns, recorded);
    }
}

/// P10: the target is emptied once, by one flow, though each flow carries the record; keys before it are gone, keys behind
/// it are there.
#[tokio::test(flavor = "multi_thread")]
async fn flushall_in_stable() {
    for split in [None, Some(1), Some(13)] {
        let redis = redis();
        let recording = Recording::bundled("flushall-in-stable").unwrap();
        let flows = recording.sessions[0].flows.len();
        let count = |flow: usize, name: &[u8]| {
            let journal = recording.sessions[0].flows[flow].journal();
            journal.windows(name.len()).filter(|word| *word == name).count()
        };
        assert!(flows > 1 && (0..flows).all(|flow| count(flow, b"FLUSHALL") == 1), "each flow carries it");
        let flushdbs = count(0, b"FLUSHDB") as u64;
        let options = MasterOptions { split, ..MasterOptions::default() };
        let master = RecordedMaster::start(recording, options).await.unwrap();
        to_the_end(config(&master, &redis), &master).await.unwrap();
        assert_eq!((calls(&redis, "flushall"), calls(&redis, "flushdb")), (1, flushdbs));
        let comparison = differences(&redis, master.recording());
        assert!(comparison.is_equal(), "{:#?}", comparison.differences);
        assert_eq!(user_keys(&redis).len(), 2);
    }
}

/// P1: the journal among the entries is applied in its place, at whatever boundaries it arrives.
#[tokio::test(flavor = "multi_thread")]
async fn fullsync_under_writes() {
    let recording = Recording::bundled("fullsync-under-writes").unwrap();
    let flows = &recording.sessions[0].flows;
    assert!(flows.iter().all(|flow| flow.start_lsn > 100), "writes during the snapshot");
    let behind: u64 = flows.iter().map(|flow| flow.final_lsn - flow.start_lsn).sum();
    for split in [None, Some(1460), Some(7)] {
        let options = MasterOptions { split, ..MasterOptions::default() };
        let (_master, report) = replicate(recording.clone(), options).await;
        assert!(report.records() > behind + 100, "{} records, {behind} of them behind", report.records());
    }
}

/// P3 and P17: a full synchronisation that is cut off anywhere is begun again, over what is there by then.
#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_is_cut_off_is_begun_again() {
    let mut work = Workload { random: 0x5eed, model: Model::default() };
    let mut script = Script::new(2);
    for op in work.ops(150) {
        script = script.before(op);
    }
    for op in work.ops(60) {
        script = script.during(op);
    }
    for op in work.ops(20) {
        script = script.tail(op);
    }
    for offset in (0..12_000).step_by(397) {
        let cut = Cut { session: 0, flow: offset % 2, offset };
        let options = MasterOptions { cut: Some(cut), ..MasterOptions::default() };
        let master = ScriptedMaster::start(script.clone(), options).await.unwrap();
        let mut run = Run::go_on_with(master, redis(), patient);
        run.caught_up().await;
        run.settled().await;
        apply_once(&run.master, 1 << 30).await;
        run.ends_as_the_model().await;
    }
}

/// A flush of the source during the full synchronisation, while the target is loading: the target is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn a_flush_in_the_snapshot_waits_for_the_target() {
    let script = (0..300).fold(Script::new(2), |script, n| script.before(format!("SET k{n} v").as_str()));
    let hold = Some(Hold { session: 0, flow: 1, bytes: 60 });
    let options = MasterOptions { hold, ..MasterOptions::default() };
    let (master, redis) = (ScriptedMaster::start(script, options).await.unwrap(), redis());
    let proxy = RefusingProxy::start(redis.address()).await.unwrap();
    let port = proxy.address().port();
    let mut run = Run::go_on_with(master, redis, |config| {
        patient(config);
        config.target.port = port;
    });
    assert!(timeout(LIMIT, run.reports.wait_for(|report| report.keys() > 100)).await.is_ok());
    proxy.answer([Answer::error("INFO", "LOADING Redis is loading the dataset in memory")]);
    run.master.apply("FLUSHALL").unwrap();
    run.master.release();
    let waits = |report: &Report| report.retries.get("target").copied().unwrap_or_default() > 2;
    let has_waited = tokio::select! {
        ended = &mut run.task => panic!("the run ended by itself: {ended:?}"),
        waited = timeout(LIMIT, run.reports.wait_for(waits)) => waited.is_ok(),
    };
    assert!(has_waited, "{:?}", run.reports.borrow());
    proxy.answer([]);
    run.caught_up().await;
    run.master.apply("SET behind v").unwrap();
    run.ends_as_the_model().await;
}

/// A key that the target still holds and the source has no more, when its snapshot begins, and makes anew meanwhile by a
/// record that does not replace it.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_made_anew_during_a_second_full_synchronisation() {
    let run =
        Run::start_with(Script::new(1).backlog(2).before("RPUSH l old").before("SET s v"), patient).await;
    caught_up(&run).await;
    run.master.cut();
    for line in ["DEL l", "INCR n", "INCR n", "INCR n"] {
        run.master.apply(line).unwrap();
    }
    assert!(timeout(LIMIT, run.master.stable()).await.is_ok());
    run.master.apply("RPUSH l new").unwrap();
    run.ends_as_the_model().await;
}

fn received(report: &Report, lsns: &[u64]) -> bool {
    let has = |(flow, lsn): (&dfly_replica::FlowReport, &u64)| {
        flow.positions.is_some_and(|positions| positions.received.0 >= *lsn)
    };
    report.flows.len() == lsns.len() && report.flows.iter().zip(lsns).all(has)
}

/// Protocol section 2.7: a master that is taken over waits for the ACK of a PING record. Ours comes when everything before it
/// is durable, and not before, so the `+OK` to TAKEOVER means that nothing is lost, whatever becomes of this tool then.
#[tokio::test(flavor = "multi_thread")]
async fn takeover() {
    let recording = Recording::bundled("takeover").unwrap();
    let finals: Vec<u64> = recording.sessions[0].flows.iter().map(|flow| flow.final_lsn).collect();
    let lengths: Vec<usize> = recording.sessions[0].flows.iter().map(|flow| flow.stream.len()).collect();
    // PING, and the LSN record of it.
    assert!(recording.sessions[0].flows.iter().all(|flow| flow.journal().windows(2).any(|w| w == [13, 15])));
    let hold = Hold { session: 0, flow: 1, bytes: 9 };
    let options = MasterOptions { hold: Some(hold), ..MasterOptions::default() };
    let redis = redis();
    let master = RecordedMaster::start(recording, options).await.unwrap();
    let mut config = config(&master, &redis);
    // Nothing but the first ACK and the answer to a PING.
    config.ack_interval = Duration::from_secs(3600);
    config.report_interval = Duration::from_millis(5);
    let (engine, mut reports) = Engine::new(config);
    let (_stop, stopped) = watch::channel(Stop::Running);
    let run = tokio::spawn(engine.run(stopped));
    master.sent_at_least(0, 0, master.recording().sessions[0].flows[0].first().len()).await;
    redis.pause().unwrap();
    master.release();
    for (flow, length) in lengths.iter().enumerate() {
        master.sent_at_least(0, flow, *length).await;
    }
    let all =
        |report: &Report| report.flows.iter().zip(&lengths).all(|(flow, len)| flow.bytes >= *len as u64);
    assert!(timeout(LIMIT, reports.wait_for(all)).await.is_ok(), "{:?}", reports.borrow());
    for _report in 0..20 {
        reports.changed().await.unwrap();
        assert!(
            (0..lengths.len()).all(|flow| master.acks(0, flow).is_empty()),
            "the target has answered nothing"
        );
    }
    redis.resume().unwrap();
    for (flow, lsn) in finals.iter().enumerate() {
        assert!(timeout(LIMIT, master.acked(0, flow, *lsn)).await.is_ok(), "{:?}", master.acks(0, flow));
    }
    // The master answers OK now and goes. So may we.
    run.abort();
    let _aborted = run.await;
    let comparison = differences(&redis, master.recording());
    assert!(comparison.is_equal(), "{:#?}", comparison.differences);
    assert_eq!(master.violations(), [""; 0]);
}

/// The same in the middle of a run, with records that show whether they were carried out once; the run then follows the
/// master that has taken over.
#[tokio::test(flavor = "multi_thread")]
async fn a_takeover_loses_nothing_and_is_followed() {
    let mut run = Run::start_with(Script::new(2), |config| {
        patient(config);
        config.ack_interval = Duration::from_secs(3600);
    })
    .await;
    run.master.stable().await;
    apply_once(&run.master, 1).await;
    run.master.ping();
    caught_up(&run).await;
    for round in 2..7 {
        run.redis.pause().unwrap();
        for i in 0..20 {
            apply_once(&run.master, round * 100 + i).await;
        }
        run.master.ping();
        let (lsns, session) = (run.master.lsns(), usize::try_from(round - 2).unwrap());
        assert!(timeout(LIMIT, run.reports.wait_for(|report| received(report, &lsns))).await.is_ok());
        for _report in 0..5 {
            run.reports.changed().await.unwrap();
            for (flow, lsn) in lsns.iter().enumerate() {
                assert!(run.master.acks(session, flow).last() < Some(lsn), "round {round}");
            }
        }
        run.redis.resume().unwrap();
        caught_up(&run).await;
        assert_equal(&run.master.keyspace(), &user_keys(&run.redis));
        run.master.fail_over();
        // The first ACK of a session comes without being asked for.
        assert!(timeout(LIMIT, run.master.stable()).await.is_ok());
        caught_up(&run).await;
    }
    assert_eq!(run.ends_as_the_model().await.keys(), 0);
}

/// A master that is gone for good, as one is that was taken over: the run waits for it, or ends if it is not to wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_master_that_stays_away_ends_the_run() {
    let recording = Recording::bundled("takeover").unwrap();
    let master = RecordedMaster::start(recording, MasterOptions::default()).await.unwrap();
    let redis = redis();
    let (engine, _reports) = Engine::new(config(&master, &redis));
    let (_stop, stopped) = watch::channel(Stop::Running);
    let run = tokio::spawn(engine.run(stopped));
    assert!(timeout(LIMIT, master.finished()).await.is_ok());
    let recording = master.recording().clone();
    drop(master);
    let error = timeout(LIMIT, run).await.unwrap().unwrap().unwrap_err();
    assert!(error.to_string().contains("gave up after 0 s without the source"), "{error}");
    assert!(differences(&redis, &recording).is_equal());
}
