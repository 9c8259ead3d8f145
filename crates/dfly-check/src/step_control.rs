//! A replication in this process, as something to compare in step with.

use dfly_journal::Lsn;
use dfly_replica::{Control, ControlError, RefetchOutcome, SourceKey};

use crate::step::{Settled, Step, StepError, WatchId};

impl From<ControlError> for StepError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::Ended => Self::Ended,
            ControlError::NoSession => Self::NoSession,
            ControlError::WatchOver => Self::Forgotten,
            other => Self::Unreachable(other.to_string()),
        }
    }
}

impl Step for Control {
    async fn watch(&mut self, keys: &[SourceKey], hold: bool) -> Result<WatchId, StepError> {
        let dfly_replica::WatchId(id) = Self::watch(self, keys.to_vec(), hold).await?;
        Ok(WatchId(id))
    }

    async fn settle(
        &mut self,
        watch: WatchId,
        before: &[Lsn],
        behind: &[Lsn],
    ) -> Result<Vec<Settled>, StepError> {
        let id = dfly_replica::WatchId(watch.0);
        let settled = Self::settle(self, id, before.to_vec(), behind.to_vec()).await?;
        Ok(settled.into_iter().map(Settled::from).collect())
    }

    async fn release(&mut self, watch: WatchId) -> Result<Vec<bool>, StepError> {
        Ok(Self::release(self, dfly_replica::WatchId(watch.0)).await?)
    }

    async fn refetch(&mut self, keys: &[SourceKey]) -> Result<Vec<SourceKey>, StepError> {
        let done = Self::refetch(self, keys.to_vec()).await?;
        let is_refused = |(_, outcome): &(SourceKey, RefetchOutcome)| *outcome == RefetchOutcome::Refused;
        Ok(done.into_iter().filter(is_refused).map(|(key, _)| key).collect())
    }
}

impl From<dfly_replica::Settled> for Settled {
    fn from(settled: dfly_replica::Settled) -> Self {
        match settled {
            dfly_replica::Settled::Stands(lsn) => Self::Stands { lsn },
            dfly_replica::Settled::Waits => Self::Refetching,
            dfly_replica::Settled::Touched => Self::Touched,
        }
    }
}
