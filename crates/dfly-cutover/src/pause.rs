//! A pause of writes at the source that lasts as long as it is renewed.

use std::time::Duration;

use dfly_replica::EngineConfig;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::source::Source;

/// How long the source stops writes without hearing of it again.
pub const TERM: Duration = Duration::from_millis(2000);

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_millis(500);

/// How old the last renewal may be while writes count as stopped: there is a second left then.
const FRESH: Duration = Duration::from_millis(1000);

/// When a pause was renewed last, by the time before it was asked for.
#[derive(Debug, Clone)]
struct Renewed {
    at: Instant,
    /// Why it was not renewed since.
    failure: Option<String>,
}

/// A pause. It ends by itself a term after this is dropped.
#[derive(Debug)]
pub(crate) struct Pause {
    renewed: watch::Receiver<Renewed>,
    renewing: JoinHandle<()>,
}

impl Pause {
    /// Stops writes, and goes on to do so.
    pub(crate) async fn begin(config: &EngineConfig) -> Result<Self, String> {
        let mut source = Source::new(config);
        let at = Instant::now();
        source.pause(TERM).await?;
        let (told, renewed) = watch::channel(Renewed { at, failure: None });
        let renewing = tokio::spawn(async move {
            loop {
                sleep(RENEWAL).await;
                let at = Instant::now();
                match source.pause(TERM).await {
                    Ok(()) => drop(told.send_replace(Renewed { at, failure: None })),
                    Err(failure) => told.send_modify(|renewed| renewed.failure = Some(failure)),
                }
            }
        });
        Ok(Self { renewed, renewing })
    }

    /// Why writes may not be stopped any more.
    pub(crate) fn doubt(&self, now: Instant) -> Option<String> {
        let renewed = self.renewed.borrow();
        let is_old = now.duration_since(renewed.at) > FRESH;
        is_old.then(|| renewed.failure.clone().unwrap_or_else(|| "the source does not answer".to_owned()))
    }

    /// Resolves once writes may not be stopped any more.
    pub(crate) async fn ends(&self) -> String {
        loop {
            if let Some(doubt) = self.doubt(Instant::now()) {
                return doubt;
            }
            sleep(RENEWAL / 4).await;
        }
    }

    /// Lets writes go on. If the source does not answer, they do within a term.
    pub(crate) async fn end(self, config: &EngineConfig) -> Result<(), String> {
        self.renewing.abort();
        // A renewal that is under way must not come behind the end.
        drop(self.renewing.await);
        Source::new(config).unpause().await
    }
}
