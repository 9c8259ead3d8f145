//! The engine, and all that these tests know of it.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use dfly_replica::{Clock, Engine, EngineConfig, Error, FlowReport, Phase, Reconnect, Report, Stop};
use dfly_testkit::{MasterOptions, Op, Script, ScriptedMaster};
use dfly_translate::{Policy, Rules};
use dfly_wire::UnixMillis;
use redis_resp::connection::{Endpoint, Peer};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::shown::{Look, Order};
use crate::target::{FakeTarget, NOW};

/// Far beyond what any of it takes; a test that hangs fails by it.
const LIMIT: Duration = Duration::from_secs(60);

/// What is due by the clock alone is never due.
const NEVER: Duration = Duration::from_secs(3600);

/// The target counts as quiet when nothing has come during so many reports: whatever the engine does by itself once it has
/// settled, it begins within its interval of ACKs, which is a fifth of that between reports.
const QUIET: usize = 3;

thread_local! {
    static CLOCK: Cell<i64> = const { Cell::new(NOW) };
}

/// The engine's clock on this thread, on which all of a test runs.
pub(crate) fn set_clock(millis: i64) {
    CLOCK.set(millis);
}

fn endpoint(peer: Peer, at: SocketAddr) -> Endpoint {
    Endpoint::new(peer, at.ip().to_string(), at.port())
}

/// Values above 8 KiB arrive in pieces; everything that is left out is counted; whoever is gone is waited for.
pub(crate) fn config(source: SocketAddr, target: &FakeTarget) -> EngineConfig {
    let mut config =
        EngineConfig::new(endpoint(Peer::Source, source), endpoint(Peer::Target, target.address()));
    config.limits.piece = 8 << 10;
    config.rules = Rules::from(Policy::Skip).into();
    config.ack_interval = Duration::from_millis(1);
    config.report_interval = Duration::from_millis(5);
    config.ping_interval = NEVER;
    config.target_keepalive = NEVER;
    config.sweep_interval = NEVER;
    config.eviction_interval = NEVER;
    config.reconnect = Reconnect {
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(2),
        give_up_after: Some(LIMIT),
    };
    config.clock = Clock::new(|| UnixMillis(CLOCK.get()));
    config
}

/// A running engine.
pub(crate) struct Run {
    stop: watch::Sender<Stop>,
    reports: watch::Receiver<Report>,
    task: JoinHandle<Result<Report, Error>>,
}

impl Run {
    /// Strings are written one by one, because how many come together depends on how the bytes arrive.
    pub(crate) fn start(mut config: EngineConfig) -> Self {
        Arc::make_mut(&mut config.rules).without_mset = true;
        let (engine, reports) = Engine::new(config);
        let (stop, stopped) = watch::channel(Stop::Running);
        Self { stop, reports, task: tokio::spawn(engine.run(stopped)) }
    }

    /// Waits for `done`, unless the run ends before.
    pub(crate) async fn goes_on_until(&mut self, done: impl Future<Output = ()>) {
        tokio::select! {
            ended = &mut self.task => panic!("the run ended by itself: {ended:?}"),
            done = timeout(LIMIT, done) => {
                assert!(done.is_ok(), "not in time: {:?}", self.reports.borrow());
            }
        }
    }

    /// Waits for a report for which this holds.
    pub(crate) async fn reports(&mut self, holds: impl FnMut(&Report) -> bool) {
        let mut reports = self.reports.clone();
        self.goes_on_until(async { drop(reports.wait_for(holds).await.unwrap()) }).await;
    }

    /// Waits until these positions are durable, no key is to be read again, and nothing more comes to the target.
    pub(crate) async fn quiet_at(&mut self, lsns: &[u64], target: &FakeTarget) {
        loop {
            self.reports(|report| has_settled(report, lsns)).await;
            let before = target.received_in_all();
            let mut reports = self.reports.clone();
            self.goes_on_until(async {
                for _ in 0..QUIET {
                    reports.changed().await.unwrap();
                }
            })
            .await;
            if target.received_in_all() == before && has_settled(&self.reports.borrow(), lsns) {
                target.rests();
                return;
            }
        }
    }

    /// How many bytes wait on disk.
    pub(crate) fn relayed(&self) -> u64 {
        self.reports.borrow().flows.iter().map(|flow| flow.relay_bytes).sum()
    }

    /// Ends in order.
    pub(crate) async fn stop(self) -> Report {
        self.stop.send_replace(Stop::Drain);
        timeout(LIMIT, self.task).await.unwrap().unwrap().unwrap()
    }

    /// Waits until it ends by itself, with this error.
    pub(crate) async fn fails(self) -> String {
        let ended = timeout(LIMIT, self.task).await.unwrap().unwrap();
        ended.unwrap_err().to_string()
    }

