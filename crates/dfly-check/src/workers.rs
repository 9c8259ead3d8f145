//! Several connections that compare pages of keys at the same time.

use std::future::Future;
use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::comparer::{Comparer, Judged};
use crate::link::SideError;
use crate::pace::KeyPace;
use crate::scan::{Page, Walk};
use crate::verdict::Pair;

/// How many keys are compared in one go.
pub(crate) const BATCH: usize = 256;

/// Compares pages, one at a time.
pub(crate) trait PageComparer: Send + 'static {
    /// What is said about a key.
    type Verdict: Send + 'static;
    /// Why nothing is said about a page.
    type Error: Send + 'static;

    /// A verdict for each key of one database of each side, in any order.
    fn compare_page(
        &mut self,
        pairs: &[Pair],
    ) -> impl Future<Output = Result<Vec<Self::Verdict>, Self::Error>> + Send;
}

/// A page whose keys were compared.
#[derive(Debug)]
pub(crate) struct ComparedPage<V, E> {
    pub page: Page,
    /// A verdict for each key of the page; why there are none.
    pub verdicts: Result<Vec<V>, E>,
}

/// Pages that are on their way: to the comparers, and from them.
#[derive(Debug)]
pub(crate) struct Workers<C: PageComparer> {
    /// Pages that were compared, in any order.
    pub compared: mpsc::Receiver<ComparedPage<C::Verdict, C::Error>>,
    walk: JoinHandle<Walked>,
    halt: watch::Sender<bool>,
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

impl<C: PageComparer> Workers<C> {
    /// Starts to compare what the walk gives, at this pace if there is one, until `stop` says so.
    pub(crate) fn start(
        walk: Walk,
        comparers: Vec<C>,
        pace: Option<KeyPace>,
        stop: watch::Receiver<bool>,
    ) -> Self {
        let (pages, waiting) = mpsc::channel(comparers.len() * 2);
        let (done, compared) = mpsc::channel(comparers.len() * 2);
        let waiting = Arc::new(Mutex::new(waiting));
        let mut tasks = JoinSet::new();
        for comparer in comparers {
            tasks.spawn(work(comparer, Arc::clone(&waiting), done.clone()));
        }
        let (halt, halted) = watch::channel(false);
        let walk = tokio::spawn(lead(walk, pages, pace, [stop, halted]));
        Self { compared, walk, halt, _comparers: tasks }
    }

    /// Reads no more pages. Those on their way still come.
    pub(crate) fn halt(&self) {
        self.halt.send_replace(true);
    }

    /// How the walk has ended. It has when no page comes any more.
    pub(crate) async fn walked(self) -> Result<Walked, tokio::task::JoinError> {
        self.walk.await
    }
}

/// Reads the pages.
async fn lead(
    mut walk: Walk,
    pages: mpsc::Sender<Page>,
    pace: Option<KeyPace>,
    stops: [watch::Receiver<bool>; 2],
) -> Walked {
    let mut is_whole = false;
    while !stops.iter().any(|stop| *stop.borrow()) {
        let began = Instant::now();
        match walk.next().await {
            Ok(Some(page)) => {
                let keys = page.pairs.len() as u64;
                if pages.send(page).await.is_err() {
                    break;
                }
                if let Some(pace) = pace {
                    let [stop, halted] = &stops;
                    tokio::select! {
                        () = pace.rest(keys, began, stop) => {}
                        () = pace.rest(keys, began, halted) => {}
                    }
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

async fn work<C: PageComparer>(
    mut comparer: C,
    pages: Arc<Mutex<mpsc::Receiver<Page>>>,
    done: mpsc::Sender<ComparedPage<C::Verdict, C::Error>>,
) {
    loop {
        // Whoever waits for a page holds the lock; the others compare.
        let Some(page) = pages.lock().await.recv().await else { return };
        let verdicts = comparer.compare_page(&page.pairs).await;
        if done.send(ComparedPage { page, verdicts }).await.is_err() {
            return;
        }
    }
}

impl PageComparer for Comparer {
    type Verdict = Judged;
    type Error = SideError;

    /// In the order of the keys.
    async fn compare_page(&mut self, pairs: &[Pair]) -> Result<Vec<Judged>, SideError> {
        let mut judged = Vec::with_capacity(pairs.len());
        for pairs in pairs.chunks(BATCH) {
            judged.extend(self.compare(pairs).await?);
        }
        Ok(judged)
    }
}
