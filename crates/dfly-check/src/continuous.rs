//! Compares the whole key space again and again, slowly, and has what differs refetched: whatever the source's journal has not
//! told is found and mended while the replication goes on.

use std::collections::BTreeMap;
use std::time::Duration;

use dfly_replica::{Control, Phase, Report};
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, info, warn};

use crate::config::CheckConfig;
use crate::error::CheckError;
use crate::progress::{Progress, RunSignals};
use crate::step_run::StepRun;
use crate::store::Store;
use crate::summary::Summary;

/// The pause behind a pass, and behind one that was broken off.
const REST: Duration = Duration::from_secs(1);

/// What was verified since the run began.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verified {
    /// How many times the whole key space was compared.
    pub passes: u64,
    /// Keys that were compared.
    pub compared: u64,
    /// Keys that differed, and are equal since.
    pub repaired: u64,
    /// Keys that still differed behind their repair, by kind.
    pub different: BTreeMap<String, u64>,
    /// Keys that could not be compared.
    pub not_compared: u64,
}

impl Verified {
    fn add(&mut self, summary: &Summary) {
        self.passes += u64::from(!summary.is_stopped);
        self.compared += summary.compared;
        self.repaired += summary.repaired;
        self.not_compared += summary.not_compared;
        for (kind, count) in &summary.kinds {
            *self.different.entry(kind.clone()).or_default() += count;
        }
    }
}

/// A verification that goes on as long as its replication.
#[derive(Debug)]
pub struct Continuous {
    /// What is compared, and how.
    pub config: CheckConfig,
    /// The replication.
    pub control: Control,
    /// What it is doing.
    pub reports: watch::Receiver<Report>,
    /// How many keys are compared in a second at the most.
    pub keys_per_second: u64,
    /// Where it is told what was verified.
    pub verified: watch::Sender<Verified>,
    /// Ends it when it holds `true`.
    pub stop: watch::Receiver<bool>,
}

/// How a wait ended.
#[derive(Debug, PartialEq, Eq)]
enum Waited {
    Ready,
    Over,
}

impl Continuous {
    /// Runs until it is told to stop, or the replication has ended.
    ///
    /// # Errors
    /// [`CheckError::Store`], if what is found cannot be kept for the time of a pass.
    pub async fn run(mut self) -> Result<(), CheckError> {
        while self.until_in_step().await == Waited::Ready {
            let store = Store::temporary()?;
            let (progress, _unseen) = watch::channel(Progress::default());
            let signals = RunSignals { progress, stop: self.stop.clone() };
            let pass =
                StepRun::new(self.config.clone(), &store, signals).repairing().paced(self.keys_per_second);
            match pass.run(self.control.clone()).await {
                Ok(summary) => self.tell(&summary),
                // A session ends, or a side is away: the replication says so, and the next pass begins with what is then.
                Err(error @ (CheckError::Side(_) | CheckError::Step(_))) => {
                    debug!(%error, "verified again later");
                }
                Err(error) => return Err(error),
            }
            sleep(REST).await;
        }
        Ok(())
    }

    fn tell(&self, summary: &Summary) {
        self.verified.send_modify(|verified| verified.add(summary));
        let (compared, repaired) = (summary.compared, summary.repaired);
        let (different, not_compared) = (summary.different, summary.not_compared);
        match different + not_compared {
            0 => info!(compared, repaired, "every key was verified"),
            _ => warn!(
                compared,
                repaired, different, not_compared, "not every key could be verified or repaired"
            ),
        }
        for gap in &summary.gaps {
            warn!("not everything was verified: {gap}");
        }
    }

    /// Waits until every flow follows the journal, and nothing is left of a full synchronisation.
    async fn until_in_step(&mut self) -> Waited {
        let is_in_step =
            |report: &Report| report.phase == Phase::StableSync && !report.is_removing_extra_keys;
        let is_over = |report: &Report| report.phase == Phase::Stopped;
        tokio::select! {
            report = self.reports.wait_for(|report| is_in_step(report) || is_over(report)) => match report {
                Ok(report) if is_in_step(&report) => Waited::Ready,
                Ok(_) | Err(_) => Waited::Over,
            },
            _told = self.stop.wait_for(|told| *told) => Waited::Over,
        }
    }
}
