//! The comparison in step with a running replication: every verdict is exact, under any load, and holds at an LSN.
//!
//! For a batch of keys the replication notes from some moment on which of them get a record. The source is read between two
//! looks at its LSNs; the target when it has everything before the second. A key without a record from the first look to the end
//! was the same on the source all the while, and the target held what the source did. A key with one is compared again: among
//! others while their flows wait, so that only a record that comes while the source is read counts; then alone, and by a
//! transaction that is void if the key was written to.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dfly_client::lsns_of;
use dfly_journal::Lsn;
use dfly_replica::SourceKey;
use dfly_wire::DbIndex;
use redis_resp::Reply;
use tokio::time::sleep;

use crate::comparer::{Comparer, Judged};
use crate::config::CheckConfig;
use crate::error::CheckError;
use crate::extra::is_told;
use crate::held::Held;
use crate::link::{Bracket, SideError};
use crate::observe::AtLsn;
use crate::plan::{Place, Plan};
use crate::step::{MOST_WATCHED, Settled, Step, WatchId};
use crate::throttle::Throttle;
use crate::verdict::{ExactVerdict, Pair, Verdict};

/// How many times a key is compared among others while their flows go on.
const FLOWING: u32 = 1;

/// How many times it is then compared among others while their flows wait.
const HELD: u32 = 8;

/// How many times it is then compared alone.
const ALONE: u32 = 60;

/// The pause behind an attempt that has given no verdict: a slot is moving, or keys are being refetched.
const PAUSE: Duration = Duration::from_millis(50);

/// The pause before keys are compared again whose flows wait: the next moment may suit.
const SHORT_PAUSE: Duration = Duration::from_millis(5);

/// What became of keys that differed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Mended {
    /// Each verdict, behind the repair.
    pub verdicts: Vec<ExactVerdict>,
    /// How many of them differed before, and are equal now.
    pub repaired: u64,
}

/// Compares keys in step with a replication.
#[derive(Debug)]
pub struct InStep<S> {
    step: S,
    comparer: Comparer,
    pub(crate) plan: Arc<Plan>,
    load: Load,
}

/// What attempts have told of how often keys are written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Load {
    /// Many keys get a record while flows go on: it is not tried.
    is_busy: bool,
    /// How many keys are compared together while flows wait. The fewer, the sooner the source has told them.
    group: usize,
}

impl Load {
    /// The fewest keys that are compared together.
    const FEWEST: usize = 16;

    /// Of `keys` that were compared in this way, so many got a record.
    fn hear(&mut self, way: Way, keys: usize, touched: usize) {
        match way {
            Way::Flowing => self.is_busy = touched * 4 > keys,
            Way::Held if touched * 4 > keys => self.group = (keys / 2).max(Self::FEWEST),
            Way::Held if touched * 16 <= keys => {
                self.group = (self.group * 2).min(MOST_WATCHED);
                self.is_busy &= touched > 0;
            }
            Way::Held | Way::Alone => {}
        }
    }
}

impl Default for Load {
    fn default() -> Self {
        Self { is_busy: false, group: MOST_WATCHED }
    }
}

/// A key that is still to be compared, and how many times it was tried.
#[derive(Debug)]
struct Waiting {
    pair: Pair,
    tries: u32,
}

/// How keys are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Among others, while their flows go on.
    Flowing,
    /// Among others, while their flows wait.
    Held,
    /// Alone, while its flow waits.
    Alone,
}

impl Way {
    /// How a key is compared that was tried so many times.
    fn after(tries: u32) -> Self {
        match tries {
            0..FLOWING => Self::Flowing,
            FLOWING..TOGETHER => Self::Held,
            _ => Self::Alone,
        }
    }

    fn most_keys(self, load: Load) -> usize {
        match self {
            Self::Flowing => MOST_WATCHED,
            Self::Held => load.group,
            Self::Alone => 1,
        }
    }

    /// The pause behind an attempt that has given no verdict.
    fn pause(self) -> Duration {
        if self == Self::Flowing { PAUSE } else { SHORT_PAUSE }
    }
}

/// How many times a key is compared among others.
const TOGETHER: u32 = FLOWING + HELD;

/// Why a key has no verdict that is written to all the time.
const CHANGES: &str = "it changes all the time";

