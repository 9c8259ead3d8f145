//! A target in memory, for tests and benches. Nothing happens by itself: whoever holds the writer says when a batch is
//! carried out, and when its answer comes. What carries it out is a model of a server, or a counter.

#[cfg(test)]
pub(crate) mod server;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Instant;

use dfly_journal::Lsn;
use redis_resp::{CommandBatch, EncodedCommand, EncodedCommands, ServerError};
use redis_sink::Refusal;
use redis_slots::Slot;

use super::plain_sets;
use super::writer::{BatchLimits, BatchTag, FlushPlan, Held, TargetEvent, TargetWriter};
use crate::checkpoint::Position;
#[cfg(test)]
use crate::error::FlowError;
use crate::keys::TargetKey;
use crate::run::nodes::NodeSeen;
use crate::source::sharding::Sharding;

/// How many batches may be in flight.
const WINDOW: usize = 6;

/// What carries commands out.
pub(crate) trait Executes: std::fmt::Debug + Send {
    /// Carries out a command.
    fn execute(&mut self, command: EncodedCommand<'_>) -> Result<(), ServerError>;

    /// Removes everything.
    fn empty(&mut self);

    /// Stores the position of the transaction that was carried out.
    fn store(&mut self, at: Position);
}

/// Counts commands, and carries none out.
#[cfg(feature = "in-memory")]
#[derive(Debug, Default)]
pub(crate) struct CommandCounter(pub u64);

#[cfg(feature = "in-memory")]
impl Executes for CommandCounter {
    fn execute(&mut self, _command: EncodedCommand<'_>) -> Result<(), ServerError> {
        self.0 += 1;
        Ok(())
    }

    fn empty(&mut self) {}

    fn store(&mut self, _at: Position) {}
}

/// What was sent.
#[derive(Debug)]
enum Sent {
    Batch(BatchTag),
    Flush(Box<FlushPlan>),
}

impl Sent {
    fn position(&self) -> Option<Position> {
        match self {
            Self::Batch(tag) => tag.position(),
            Self::Flush(plan) => Some(plan.at),
        }
    }
}

#[derive(Debug)]
struct InFlight {
    commands: EncodedCommands,
    sent: Sent,
    /// What the server refused, once it has carried the rest out.
    refused: Option<Vec<Refusal>>,
    is_answered: bool,
}

/// Writes one flow's batches to a server in memory, which several writers know, one after the other.
#[derive(Debug)]
pub(crate) struct InMemoryWriter<S> {
    server: Arc<Mutex<S>>,
    in_flight: VecDeque<InFlight>,
    events: VecDeque<TargetEvent>,
    sent: Position,
}

impl<S: Executes> InMemoryWriter<S> {
    /// For a flow that stands at `position`.
    pub(crate) fn new(server: Arc<Mutex<S>>, position: Option<Position>) -> Self {
        let sent = position.unwrap_or_default();
        Self { server, in_flight: VecDeque::new(), events: VecDeque::new(), sent }
    }

    /// The server carries out the oldest batch that it has not carried out. False if there is none.
    pub(crate) fn carry_out(&mut self) -> bool {
        let Some(next) = self.in_flight.iter_mut().find(|batch| batch.refused.is_none()) else {
            return false;
        };
        let mut server = self.server.lock().unwrap_or_else(PoisonError::into_inner);
        let mut refused = Vec::new();
        for (place, command) in next.commands.iter().enumerate() {
            if let Err(error) = server.execute(command) {
                refused.push(Refusal::new(next.commands.part(place, usize::MAX), error));
            }
        }
        if let Sent::Flush(_) = next.sent {
            server.empty();
        }
        if let Some(at) = next.sent.position() {
            server.store(at);
        }
        next.refused = Some(refused);
        true
    }

    /// The answer to the oldest batch that has none comes, if it was carried out.
    pub(crate) fn answer(&mut self) -> bool {
        let Some(next) = self.in_flight.iter_mut().find(|batch| !batch.is_answered) else { return false };
        next.is_answered = next.refused.is_some();
        next.is_answered
    }

