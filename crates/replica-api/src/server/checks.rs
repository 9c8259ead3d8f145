//! Comparisons of a run's two sides, in step with it: one at a time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::StatusCode;
use dfly_check::{
    CheckConfig, CheckError, Mode, Progress, RunSignals, Sample, StepRun, Store, StoreError, Summary, line,
};
use dfly_replica::{Control, EngineConfig};
use tokio::sync::watch;

use super::problems::Refusal;
use crate::wire::{CheckProgress, CheckRequest, CheckResult, Checks, Differences, KeyName, OneDifference};

/// How many keys that differ are told.
const TOLD: usize = 1000;

/// The comparisons of a run. Copies share them.
#[derive(Debug, Clone, Default)]
pub struct Comparisons(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    running: Option<Ongoing>,
    last: Option<CheckResult>,
    differences: Differences,
}

#[derive(Debug)]
struct Ongoing {
    began: CheckProgress,
    progress: watch::Receiver<Progress>,
    /// Ends it.
    stop: watch::Sender<bool>,
}

/// What is compared, how, and by whom.
#[derive(Debug)]
struct Comparison {
    config: CheckConfig,
    control: Control,
    clock: fn() -> i64,
    asked: CheckRequest,
    progress: watch::Sender<Progress>,
    stop: watch::Receiver<bool>,
}

/// A run that is to be compared.
#[derive(Debug, Clone)]
pub(super) struct Compared {
    pub control: Control,
    pub config: Arc<EngineConfig>,
    pub clock: fn() -> i64,
}

fn config(engine: &EngineConfig, asked: &CheckRequest) -> Result<CheckConfig, String> {
    let word = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let config = CheckConfig::new(engine.clone());
    Ok(CheckConfig {
        mode: word(&asked.mode).map_or(Ok(config.mode), |text| text.parse::<Mode>())?,
        sample: word(&asked.sample).map(|text| text.parse::<Sample>()).transpose()?,
        ..config
    })
}

impl Comparisons {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins one, unless another goes on.
    pub(super) fn begin(&self, run: Compared, asked: CheckRequest) -> Result<(), Refusal> {
        let config = config(&run.config, &asked)
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, "bad-check", error))?;
        let mut kept = self.lock();
        if kept.running.is_some() {
            let refusal = Refusal::new(StatusCode::CONFLICT, "check-runs", "a comparison goes on already");
            return Err(refusal.with_action("wait for its end, or stop it with DELETE /api/v1/checks"));
        }
        let (progress, shown) = watch::channel(Progress::default());
        let (stop, stopped) = watch::channel(false);
        let began = CheckProgress {
            started_at: (run.clock)(),
            mode: config.mode.name().to_owned(),
            repairs: asked.repair,
            ..CheckProgress::default()
        };
        let comparison =
            Comparison { config, control: run.control, clock: run.clock, asked, progress, stop: stopped };
        kept.running = Some(Ongoing { began, progress: shown, stop });
        tokio::spawn(self.clone().carry_out(comparison));
        Ok(())
    }

    /// Ends the one that runs; false if there is none.
    pub(super) fn stop(&self) -> bool {
        let kept = self.lock();
        let Some(ongoing) = &kept.running else { return false };
        ongoing.stop.send_replace(true);
        true
    }

    /// How far the one that runs has come, and what came of the last.
    pub fn read(&self) -> Checks {
        let kept = self.lock();
        let running =
            kept.running.as_ref().map(|ongoing| ongoing.began.clone().at(&ongoing.progress.borrow()));
        Checks { running, last: kept.last.clone() }
    }

    /// The keys that the last one has found.
    pub fn differences(&self) -> Differences {
        self.lock().differences.clone()
    }

    async fn carry_out(self, comparison: Comparison) {
        let clock = comparison.clock;
        let done = Box::pin(comparison.run()).await;
        let mut kept = self.lock();
        let Some(was) = kept.running.take() else { return };
        let (result, differences) = match done {
            Ok((summary, differences)) => (CheckResult::of(&was.began, clock(), summary), differences),
            Err(error) => {
                (CheckResult::failed(&was.began, clock(), error.to_string()), Differences::default())
            }
        };
        (kept.last, kept.differences) = (Some(result), differences);
    }
}

impl Comparison {
    async fn run(self) -> Result<(Summary, Differences), CheckError> {
        let store = Store::temporary()?;
        let mut run =
            StepRun::new(self.config, &store, RunSignals { progress: self.progress, stop: self.stop });
        if self.asked.repair {
            run = run.repairing();
        }
        if let Some(keys_per_second) = self.asked.keys_per_second {
            run = run.paced(keys_per_second);
        }
        let summary = run.run(self.control).await?;
        Ok((summary, differences(&store)?))
    }
}

fn differences(store: &Store) -> Result<Differences, StoreError> {
    let found = store.findings(None, TOLD)?;
    let more = store.len()?.saturating_sub(found.len() as u64);
    let keys = found
        .iter()
        .map(|(pair, finding)| OneDifference { key: KeyName::from(&pair.source), line: line(pair, finding) });
    Ok(Differences { keys: keys.collect(), more })
}
