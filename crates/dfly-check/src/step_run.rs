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
use crate::plan::Plan;
use crate::progress::{Progress, Stage};
use crate::report::About;
use crate::scan::{Position, Walk};
use crate::step::Step;
use crate::store::Store;
use crate::summary::Summary;
use crate::tally::{Reached, Tally, facts};
use crate::throttle::Throttle;
use crate::verdict::Pair;

/// A comparison of all keys in step.
#[derive(Debug)]
pub struct StepRun<'a> {
    config: Arc<CheckConfig>,
    store: &'a Store,
    throttle: Arc<Throttle>,
    progress: watch::Sender<Progress>,
    stop: watch::Receiver<bool>,
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
        Self { config: Arc::new(config), store, throttle, progress, stop }
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
        let keys = pairs.len() as u64;
        for verdict in in_step.compare(pairs).await? {
            tally.exact(verdict)?;
        }
        let (different, not_compared) = tally.found;
        self.progress.send_modify(|progress| {
            progress.keys += keys;
            (progress.different, progress.not_compared) = (different, not_compared);
        });
        Ok(tally.write_if_due(self.store, Instant::now())?)
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
            for verdict in in_step.compare(single.concat()).await? {
                if is_told(&verdict.verdict) {
                    tally.exact(verdict)?;
                }
            }
            for pairs in several {
                if let Some(verdict) = in_step.extra(pairs).await? {
                    tally.exact(verdict)?;
                }
            }
            tally.write_if_due(self.store, Instant::now())?;
        }
        Ok(())
    }
}
