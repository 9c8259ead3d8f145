//! Counts what was found, page by page in their order, and writes it down together with how far that is.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use dfly_translate::Loss;
use serde::{Deserialize, Serialize};

use crate::comparer::Judged;
use crate::error::CheckError;
use crate::key_sums::{self, KeySums};
use crate::link::SideError;
use crate::report::About;
use crate::scan::{Page, Position};
use crate::store::{Changes, Finding, Store, StoreError, facts};
use crate::summary::Summary;
use crate::verdict::{Certainty, ExactVerdict, Pair, Verdict};
use crate::workers::ComparedPage;

/// The most findings that are written down together.
const TOGETHER: usize = 1024;

/// How often it is written down how far the comparison has come.
const EVERY: Duration = Duration::from_secs(1);

/// How far a comparison has come, for one that goes on after a stop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Reached {
    /// Keys of the source up to here were compared.
    Source(Position),
    /// All keys of the source were.
    Extra,
    /// This many rounds were made.
    Rounds(u32),
    /// Everything was done.
    End,
}

/// A page of a comparison in rounds.
pub(crate) type JudgedPage = ComparedPage<Judged, SideError>;

/// A page that waits for its turn.
#[derive(Debug)]
enum Early {
    Judged(JudgedPage),
    /// A page that was compared in step, behind the repair of what differed.
    Exact(Page, Vec<ExactVerdict>),
}

/// What was counted so far.
#[derive(Debug)]
pub(crate) struct Tally {
    pub summary: Summary,
    /// The keys that were found on the target.
    pub sums: KeySums,
    /// Findings so far: how many differ, and how many could not be compared.
    pub found: (u64, u64),
    changes: Changes,
    /// Pages that came before their turn. There are no more than pages on their way.
    early: BTreeMap<u64, Early>,
    next: u64,
    reached: Reached,
    written: Instant,
}

impl Tally {
    pub(crate) fn new(summary: Summary, sums: KeySums, reached: Reached, now: Instant) -> Self {
        Self {
            summary,
            sums,
            found: (0, 0),
            changes: Changes::default(),
            early: BTreeMap::new(),
            next: 0,
            reached,
            written: now,
        }
    }

    /// Goes on with what the file holds. The comparison has the same settings, and is made in the same way.
    ///
    /// # Errors
    /// [`CheckError::NothingToResume`], [`CheckError::OtherSettings`], [`CheckError::WasInStep`], [`CheckError::WasInRounds`], and
    /// what the file gives.
    pub(crate) fn resumed(store: &Store, about: &About, now: Instant) -> Result<Self, CheckError> {
        let (begun, reached) = (About::in_file(store)?, store.fact(facts::REACHED)?);
        let (Some(begun), Some(reached)) = (begun, reached) else { return Err(CheckError::NothingToResume) };
        match (begun.in_step, about.in_step) {
            _ if reached == Reached::End => return Err(CheckError::NothingToResume),
            _ if begun.settings != about.settings => return Err(CheckError::OtherSettings),
            (true, false) => return Err(CheckError::WasInStep),
            (false, true) => return Err(CheckError::WasInRounds),
            (true, true) | (false, false) => {}
        }
        let summary = store.fact(facts::COUNTED)?.unwrap_or_default();
        let summary = Summary { gaps: Vec::new(), ..summary };
        let sums = store.fact_bytes(facts::SUMS)?.and_then(|sums| KeySums::from_bytes(&sums));
        Ok(Self { found: (store.len()?, 0), ..Self::new(summary, sums.unwrap_or_default(), reached, now) })
    }

    /// How far the comparison has come.
    pub(crate) fn reached(&self) -> Reached {
        self.reached.clone()
    }

    /// Counts a page, once those before it are counted.
    pub(crate) fn add(&mut self, page: JudgedPage, store: &Store, now: Instant) -> Result<(), StoreError> {
        self.early.insert(page.page.number, Early::Judged(page));
        self.add_early(store, now)
    }

    /// Counts a page with exact verdicts, once those before it are counted.
    pub(crate) fn add_exact(
        &mut self,
        page: Page,
        verdicts: Vec<ExactVerdict>,
        store: &Store,
        now: Instant,
    ) -> Result<(), StoreError> {
        self.early.insert(page.number, Early::Exact(page, verdicts));
        self.add_early(store, now)
    }

    fn add_early(&mut self, store: &Store, now: Instant) -> Result<(), StoreError> {
        while let Some(page) = self.early.remove(&self.next) {
            self.next += 1;
            match page {
                Early::Judged(page) => self.count(page)?,
                Early::Exact(page, verdicts) => {
                    self.pass(&page);
                    verdicts.into_iter().try_for_each(|verdict| self.exact(verdict))?;
                    self.reached = Reached::Source(page.behind);
                }
            }
        }
        self.write_if_due(store, now)
    }

