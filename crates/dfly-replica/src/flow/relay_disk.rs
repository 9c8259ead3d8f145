//! The relay log's disk: one order at a time, where waiting for a disk holds up nobody.

use std::future::pending;

use dfly_journal::Lsn;
use relay_log::{Appended, LogError, RelayLog};
use tokio::task::{JoinHandle, spawn_blocking};
use tracing::warn;

use crate::flow::intake::relay::{RelayDone, RelayWork};

/// Who has the log.
#[derive(Debug)]
enum State {
    /// The flow has none.
    Absent,
    Idle(Box<RelayLog>),
    /// A thread that may wait for the disk.
    Busy(JoinHandle<(Box<RelayLog>, Result<RelayDone, LogError>)>),
}

/// One flow's relay log.
#[derive(Debug)]
pub(crate) struct RelayDisk {
    state: State,
}

impl RelayDisk {
    /// With an open log, or without one.
    pub(crate) fn new(log: Option<RelayLog>) -> Self {
        Self { state: log.map_or(State::Absent, |log| State::Idle(Box::new(log))) }
    }

    /// Begins to carry an order out. The one before is done.
    pub(crate) fn begin(&mut self, work: RelayWork) {
        if let State::Idle(mut log) = std::mem::replace(&mut self.state, State::Absent) {
            self.state = State::Busy(spawn_blocking(move || {
                let done = carry_out(&mut log, work);
                (log, done)
            }));
        }
    }

    /// Waits until an order is carried out. Safe to cancel.
    ///
    /// # Errors
    /// [`LogError`], when the log cannot be read.
    pub(crate) async fn done(&mut self) -> Result<RelayDone, LogError> {
        let State::Busy(task) = &mut self.state else { return pending().await };
        match task.await {
            Ok((log, done)) => {
                self.state = State::Idle(log);
                done
            }
            Err(error) => {
                self.state = State::Absent;
                Ok(RelayDone { failure: Some(error.to_string()), ..RelayDone::default() })
            }
        }
    }

    /// Waits until nothing is being written, and closes the log.
    pub(crate) async fn close(&mut self) {
        if let State::Busy(task) = std::mem::replace(&mut self.state, State::Absent)
            && let Err(error) = task.await
        {
            warn!(%error, "the relay log was not closed in order");
        }
    }
}

fn carry_out(log: &mut RelayLog, work: RelayWork) -> Result<RelayDone, LogError> {
    let mut done = RelayDone::default();
    if work.clears {
        log.clear()?;
    }
    if let Some(release) = work.release {
        give_up(log, release);
    }
    if let Some(frame) = work.append {
        match log.append(&frame) {
            Ok(Appended::Yes) => {}
            Ok(Appended::Full) => done.rejected = Some(frame),
            Err(error) => (done.rejected, done.failure) = (Some(frame), Some(error.to_string())),
        }
    }
    if work.syncs
        && let Err(error) = log.sync()
    {
        done.failure = Some(error.to_string());
    }
    if work.reads {
        done.frame = Some(log.next_frame()?);
    }
    done.bytes = log.size();
    Ok(done)
}

fn give_up(log: &mut RelayLog, durable: Lsn) {
    let holds = log.positions().is_some_and(|held| held.contains(&durable.0));
    if holds && let Err(error) = log.release(durable.0) {
        warn!(%error, "the relay log cannot be shortened");
    }
}