    /// Ends as a process that is killed; what it had sent is read by the target.
    pub(crate) async fn kill(self, target: &FakeTarget) {
        self.task.abort();
        assert!(self.task.await.unwrap_err().is_cancelled());
        timeout(LIMIT, target.all_closed()).await.unwrap();
    }
}

fn has_settled(report: &Report, lsns: &[u64]) -> bool {
    let is_durable = |(flow, lsn): (&FlowReport, &u64)| {
        flow.positions.is_some_and(|at| at.durable.0 >= *lsn) && flow.refetching == 0 && flow.relay_bytes == 0
    };
    report.phase == Phase::StableSync
        && !report.is_removing_extra_keys
        && report.flows.len() == lsns.len()
        && report.flows.iter().zip(lsns).all(is_durable)
}

/// A scripted master, a target, and the run between them.
pub(crate) struct Stage {
    pub master: ScriptedMaster,
    pub target: FakeTarget,
    pub run: Option<Run>,
    change: Box<dyn Fn(&mut EngineConfig)>,
}

impl Stage {
    /// Without a run.
    pub(crate) async fn set(script: Script, nodes: usize) -> Self {
        let master = ScriptedMaster::start(script, MasterOptions::default()).await.unwrap();
        Self { master, target: FakeTarget::start(nodes).await, run: None, change: Box::new(|_config| {}) }
    }

    /// With these settings.
    pub(crate) fn with(mut self, change: impl Fn(&mut EngineConfig) + 'static) -> Self {
        self.change = Box::new(change);
        self
    }

    pub(crate) fn config(&self) -> EngineConfig {
        let mut config = config(self.master.address(), &self.target);
        (self.change)(&mut config);
        config
    }

    /// Starts a run.
    pub(crate) fn go(&mut self) {
        self.run = Some(Run::start(self.config()));
    }

    pub(crate) fn run(&mut self) -> &mut Run {
        self.run.as_mut().unwrap()
    }

    /// Waits until everything is acknowledged and nothing more comes to the target.
    pub(crate) async fn settled(&mut self) {
        let run = self.run.as_mut().unwrap();
        run.goes_on_until(self.master.caught_up()).await;
        run.quiet_at(&self.master.lsns(), &self.target).await;
    }

    /// Runs operations one after the other, each when all that the one before has caused is done.
    pub(crate) async fn one_by_one<O: Into<Op>>(&mut self, ops: impl IntoIterator<Item = O>) {
        for op in ops {
            self.master.apply(op).unwrap();
            self.settled().await;
        }
    }

    /// Runs operations that come to the engine together.
    pub(crate) async fn together<O: Into<Op>>(&mut self, ops: impl IntoIterator<Item = O>) {
        self.apply(ops);
        self.settled().await;
    }

    /// The same without waiting.
    pub(crate) fn apply<O: Into<Op>>(&self, ops: impl IntoIterator<Item = O>) {
        ops.into_iter().for_each(|op| self.master.apply(op).unwrap());
    }

    /// Runs operations while the target answers nothing: each comes to it in transactions of its own.
    pub(crate) async fn held<O: Into<Op>>(&mut self, ops: impl IntoIterator<Item = O>) {
        self.target.hold();
        for op in ops {
            let before = self.target.received("EXEC");
            self.master.apply(op).unwrap();
            let came = self.target.has_received("EXEC", before + 1);
            self.run.as_mut().unwrap().goes_on_until(came).await;
        }
    }

    pub(crate) async fn stop(&mut self) {
        self.run.take().unwrap().stop().await;
        self.target.rests();
    }

    pub(crate) async fn kill(&mut self) {
        self.run.take().unwrap().kill(&self.target).await;
        self.target.rests();
    }

    /// Compares what came with the golden file.
    pub(crate) fn compare(self, scenario: &str) {
        self.compare_in(Order::AsSent, scenario);
    }

    /// Behind a disk, which answers when it does.
    pub(crate) fn compare_without_borders(self, scenario: &str) {
        self.compare_in(Order::WithoutBorders, scenario);
    }

    /// Keys are refetched while the target answers: which of the two servers is quicker decides how far the answers were heard
    /// when a position is sent.
    pub(crate) fn compare_without_heard(self, scenario: &str) {
        self.compare_as(Look { hides_heard: true, ..Look::full(Order::AsSent) }, scenario);
    }

    fn compare_in(self, order: Order, scenario: &str) {
        self.compare_as(Look::full(order), scenario);
    }

    fn compare_as(self, look: Look, scenario: &str) {
        assert_eq!(self.master.violations(), [""; 0], "{scenario}");
        let place = if self.target.is_cluster() { "cluster" } else { "single" };
        let name = format!("{scenario}-{place}");
        crate::shown::compare(&name, self.target.take_logs(), look);
    }
}