    /// Writes down what is not written yet, if it is much or was long ago.
    pub(crate) fn write_if_due(&mut self, store: &Store, now: Instant) -> Result<(), StoreError> {
        if self.changes.len() >= TOGETHER || now.duration_since(self.written) >= EVERY {
            self.write(store, now)?;
        }
        Ok(())
    }

    fn count(&mut self, JudgedPage { page, verdicts }: JudgedPage) -> Result<(), StoreError> {
        self.pass(&page);
        match verdicts {
            Ok(judged) => {
                for (pair, judged) in page.pairs.iter().zip(judged) {
                    if judged.is_on_target {
                        self.sums.add(key_sums::digest(&pair.target));
                    }
                    self.verdict(pair, judged.verdict)?;
                }
            }
            Err(error) => {
                let reason = error.to_string();
                for pair in &page.pairs {
                    self.verdict(pair, Verdict::NotCompared(reason.clone()))?;
                }
            }
        }
        self.reached = Reached::Source(page.behind);
        Ok(())
    }

    /// Counts what of a page is not compared.
    pub(crate) fn pass(&mut self, page: &Page) {
        self.summary.unselected += page.unselected;
        self.summary.unsampled += page.unsampled;
        (0..page.reserved).for_each(|_| self.summary.leave_out(Loss::Reserved));
    }

    /// Counts a verdict of the first round.
    pub(crate) fn verdict(&mut self, pair: &Pair, verdict: Verdict) -> Result<(), StoreError> {
        match verdict {
            Verdict::Equal => self.summary.equal += 1,
            Verdict::LeftOut(loss) => self.summary.leave_out(loss),
            Verdict::Unselected => self.summary.unselected += 1,
            Verdict::Different(different) => {
                self.found.0 += 1;
                let certainty = Certainty::DiffersOrChanges;
                self.changes.put(pair, &Finding::Different { different, certainty })?;
            }
            Verdict::NotCompared(reason) => {
                self.found.1 += 1;
                self.changes.put(pair, &Finding::NotCompared { reason })?;
            }
        }
        Ok(())
    }

    /// Counts a verdict that is exact.
    pub(crate) fn exact(&mut self, verdict: ExactVerdict) -> Result<(), StoreError> {
        if verdict.is_on_target {
            self.sums.add(key_sums::digest(&verdict.pair.target));
        }
        match (verdict.verdict, verdict.lsn) {
            (Verdict::Different(different), Some(lsn)) => {
                self.found.0 += 1;
                let certainty = Certainty::Exact { lsn: lsn.0 };
                self.changes.put(&verdict.pair, &Finding::Different { different, certainty })
            }
            (other, _) => self.verdict(&verdict.pair, other),
        }
    }

    /// Notes a finding of a later round.
    pub(crate) fn put(&mut self, pair: &Pair, finding: &Finding) -> Result<(), StoreError> {
        self.changes.put(pair, finding)
    }

    /// A key has no finding any more.
    pub(crate) fn remove(&mut self, pair: &Pair) {
        self.changes.remove(pair);
    }

    /// How far the comparison has come, from now on.
    pub(crate) fn reach(&mut self, reached: Reached) {
        self.reached = reached;
    }

    /// A round is over. It counts only once all keys were compared: what was left of them is compared first by whoever goes on.
    pub(crate) fn reach_round(&mut self, reached: Reached) {
        if !matches!(self.reached, Reached::Source(_) | Reached::Extra) {
            self.reached = reached;
        }
    }

    /// Writes everything down, and sums up all findings.
    pub(crate) fn end(mut self, store: &Store, is_stopped: bool) -> Result<Summary, CheckError> {
        if !is_stopped {
            self.reach_round(Reached::End);
        }
        self.write(store, Instant::now())?;
        let mut summary = Summary { is_stopped, ..self.summary };
        let mut after: Option<Pair> = None;
        loop {
            let found = store.findings(after.as_ref(), TOGETHER)?;
            let Some((last, _)) = found.last() else { break };
            after = Some(last.clone());
            found.iter().for_each(|(_, finding)| summary.count(finding));
        }
        summary.compared = summary.equal + summary.different;
        let mut changes = Changes::default();
        changes.fact(facts::SUMMARY, &summary)?;
        store.commit(changes)?;
        Ok(summary)
    }

    /// Writes everything down that is not written yet.
    pub(crate) fn write(&mut self, store: &Store, now: Instant) -> Result<(), StoreError> {
        let mut changes = std::mem::take(&mut self.changes);
        changes.fact(facts::REACHED, &self.reached)?;
        changes.fact(facts::COUNTED, &self.summary)?;
        if matches!(self.reached, Reached::Source(_) | Reached::Extra) {
            changes.bytes(facts::SUMS, self.sums.to_bytes());
        }
        self.written = now;
        store.commit(changes)
    }
}
