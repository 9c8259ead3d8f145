//! Looks for keys that only the target has.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use dfly_replica::{EngineConfig, KeyspaceScan, TargetKey, connect_target, databases};
use dfly_wire::DbIndex;
use tokio::sync::mpsc;

use crate::comparer::Comparer;
use crate::error::CheckError;
use crate::key_sums::{self, KeySums};
use crate::plan::Plan;
use crate::verdict::{Pair, Verdict, What};
use crate::workers::PageComparer;

/// What a walk through the target has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The keys that may come from the source.
    pub sums: KeySums,
    /// How many cannot.
    pub foreign: u64,
}

/// Pages of keys that were read and are not summed up yet.
const PAGES_AHEAD: usize = 4;

/// A walk through the target's keys, one database after the other.
#[derive(Debug)]
pub(crate) struct TargetWalk {
    plan: Arc<Plan>,
    config: Arc<EngineConfig>,
    dbs: Vec<DbIndex>,
    scan: Option<(DbIndex, KeyspaceScan)>,
}

impl TargetWalk {
    pub(crate) async fn begin(plan: &Arc<Plan>, config: &Arc<EngineConfig>) -> Result<Self, CheckError> {
        let (mut target, _) = connect_target(config).await?;
        let mut dbs = databases(&mut target).await?;
        dbs.retain(|db| plan.selection.dbs.feeds(*db));
        Ok(Self { plan: Arc::clone(plan), config: Arc::clone(config), dbs, scan: None })
    }

    /// The next keys that are none of the tool's own, with their database; `None` behind the last.
    pub(crate) async fn next(&mut self) -> Result<Option<(DbIndex, Vec<Bytes>)>, CheckError> {
        loop {
            let (db, mut scan) = match self.scan.take() {
                Some(scan) => scan,
                None => match self.dbs.pop() {
                    Some(db) => (db, KeyspaceScan::of(&self.config, db).await?),
                    None => return Ok(None),
                },
            };
            if let Some(keys) = scan.next().await? {
                self.scan = Some((db, scan));
                return Ok(Some((db, keys)));
            }
        }
    }

    /// Walks to the end, and sums up the keys. `count` hears of every page, and says whether to go on.
    pub(crate) async fn sum_up(self, mut count: impl FnMut(u64) -> bool) -> Result<Seen, CheckError> {
        let (plan, mut seen) = (Arc::clone(&self.plan), Seen::default());
        // The target is asked for the next keys while these are summed up.
        let (pages, mut read) = mpsc::channel(PAGES_AHEAD);
        let walk = tokio::spawn(self.give(pages));
        while let Some((db, keys)) = read.recv().await {
            if !count(keys.len() as u64) {
                break;
            }
            for name in keys {
                let key = TargetKey::new(db, name);
                if !plan.selection.covers(db, &key.name) {
                    seen.foreign += 1;
                } else if plan.samples(&key) {
                    seen.sums.add(key_sums::digest(&key));
                }
            }
        }
        drop(read);
        walk.await??;
        Ok(seen)
    }

    /// Reads all keys, as long as somebody takes them.
    async fn give(mut self, pages: mpsc::Sender<(DbIndex, Vec<Bytes>)>) -> Result<(), CheckError> {
        while let Some(page) = self.next().await? {
            if pages.send(page).await.is_err() {
                break;
            }
        }
        Ok(())
    }
}

/// Compares the keys of these parts that only the target has.
pub(crate) struct Search<'a> {
    pub plan: &'a Plan,
    pub parts: &'a BTreeSet<u16>,
    pub comparer: &'a mut Comparer,
}

impl Search<'_> {
    /// Which of these keys of the target are to be looked up on the source: the pairs of each.
    pub(crate) fn suspects(&self, db: DbIndex, keys: Vec<Bytes>) -> Vec<Vec<Pair>> {
        let key = |name| TargetKey::new(db, name);
        let is_suspect = |key: &TargetKey| {
            self.parts.contains(&key_sums::part(key_sums::digest(key))) && self.plan.samples(key)
        };
        let suspects = keys.into_iter().map(key).filter(is_suspect).map(|key| self.plan.origins(&key));
        suspects.filter(|pairs| !pairs.is_empty()).collect()
    }

    /// The verdicts about those suspects that only the target has, or that could not be looked up.
    pub(crate) async fn look_up(
        &mut self,
        suspects: Vec<Vec<Pair>>,
    ) -> Result<Vec<(Pair, Verdict)>, CheckError> {
        let (mut found, mut by_db) = (Vec::new(), BTreeMap::<DbIndex, Vec<Pair>>::new());
        for mut pairs in suspects {
            match (pairs.pop(), pairs.is_empty()) {
                (Some(pair), true) => by_db.entry(pair.source.db).or_default().push(pair),
                (Some(pair), false) => {
                    pairs.push(pair);
                    found.extend(self.look_up_names(&pairs).await?);
                }
                (None, _) => {}
            }
        }
        for pairs in by_db.values() {
            let judged = self.comparer.compare_page(pairs).await?;
            let verdicts = pairs.iter().cloned().zip(judged.into_iter().map(|judged| judged.verdict));
            found.extend(verdicts.filter(|(_, verdict)| is_told(verdict)));
        }
        Ok(found)
    }

    /// Several names of the source may stand for one key of the target: it is extra if none of them is there.
    async fn look_up_names(&mut self, pairs: &[Pair]) -> Result<Option<(Pair, Verdict)>, CheckError> {
        let mut first = None;
        for pair in pairs {
            let judged = self.comparer.compare(std::slice::from_ref(pair)).await?;
            let verdict = judged.into_iter().next().map(|judged| judged.verdict);
            match verdict.filter(is_told) {
                Some(verdict) => first = first.or_else(|| Some((pair.clone(), verdict))),
                None => return Ok(None),
            }
        }
        Ok(first)
    }
}

/// Whether it says something that the walk through the source has not.
pub(crate) fn is_told(verdict: &Verdict) -> bool {
    match verdict {
        Verdict::Different(different) => different.what == [What::Extra],
        Verdict::NotCompared(_) => true,
        Verdict::Equal | Verdict::LeftOut(_) | Verdict::Unselected => false,
    }
}
