//! Compares every key in step with a replication, once: there is nothing to be compared again.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;

use crate::config::CheckConfig;
use crate::error::CheckError;
use crate::extra::{Search, TargetWalk, is_told};
use crate::in_step::InStep;
use crate::key_sums::KeySums;
use crate::link::Link;
use crate::pace::KeyPace;
use crate::plan::Plan;
use crate::progress::{Progress, RunSignals, Stage};
use crate::report::About;
use crate::scan::{Position, Walk};
use crate::step::Step;
use crate::store::{Store, facts};
use crate::summary::Summary;
use crate::tally::{Reached, Tally};
use crate::throttle::Throttle;
use crate::verdict::{ExactVerdict, Pair};
use crate::workers::{ComparedPage, PageComparer, Workers};

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

impl<'a> StepRun<'a> {
    /// A comparison that writes what it finds into `store`.
    pub fn new(config: CheckConfig, store: &'a Store, signals: RunSignals) -> Self {
        let RunSignals { progress, stop } = signals;
        let (requests, bytes) = (config.requests_per_second, config.bytes_per_second);
        let throttle = Arc::new(Throttle::new(requests, bytes, Instant::now()));
        Self { config: Arc::new(config), store, throttle, progress, stop, repairs: false, pace: None }
    }

    /// Has what differs refetched by the replication, and compares it again.
    #[must_use]
    pub fn repairing(self) -> Self {
        Self { repairs: true, ..self }
    }

    /// Compares so many keys in a second at the most, over one connection to each side.
    #[must_use]
    pub fn paced(self, keys_per_second: u64) -> Self {
        Self { pace: Some(KeyPace(keys_per_second)), ..self }
    }

    /// Compares all keys of both sides. What the file held before is removed.
    ///
    /// # Errors
    /// A side or the replication cannot be reached at the start, or the file fails. What fails later is told by the summary.
    pub async fn run(&self, step: impl Step + Clone + 'static) -> Result<Summary, CheckError> {
        self.store.clear()?;
        let mut changes = crate::store::Changes::default();
        changes.fact(facts::ABOUT, &self.about())?;
        self.store.commit(changes)?;
        let (mode, is_sample) = (self.config.mode.name().to_owned(), self.config.sample.is_some());
        let summary = Summary { mode, is_sample, rounds: 1, ..Summary::default() };
        let from = Reached::Source(Position::default());
        Box::pin(self.go_on(Tally::new(summary, KeySums::default(), from, Instant::now()), step)).await
    }

    /// Goes on with the comparison that the file holds.
    ///
    /// # Errors
    /// [`CheckError::NothingToResume`], [`CheckError::OtherSettings`], [`CheckError::WasInRounds`], and as [`Self::run`].
    pub async fn resume(&self, step: impl Step + Clone + 'static) -> Result<Summary, CheckError> {
        let tally = Tally::resumed(self.store, &self.about(), Instant::now())?;
        Box::pin(self.go_on(tally, step)).await
    }

    fn about(&self) -> About {
        About { in_step: true, ..About::of(&self.config) }
    }

    async fn go_on<S>(&self, mut tally: Tally, step: S) -> Result<Summary, CheckError>
    where
        S: Step + Clone + 'static,
    {
        let plan = Arc::new(Box::pin(Plan::make(&self.config, &self.throttle)).await?);
        plan.gaps.iter().for_each(|gap| tally.summary.add_gap(gap.clone()));
        match Box::pin(self.all(&plan, step, &mut tally)).await {
            Err(error @ (CheckError::Side(_) | CheckError::Step(_))) => {
                tally.summary.add_gap(format!("the keys behind a failure: {error}"));
            }
            done => done?,
        }
        tally.end(self.store, self.is_stopped())
    }

    async fn all<S>(&self, plan: &Arc<Plan>, step: S, tally: &mut Tally) -> Result<(), CheckError>
    where
        S: Step + Clone + 'static,
    {
        let mut in_step = self.in_step(plan, step.clone()).await?;
        if let Reached::Source(from) = tally.reached()
            && !self.all_keys(plan, from, step, &mut in_step, tally).await?
        {
            return Ok(());
        }
        self.extra(plan, &mut in_step, tally).await
    }

