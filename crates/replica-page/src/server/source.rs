//! Where what is shown comes from: the run in this process, or one that is asked over its API.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use dfly_replica::StateFile;
use replica_api::client::{Client, ClientError};
use replica_api::server::Replication;
use replica_api::wire::{CutoverState, Flow, Sample, Status};
use tokio::time::timeout;

use crate::seen::{Answer, Seen};

/// How long another process may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// How many samples of the history are kept: an hour.
const SAMPLES: usize = 3600;

/// Where what is shown comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// The run in this process.
    Here(Box<Replication>),
    /// A run that is asked.
    There(Arc<Asked>),
}

/// A run in another process, and what it said last.
#[derive(Debug)]
pub struct Asked {
    client: Client,
    /// Where the run saves its state.
    state_dir: Option<PathBuf>,
    last: Mutex<Seen>,
}

impl Source {
    /// A run that this client reaches. What it has saved in its state directory is shown while it does not answer.
    pub fn of_client(client: Client, state_dir: Option<PathBuf>) -> Self {
        Self::There(Arc::new(Asked {
            client,
            state_dir,
            last: Mutex::new(Seen { answer: Answer::Never, ..Seen::default() }),
        }))
    }

    /// What there is to see now.
    pub(super) async fn look(&self) -> Seen {
        match self {
            Self::Here(run) => of_run(run),
            Self::There(asked) => asked.look().await,
        }
    }
}

fn of_run(run: &Replication) -> Seen {
    let events = run.reports.borrow().events.iter().map(Into::into).collect();
    Seen {
        answer: Answer::Live,
        status: run.status(),
        history: run.history.read(),
        events,
        checks: run.checks.read(),
        cutover: run.cutovers.stage().map(CutoverState::from),
        wait_replicas: wait_replicas(&run.config),
        ..Seen::default()
    }
}

/// How many replicas of each primary the settings ask for.
fn wait_replicas(config: &serde_json::Value) -> Option<u64> {
    let setting = config.get("wait-replicas")?;
    setting.get("value").unwrap_or(setting).as_u64()
}

impl Asked {
    async fn look(&self) -> Seen {
        let before = self.last.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let seen = match timeout(PATIENCE, self.ask(&before)).await {
            Ok(Ok(seen)) => seen,
            Ok(Err(_)) | Err(_) if before.answer == Answer::Never => self.saved().unwrap_or(before),
            Ok(Err(_)) | Err(_) => gone(before),
        };
        self.last.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&seen);
        seen
    }

    async fn ask(&self, before: &Seen) -> Result<Seen, ClientError> {
        let status = self.client.status().await?;
        let is_same = is_same_run(&before.status, &status);
        let since = before.history.last().filter(|_| is_same).map(|sample| sample.at);
        let new = self.client.history_since(since.unwrap_or(0)).await?;
        let known = if is_same { before.history.clone() } else { Vec::new() };
        let wait_replicas = match before.wait_replicas {
            Some(known) if is_same => Some(known),
            _ => wait_replicas(&self.client.config().await?),
        };
        Ok(Seen {
            answer: Answer::Live,
            status,
            history: joined(known, new),
            events: self.client.events().await?,
            checks: self.client.checks().await?,
            cutover: self.cutover().await?,
            wait_replicas,
            ..Seen::default()
        })
    }

    /// What the last run has saved.
    fn saved(&self) -> Option<Seen> {
        let dir = self.state_dir.as_deref().filter(|dir| dir.is_dir())?;
        let state = StateFile::in_dir(dir).ok()?.load().ok()??;
        let flows = state.flows.iter().zip(0u16..).map(|(flow, nth)| Flow {
            flow: nth,
            durable_lsn: flow.durable_lsn,
            keys: flow.keys,
            records: flow.records,
            ..Flow::default()
        });
        let status = Status {
            phase: state.phase,
            now: state.written_at_ms,
            source_id: state.source_id.clone(),
            refetching: state.refetching,
            flows: flows.collect(),
            ..Status::default()
        };
        Some(Seen { answer: Answer::Gone { last: state.written_at_ms }, status, ..Seen::default() })
    }

    async fn cutover(&self) -> Result<Option<CutoverState>, ClientError> {
        match self.client.cutover().await {
            Ok(state) => Ok(Some(state)),
            Err(ClientError::Refused(_no_cutover)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

fn is_same_run(before: &Status, now: &Status) -> bool {
    (before.pid, before.started_at) == (now.pid, now.started_at)
}

fn joined(mut known: Vec<Sample>, new: Vec<Sample>) -> Vec<Sample> {
    known.extend(new);
    let surplus = known.len().saturating_sub(SAMPLES);
    known.drain(..surplus);
    known
}

/// What was seen last, of a run that does not answer.
fn gone(before: Seen) -> Seen {
    let answer = match before.answer {
        Answer::Live => Answer::Gone { last: before.status.now },
        other => other,
    };
    Seen { answer, ..before }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_history_of_another_process_is_bounded() {
        let sample = |at| Sample { at, ..Sample::default() };
        let known = joined((0..3600).map(sample).collect(), vec![sample(3600), sample(3601)]);
        assert_eq!((known.len(), known[0].at, known[3599].at), (SAMPLES, 2, 3601));
    }

    #[test]
    fn a_run_that_is_gone_keeps_what_it_said() {
        let status = Status { now: 7, bytes: 9, ..Status::default() };
        let first = gone(Seen { status, ..Seen::default() });
        assert_eq!((first.answer, first.status.bytes), (Answer::Gone { last: 7 }, 9));
        assert_eq!(gone(first).answer, Answer::Gone { last: 7 });
        assert_eq!(gone(Seen { answer: Answer::Never, ..Seen::default() }).answer, Answer::Never);
    }

    #[test]
    fn replicas_of_the_settings() {
        assert_eq!(wait_replicas(&serde_json::json!({"wait-replicas": 2})), Some(2));
        assert_eq!(wait_replicas(&serde_json::json!({"wait-replicas": {"value": 1}})), Some(1));
        assert_eq!(wait_replicas(&serde_json::json!({})), None);
    }
}
