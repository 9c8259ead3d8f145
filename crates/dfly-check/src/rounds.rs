//! The comparison in rounds: all keys once, then only what differed, after a pause, until nothing differs or the rounds are
//! over. It needs no replicator, and cannot tell a key that differs from one that is being written to, unless neither side
//! changes.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{debug, info};

use crate::comparer::{Comparer, Judged};
use crate::config::CheckConfig;
use crate::error::CheckError;
use crate::extra::{Search, TargetWalk};
use crate::key_sums::KeySums;
use crate::link::Link;
use crate::plan::Plan;
use crate::progress::{Progress, RunSignals, Stage};
use crate::report::About;
use crate::scan::{Position, Walk};
use crate::store::{Finding, Store, facts};
use crate::summary::Summary;
use crate::tally::{Reached, Tally};
use crate::throttle::Throttle;
use crate::verdict::{Certainty, Pair, Verdict};
use crate::workers::{PageComparer, Workers};

/// Pages that fail one after the other before the walk is given up: a side is away.
const FAILURES: u32 = 3;

/// How many findings are compared again in one go.
const PAGE: usize = 1024;

/// A comparison in rounds.
#[derive(Debug)]
pub struct Rounds<'a> {
    config: Arc<CheckConfig>,
    store: &'a Store,
    throttle: Arc<Throttle>,
    progress: watch::Sender<Progress>,
    stop: watch::Receiver<bool>,
}

impl<'a> Rounds<'a> {
    /// A comparison that writes what it finds into `store`.
    pub fn new(config: CheckConfig, store: &'a Store, signals: RunSignals) -> Self {
        let RunSignals { progress, stop } = signals;
        let (requests, bytes) = (config.requests_per_second, config.bytes_per_second);
        let throttle = Arc::new(Throttle::new(requests, bytes, Instant::now()));
        Self { config: Arc::new(config), store, throttle, progress, stop }
    }

    /// Compares from the beginning. What the file held before is removed.
    ///
    /// # Errors
    /// A side cannot be reached at the start, or the file fails. What fails later is told by the summary.
    pub async fn run(&self) -> Result<Summary, CheckError> {
        self.store.clear()?;
        let mut changes = crate::store::Changes::default();
        changes.fact(facts::ABOUT, &About::of(&self.config))?;
        self.store.commit(changes)?;
        let summary = Summary {
            mode: self.config.mode.name().to_owned(),
            is_sample: self.config.sample.is_some(),
            ..Summary::default()
        };
        let from = Reached::Source(Position::default());
        Box::pin(self.go_on(Tally::new(summary, KeySums::default(), from.clone(), Instant::now()), from))
            .await
    }

    /// Goes on with the comparison that the file holds.
    ///
    /// # Errors
    /// [`CheckError::NothingToResume`], [`CheckError::OtherSettings`], [`CheckError::WasInStep`], and as [`Self::run`].
    pub async fn resume(&self) -> Result<Summary, CheckError> {
        let tally = Tally::resumed(self.store, &About::of(&self.config), Instant::now())?;
        let reached = tally.reached();
        Box::pin(self.go_on(tally, reached)).await
    }

