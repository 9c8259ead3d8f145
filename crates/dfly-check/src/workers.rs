//! Several connections that compare pages of keys at the same time.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::comparer::{Comparer, Judged};
use crate::link::SideError;
use crate::scan::{Page, Walk};
use crate::tally::ComparedPage;
use crate::verdict::Pair;

/// How many keys are compared in one go.
pub(crate) const BATCH: usize = 256;

/// Pages that are on their way: to the comparers, and from them.
#[derive(Debug)]
pub(crate) struct Workers {
    /// Pages that were compared, in any order.
    pub compared: mpsc::Receiver<ComparedPage>,
    walk: JoinHandle<Walked>,
    /// They end when the walk does, and with this.
    _comparers: JoinSet<()>,
}

/// How a walk has ended.
#[derive(Debug)]
pub(crate) struct Walked {
    /// What could not be walked through, in words.
    pub gaps: Vec<String>,
    /// Whether everything was walked through.
    pub is_whole: bool,
}

impl Workers {
    /// Starts to compare what the walk gives, until `stop` says so.
    pub(crate) fn start(walk: Walk, comparers: Vec<Comparer>, stop: watch::Receiver<bool>) -> Self {
        let (pages, waiting) = mpsc::channel(comparers.len() * 2);
        let (done, compared) = mpsc::channel(comparers.len() * 2);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut tasks = JoinSet::new();
        for comparer in comparers {
            tasks.spawn(work(comparer, Arc::clone(&waiting), done.clone()));
        }
        Self { compared, walk: tokio::spawn(lead(walk, pages, stop)), _comparers: tasks }
    }

    /// How the walk has ended. It has when no page comes any more.
    pub(crate) async fn walked(self) -> Result<Walked, tokio::task::JoinError> {
        self.walk.await
    }
}

/// Reads the pages.
async fn lead(mut walk: Walk, pages: mpsc::Sender<Page>, stop: watch::Receiver<bool>) -> Walked {
    let mut is_whole = false;
    while !*stop.borrow() {
        match walk.next().await {
            Ok(Some(page)) => {
                if pages.send(page).await.is_err() {
                    break;
                }
            }
            Ok(None) => {
                is_whole = true;
                break;
            }
            Err(error) => {
                walk.gaps.push(format!("the keys behind a failed SCAN: {error}"));
                break;
            }
        }
    }
    Walked { gaps: walk.gaps, is_whole }
}

async fn work(
    mut comparer: Comparer,
    pages: Arc<Mutex<mpsc::Receiver<Page>>>,
    done: mpsc::Sender<ComparedPage>,
) {
    loop {
        // Whoever waits for a page holds the lock; the others compare.
        let Some(page) = pages.lock().await.recv().await else { return };
        let judged = compare_all(&mut comparer, &page.pairs).await.map_err(|error| error.to_string());
        if done.send(ComparedPage { page, judged }).await.is_err() {
            return;
        }
    }
}

/// Compares keys of one database of each side, some at a time.
pub(crate) async fn compare_all(comparer: &mut Comparer, pairs: &[Pair]) -> Result<Vec<Judged>, SideError> {
    let mut judged = Vec::with_capacity(pairs.len());
    for pairs in pairs.chunks(BATCH) {
        judged.extend(comparer.compare(pairs).await?);
    }
    Ok(judged)
}