/// What the source holds under some keys, and the next LSNs of its flows before and behind reading them.
#[derive(Debug)]
struct Reading {
    held: Vec<Held>,
    before: Vec<Lsn>,
    behind: Vec<Lsn>,
    /// One value, however large, which is to be read in the same way on the target.
    is_whole: bool,
}

/// What one attempt has given for a key.
enum Attempt {
    Exact(Judged, Lsn),
    /// It was written to, or is not at its place: why it has no verdict yet.
    Again(&'static str),
}

impl<S: Step> InStep<S> {
    /// Compares with what these settings name, in step with `step`.
    ///
    /// # Errors
    /// A side cannot be reached.
    pub async fn connect(config: CheckConfig, step: S) -> Result<Self, CheckError> {
        let (requests, bytes) = (config.requests_per_second, config.bytes_per_second);
        let (config, throttle) = (Arc::new(config), Arc::new(Throttle::new(requests, bytes, Instant::now())));
        let plan = Box::pin(Plan::make(&config, &throttle)).await?;
        Self::with(&config, (Arc::new(plan), &throttle), step).await
    }

    pub(crate) async fn with(
        config: &Arc<CheckConfig>,
        (plan, throttle): (Arc<Plan>, &Arc<Throttle>),
        step: S,
    ) -> Result<Self, CheckError> {
        let mut comparer = Comparer::new(config, (&plan.policy, &plan.selection), throttle);
        comparer.hear_clocks().await?;
        Ok(Self { step, comparer, plan, load: Load::default() })
    }

    /// The pair of a key of the source; `None` if it is not compared.
    pub fn pair(&self, key: &SourceKey) -> Option<Pair> {
        match self.plan.place(key.db, &key.name) {
            Place::Compared(pair) => Some(pair),
            _ => None,
        }
    }

    /// Compares keys, of which all with the same database on the source have the same on the target. Gives a verdict for each,
    /// in any order: a key that never stands still, or whose slot is moving, is not compared, and says so.
    ///
    /// # Errors
    /// [`CheckError::Side`] if a side stays away, [`CheckError::Step`] if the replication does.
    pub async fn compare(&mut self, pairs: Vec<Pair>) -> Result<Vec<ExactVerdict>, CheckError> {
        let mut done = Vec::with_capacity(pairs.len());
        let tries = if self.load.is_busy { FLOWING } else { 0 };
        let mut waiting: VecDeque<Waiting> = pairs.into_iter().map(|pair| Waiting { pair, tries }).collect();
        while let Some(first) = waiting.front() {
            let (db, way) = (first.pair.source.db, Way::after(first.tries));
            let is_like = |key: &Waiting| key.pair.source.db == db && Way::after(key.tries) == way;
            let batch = take(&mut waiting, is_like, way.most_keys(self.load));
            let pairs: Vec<Pair> = batch.iter().map(|key| key.pair.clone()).collect();
            let attempts = Box::pin(self.attempt(&pairs, way)).await?;
            let touched =
                attempts.iter().filter(|attempt| matches!(attempt, Attempt::Again(CHANGES))).count();
            self.load.hear(way, attempts.len(), touched);
            if attempts.iter().all(|attempt| matches!(attempt, Attempt::Again(_))) {
                sleep(way.pause()).await;
            }
            for (mut key, attempt) in batch.into_iter().zip(attempts) {
                key.tries += 1;
                match attempt {
                    Attempt::Exact(Judged { verdict, is_on_target, .. }, lsn) => {
                        done.push(ExactVerdict { pair: key.pair, verdict, is_on_target, lsn: Some(lsn) });
                    }
                    Attempt::Again(why) if key.tries >= TOGETHER + ALONE => {
                        let verdict = Verdict::NotCompared(why.to_owned());
                        done.push(ExactVerdict { pair: key.pair, verdict, is_on_target: false, lsn: None });
                    }
                    Attempt::Again(_) => waiting.push_back(key),
                }
            }
        }
        Ok(done)
    }

    /// Compares a key of the target with each of the names that it may have on the source. Gives a verdict if it is extra for
    /// all of them, or could not be compared with one.
    pub(crate) async fn extra(&mut self, pairs: Vec<Pair>) -> Result<Option<ExactVerdict>, CheckError> {
        let mut first = None;
        for pair in pairs {
            let told = self.compare(vec![pair]).await?.into_iter().find(|told| is_told(&told.verdict));
            if told.is_none() {
                return Ok(None);
            }
            first = first.or(told);
        }
        Ok(first)
    }