    /// Compares every key of the source. Returns whether all were read.
    async fn all_keys<S>(
        &self,
        plan: &Arc<Plan>,
        from: Position,
        step: S,
        in_step: &mut InStep<S>,
        tally: &mut Tally,
    ) -> Result<bool, CheckError>
    where
        S: Step + Clone + 'static,
    {
        let mut comparers = Vec::new();
        for _ in 0..self.connections() {
            comparers.push(self.in_step(plan, step.clone()).await?);
        }
        self.progress.send_modify(|progress| {
            (progress.stage, progress.of) = (Stage::Comparing, plan.keys());
        });
        let link = Link::to_source(&self.config.engine, &self.throttle);
        let walk = Walk::new(plan, link, from);
        let mut workers = Workers::start(walk, comparers, self.pace, self.stop.clone());
        let mut failed = None;
        while let Some(ComparedPage { page, verdicts }) = workers.compared.recv().await {
            let mended = match verdicts {
                Ok(told) => self.mended(told, in_step, tally).await,
                Err(error) => Err(error),
            };
            match mended {
                Ok(told) => {
                    let keys = page.pairs.len() as u64;
                    tally.add_exact(page, told, self.store, Instant::now())?;
                    self.tell(keys, tally);
                }
                Err(error) => {
                    // What is on its way still ends its watches.
                    workers.halt();
                    failed.get_or_insert(error);
                }
            }
        }
        if let Some(error) = failed {
            return Err(error);
        }
        let walked = workers.walked().await?;
        walked.gaps.into_iter().for_each(|gap| tally.summary.add_gap(gap));
        if walked.is_whole {
            tally.reach(Reached::Extra);
        }
        Ok(walked.is_whole)
    }

    async fn in_step<S: Step>(&self, plan: &Arc<Plan>, step: S) -> Result<InStep<S>, CheckError> {
        InStep::with(&self.config, (Arc::clone(plan), &self.throttle), step).await
    }

    /// How many pages are compared at the same time.
    fn connections(&self) -> u16 {
        if self.pace.is_some() { 1 } else { self.config.connections.max(1) }
    }

    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    fn tell(&self, keys: u64, tally: &Tally) {
        let (different, not_compared) = tally.found;
        self.progress.send_modify(|progress| {
            progress.keys += keys;
            (progress.different, progress.not_compared) = (different, not_compared);
        });
    }

    /// Verdicts behind a repair of what differs, if that is wanted.
    async fn mended(
        &self,
        told: Vec<ExactVerdict>,
        in_step: &mut InStep<impl Step>,
        tally: &mut Tally,
    ) -> Result<Vec<ExactVerdict>, CheckError> {
        if !self.repairs {
            return Ok(told);
        }
        let mended = in_step.mend(told).await?;
        tally.summary.repaired += mended.repaired;
        Ok(mended.verdicts)
    }

    /// Compares keys that only the target has, as it seems.
    async fn extra(
        &self,
        plan: &Arc<Plan>,
        in_step: &mut InStep<impl Step>,
        tally: &mut Tally,
    ) -> Result<(), CheckError> {
        self.progress.send_modify(|progress| (progress.stage, progress.keys) = (Stage::Extra, 0));
        let seen = TargetWalk::begin(plan, &self.config.engine).await?.sum_up(|_| !self.is_stopped()).await?;
        tally.summary.foreign = seen.foreign;
        let parts = seen.sums.apart(&tally.sums);
        let mut walk = TargetWalk::begin(plan, &self.config.engine).await?;
        while !parts.is_empty() && !self.is_stopped() {
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
            let told = self.mended(told, in_step, tally).await?;
            told.into_iter().try_for_each(|verdict| tally.exact(verdict))?;
            if let Some(pace) = self.pace {
                pace.rest(keys, began.into(), &self.stop).await;
            }
            tally.write_if_due(self.store, Instant::now())?;
        }
        if !self.is_stopped() {
            tally.reach(Reached::Rounds(1));
        }
        Ok(())
    }
}

impl<S: Step + 'static> PageComparer for InStep<S> {
    type Verdict = ExactVerdict;
    type Error = CheckError;

    async fn compare_page(&mut self, pairs: &[Pair]) -> Result<Vec<ExactVerdict>, CheckError> {
        Box::pin(self.compare(pairs.to_vec())).await
    }
}