    /// Compares what the file of an ended comparison holds once more, and counts anew.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub async fn verify(&self) -> Result<Summary, CheckError> {
        let summary: Summary = self.store.fact(facts::COUNTED)?.unwrap_or_default();
        let mut tally = Tally::new(summary, KeySums::default(), Reached::Rounds(1), Instant::now());
        let plan = Box::pin(Plan::make(&self.config, &self.throttle)).await?;
        Box::pin(self.one_round(&plan, &mut tally)).await?;
        self.end(tally)
    }

    fn is_stopped(&self) -> bool {
        *self.stop.borrow()
    }

    fn tell(&self, change: impl FnOnce(&mut Progress)) {
        self.progress.send_modify(change);
    }

    async fn go_on(&self, mut tally: Tally, from: Reached) -> Result<Summary, CheckError> {
        let plan = Arc::new(Plan::make(&self.config, &self.throttle).await?);
        plan.gaps.iter().for_each(|gap| tally.summary.add_gap(gap.clone()));
        let mut rounds = 1;
        match from {
            Reached::Source(position) => {
                if self.all_keys(&plan, &mut tally, position).await? {
                    self.extra_keys(&plan, &mut tally).await?;
                }
            }
            Reached::Extra => self.extra_keys(&plan, &mut tally).await?,
            Reached::Rounds(made) => rounds = made,
            Reached::End => {}
        }
        self.again(&plan, &mut tally, rounds).await?;
        self.end(tally)
    }

    async fn comparer(&self, plan: &Plan) -> Result<Comparer, CheckError> {
        let mut comparer = Comparer::new(&self.config, (&plan.policy, &plan.selection), &self.throttle);
        comparer.hear_clocks().await?;
        comparer.save_requests();
        Ok(comparer)
    }

    /// Compares every key of the source. Returns whether all were read.
    async fn all_keys(
        &self,
        plan: &Arc<Plan>,
        tally: &mut Tally,
        from: Position,
    ) -> Result<bool, CheckError> {
        let mut comparers = Vec::new();
        for _ in 0..self.config.connections.max(1) {
            comparers.push(self.comparer(plan).await?);
        }
        self.tell(|progress| (progress.stage, progress.of) = (Stage::Comparing, plan.keys()));
        let walk = Walk::new(plan, Link::to_source(&self.config.engine, &self.throttle), from);
        let mut workers = Workers::start(walk, comparers, None, self.stop.clone());
        let mut failures = 0;
        while let Some(page) = workers.compared.recv().await {
            failures = if page.verdicts.is_ok() { 0 } else { failures + 1 };
            if let (FAILURES, Err(error)) = (failures, &page.verdicts) {
                tally.summary.add_gap(format!("the keys behind a failure: {error}"));
                workers.halt();
            }
            let keys = page.page.pairs.len() as u64;
            tally.add(page, self.store, Instant::now())?;
            let (different, not_compared) = tally.found;
            self.tell(|progress| {
                progress.keys += keys;
                (progress.different, progress.not_compared) = (different, not_compared);
            });
        }
        let walked = workers.walked().await?;
        walked.gaps.into_iter().for_each(|gap| tally.summary.add_gap(gap));
        if walked.is_whole {
            tally.reach(Reached::Extra);
        }
        tally.write(self.store, Instant::now())?;
        Ok(walked.is_whole)
    }

    /// Looks for keys that only the target has. What fails is a gap.
    async fn extra_keys(&self, plan: &Arc<Plan>, tally: &mut Tally) -> Result<(), CheckError> {
        self.tell(|progress| (progress.stage, progress.keys) = (Stage::Extra, 0));
        match self.find_extra(plan, tally).await {
            Ok(()) => {}
            Err(CheckError::Side(error)) => {
                tally.summary.add_gap(format!("keys that only the target has: {error}"));
            }
            Err(error) => return Err(error),
        }
        if !self.is_stopped() {
            tally.reach(Reached::Rounds(1));
        }
        Ok(tally.write(self.store, Instant::now())?)
    }

    async fn find_extra(&self, plan: &Arc<Plan>, tally: &mut Tally) -> Result<(), CheckError> {
        let engine = &self.config.engine;
        let walk = TargetWalk::begin(plan, engine).await?;
        let count = |keys| {
            self.tell(|progress| progress.keys += keys);
            !self.is_stopped()
        };
        let seen = walk.sum_up(count).await?;
        if self.is_stopped() {
            return Ok(());
        }
        tally.summary.foreign = seen.foreign;
        let parts = seen.sums.apart(&tally.sums);
        if parts.is_empty() {
            return Ok(());
        }
        debug!(parts = parts.len(), "keys are looked up on the source");
        let mut comparer = self.comparer(plan).await?;
        let mut search = Search { plan, parts: &parts, comparer: &mut comparer };
        let mut walk = TargetWalk::begin(plan, engine).await?;
        while let Some((db, keys)) = walk.next().await? {
            let suspects = search.suspects(db, keys);
            for (pair, verdict) in search.look_up(suspects).await? {
                tally.verdict(&pair, verdict)?;
            }
            let different = tally.found.0;
            self.tell(|progress| progress.different = different);
            tally.write_if_due(self.store, Instant::now())?;
            if self.is_stopped() {
                break;
            }
        }
        Ok(())
    }

    /// Compares what has a finding again, until there is none or the rounds are over.
    async fn again(&self, plan: &Plan, tally: &mut Tally, made: u32) -> Result<(), CheckError> {
        tally.summary.rounds = made;
        for round in made + 1..=self.config.rounds {
            if self.store.is_empty()? || self.is_stopped() {
                return Ok(());
            }
            self.tell(|progress| progress.stage = Stage::Waiting);
            self.wait().await;
            let keys = self.store.len()?;
            self.tell(|progress| {
                (progress.stage, progress.keys, progress.of) = (Stage::Again(round), 0, keys);
            });
            match self.one_round(plan, tally).await {
                Err(CheckError::Side(error)) => {
                    tally.summary.add_gap(format!("what differed could not be compared again: {error}"));
                    return Ok(());
                }
                done => done?,
            }
            if self.is_stopped() {
                return Ok(());
            }
            tally.summary.rounds = round;
            tally.reach_round(Reached::Rounds(round));
            tally.write(self.store, Instant::now())?;
            info!(round, keys = self.store.len()?, "still different or not compared");
        }
        Ok(())
    }

    async fn wait(&self) {
        let mut stop = self.stop.clone();
        tokio::select! {
            () = sleep(self.config.pause) => {}
            _ = stop.wait_for(|stops| *stops) => {}
        }
    }

    async fn one_round(&self, plan: &Plan, tally: &mut Tally) -> Result<(), CheckError> {
        let mut comparer = self.comparer(plan).await?;
        let mut after: Option<Pair> = None;
        while !self.is_stopped() {
            let found = self.store.findings(after.as_ref(), PAGE)?;
            let Some((last, _)) = found.last() else { return Ok(()) };
            after = Some(last.clone());
            let is_beside = |one: &(Pair, Finding), other: &(Pair, Finding)| {
                one.0.source.db == other.0.source.db && one.0.target.db == other.0.target.db
            };
            for found in found.chunk_by(is_beside) {
                let pairs: Vec<Pair> = found.iter().map(|(pair, _)| pair.clone()).collect();
                let judged = comparer.compare_page(&pairs).await?;
                for ((pair, before), judged) in found.iter().zip(judged) {
                    settle(tally, (pair, before), judged)?;
                }
            }
            let keys = found.len() as u64;
            self.tell(|progress| progress.keys += keys);
            tally.write(self.store, Instant::now())?;
        }
        Ok(())
    }

    fn end(&self, tally: Tally) -> Result<Summary, CheckError> {
        let summary = tally.end(self.store, self.is_stopped())?;
        let (different, not_compared) = (summary.different, summary.not_compared);
        self.tell(|progress| {
            progress.stage = Stage::Done;
            (progress.different, progress.not_compared) = (different, not_compared);
        });
        Ok(summary)
    }
}

/// What a later round says about a key with a finding.
fn settle(tally: &mut Tally, (pair, before): (&Pair, &Finding), judged: Judged) -> Result<(), CheckError> {
    match judged.verdict {
        Verdict::Equal => {
            tally.summary.equal += 1;
            tally.remove(pair);
        }
        Verdict::LeftOut(loss) => {
            tally.summary.leave_out(loss);
            tally.remove(pair);
        }
        Verdict::Unselected => {
            tally.summary.unselected += 1;
            tally.remove(pair);
        }
        Verdict::NotCompared(reason) => tally.put(pair, &Finding::NotCompared { reason })?,
        Verdict::Different(different) => {
            let is_unchanged = matches!(
                before,
                Finding::Different { different: old, .. } if old.print == different.print
            );
            let certainty = if is_unchanged { Certainty::Differs } else { Certainty::DiffersOrChanges };
            tally.put(pair, &Finding::Different { different, certainty })?;
        }
    }
    Ok(())
}
