//! A replication in another process, as something to compare in step with.

use dfly_check::{Settled, Step, StepError, WatchId};
use dfly_journal::Lsn;
use dfly_replica::SourceKey;
use replica_api::client::{Client, ClientError};
use replica_api::wire::{self, KeyName, Outcome, Refetch, Release, Settle, Watch};

/// It is asked over its API.
#[derive(Debug, Clone)]
pub(crate) struct Remote(pub Client);

fn failed(error: &ClientError) -> StepError {
    match error {
        ClientError::Refused(problem) => match problem.id.as_str() {
            "run-ended" => StepError::Ended,
            "no-session" => StepError::NoSession,
            "watch-over" => StepError::Forgotten,
            _ => StepError::Unreachable(error.to_string()),
        },
        _ => StepError::Unreachable(error.to_string()),
    }
}

fn names(keys: &[SourceKey]) -> Vec<KeyName> {
    keys.iter().map(KeyName::from).collect()
}

impl Step for Remote {
    async fn watch(&mut self, keys: &[SourceKey], hold: bool) -> Result<WatchId, StepError> {
        let watched =
            self.0.watch(&Watch { keys: names(keys), holds: hold }).await.map_err(|error| failed(&error))?;
        Ok(WatchId(watched.watch))
    }

    async fn settle(
        &mut self,
        watch: WatchId,
        before: &[Lsn],
        behind: &[Lsn],
    ) -> Result<Vec<Settled>, StepError> {
        let lsns = |lsns: &[Lsn]| lsns.iter().map(|lsn| lsn.0).collect();
        let asked = Settle { watch: watch.0, before: lsns(before), behind: lsns(behind) };
        let settled = self.0.settle(&asked).await.map_err(|error| failed(&error))?;
        let state = |state| match state {
            wire::State::Stands(lsn) => Settled::Stands { lsn: Lsn(lsn) },
            wire::State::Waits => Settled::Refetching,
            wire::State::Touched => Settled::Touched,
        };
        Ok(settled.keys.into_iter().map(state).collect())
    }

    async fn release(&mut self, watch: WatchId) -> Result<Vec<bool>, StepError> {
        let released = self.0.release(Release { watch: watch.0 }).await.map_err(|error| failed(&error))?;
        Ok(released.touched)
    }

    async fn refetch(&mut self, keys: &[SourceKey]) -> Result<Vec<SourceKey>, StepError> {
        let done = self.0.repair(&Refetch { keys: names(keys) }).await.map_err(|error| failed(&error))?;
        let refused = done.keys.iter().filter(|key| key.outcome == Outcome::Refused);
        Ok(refused.filter_map(|key| SourceKey::try_from(&key.key).ok()).collect())
    }
}
