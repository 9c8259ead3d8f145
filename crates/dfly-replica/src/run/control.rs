//! The one door for those who want something of a running replication: to refetch keys, to watch keys while they are compared,
//! to pause, to stop or to be told at given positions, to keep other limits.

mod desk;
mod error;
mod limits;
mod request;
mod watching;

use std::time::Duration;

use dfly_journal::Lsn;
use tokio::sync::{mpsc, oneshot};

use crate::flow::watched_keys::{Settled, WatchId};
use crate::keys::SourceKey;
use request::{Refetched, Request};

pub(crate) use desk::{ControlDesk, Instruction};
pub use error::ControlError;
pub use limits::RateLimits;
pub use watching::MOST_WATCHED;

/// How many requests may wait.
const WAITING: usize = 16;

/// A handle to a running replication.
#[derive(Debug, Clone)]
pub struct Control {
    requests: mpsc::Sender<Request>,
}

impl Control {
    /// Reads these keys again from the source, in step with the journal, and tells what became of each.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn refetch(&self, keys: Vec<SourceKey>) -> Result<Refetched, ControlError> {
        if keys.len() > desk::MOST_KEYS {
            return Err(ControlError::TooManyKeys { most: desk::MOST_KEYS });
        }
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Refetch(keys, answer)).await?;
        answered.await.map_err(|_gone| ControlError::Ended)?
    }

    /// From now on it is noted which of these keys, at most [`MOST_WATCHED`], get a record. With `holds`, the flows of these keys
    /// apply nothing while the source is read, go on to where it was read, and apply nothing until [`Self::release`]. They stand
    /// still for a quarter of a second at the most each time.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn watch(&self, keys: Vec<SourceKey>, holds: bool) -> Result<WatchId, ControlError> {
        if keys.len() > MOST_WATCHED {
            return Err(ControlError::TooManyKeys { most: MOST_WATCHED });
        }
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Watch { keys, holds, answer }).await?;
        let (id, hears) = answered.await.map_err(|_gone| ControlError::Ended)??;
        hears.await.map_err(|_gone| ControlError::Ended)?;
        Ok(id)
    }

    /// The source was read between these positions of all flows (`DFLY REPLICAOFFSET`). Answers once the target has everything
    /// before the second, and tells for each key of the watch whether it stands still.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn settle(
        &self,
        id: WatchId,
        before: Vec<Lsn>,
        behind: Vec<Lsn>,
    ) -> Result<Vec<Settled>, ControlError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Settle { id, before, behind, answer }).await?;
        answered.await.map_err(|_gone| ControlError::Ended)?
    }

    /// The target was read: ends the watch, and tells which of its keys may have changed since the source was read.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn release(&self, id: WatchId) -> Result<Vec<bool>, ControlError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Release(id, answer)).await?;
        answered.await.map_err(|_gone| ControlError::Ended)?
    }

    /// Applies nothing until [`Self::resume`]. The source is read on, as far as there is room. Answers once every flow has
    /// heard it, so that nothing is applied from then on.
    ///
    /// # Errors
    /// [`ControlError::Ended`].
    pub async fn pause(&self) -> Result<(), ControlError> {
        let (heard, hears) = oneshot::channel();
        self.ask(Request::Pause(heard)).await?;
        hears.await.map_err(|_gone| ControlError::Ended)
    }

    /// Applies again.
    ///
    /// # Errors
    /// [`ControlError::Ended`].
    pub async fn resume(&self) -> Result<(), ControlError> {
        self.ask(Request::Resume).await
    }

    /// Ends the run once the target holds every record before these positions, one for each flow. Nothing behind them is
    /// applied. Answers when that is so.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn stop_at(&self, positions: Vec<Lsn>) -> Result<(), ControlError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::StopAt(positions, answer)).await?;
        answered.await.map_err(|_gone| ControlError::Ended)?
    }

    /// Accepts what [`Report::question`](crate::Report::question) asks: the run synchronises fully.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn accept(&self) -> Result<(), ControlError> {
        self.answer(true).await
    }

    /// Refuses it: the run ends with the error that it has asked about.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn refuse(&self) -> Result<(), ControlError> {
        self.answer(false).await
    }

    async fn answer(&self, accepts: bool) -> Result<(), ControlError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Answer(accepts, answer)).await?;
        answered.await.map_err(|_gone| ControlError::Ended)?
    }

    /// Answers once the target holds everything before these positions of all flows, and the positions themselves, and no key
    /// waits to be refetched. What can be stored is stored without delay.
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn reach(&self, positions: Vec<Lsn>) -> Result<(), ControlError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Reach(positions, answer)).await?;
        answered.await.map_err(|_gone| ControlError::Ended)?
    }

    /// From now on the keys are remembered that get records, a bounded number of them; or not any more.
    ///
    /// # Errors
    /// [`ControlError::Ended`].
    pub async fn remember_keys(&self, remembers: bool) -> Result<(), ControlError> {
        self.ask(Request::RememberKeys(remembers)).await
    }

    /// The keys that got records last, since [`Self::remember_keys`].
    ///
    /// # Errors
    /// [`ControlError`].
    pub async fn recent_keys(&self) -> Result<Vec<SourceKey>, ControlError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::RecentKeys(answer)).await?;
        answered.await.map_err(|_gone| ControlError::Ended)?
    }

    /// Takes the source over as its replica does (`DFLY TAKEOVER`): it takes no writes from then on, and shuts down once every
    /// record is acknowledged. `within` is how long the source waits for that.
    ///
    /// # Errors
    /// [`ControlError::Refused`] if the source takes its clients' writes again.
    pub async fn take_over(&self, within: Duration) -> Result<(), ControlError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::TakeOver(within, answer)).await?;
        answered.await.map_err(|_gone| ControlError::Ended)?
    }

    /// Keeps other limits from now on.
    ///
    /// # Errors
    /// [`ControlError::Ended`].
    pub async fn limit(&self, limits: RateLimits) -> Result<(), ControlError> {
        self.ask(Request::Limit(limits)).await
    }

    async fn ask(&self, request: Request) -> Result<(), ControlError> {
        self.requests.send(request).await.map_err(|_gone| ControlError::Ended)
    }
}

/// A handle, and the engine's side of it.
pub(crate) fn channel() -> (Control, ControlDesk) {
    let (sender, requests) = mpsc::channel(WAITING);
    (Control { requests: sender }, ControlDesk::new(requests))
}
