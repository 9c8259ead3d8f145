//! The connection to the target in stable sync: lost, regained, and what was in flight sent again.

use std::future::pending;
use std::time::{Duration, Instant};

use dfly_translate::{CommandFacts, CommandKind, Reason};
use redis_sink::cluster::ClusterError;
use redis_sink::{Refusal, SinkError};
use tokio::task::{JoinError, JoinHandle};
use tracing::{debug, info, warn};

use super::sink::SinkFailure;
use super::{AtFlush, Flow, Mark, Waited, expiring};
use crate::error::{Error, FlowError};
use crate::target::{Regained, Remedy, regain, remedy};

/// The state of the connection.
#[derive(Debug)]
pub(crate) enum Link {
    /// It works; when something last came of it.
    Up(Instant),
    /// It is being opened again.
    Down(JoinHandle<Result<Regained, Error>>),
}

type Outcome = Result<Result<Regained, Error>, JoinError>;

impl Link {
    pub(super) fn is_up(&self) -> bool {
        matches!(self, Self::Up(_))
    }

    /// When a target that does not answer counts as gone, if it owes an answer.
    pub(super) fn deadline(&self, owes: bool, limit: Duration) -> Option<Instant> {
        match self {
            Self::Up(since) if owes => Some(*since + limit),
            Self::Up(_) | Self::Down(_) => None,
        }
    }

    /// Waits for the connection to be open again. Safe to cancel.
    pub(super) async fn regained(&mut self) -> Outcome {
        match self {
            Self::Up(_) => pending().await,
            Self::Down(task) => task.await,
        }
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Self::Down(task) = self {
            task.abort();
        }
    }
}

impl Flow {
    /// The target's connection has moved, or failed.
    pub(super) fn on_progress(&mut self, moved: Result<(), SinkFailure>) -> Result<Waited, FlowError> {
        self.link = Link::Up(Instant::now());
        self.look_again_at_overdue();
        // First what is not as it should be: positions are published with it.
        self.take_refusals()?;
        self.take_lost();
        self.tell_of_refusals();
        self.check_gone()?;
        if let Some(address) = self.sink.take_replaced().into_iter().next() {
            let why = format!("{address} is a primary no more");
            return Ok(Waited::TargetLost(FlowError::Target(Box::new(Error::Replaced(why)))));
        }
        self.settle();
        match moved {
            Ok(()) => Ok(Waited::Moved),
            Err(SinkFailure::Server(error)) => self.on_sink_error(error),
            Err(SinkFailure::Cluster(ClusterError::Overtaken)) => {
                Err(FlowError::Target(Box::new(Error::Overtaken)))
            }
            Err(SinkFailure::Cluster(ClusterError::Unclaimed)) => {
                Ok(Waited::TargetLost(FlowError::TargetForgot))
            }
            Err(SinkFailure::Cluster(error)) => Err(FlowError::Cluster(error)),
        }
    }

    /// Commands whose order among those of their slot is lost, because the slot moved.
    fn take_lost(&mut self) {
        let lost = self.sink.take_lost();
        if !lost.is_empty() {
            self.want_lost(&lost);
        }
    }

    fn on_sink_error(&mut self, error: SinkError) -> Result<Waited, FlowError> {
        match remedy(&error) {
            Remedy::Stop => Err(error.into()),
            // Without a position nothing tells what of the snapshot was carried out.
            Remedy::Again if !self.entered => Ok(Waited::TargetLost(error.into())),
            Remedy::Wait if !self.entered => Err(error.into()),
            Remedy::Again | Remedy::Wait => {
                warn!(flow = self.id.0, %error, "the target is gone; connecting again, while the source is read on");
                let (config, id, parties) = (self.config.clone(), self.id, self.parties.clone());
                self.link = Link::Down(tokio::spawn(async move { regain(&config, id, &parties).await }));
                Ok(Waited::Moved)
            }
        }
    }

    /// The connection works again: what the target has carried out is settled, the rest sent again (P4).
    pub(super) fn on_regained(&mut self, outcome: Outcome) -> Result<Waited, FlowError> {
        let Regained { connection, position } = match outcome {
            Ok(Ok(regained)) => regained,
            Ok(Err(error)) => return Err(FlowError::Target(Box::new(error))),
            Err(error) => return Err(FlowError::Target(Box::new(Error::Internal(error.to_string())))),
        };
        let Some(position) = position else { return Ok(Waited::TargetLost(FlowError::TargetForgot)) };
        let flushed = match self.at_flush {
            AtFlush::Waiting(_, next) => Some(self.sent.then(next)),
            AtFlush::No | AtFlush::Draining(..) => None,
        };
        // Another flow may have carried the flush out that this one waits at.
        if position == self.written
            || flushed == Some(position)
            || self.sink.is_in_flight(Mark::Before(position))
        {
            info!(flow = self.id.0, "the target is back; sending what it has not carried out");
            self.sink.resume(connection, |mark| matches!(mark, Mark::Before(at) if *at <= position));
            self.link = Link::Up(Instant::now());
            self.look_again_at_overdue();
            self.settle();
            return Ok(Waited::Moved);
        }
        Ok(Waited::TargetLost(FlowError::TargetForgot))
    }

    /// Something was due: among it perhaps an answer of the target.
    pub(super) fn check_target(&mut self) -> Result<Waited, FlowError> {
        if self.is_in_cluster() {
            return self.check_gone().map(|()| Waited::Moved);
        }
        let limit = self.config.target_timeout;
        match self.link.deadline(!self.sink.is_idle(), limit) {
            Some(deadline) if deadline <= Instant::now() => {
                let silent = std::io::Error::new(
                    std::io::ErrorKind::TimedOut,
                    format!("no answer within {} s", limit.as_secs()),
                );
                self.on_sink_error(SinkError::Broken(silent))
            }
            _ => Ok(Waited::Moved),
        }
    }

    /// Commands that the target refused inside a transaction: their keys are not what they were on the source.
    fn take_refusals(&mut self) -> Result<(), FlowError> {
        for refusal in self.sink.take_refusals() {
            if !self.want_refused(&refusal) {
                return Err(FlowError::Refused(Box::new(refusal)));
            }
            self.count_refusal(&refusal);
        }
        Ok(())
    }

    fn count_refusal(&self, refusal: &Refusal) {
        if CommandFacts::of(refusal.command()).kind == CommandKind::Sweep {
            debug!(flow = self.id.0, error = %refusal.error, "a sweep was refused; the next one comes");
            return;
        }
        if expiring::checked(refusal).is_some() {
            debug!(flow = self.id.0, %refusal, "read again");
            self.counters.reread(Reason::Expired);
            return;
        }
        self.counters.reread(Reason::Refused);
        warn!(flow = self.id.0, command = %refusal.name(), error = %refusal.error, "the target refused a record; its key is read again from the source");
    }
}
