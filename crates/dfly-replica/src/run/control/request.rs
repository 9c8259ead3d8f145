//! What a handle of a run sends to its engine.

use std::time::Duration;

use dfly_journal::Lsn;
use tokio::sync::oneshot;
use tracing::debug;

use super::error::ControlError;
use super::limits::RateLimits;
use crate::flow::core::RefetchOutcome;
use crate::flow::watched_keys::{Settled, WatchId};
use crate::keys::SourceKey;

pub(super) type SettledSender = oneshot::Sender<Result<Vec<Settled>, ControlError>>;
pub(super) type ReleasedSender = oneshot::Sender<Result<Vec<bool>, ControlError>>;

pub(super) type Refetched = Vec<(SourceKey, RefetchOutcome)>;

/// A request.
#[derive(Debug)]
pub(super) enum Request {
    Refetch(Vec<SourceKey>, oneshot::Sender<Result<Refetched, ControlError>>),
    Pause(oneshot::Sender<()>),
    Resume,
    StopAt(Vec<Lsn>, oneshot::Sender<Result<(), ControlError>>),
    Limit(RateLimits),
    Answer(bool, oneshot::Sender<Result<(), ControlError>>),
    Watch { keys: Vec<SourceKey>, holds: bool, answer: WatchSender },
    Settle { id: WatchId, before: Vec<Lsn>, behind: Vec<Lsn>, answer: SettledSender },
    Release(WatchId, ReleasedSender),
    Reach(Vec<Lsn>, oneshot::Sender<Result<(), ControlError>>),
    RememberKeys(bool),
    RecentKeys(oneshot::Sender<Result<Vec<SourceKey>, ControlError>>),
    TakeOver(Duration, oneshot::Sender<Result<(), ControlError>>),
}

/// Tells the watch; what comes with it is ready once the last flow has heard of it.
pub(super) type WatchSender = oneshot::Sender<Result<(WatchId, oneshot::Receiver<()>), ControlError>>;

/// Whoever has asked may be gone.
pub(super) fn reply<T>(answer: oneshot::Sender<T>, value: T) {
    if answer.send(value).is_err() {
        debug!("nobody waits for the answer any more");
    }
}
