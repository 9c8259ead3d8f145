//! What a scripted master is told to do, and a replication of it.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use dfly_replica::{Control, Engine, EngineConfig, Error, FlowReport, Phase, Report, Stop};
use dfly_testkit::{
    Blobs, CanonicalValue, Containers, MasterOptions, Model, Op, RedisServer, Script, ScriptedMaster,
    SnapshotStyle, Strings,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::run::{Target, config_for, redis, user_keys};

pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// A running replication of a scripted master.
pub(crate) struct Run<T = RedisServer> {
    pub master: ScriptedMaster,
    pub redis: T,
    pub stop: watch::Sender<Stop>,
    pub reports: watch::Receiver<Report>,
    pub control: Control,
    pub task: JoinHandle<Result<Report, Error>>,
}

/// Whoever is gone is waited for.
pub(crate) fn patient(config: &mut EngineConfig) {
    config.reconnect.give_up_after = Some(LIMIT);
    config.reconnect.longest_delay = Duration::from_millis(50);
}

impl Run {
    pub(crate) async fn start(script: Script) -> Self {
        Self::start_with(script, |_config| {}).await
    }

    pub(crate) async fn start_with(script: Script, change: impl FnOnce(&mut EngineConfig)) -> Self {
        let master = ScriptedMaster::start(script, MasterOptions::default()).await.unwrap();
        Self::go_on_with(master, redis(), change)
    }

    /// Another run between the same two.
    pub(crate) fn go_on(master: ScriptedMaster, redis: RedisServer) -> Self {
        Self::go_on_with(master, redis, |_config| {})
    }

    /// Waits until everything is acknowledged, stops, and compares with the model.
    pub(crate) async fn ends_as_the_model(self) -> Report {
        self.ends_as(|model, redis| assert_equal(&model, &user_keys(redis))).await
    }
}

impl<T: Target> Run<T> {
    pub(crate) fn go_on_with(
        master: ScriptedMaster,
        redis: T,
        change: impl FnOnce(&mut EngineConfig),
    ) -> Self {
        let mut config = config_for(master.address(), &redis);
        config.reconnect.give_up_after = Some(LIMIT);
        config.report_interval = Duration::from_millis(10);
        change(&mut config);
        let (engine, reports) = Engine::new(config);
        let control = engine.control();
        let (stop, stopped) = watch::channel(Stop::Running);
        let task = tokio::spawn(engine.run(stopped));
        Self { master, redis, stop, reports, control, task }
    }

    /// Waits until everything that the master has journaled is written, and no key is to be read again.
    pub(crate) async fn settled(&mut self) {
        let lsns = self.master.lsns();
        let settled = |report: &Report| {
            // Behind a crash, records are read again that are durable.
            let written = |flow: &FlowReport| flow.positions.map_or(0, |at| at.durable.0.min(at.received.0));
            let all = report.flows.len() == lsns.len()
                && report
                    .flows
                    .iter()
                    .zip(&lsns)
                    .all(|(flow, lsn)| written(flow) >= *lsn && flow.refetching == 0);
            all && report.phase == Phase::StableSync && !report.is_removing_extra_keys
        };
        let quiet = timeout(LIMIT, self.reports.wait_for(settled)).await.is_ok();
        assert!(quiet, "keys are still being read again: {:?}", self.reports.borrow());
    }

    /// Waits until everything is acknowledged.
    pub(crate) async fn caught_up(&mut self) {
        tokio::select! {
            ended = &mut self.task => panic!("the run ended by itself: {ended:?}"),
            caught_up = timeout(LIMIT, self.master.caught_up()) => {
                assert!(
                    caught_up.is_ok(),
                    "not caught up in time: {:?}, {:?}",
                    self.master.violations(),
                    self.reports.borrow()
                );
            }
        }
    }

    /// The same with another comparison of the model and the target.
    pub(crate) async fn ends_as(self, compare: impl FnOnce(Keyspace, &T)) -> Report {
        self.ends_with(compare).await.0
    }

    /// The same, with the target given back.
    pub(crate) async fn ends_with(mut self, compare: impl FnOnce(Keyspace, &T)) -> (Report, T) {
        self.caught_up().await;
        self.settled().await;
        self.stop.send_replace(Stop::Drain);
        let report = self.task.await.unwrap().unwrap();
        let unread: Vec<u64> = report.flows.iter().map(|flow| flow.refetching).collect();
        assert!(unread.iter().all(|keys| *keys == 0), "keys are still to be read again: {unread:?}");
        compare(self.master.keyspace(), &self.redis);
        assert_eq!(self.master.violations(), [""; 0]);
        let durable: Vec<u64> = report.flows.iter().map(|flow| flow.positions.unwrap().durable.0).collect();
        assert_eq!(durable, self.master.lsns());
        (report, self.redis)
    }
}

pub(crate) type Keyspace = BTreeMap<(u32, Bytes), CanonicalValue>;

pub(crate) fn assert_equal(model: &Keyspace, found: &Keyspace) {
    let missing: Vec<_> =
        model.iter().filter(|(key, value)| found.get(*key) != Some(*value)).take(3).collect();
    let extra: Vec<_> = found.keys().filter(|key| !model.contains_key(*key)).take(3).collect();
    let have: Vec<_> = missing.iter().map(|(key, _)| found.get(*key)).collect();
    let names: Vec<_> =
        model.iter().filter(|(key, value)| found.get(*key) != Some(*value)).map(|(key, _)| key).collect();
    assert!(
        missing.is_empty() && extra.is_empty(),
        "keys {names:?} of {} in the model and {} on the target\nmodel has {missing:#?}\ntarget has {have:#?}\nextra {extra:?}",
        model.len(),
        found.len(),
    );
}

/// Operations over few keys that the model accepts in this order, none of which has no effect at all times.
pub(crate) struct Workload {
    pub random: u64,
    pub model: Model,
}

impl Workload {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random % n
    }

    fn next_op(&mut self) -> Op {
        loop {
            let op = self.propose();
            if self.model.apply(&op).is_ok() {
                return op;
            }
        }
    }

    pub(crate) fn ops(&mut self, n: usize) -> Vec<Op> {
        (0..n).map(|_| self.next_op()).collect()
    }

    fn propose(&mut self) -> Op {
        let (k, m, n, x) = (self.below(6), self.below(6), self.below(100), self.below(1 << 40));
        let line = match self.below(27) {
            0 => format!("SET s{k} {x}"),
            1 => format!("SET s{k} {n} PXAT 1990000000{n:03}"),
            2 => format!("SET s{k} kept KEEPTTL"),
            3 => format!("DEL s{k} l{m} h{m}"),
            4 => format!("INCR n{k}"),
            5 => format!("INCRBY n{k} {n}"),
            6 => format!("APPEND s{k} {n}"),
            7 => format!("LPUSH l{k} {n} {x}"),
            8 => format!("RPUSH l{k} {n} a b c"),
            9 => format!("LPOP l{k}"),
            10 => format!("RPOP l{k} 2"),
            11 => format!("LSET l{k} 0 {x}"),
            12 => format!("HSET h{k} f{m} {n} g{n} {x}"),
            13 => format!("HDEL h{k} f{m}"),
            14 => format!("HINCRBY h{k} c{m} {n}"),
            15 => format!("SADD t{k} {n} {m} text{n}"),
            16 => format!("SREM t{k} {n} {m}"),
            17 => format!("ZADD z{k} {n}.25 m{m} -{n} x"),
            18 => format!("ZINCRBY z{k} 0.5 m{m}"),
            19 => format!("ZREM z{k} m{m}"),
            20 => format!("XADD x{k} {}-{n} f {n} g h", self.below(1 << 20) + 1),
            21 => format!(
                "PEXPIREAT {}{k} 1990000000{n:03}",
                ["s", "l", "h", "t", "z"][usize::try_from(m % 5).unwrap()]
            ),
            22 => format!("PERSIST s{k}"),
            23 => format!("RENAME s{k} s{m}"),
            24 => format!("RENAME l{k} l{m}"),
            25 => format!("MSET s{k} {n} s{m} {x} n{k} {n}"),
            _ => format!("SET big{k} {}", "0123456789abcdef".repeat(usize::try_from(n * 40).unwrap())),
        };
        Op::line(&line).in_db(u32::try_from(self.below(5) / 4 * 3).unwrap())
    }
}

pub(crate) fn styles() -> Vec<SnapshotStyle> {
    let plain =
        SnapshotStyle { containers: Containers::Plain, strings: Strings::Raw, ..SnapshotStyle::default() };
    let lz4 = SnapshotStyle {
        blobs: Blobs::Lz4,
        run: 5,
        tagged: Some(3),
        containers: Containers::Plain,
        marks_in_blobs: true,
        ..SnapshotStyle::default()
    };
    let zstd = SnapshotStyle {
        blobs: Blobs::Zstd,
        strings: Strings::Lzf,
        containers: Containers::Mixed,
        tagged: Some(2),
        ..SnapshotStyle::default()
    };
    vec![SnapshotStyle::default(), plain, lz4, zstd]
}
