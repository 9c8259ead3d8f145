//! Connections cut behind a chosen byte, in both directions, on both sides: the run goes on, or a new one does, and the end
//! is the model. `CUT_STEP=1` cuts behind every byte.

use dfly_replica::{Blame, EngineConfig};
use dfly_testkit::{
    CutAt, CutProxy, MasterOptions, PartialForm, RedisServer, Script, ScriptedMaster, Towards, Traffic,
};
use tokio::time::timeout;

use crate::resume::{apply_once, stops_as_the_model};
use crate::run::redis;
use crate::workload::{LIMIT, Run, patient};

/// How many cuts there are without `CUT_STEP`, at least.
const SAMPLE: u64 = 60;

/// Which side the proxy stands before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Source,
    Target,
}

fn script(form: PartialForm) -> Script {
    Script::new(2)
        .partial(form)
        .before("SET s 1")
        .before("RPUSH l a b c")
        .before("HSET h f v g w")
        .during("APPEND s 2")
        .during("RPOP l")
        .tail("INCR n")
        .stable("ZINCRBY z 2 m")
        .stable("RPUSH l d")
}

/// Waits until a run has caught up. One that ends because of the cut is followed by another, as a supervisor would have it.
async fn caught_up(mut run: Run, change: &impl Fn(&mut EngineConfig)) -> Run {
    for _run in 0..3 {
        let ended = tokio::select! {
            ended = &mut run.task => ended.unwrap(),
            caught_up = timeout(LIMIT, run.master.caught_up()) => {
                assert!(caught_up.is_ok(), "not caught up in time: {:?} {:?}", run.master.violations(), run.reports.borrow());
                return run;
            }
        };
        let error = ended.unwrap_err();
        assert!(matches!(error.blame(), Blame::Source | Blame::Target), "{error}");
        let text = error.to_string();
        assert!(text.contains("connect") || text.contains("broke") || text.contains("closed"), "{text}");
        run = Run::go_on_with(run.master, run.redis, change);
    }
    panic!("run after run ends");
}

/// One small session, disturbed once. Gives what each connection carried.
async fn session(
    redis: RedisServer,
    (side, form): (Side, PartialForm),
    cut: Option<CutAt>,
) -> (RedisServer, Vec<Traffic>) {
    redis.client().unwrap().expect(&[b"FLUSHALL"]).unwrap();
    let master = ScriptedMaster::start(script(form), MasterOptions::default()).await.unwrap();
    let server = if side == Side::Source { master.address() } else { redis.address() };
    let proxy = CutProxy::start(server, cut).await.unwrap();
    let change = |config: &mut EngineConfig| {
        patient(config);
        config.ack_interval = std::time::Duration::from_millis(1);
        config.report_interval = std::time::Duration::from_millis(2);
        match side {
            Side::Source => config.source.port = proxy.address().port(),
            Side::Target => config.target.port = proxy.address().port(),
        }
    };
    let mut run = Run::go_on_with(master, redis, change);
    for round in 1..3 {
        run = caught_up(run, &change).await;
        apply_once(&run.master, round).await;
        if round == 1 && side == Side::Source {
            run = caught_up(run, &change).await;
            run.master.cut();
        }
    }
    run = caught_up(run, &change).await;
    let carried = proxy.traffic();
    let (_master, redis) = stops_as_the_model(run).await;
    (redis, carried)
}

/// Cuts each connection of an undisturbed session, in each direction, behind every `step`th byte. Gives how often.
async fn at_every_byte(side: Side, form: PartialForm) -> u64 {
    let (mut redis, carried) = session(redis(), (side, form), None).await;
    let lines: Vec<(usize, Towards, u64)> = (0..)
        .zip(&carried)
        .flat_map(|(connection, traffic)| {
            [Towards::Server, Towards::Client].map(|towards| (connection, towards, traffic.towards(towards)))
        })
        .collect();
    let all: u64 = lines.iter().map(|(_, _, bytes)| bytes + 1).sum();
    let step = option_env!("CUT_STEP").map_or(all / SAMPLE, |step| step.parse().unwrap()).max(1);
    // One count over all lines, so that a sample falls into different places of each.
    let (mut count, mut next, mut before) = (0, 0, 0);
    for (connection, towards, bytes) in lines {
        while next <= before + bytes {
            let cut = CutAt { connection, towards, bytes: next - before };
            (redis, _) = session(redis, (side, form), Some(cut)).await;
            next += step;
            count += 1;
        }
        before += bytes + 1;
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_the_source() {
    for form in [PartialForm::Sync, PartialForm::StartStable] {
        assert!(at_every_byte(Side::Source, form).await >= SAMPLE);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_to_the_target() {
    assert!(at_every_byte(Side::Target, PartialForm::StartStable).await >= SAMPLE);
}