    /// What was refused is told while everything behind it counts as in flight.
    fn collect(&mut self) {
        for batch in self.in_flight.iter_mut().filter(|batch| batch.is_answered) {
            let refused = batch.refused.as_mut().map(std::mem::take).unwrap_or_default();
            self.events.extend(refused.into_iter().map(|refusal| TargetEvent::Refused(Box::new(refusal))));
        }
        if !self.events.is_empty() {
            return;
        }
        while let Some(InFlight { sent, .. }) = self.in_flight.pop_front_if(|batch| batch.is_answered) {
            match sent {
                Sent::Flush(_) => self.events.push_back(TargetEvent::Flushed),
                Sent::Batch(_) => {
                    self.events.push_back(TargetEvent::Carried);
                    self.events.extend(sent.position().map(TargetEvent::Durable));
                }
            }
        }
    }
}

#[cfg(test)]
impl<S: Executes> InMemoryWriter<S> {
    /// Whether the server has refused something whose answer has not come.
    pub(crate) fn has_unanswered_refusals(&self) -> bool {
        self.in_flight.iter().any(|batch| batch.refused.as_ref().is_some_and(|refused| !refused.is_empty()))
    }

    /// The connection breaks, and another is made: what the server has carried out counts, and the rest is sent again.
    pub(crate) fn reconnect(&mut self) {
        self.events.push_back(TargetEvent::Stalled("cut by the test".to_owned()));
        while self.answer() {}
        self.collect();
        self.events.push_back(TargetEvent::Resumed);
    }

    /// The server has started again, and does not hold what it held.
    pub(crate) fn forget(&mut self) {
        self.events.push_back(TargetEvent::Lost(FlowError::TargetForgot));
    }
}

impl<S: Executes> TargetWriter for InMemoryWriter<S> {
    fn has_room(&self) -> bool {
        self.in_flight.len() < WINDOW
    }

    fn has_plenty(&self) -> bool {
        !self.has_room()
    }

    /// Small, so that batches reach it.
    fn gathers(&self) -> Option<BatchLimits> {
        let is_behind = self.in_flight.len() >= WINDOW / 2 && self.has_room();
        is_behind.then_some(BatchLimits { commands: 6, bytes: 1000 })
    }

    fn is_idle(&self) -> bool {
        self.in_flight.is_empty() && self.events.is_empty()
    }

    fn is_settled(&self) -> bool {
        self.is_idle()
    }

    fn commit(&mut self, batch: &mut CommandBatch, tag: BatchTag, _now: Instant) {
        self.sent = tag.position().unwrap_or(self.sent);
        plain_sets::merge(batch);
        assert!(self.in_flight.len() < 3 * WINDOW, "more is committed than there is room for");
        self.in_flight.push_back(InFlight {
            commands: batch.take(),
            sent: Sent::Batch(tag),
            refused: None,
            is_answered: false,
        });
    }

    fn may_hold(&self, _lsn: Lsn) -> bool {
        false
    }

    fn holds(&self, _lsn: Lsn, _keys: &mut dyn Iterator<Item = TargetKey>) -> Held {
        Held::No
    }

    fn home(&self, _key: &[u8]) -> Option<Slot> {
        None
    }

    fn for_each_in_flight(&self, visit: &mut dyn FnMut(EncodedCommand<'_>)) {
        self.in_flight.iter().flat_map(|batch| batch.commands.iter()).for_each(visit);
    }

    fn nodes(&self, _waits_since: Option<Instant>) -> Vec<NodeSeen> {
        Vec::new()
    }

    fn learn_sharding(&mut self, _sharding: Sharding) {}

    fn await_flush(&mut self, _at: Position) {}

    fn flush(&mut self, plan: FlushPlan, _now: Instant) {
        assert!(self.in_flight.is_empty(), "a flush comes behind everything");
        let commands = CommandBatch::default().take();
        self.in_flight.push_back(InFlight {
            commands,
            sent: Sent::Flush(Box::new(plan)),
            refused: None,
            is_answered: false,
        });
    }

    fn pass_flush(&mut self, at: Position) {
        self.sent = at;
    }

    fn checkpoint_now(&mut self, _now: Instant) {}

    fn finish(&mut self, _now: Instant) {}

    fn deadline(&self, _now: Instant) -> Option<Instant> {
        None
    }

    fn on_deadline(&mut self, _now: Instant) {}

    fn poll_progress(&mut self, _context: &mut Context<'_>, _now: Instant) -> Poll<()> {
        self.carry_out();
        if self.answer() { Poll::Ready(()) } else { Poll::Pending }
    }

    fn next_event(&mut self, _now: Instant) -> Option<TargetEvent> {
        if self.events.is_empty() {
            self.collect();
        }
        self.events.pop_front()
    }
}