    /// Compares keys, has those that differ refetched, and compares them again.
    ///
    /// # Errors
    /// As [`Self::compare`].
    pub async fn compare_and_mend(&mut self, pairs: Vec<Pair>) -> Result<Mended, CheckError> {
        let verdicts = self.compare(pairs).await?;
        self.mend(verdicts).await
    }

    /// Has keys that differ refetched, and compares them again.
    pub(crate) async fn mend(&mut self, verdicts: Vec<ExactVerdict>) -> Result<Mended, CheckError> {
        let is_different = |told: &ExactVerdict| matches!(told.verdict, Verdict::Different(_));
        let (different, mut done): (Vec<_>, Vec<_>) = verdicts.into_iter().partition(is_different);
        let mut repaired = 0;
        for told in different.chunks(MOST_WATCHED) {
            let pairs: Vec<Pair> = told.iter().map(|told| told.pair.clone()).collect();
            let keys: Vec<SourceKey> = pairs.iter().map(|pair| pair.source.clone()).collect();
            self.step.refetch(&keys).await?;
            let again = self.compare(pairs).await?;
            repaired += again.iter().filter(|told| told.verdict == Verdict::Equal).count() as u64;
            done.extend(again);
        }
        Ok(Mended { verdicts: done, repaired })
    }

    pub(crate) fn comparer(&mut self) -> &mut Comparer {
        &mut self.comparer
    }

    /// One attempt at keys of one database. The watch ends in any case.
    async fn attempt(&mut self, pairs: &[Pair], way: Way) -> Result<Vec<Attempt>, CheckError> {
        let keys: Vec<SourceKey> = pairs.iter().map(|pair| pair.source.clone()).collect();
        let watch = self.step.watch(&keys, way != Way::Flowing).await?;
        let judged = self.judged(pairs, watch, way).await;
        let touched = self.step.release(watch).await;
        let (judged, touched) = (judged?, touched?);
        let attempt = |(judged, is_touched): (Result<(Judged, Lsn), &'static str>, bool)| match judged {
            _ if is_touched => Attempt::Again(CHANGES),
            Ok((judged, lsn)) => Attempt::Exact(judged, lsn),
            Err(why) => Attempt::Again(why),
        };
        let touched = touched.into_iter().chain(std::iter::repeat(true));
        Ok(judged.into_iter().zip(touched).map(attempt).collect())
    }

    /// What is decided about each key, and before which record of its flow; why not, in words.
    async fn judged(
        &mut self,
        pairs: &[Pair],
        watch: WatchId,
        way: Way,
    ) -> Result<Vec<Result<(Judged, Lsn), &'static str>>, CheckError> {
        let reading = match pairs {
            [pair] if way == Way::Alone => self.read_alone(pair).await?,
            _ => Some(self.read_together(pairs).await?),
        };
        let Some(Reading { held: source, before, behind, is_whole }) = reading else {
            return Ok(vec![Err(CHANGES); pairs.len()]);
        };
        let settled = self.step.settle(watch, &before, &behind).await?;
        let stands = |nth: usize| settled.get(nth).copied().unwrap_or(Settled::Touched);
        let standing: Vec<usize> =
            (0..pairs.len()).filter(|nth| matches!(stands(*nth), Settled::Stands { .. })).collect();
        let (chosen, held): (Vec<Pair>, Vec<_>) = standing
            .iter()
            .filter_map(|nth| Some((pairs.get(*nth)?.clone(), source.get(*nth)?.clone())))
            .unzip();
        let target = match chosen.as_slice() {
            [pair] if is_whole => vec![self.comparer.observe_target_whole(pair).await?],
            _ => self.comparer.observe_target(&chosen).await?,
        };
        let mut judged = self.comparer.judge(&chosen, &held, &target).await?.into_iter();
        let mut out: Vec<Result<(Judged, Lsn), &'static str>> = Vec::with_capacity(pairs.len());
        let mut asked_again = false;
        for nth in 0..pairs.len() {
            out.push(match stands(nth) {
                Settled::Stands { lsn } => {
                    let judged = judged.next();
                    asked_again |= judged.as_ref().is_some_and(|judged| judged.asked_again);
                    judged.map(|judged| (judged, lsn)).ok_or("one side did not tell it")
                }
                Settled::Touched => Err(CHANGES),
                Settled::Refetching => Err("it waits to be refetched"),
                Settled::Moving => Err("its slot is being moved"),
            });
        }
        if asked_again {
            self.check_again(watch, &before, &mut out).await?;
        }
        Ok(out)
    }

