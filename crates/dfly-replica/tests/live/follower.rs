//! The engine between a live master and a target.

use std::time::Duration;

use dfly_replica::{Engine, EngineConfig, Report, Stop};
use dfly_translate::{Policy, Rules};
use redis_resp::connection::Endpoint;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(20);

/// A running engine.
pub(crate) struct Follower {
    pub runtime: Runtime,
    pub reports: watch::Receiver<Report>,
    stop: watch::Sender<Stop>,
    task: JoinHandle<Result<Report, dfly_replica::Error>>,
}

/// Settings with which what the target cannot hold is left out.
pub(crate) fn settings(source: Endpoint, target: Endpoint) -> EngineConfig {
    let mut config = EngineConfig::new(source, target);
    config.rules = Rules::from(Policy::Skip).into();
    config.report_interval = Duration::from_millis(2);
    config
}

impl Follower {
    pub(crate) fn start(config: EngineConfig) -> Self {
        let runtime = Runtime::new().unwrap();
        let (engine, reports) = Engine::new(config);
        let (stop, stopped) = watch::channel(Stop::Running);
        let task = runtime.spawn(engine.run(stopped));
        Self { runtime, reports, stop, task }
    }

    /// Waits until everything is written that the master has journaled.
    pub(crate) fn settle(&mut self, wanted: &[u64], what: &str) {
        let arrived = |report: &Report| {
            let durable = report.flows.iter().map(|flow| flow.positions.map_or(0, |at| at.durable.0));
            let quiet = report.flows.iter().all(|flow| flow.refetching == 0);
            quiet
                && report.flows.len() == wanted.len()
                && durable.zip(wanted).all(|(have, want)| have >= *want)
        };
        self.runtime.block_on(async {
            // Twice: what is refetched is wanted once its record is written.
            for _ in 0..2 {
                self.reports.changed().await.unwrap();
                let caught_up = timeout(LIMIT, self.reports.wait_for(arrived)).await.is_ok();
                assert!(caught_up, "{what}: not caught up: {:?} of {wanted:?}", self.reports.borrow().flows);
            }
        });
    }

    /// Gives what it has done.
    pub(crate) fn end(self) -> Report {
        self.stop.send_replace(Stop::Drain);
        self.runtime.block_on(self.task).unwrap().unwrap()
    }
}
