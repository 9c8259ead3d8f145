//! Keys whose expiry the target's clock passes before a record comes that saw them alive (protocol section 10, pitfall 38).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dfly_replica::{Clock, Report, Stop};
use dfly_testkit::{RedisServer, Script, ScriptedMaster};
use dfly_translate::Reason;
use dfly_wire::UnixMillis;
use tokio::time::{sleep, timeout};

use crate::workload::{LIMIT, Run, patient};

fn in_millis(from_now: u64) -> u128 {
    (SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + Duration::from_millis(from_now)).as_millis()
}

async fn passed(at: u128) {
    while in_millis(0) <= at {
        sleep(Duration::from_millis(5)).await;
    }
}

async fn expired(redis: &RedisServer, keys: &[&str]) {
    let mut client = redis.client().unwrap();
    let gone = async {
        for key in keys {
            while client.expect(&[b"EXISTS", key.as_bytes()]).unwrap().int() != Some(0) {
                sleep(Duration::from_millis(5)).await;
            }
        }
    };
    timeout(LIMIT, gone).await.unwrap();
}

fn of_early(report: &Report) -> u64 {
    report.refetches.get(&Reason::Expired).copied().unwrap_or(0)
}

/// Keys that expire soon, each with two elements.
fn volatile(at: u128) -> Script {
    ["HSET h a 1 b 2", "RPUSH l a b", "SET n 41", "SADD t a b", "HSET gone a 1"]
        .iter()
        .chain(
            &["h", "l", "n", "t", "gone"].map(|key| format!("PEXPIREAT {key} {at}")).each_ref().map(|s| &**s),
        )
        .fold(Script::new(2), |script, line| script.before(*line))
        .before("SET stays v")
}

/// The source writes to the keys, and prolongs the life of some and the life of others not at all.
fn writes(soon: u128) -> Vec<String> {
    let later = soon + 3_600_000;
    let mut lines: Vec<String> =
        ["HSET h c 3", "RPUSH l c", "INCR n", "RENAME t u", "SADD u c"].map(str::to_owned).into();
    lines.extend(["h", "l", "n"].map(|key| format!("PEXPIREAT {key} {later}")));
    lines.extend(["PERSIST u", "HSET gone b 2", "DEL gone", "INCR gone", "HSET new a 1"].map(str::to_owned));
    lines
}

/// The target stands still while the source writes, until the keys have expired; then all is as it should be.
async fn stands_still_until(soon: u128, run: Run) {
    assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
    run.redis.pause().unwrap();
    for line in writes(soon) {
        run.master.apply(line.as_str()).unwrap();
    }
    passed(soon).await;
    run.redis.resume().unwrap();
    let report = run.ends_as_the_model().await;
    assert!(of_early(&report) >= 4, "{:?}", report.refetches);
}

/// The target stands still while the keys expire and records of them are in flight: they are checked, for their expiry
/// was near.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_stands_still_while_keys_expire() {
    let soon = in_millis(1_500);
    let run = Run::start_with(volatile(soon), patient).await;
    stands_still_until(soon, run).await;
}

/// Ends in order, so that the next session is told what expires; or like a process that is killed.
async fn ends(run: Run, crash: bool) -> (ScriptedMaster, RedisServer) {
    if crash {
        run.task.abort();
        assert!(run.task.await.unwrap_err().is_cancelled());
    } else {
        run.stop.send_replace(Stop::Drain);
        run.task.await.unwrap().unwrap();
    }
    (run.master, run.redis)
}

/// The tool is away while the keys expire.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_expired_while_the_tool_was_away() {
    for crash in [false, true] {
        let soon = in_millis(1_000);
        let run = Run::start_with(volatile(soon), patient).await;
        assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
        let (master, redis) = ends(run, crash).await;
        for line in writes(soon) {
            master.apply(line.as_str()).unwrap();
        }
        expired(&redis, &["h", "l", "n", "t", "gone"]).await;
        let report = Run::go_on_with(master, redis, patient).ends_as_the_model().await;
        assert!(of_early(&report) >= 4, "{crash} {:?}", report.refetches);
    }
}

/// The keys expire between the snapshot's values and the records that follow them in it.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_expired_before_they_came() {
    let past = in_millis(0) - 500;
    let script = writes(past).iter().fold(volatile(past), |script, line| script.during(line.as_str()));
    let report = Run::start_with(script, patient).await.ends_as_the_model().await;
    assert!(of_early(&report) > 0, "{:?}", report.refetches);
}

fn an_hour_behind() -> UnixMillis {
    UnixMillis(i64::try_from(in_millis(0)).unwrap() - 3_600_000)
}

/// The target's clock is ahead of ours; or the target lets records wait for so long that keys expire whose expiry was far
/// when they were handed over.
#[tokio::test(flavor = "multi_thread")]
async fn clocks_and_delays() {
    for (clock, horizon, soon) in
        [(an_hour_behind as fn() -> UnixMillis, 10_000, 1_000), (|| Clock::system().host(), 50, 2_000)]
    {
        let soon = in_millis(soon);
        let run = Run::start_with(volatile(soon), |config| {
            patient(config);
            (config.clock, config.expiry_horizon) = (Clock::new(clock), Duration::from_millis(horizon));
        })
        .await;
        stands_still_until(soon, run).await;
    }
}

fn hashes(at: u128) -> Script {
    (0..200).fold(Script::new(2), |script, i| {
        let script = script.before(format!("HSET h{i} a 1").as_str());
        script.before(format!("PEXPIREAT h{i} {at}").as_str())
    })
}

fn made_anew(master: &ScriptedMaster) {
    for i in 0..200 {
        for line in [format!("HSET h{i} b 2"), format!("DEL h{i}"), format!("HSET h{i} a 1")] {
            master.apply(line.as_str()).unwrap();
        }
    }
}

/// Behind a crash, once a run knows what expires on the target, a key that is made is not read again.
#[tokio::test(flavor = "multi_thread")]
async fn few_keys_are_read_without_need() {
    let run = Run::start_with(hashes(in_millis(3_600_000)), patient).await;
    assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
    let (master, redis) = ends(run, true).await;
    let mut run = Run::go_on_with(master, redis, patient);
    let deadline = in_millis(60_000);
    let mut before = u64::MAX;
    while of_early(&run.reports.borrow()) != before {
        assert!(in_millis(0) < deadline, "keys that are made are read again all the time");
        before = of_early(&run.reports.borrow());
        made_anew(&run.master);
        run.settled().await;
    }
    run.ends_as_the_model().await;
}

/// Behind a session that ended in order, by a stop or because the source's connection broke, none is: what the source did
/// meanwhile included.
#[tokio::test(flavor = "multi_thread")]
async fn none_is_read_behind_an_orderly_end() {
    for stop in [true, false] {
        let run = Run::start_with(hashes(in_millis(3_600_000)), patient).await;
        assert!(timeout(LIMIT, run.master.caught_up()).await.is_ok());
        let run = match stop {
            true => {
                let (master, redis) = ends(run, false).await;
                made_anew(&master);
                Run::go_on_with(master, redis, patient)
            }
            false => {
                run.master.cut();
                made_anew(&run.master);
                run
            }
        };
        let report = run.ends_as_the_model().await;
        assert_eq!(of_early(&report), 0, "{stop} {:?}", report.refetches);
    }
}