    /// What the source holds under these keys, between two looks at its LSNs.
    async fn read_together(&mut self, pairs: &[Pair]) -> Result<Reading, CheckError> {
        self.comparer.source.link.begin_bracket();
        let held = self.comparer.observe_source(pairs).await;
        let Bracket { before, behind } = self.comparer.source.link.end_bracket();
        Ok(Reading { held: held?, before: told_lsns(before)?, behind: told_lsns(behind)?, is_whole: false })
    }

    /// What the source holds under a key that is written to all the time. `None`: it was written to each time.
    async fn read_alone(&mut self, pair: &Pair) -> Result<Option<Reading>, CheckError> {
        match self.comparer.observe_source_at_lsn(pair).await? {
            AtLsn::Read(held, lsns) => {
                Ok(Some(Reading { held: vec![held], before: lsns.clone(), behind: lsns, is_whole: true }))
            }
            AtLsn::Changed => Ok(None),
            AtLsn::Impossible => self.read_together(std::slice::from_ref(pair)).await.map(Some),
        }
    }

    /// The source was asked more after its first answer: a key stands only if it got no record until then.
    async fn check_again(
        &mut self,
        watch: WatchId,
        before: &[Lsn],
        judged: &mut [Result<(Judged, Lsn), &'static str>],
    ) -> Result<(), CheckError> {
        let behind = self.lsns().await?;
        let settled = self.step.settle(watch, before, &behind).await?;
        for (judged, settled) in judged.iter_mut().zip(settled) {
            match settled {
                Settled::Stands { .. } => {}
                _ if judged.as_ref().is_ok_and(|(judged, _)| !judged.asked_again) => {}
                _ => *judged = Err(CHANGES),
            }
        }
        Ok(())
    }

    /// The next LSN of every flow of the source.
    async fn lsns(&mut self) -> Result<Vec<Lsn>, SideError> {
        let reply = self.comparer.source.link.ask_one(DbIndex(0), &[b"DFLY", b"REPLICAOFFSET"]).await?;
        told_lsns(Some(reply))
    }
}

/// The next LSN of every flow, as the source has told them.
fn told_lsns(reply: Option<Reply>) -> Result<Vec<Lsn>, SideError> {
    const REQUEST: &str = "DFLY REPLICAOFFSET";
    let strange = || SideError::Strange { side: "source", request: REQUEST };
    match reply {
        Some(Reply::Error(error)) => Err(SideError::SourceRefuses { request: REQUEST, error }),
        reply => reply.as_ref().and_then(lsns_of).ok_or_else(strange),
    }
}

/// Takes at most `most` of those that `is_wanted`; the others keep their order.
fn take<T>(waiting: &mut VecDeque<T>, is_wanted: impl Fn(&T) -> bool, most: usize) -> Vec<T> {
    let (mut taken, mut left) = (Vec::new(), VecDeque::new());
    while let Some(next) = waiting.pop_front() {
        if taken.len() < most && is_wanted(&next) {
            taken.push(next);
        } else {
            left.push_back(next);
        }
    }
    *waiting = left;
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_as_large_as_the_load_allows() {
        let mut load = Load::default();
        load.hear(Way::Flowing, 256, 60);
        assert!(!load.is_busy, "few keys get a record");
        load.hear(Way::Flowing, 256, 200);
        assert!(load.is_busy);
        let mut sizes = Vec::new();
        for touched in [200, 100, 20, 10, 5, 4, 4] {
            load.hear(Way::Held, load.group, touched);
            sizes.push(load.group);
        }
        assert_eq!(sizes, [128, 64, 32, 16, 16, 16, 16], "no fewer than {}", Load::FEWEST);
        for _ in 0..8 {
            load.hear(Way::Held, load.group, 1);
        }
        assert_eq!((load.group, load.is_busy), (MOST_WATCHED, true));
        load.hear(Way::Held, MOST_WATCHED, 0);
        assert!(!load.is_busy, "the flows need not wait any more");
    }
}
