//! What a running replication tells a comparison, so that it can compare in step with it.

use std::future::Future;

use dfly_journal::Lsn;
use dfly_replica::SourceKey;
use thiserror::Error;

/// The most keys that are watched at a time.
pub const MOST_WATCHED: usize = 256;

/// A watch that was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WatchId(pub u64);

/// Where a key stands once the target has everything before some LSNs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// It had no record since, and its flow stands before this one.
    Stands {
        /// The next record of the flow.
        lsn: Lsn,
    },
    /// It got a record.
    Touched,
    /// It waits to be refetched.
    Refetching,
    /// Its slot is moving between nodes of the source or the target.
    Moving,
}

/// Why a running replication does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StepError {
    /// It has ended.
    #[error("the replication has ended")]
    Ended,
    /// There is no session with the source now, or it ended before the answer came, so nothing is known of the keys.
    #[error("the replication has no session with the source now")]
    NoSession,
    /// The watch is not known, because another session has begun.
    #[error("the replication has begun another session meanwhile")]
    Forgotten,
    /// It cannot be reached.
    #[error("the replication cannot be reached: {0}")]
    Unreachable(String),
}

/// What a running replication tells about keys while it writes.
pub trait Step: Send {
    /// From now on it is noted which of these keys (at most [`MOST_WATCHED`]) get a record. With `hold`, their flows apply nothing
    /// until [`Self::settle`], go on to `behind`, and apply nothing until [`Self::release`]. They stand still for a fraction of a
    /// second at the most each time.
    ///
    /// # Errors
    /// [`StepError`].
    fn watch(
        &mut self,
        keys: &[SourceKey],
        hold: bool,
    ) -> impl Future<Output = Result<WatchId, StepError>> + Send;

    /// Waits until the target has everything that each flow got before `behind`, and says for each key of the watch, in
    /// order, where it stands. A record counts that came at `before` or later. `before` and `behind` are the next LSNs of all
    /// flows, as the source told them.
    ///
    /// # Errors
    /// [`StepError`].
    fn settle(
        &mut self,
        watch: WatchId,
        before: &[Lsn],
        behind: &[Lsn],
    ) -> impl Future<Output = Result<Vec<Settled>, StepError>> + Send;

    /// Ends the watch: whether a record of each key came since the `before` of the last [`Self::settle`].
    ///
    /// # Errors
    /// [`StepError`].
    fn release(&mut self, watch: WatchId) -> impl Future<Output = Result<Vec<bool>, StepError>> + Send;

    /// Reads these keys again from the source, in step with the journal, and answers once the target has them. Gives those
    /// that the source refuses to tell.
    ///
    /// # Errors
    /// [`StepError`].
    fn refetch(
        &mut self,
        keys: &[SourceKey],
    ) -> impl Future<Output = Result<Vec<SourceKey>, StepError>> + Send;
}
