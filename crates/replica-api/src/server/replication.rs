//! The run that a server speaks for.

use std::sync::Arc;

use dfly_replica::{Control, EngineConfig, Report, Stop};
use tokio::runtime::Handle;
use tokio::sync::watch;

use super::checks::Comparisons;
use super::cutovers::Cutovers;
use super::history::History;
use super::verification::Verification;
use crate::wire::Status;

/// Over how many seconds the rate of the source is taken.
const RATE_SPAN: usize = 30;

/// The run that a server speaks for. Copies speak for the same one.
#[derive(Debug, Clone)]
pub struct Replication {
    /// What it can be asked for.
    pub control: Control,
    /// What it is doing.
    pub reports: watch::Receiver<Report>,
    /// Ends it, if the API may.
    pub stop: Option<watch::Sender<Stop>>,
    /// What does not change: addresses, release, process.
    pub about: Arc<Status>,
    /// Its settings, without secrets.
    pub config: Arc<serde_json::Value>,
    /// What is verified beside it.
    pub verification: Verification,
    /// Its comparisons.
    pub checks: Comparisons,
    /// Its settings, if it may be compared, and switched from its source to its target.
    pub engine: Option<Arc<EngineConfig>>,
    /// Its cutover.
    pub cutovers: Cutovers,
    /// The last hour.
    pub history: History,
    /// Where cutovers and comparisons are carried out; absent: where they are asked for.
    pub runtime: Option<Handle>,
    /// The clock of the host, in milliseconds since 1970.
    pub clock: fn() -> i64,
}

impl Replication {
    /// Begins something that outlives the request for it.
    pub(super) fn beginning<T>(&self, begin: impl FnOnce() -> T) -> T {
        let _entered = self.runtime.as_ref().map(Handle::enter);
        begin()
    }

    /// A run of which only this is known.
    pub fn new(control: Control, reports: watch::Receiver<Report>) -> Self {
        Self {
            control,
            reports,
            stop: None,
            about: Arc::default(),
            config: Arc::default(),
            verification: Verification::default(),
            checks: Comparisons::default(),
            engine: None,
            cutovers: Cutovers::default(),
            history: History::default(),
            runtime: Handle::try_current().ok(),
            clock: || dfly_replica::Clock::system().host().0,
        }
    }

    /// What it is doing now.
    pub fn status(&self) -> Status {
        let now = (self.clock)();
        let status = Status { now, verified: self.verification.read(), ..Status::clone(&self.about) }
            .with_report(&self.reports.borrow());
        let (records, seconds) = self.history.journaled(RATE_SPAN);
        let of_each = records.div_ceil(status.flows.len().max(1) as u64);
        let resume_window = status.resume_window.map(|window| window.at_rate(of_each, seconds));
        Status { resume_window, ..status }
    }
}
