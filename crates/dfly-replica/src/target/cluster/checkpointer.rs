//! The flow's position in a cluster: stored by itself now and then, once what it stands behind is safe from the loss of a
//! primary.

use std::time::{Duration, Instant};

use dfly_client::FlowId;
use dfly_journal::Lsn;
use redis_sink::cluster::ClusterConnection;
use redis_slots::{Address, Slot};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::{Flow, Mark, Waited};
use crate::checkpoint::{self, Position};
use crate::cluster::confirm::{Confirmed, Runs, confirm};
use crate::cluster::{drained, witness};
use crate::error::{Error, FlowError};

/// How long positions may not be stored before it is said why.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long a node may be gone before it is said.
const UNNOTICED: Duration = Duration::from_secs(1);

/// Between two questions whether a position is safe, at the most.
const AGAIN: Duration = Duration::from_millis(200);

/// What has settled, and what of it is stored.
#[derive(Debug)]
pub(crate) struct Keeping {
    questions: mpsc::Sender<Lsn>,
    answers: mpsc::Receiver<Confirmed>,
    /// All before it was carried out.
    settled: Option<Position>,
    stored: Option<Position>,
    state: State,
    /// When to store next.
    due: Instant,
    /// Since when it is not possible.
    hindered: Option<Instant>,
    /// When it was last said that a node refuses.
    refusal_told: Option<Instant>,
    /// The node of which it was said that it is not reached.
    gone_told: Option<Address>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Resting,
    /// Whether this position is safe; `None`: the answer is of no use any more.
    Confirming(Option<Position>),
    Storing,
}

impl Keeping {
    /// For a flow that stands at `stored`, if it resumes.
    pub(crate) fn new(
        mut cluster: Box<ClusterConnection>,
        (mut runs, replicas): (Runs, u16),
        (flow, stored, sync): (FlowId, Option<Position>, String),
    ) -> Self {
        let (questions, mut asked) = mpsc::channel(1);
        let (answer, answers) = mpsc::channel(1);
        tokio::spawn(async move {
            while let Some(next) = asked.recv().await {
                let confirmed = confirm(&mut cluster, (&mut runs, replicas), (flow, next, &sync)).await;
                if answer.send(confirmed).await.is_err() {
                    return;
                }
            }
        });
        let (settled, due) = (stored, Instant::now());
        Self {
            questions,
            answers,
            settled,
            stored,
            state: State::Resting,
            due,
            hindered: None,
            refusal_told: None,
            gone_told: None,
        }
    }

    pub(super) fn settle(&mut self, at: Position) {
        self.settled = Some(at);
    }

    /// It is stored.
    pub(super) fn store(&mut self, at: Position) {
        self.stored = Some(at);
        self.settled = self.settled.max(self.stored);
        self.state = State::Resting;
        self.hindered = None;
    }

    /// Another flow has stored it, behind a flush.
    pub(super) fn stored_elsewhere(&mut self, at: Position) {
        (self.settled, self.stored) = (Some(at), Some(at));
        if let State::Confirming(position) = &mut self.state {
            *position = None;
        }
    }

    /// Whether all that has settled is stored.
    pub(super) fn is_done(&self) -> bool {
        self.settled == self.stored && self.state == State::Resting
    }

    /// When what has settled is to be stored.
    pub(super) fn deadline(&self) -> Option<Instant> {
        (self.settled != self.stored && self.state == State::Resting).then_some(self.due)
    }

    /// Waits for an answer. Safe to cancel.
    pub(super) async fn answered(&mut self) -> Confirmed {
        match self.answers.recv().await {
            Some(confirmed) => confirmed,
            None => std::future::pending().await,
        }
    }

    /// Says once for how long it has not been possible.
    fn hinder(&mut self, reason: &str, pause: Duration) {
        let now = Instant::now();
        self.due = now + pause;
        debug!(reason, "the position is not stored yet");
        let since = *self.hindered.get_or_insert(now);
        if now - since >= PATIENCE {
            warn!(reason, "positions have not been stored for {} s; data is written on", PATIENCE.as_secs());
            self.hindered = Some(now);
        }
    }
}

impl Flow {
    /// Whether the target is a cluster.
    pub(super) fn is_in_cluster(&self) -> bool {
        self.keeping.is_some()
    }

    /// Whether nothing has settled that is not stored.
    pub(super) fn is_kept(&self) -> bool {
        self.keeping.as_ref().is_none_or(Keeping::is_done)
    }

    /// When what has settled is to be stored: soon, if nothing follows it.
    pub(super) fn keep_at(&self) -> Option<Instant> {
        let early = if self.sink.is_idle() { self.config.ack_interval * 9 / 10 } else { Duration::ZERO };
        Some(self.keeping.as_ref()?.deadline()? - early)
    }

