//! Compares every key in step with a replication, once: there is nothing to be compared again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::sleep_until;

use crate::config::CheckConfig;
use crate::error::CheckError;
use crate::extra::{Search, TargetWalk, is_told};
use crate::in_step::InStep;
use crate::key_sums::KeySums;
use crate::link::Link;
use crate::plan::Plan;
use crate::progress::{Progress, Stage};
use crate::report::About;
use crate::scan::{Position, Walk};
use crate::step::Step;
use crate::store::Store;
use crate::summary::Summary;
use crate::tally::{Reached, Tally, facts};
use crate::throttle::Throttle;
use crate::verdict::ExactVerdict;
use crate::verdict::Pair;

/// A comparison of all keys in step.
#[derive(Debug)]
pub struct StepRun<'a> {
    config: Arc<CheckConfig>,
    store: &'a Store,
    throttle: Arc<Throttle>,
    progress: watch::Sender<Progress>,
    stop: watch::Receiver<bool>,
    repairs: bool,
    pace: Option<KeyPace>,
}

/// How many keys are compared in a second.
#[derive(Debug, Clone, Copy)]
struct KeyPace(u64);

impl KeyPace {
    /// How long so many keys are to take.
    fn time_of(self, keys: u64) -> Duration {
        Duration::from_micros(keys.saturating_mul(1_000_000) / self.0.max(1))
    }
}

impl<'a> StepRun<'a> {
    /// A comparison that writes what it finds into `store`, tells its progress, and stops when `stop` holds `true`.
    pub fn new(
        config: CheckConfig,
        store: &'a Store,
        (progress, stop): (watch::Sender<Progress>, watch::Receiver<bool>),
    ) -> Self {
        let (requests, bytes) = (config.requests_per_second, config.bytes_per_second);
        let throttle = Arc::new(Throttle::new(requests, bytes, Instant::now()));
        Self { config: Arc::new(config), store, throttle, progress, stop, repairs: false, pace: None }
    }

    /// Has what differs refetched by the replication, and compares it again.
    #[must_use]
    pub fn repairing(self) -> Self {
        Self { repairs: true, ..self }
    }

    /// Compares so many keys in a second at the most.
    #[must_use]
    pub fn paced(self, keys_per_second: u64) -> Self {
        Self { pace: Some(KeyPace(keys_per_second)), ..self }
    }

    /// Compares all keys of both sides. What the file held before is removed.
    ///
    /// # Errors
    /// A side or the replication cannot be reached at the start, or the file fails. What fails later is told by the summary.
    pub async fn run(&self, step: impl Step) -> Result<Summary, CheckError> {
        self.store.clear()?;
        let mut changes = crate::store::Changes::default();
        changes.fact(facts::ABOUT, &About::of(&self.config))?;
        self.store.commit(changes)?;
        let plan = Arc::new(Box::pin(Plan::make(&self.config, &self.throttle)).await?);
        let (mode, is_sample) = (self.config.mode.name().to_owned(), self.config.sample.is_some());
        let summary = Summary { mode, is_sample, rounds: 1, ..Summary::default() };
        let mut tally = Tally::new(summary, KeySums::default(), Reached::Extra, Instant::now());
        plan.gaps.iter().for_each(|gap| tally.summary.add_gap(gap.clone()));
        let mut in_step = InStep::with(&self.config, (Arc::clone(&plan), &self.throttle), step).await?;
        match Box::pin(self.all(&plan, &mut in_step, &mut tally)).await {
            Err(error @ (CheckError::Side(_) | CheckError::Step(_))) => {
                tally.summary.add_gap(format!("the keys behind a failure: {error}"));
            }
            done => done?,
        }
        tally.end(self.store, *self.stop.borrow())
    }

    async fn all(
        &self,
        plan: &Arc<Plan>,
        in_step: &mut InStep<impl Step>,
        tally: &mut Tally,
    ) -> Result<(), CheckError> {
        self.progress.send_modify(|progress| {
            (progress.stage, progress.of) = (Stage::Comparing, plan.keys());
        });
        let link = Link::to_source(&self.config.engine, &self.throttle);
        let mut walk = Walk::new(plan, link, Position::default());
        while !*self.stop.borrow() {
            let Some(page) = walk.next().await? else { break };
            tally.pass(&page);
            self.compare(page.pairs, in_step, tally).await?;
        }
        walk.gaps.into_iter().for_each(|gap| tally.summary.add_gap(gap));
        self.extra(plan, in_step, tally).await
    }

    async fn compare(
        &self,
        pairs: Vec<Pair>,
        in_step: &mut InStep<impl Step>,
        tally: &mut Tally,
    ) -> Result<(), CheckError> {
        let (keys, began) = (pairs.len() as u64, Instant::now());
        let told = in_step.compare(pairs).await?;
        self.note(told, in_step, tally).await?;
        let (different, not_compared) = tally.found;
        self.progress.send_modify(|progress| {
            progress.keys += keys;
            (progress.different, progress.not_compared) = (different, not_compared);
        });
        tally.write_if_due(self.store, Instant::now())?;
        self.rest(keys, began).await;
        Ok(())
    }

    /// Counts verdicts, behind a repair of what differs if that is wanted.
    async fn note(
        &self,
        told: Vec<ExactVerdict>,
        in_step: &mut InStep<impl Step>,
        tally: &mut Tally,
    ) -> Result<(), CheckError> {
        let told = match self.repairs {
            true => {
                let mended = in_step.mend(told).await?;
                tally.summary.repaired += mended.repaired;
                mended.verdicts
            }
            false => told,
        };
        Ok(told.into_iter().try_for_each(|verdict| tally.exact(verdict))?)
    }

    /// Rests until so many keys may have been compared since `began`, or until it is told to stop.
    async fn rest(&self, keys: u64, began: Instant) {
        let Some(pace) = self.pace else { return };
        let mut stop = self.stop.clone();
        tokio::select! {
            () = sleep_until((began + pace.time_of(keys)).into()) => {}
            _told = stop.wait_for(|told| *told) => {}
        }
    }

    /// Compares keys that only the target has, as it seems.
    async fn extra(
        &self,
        plan: &Plan,
        in_step: &mut InStep<impl Step>,
        tally: &mut Tally,
    ) -> Result<(), CheckError> {
        self.progress.send_modify(|progress| (progress.stage, progress.keys) = (Stage::Extra, 0));
        let seen =
            TargetWalk::begin(plan, &self.config.engine).await?.sum_up(|_| !*self.stop.borrow()).await?;
        tally.summary.foreign = seen.foreign;
        let parts = seen.sums.apart(&tally.sums);
        let mut walk = TargetWalk::begin(plan, &self.config.engine).await?;
        while !parts.is_empty() && !*self.stop.borrow() {
            let Some((db, keys)) = walk.next().await? else { break };
            let suspects = Search { plan, parts: &parts, comparer: in_step.comparer() }.suspects(db, keys);
            let (single, several): (Vec<_>, Vec<_>) =
                suspects.into_iter().partition(|pairs: &Vec<Pair>| pairs.len() == 1);
            let (single, began) = (single.concat(), Instant::now());
            let keys = single.len() as u64;
            let told = in_step.compare(single).await?;
            let mut told: Vec<_> = told.into_iter().filter(|told| is_told(&told.verdict)).collect();
            for pairs in several {
                told.extend(in_step.extra(pairs).await?);
            }
            self.note(told, in_step, tally).await?;
            self.rest(keys, began).await;
            tally.write_if_due(self.store, Instant::now())?;
        }
        Ok(())
    }
}