    /// Begins to store what has settled, if that is due, or at once.
    pub(super) fn keep(&mut self, at_once: bool) {
        let due = self.keep_at();
        let Some(keeping) = &mut self.keeping else { return };
        let at_once = at_once && keeping.hindered.is_none();
        let is_due = due.is_some_and(|due| at_once || due <= Instant::now());
        if is_due
            && !self.at_flush.is_waiting()
            && keeping.questions.try_send(keeping.settled.unwrap_or_default().next).is_ok()
        {
            keeping.state = State::Confirming(keeping.settled);
        }
    }

    /// Stores what was asked for, if it is safe.
    pub(super) fn on_confirmed(&mut self, confirmed: Confirmed) -> Result<Waited, FlowError> {
        let Some(keeping) = &mut self.keeping else { return Ok(Waited::Moved) };
        let State::Confirming(position) = keeping.state else { return Ok(Waited::Moved) };
        keeping.state = State::Resting;
        match (confirmed, position) {
            (Confirmed::Replaced(why), _) => {
                return Ok(Waited::TargetLost(FlowError::Target(Box::new(Error::Replaced(why)))));
            }
            (Confirmed::NotYet(reason), _) => {
                keeping.hinder(&reason, self.config.ack_interval.min(AGAIN));
            }
            // Positions behind a flush are stored with it.
            (Confirmed::Yes(witnesses), Some(position)) if !self.at_flush.is_waiting() => {
                keeping.state = State::Storing;
                keeping.due = Instant::now() + self.config.ack_interval;
                self.store_position(position, &witnesses);
            }
            (Confirmed::Yes(_), _) => {}
        }
        Ok(Waited::Moved)
    }

    /// Everything that was sent is stored: the next session may rely on that, if nothing is sent any more.
    pub(super) async fn note_drained(&mut self) -> Result<(), FlowError> {
        let stored = self.keeping.as_ref().and_then(|keeping| keeping.stored);
        if stored != Some(self.sent) || !self.sink.is_idle() || self.at_flush.is_waiting() {
            return Ok(());
        }
        let mut batch = redis_resp::CommandBatch::default();
        drained::write(self.id, self.sent, &mut batch);
        self.expiring.submitted();
        self.sink.submit(&mut batch, Mark::Stored(self.sent));
        let limit = self.config.drain_timeout;
        let written = async {
            while !self.sink.is_idle() {
                let moved = self.sink.progress().await;
                self.on_progress(moved)?;
            }
            Ok(())
        };
        timeout(limit, written).await.map_err(|_elapsed| FlowError::DrainTimeout(limit))?
    }

    fn store_position(&mut self, position: Position, witnesses: &[Slot]) {
        let mut batch = redis_resp::CommandBatch::default();
        let source = (self.source.0.as_str(), self.source.1);
        checkpoint::write_witnessed(source, (self.id, position), &witness::text(witnesses), &mut batch);
        if let Some(sharding) = self.sharding {
            checkpoint::write_sharding(sharding, &mut batch);
        }
        self.expiring.submitted();
        self.sink.submit(&mut batch, Mark::Stored(position));
    }

    /// Says so, now and then, when a node refuses what is sent again.
    pub(super) fn tell_of_refusals(&mut self) {
        let (Some(error), Some(keeping)) = (self.sink.take_passing(), &mut self.keeping) else { return };
        let now = Instant::now();
        if keeping.refusal_told.is_none_or(|at| now - at >= PATIENCE) {
            keeping.refusal_told = Some(now);
            warn!(flow = self.id.0, %error, "a node of the target takes nothing for now; what it refuses is sent again");
        }
    }

    /// Says so when a node is gone for a while; if that is for too long, the run ends.
    pub(super) fn check_gone(&mut self) -> Result<(), FlowError> {
        let (Some(keeping), gone) = (&mut self.keeping, self.sink.gone()) else { return Ok(()) };
        let Some((address, after)) = gone.map(|(address, since)| (address, Instant::now() - since)) else {
            if let Some(address) = keeping.gone_told.take() {
                info!(flow = self.id.0, node = %address, "the node of the target is back, or replaced");
            }
            return Ok(());
        };
        if after >= UNNOTICED && keeping.gone_told.as_ref() != Some(&address) {
            warn!(flow = self.id.0, node = %address, "a node of the target is not reached; what is for its slots waits, the rest is written");
            keeping.gone_told = Some(address.clone());
        }
        if self.config.reconnect.give_up_after.is_none_or(|limit| after < limit) {
            return Ok(());
        }
        let last = format!("{address} is not reached");
        Err(FlowError::Target(Box::new(Error::GaveUp { peer: "target", after, last })))
    }
}
