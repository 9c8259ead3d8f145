//! A single server as the target: one pipelined connection, transactions that hold data and position, and a connection that is
//! opened again when it breaks.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_translate::{CommandFacts, CommandKind};
use dfly_wire::DbIndex;
use redis_resp::connection::Connection;
use redis_resp::{CommandBatch, EncodedCommand};
use redis_sink::{Pipeline, SinkError, WindowError};
use redis_slots::Slot;
use tracing::warn;

use super::breaks::{Break, Breaks, Largest};
use super::flush::{self, FlushTask};
use super::guard::{Guard, is_forgotten};
use super::reconnect::{Incarnation, Purpose, Reconnect, Reconnecting, Relief};
use super::relief;
use crate::backoff::Backoff;
use crate::checkpoint::Position;
use crate::checkpoint::fields::{self, SourceFields};
use crate::config::EngineConfig;
use crate::error::FlowError;
use crate::keys::TargetKey;
use crate::run::nodes::{NodeLink, NodeSeen};
use crate::source::sharding::Sharding;
use crate::target::plain_sets;
use crate::target::retry_policy::{RetryPolicy, is_passing, retry_policy};
use crate::target::trouble::TargetTrouble;
use crate::target::writer::{BatchLimits, BatchTag, FlushPlan, Held, TargetEvent, TargetWriter};

/// What is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Batch(BatchTag),
    Flush(Position),
    /// Keeps the connection from being closed for having nothing to do.
    KeepAlive,
}

impl Sent {
    /// The position that it moves the flow to.
    pub(super) fn position(self) -> Option<Position> {
        match self {
            Self::Batch(tag) => tag.position(),
            Self::Flush(at) => Some(at),
            Self::KeepAlive => None,
        }
    }
}

/// The state of the connection.
pub(super) enum Link {
    /// It works; when something last came of it or was begun on it.
    Up(Instant),
    /// It is being opened again.
    Down(Reconnecting),
}

/// What a writer begins with.
#[derive(Debug)]
pub(crate) struct StandaloneParts {
    pub config: Arc<EngineConfig>,
    pub flow: FlowId,
    /// How many flows the source has.
    pub flows: u16,
    pub guard: Guard,
    /// Where the flow stands, if it resumes.
    pub position: Option<Position>,
    /// The connection's number at the server, and the server's name, if it says.
    pub incarnation: Option<Incarnation>,
}

/// Writes one flow's batches to a single server.
pub(crate) struct StandaloneWriter {
    pub(super) config: Arc<EngineConfig>,
    pub(super) flow: FlowId,
    flows: u16,
    pub(super) guard: Guard,
    pub(super) pipeline: Pipeline<Sent>,
    pub(super) link: Link,
    pub(super) incarnation: Option<Incarnation>,
    /// The last position that was committed.
    pub(super) sent: Position,
    /// The last position that the server holds.
    pub(super) durable: Option<Position>,
    /// A position that another flow may store for this one, with a flush.
    pub(super) awaited: Option<Position>,
    sharding: Option<Sharding>,
    flush: Option<FlushTask>,
    /// The database in which the last command is carried out.
    db: DbIndex,
    pub(super) events: VecDeque<TargetEvent>,
    framed: CommandBatch,
    /// Between attempts while the server refuses to write, or breaks the connection.
    pauses: Backoff,
    pub(super) breaks: Breaks,
}

impl StandaloneWriter {
    /// Over a connection on which every request was answered.
    pub(crate) fn new(connection: Connection, parts: StandaloneParts, now: Instant) -> Self {
        Self {
            pipeline: Pipeline::new(connection, parts.config.window),
            pauses: Backoff::new(parts.config.reconnect.first_delay, parts.config.reconnect.longest_delay),
            config: parts.config,
            flow: parts.flow,
            flows: parts.flows,
            guard: parts.guard,
            link: Link::Up(now),
            incarnation: parts.incarnation,
            sent: parts.position.unwrap_or_default(),
            durable: parts.position,
            awaited: None,
            sharding: None,
            flush: None,
            db: DbIndex(0),
            events: VecDeque::new(),
            framed: CommandBatch::default(),
            breaks: Breaks::default(),
        }
    }

    fn submit(&mut self, batch: &mut CommandBatch, sent: Sent, now: Instant) {
        self.begin_submit(batch, now);
        self.pipeline.submit(batch, sent);
    }

    /// A part of the snapshot has no transaction: a value that is refused leaves the others as they are.
    fn submit_values(&mut self, batch: &mut CommandBatch, now: Instant) {
        plain_sets::merge(batch);
        self.begin_submit(batch, now);
        self.pipeline.submit_independent(batch, Sent::Batch(BatchTag::Baseline));
    }

    fn begin_submit(&mut self, batch: &CommandBatch, now: Instant) {
        if self.pipeline.is_idle() && matches!(self.link, Link::Up(_)) {
            self.link = Link::Up(now);
        }
        if let Some(last) = batch.len().checked_sub(1).and_then(|last| batch.command(last)) {
            self.db = CommandFacts::of(last).db;
        }
    }

    /// Data and position are carried out together or not at all (P18), and only if the position is the one before.
    fn submit_framed(&mut self, batch: &mut CommandBatch, at: Position, now: Instant) {
        let mut framed = std::mem::take(&mut self.framed);
        self.guard.open(self.sent, &mut framed);
        plain_sets::append_merged(&mut framed, batch);
        self.guard.close(at, &mut framed);
        self.sent = at;
        self.submit(&mut framed, Sent::Batch(BatchTag::Journal(at)), now);
        self.framed = framed;
    }

    fn submit_entry(&mut self, batch: &mut CommandBatch, first: Position, now: Instant) {
        plain_sets::merge(batch);
        let names = &self.config.rules.names;
        let source = SourceFields { id: &self.guard.identity().source_id, flows: self.flows };
        fields::write_entry(names, source, self.flow, first, batch);
        if let Some(sharding) = self.sharding {
            fields::write_sharding(names, sharding, batch);
        }
        self.sent = first;
        self.submit(batch, Sent::Batch(BatchTag::Entry(first)), now);
    }

    /// Something was carried out.
    fn on_settled(&mut self, sent: Sent) {
        if let Some(at) = sent.position() {
            self.durable = Some(at);
        }
        match sent {
            Sent::Batch(_) => {
                self.pauses.reset();
                self.events.push_back(TargetEvent::Carried);
                if let Some(at) = sent.position() {
                    self.events.push_back(TargetEvent::Durable(at));
                }
            }
            Sent::Flush(_) => {
                self.flush = None;
                self.events.push_back(TargetEvent::Flushed);
            }
            Sent::KeepAlive => {}
        }
    }

    /// What is wrong with a batch is told before it counts as carried out, and while everything behind it counts as in
    /// flight: that may have used what was refused.
    fn collect(&mut self) {
        let refusals = self.pipeline.take_refusals();
        self.events.extend(refusals.into_iter().map(|refusal| TargetEvent::Refused(Box::new(refusal))));
        if !self.events.is_empty() {
            return;
        }
        while let Some(sent) = self.pipeline.settled() {
            self.on_settled(sent);
        }
    }

    fn on_error(&mut self, error: SinkError) {
        if let SinkError::Window(WindowError::Refused(refusal)) = &error
            && is_forgotten(&refusal.error)
        {
            // Whoever connects again finds out whether the data or the claim is gone.
            return self.reconnect(Purpose::Journal, &TargetTrouble::lost_data(), Duration::ZERO);
        }
        let (policy, trouble) = (retry_policy(&error), TargetTrouble::of_sink(&error));
        let broken = self.see_break(&error);
        if let Break::Last(times) = broken {
            return self.give_up(times, error);
        }
        // A server that is out of memory, say, is not asked all the time.
        let pause = match policy == RetryPolicy::Wait || broken != Break::First {
            true => self.pauses.next_delay(u16::MAX),
            false => Duration::ZERO,
        };
        match (policy, self.durable) {
            (RetryPolicy::Stop, _) => self.events.push_back(TargetEvent::Failed(error.into())),
            (RetryPolicy::Reconnect, None) if !matches!(error, SinkError::Broken(_)) => {
                self.events.push_back(TargetEvent::Lost(error.into()));
            }
            (RetryPolicy::Reconnect | RetryPolicy::Wait, None) => {
                let db = self.pipeline.in_flight().next().map_or(self.db, |first| CommandFacts::of(first).db);
                self.reconnect(Purpose::Snapshot(self.incarnation.clone(), db), &trouble, pause);
            }
            (RetryPolicy::Reconnect | RetryPolicy::Wait, Some(_)) => {
                self.reconnect(Purpose::Journal, &trouble, pause);
            }
        }
    }

    /// Whether the connection broke over what was sent. A server that does not answer has not closed it.
    fn see_break(&mut self, error: &SinkError) -> Break {
        let SinkError::Broken(cause) = error else { return Break::First };
        if cause.kind() == io::ErrorKind::TimedOut || self.pipeline.is_idle() {
            return Break::First;
        }
        let broken = self.breaks.on_break(self.pipeline.answers());
        if broken == Break::Told {
            let Largest { command, bytes } = Largest::of(self.pipeline.in_flight());
            warn!(flow = self.flow.0, %error, %command, bytes, "the target breaks the connection again and again without an answer; this is the largest command that it is sent");
        }
        broken
    }

    fn give_up(&mut self, times: u32, error: SinkError) {
        let Largest { command, bytes } = Largest::of(self.pipeline.in_flight());
        self.events.push_back(TargetEvent::Failed(FlowError::BreaksConnection {
            command,
            bytes,
            times,
            error,
        }));
    }

    fn reconnect(&mut self, purpose: Purpose, trouble: &TargetTrouble, pause: Duration) {
        let (config, identity) = (Arc::clone(&self.config), self.guard.identity().clone());
        let relief = self.durable.filter(|_| trouble.is_out_of_memory()).and_then(|at| {
            let keys = relief::early_deletions(self.pipeline.in_flight());
            (!keys.is_empty()).then_some(Relief { at, keys })
        });
        self.link =
            Link::Down(Reconnect { config, flow: self.flow, identity, purpose, pause, relief }.begin());
        self.events.push_back(TargetEvent::Stalled(trouble.to_string()));
    }

    fn poll_link(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<()> {
        match &mut self.link {
            Link::Up(_) => match self.pipeline.poll_progress(context) {
                Poll::Ready(Ok(())) => {
                    self.link = Link::Up(now);
                    Poll::Ready(())
                }
                Poll::Ready(Err(error)) => {
                    // What was carried out before comes before what has failed.
                    self.collect();
                    self.on_error(error);
                    Poll::Ready(())
                }
                Poll::Pending => Poll::Pending,
            },
            Link::Down(reconnecting) => match reconnecting.as_mut().poll(context) {
                Poll::Ready(outcome) => {
                    self.on_regained(outcome, now);
                    Poll::Ready(())
                }
                Poll::Pending => Poll::Pending,
            },
        }
    }

    fn poll_flush(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<()> {
        let Some(FlushTask::Preparing(_, preparing)) = &mut self.flush else { return Poll::Pending };
        let Poll::Ready(prepared) = preparing.as_mut().poll(context) else { return Poll::Pending };
        let Some(FlushTask::Preparing(plan, _)) = self.flush.take() else { return Poll::Pending };
        match prepared {
            Ok(lasting) => {
                let mut batch = CommandBatch::default();
                self.guard.open(self.sent, &mut batch);
                flush::write(&plan, &lasting, &self.guard, &mut batch);
                self.sent = plan.at;
                self.flush = Some(FlushTask::Sent);
                self.submit(&mut batch, Sent::Flush(plan.at), now);
            }
            Err(error) if is_passing(&error) => {
                self.events.push_back(TargetEvent::Lost(FlowError::Target(Box::new(error))));
            }
            Err(error) => self.events.push_back(TargetEvent::Failed(FlowError::Target(Box::new(error)))),
        }
        Poll::Ready(())
    }

    /// How long the connection may be used for nothing, or an answer may take.
    fn patience(&self) -> Duration {
        if self.pipeline.is_idle() { self.config.target_keepalive } else { self.config.target_timeout }
    }

    /// Keeps a connection that has nothing to do, and looks whether the server still holds what it has answered.
    fn keep_alive(&mut self, now: Instant) {
        let mut batch = CommandBatch::default();
        let is_certain = self.awaited.is_none() && self.db == DbIndex(0);
        match self.durable.filter(|durable| is_certain && *durable == self.sent) {
            Some(at) => self.guard.look(at, &mut batch),
            None => {
                let facts = CommandFacts::new(CommandKind::Control, self.db);
                batch.push_keyed(&[b"PING"], 0..0, facts.tag());
            }
        }
        self.submit(&mut batch, Sent::KeepAlive, now);
    }
}

impl TargetWriter for StandaloneWriter {
    fn has_room(&self) -> bool {
        self.pipeline.has_room()
    }

    fn has_plenty(&self) -> bool {
        matches!(self.link, Link::Up(_)) && self.pipeline.has_plenty()
    }

    fn rest(&mut self) -> bool {
        matches!(self.link, Link::Up(_)) && self.pipeline.rest()
    }

    /// Its transactions hold hundreds of records as it is.
    fn gathers(&self) -> Option<BatchLimits> {
        None
    }

    fn is_idle(&self) -> bool {
        self.flush.is_none() && self.pipeline.is_idle()
    }

    fn is_settled(&self) -> bool {
        self.is_idle()
    }

    fn commit(&mut self, batch: &mut CommandBatch, tag: BatchTag, now: Instant) {
        match tag {
            BatchTag::Baseline => self.submit_values(batch, now),
            BatchTag::Entry(first) => self.submit_entry(batch, first, now),
            BatchTag::Journal(at) => self.submit_framed(batch, at, now),
        }
    }

    /// Data and position are one: a record that a position precedes is not there.
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
        self.pipeline.in_flight().for_each(visit);
    }

    fn nodes(&self, waits_since: Option<Instant>) -> Vec<NodeSeen> {
        let link = match self.link {
            Link::Up(_) => NodeLink::Open,
            Link::Down(_) => NodeLink::Away,
        };
        vec![NodeSeen {
            address: self.config.target.to_string(),
            tally: self.pipeline.tally(),
            in_flight: self.pipeline.unanswered(),
            waits_since,
            link,
        }]
    }

    fn learn_sharding(&mut self, sharding: Sharding) {
        self.sharding = Some(sharding);
    }

    fn await_flush(&mut self, at: Position) {
        self.awaited = Some(at);
    }

    fn flush(&mut self, plan: FlushPlan, _now: Instant) {
        self.flush = Some(FlushTask::begin(&self.config, self.flows, plan));
    }

    fn pass_flush(&mut self, at: Position) {
        (self.sent, self.durable, self.awaited) = (at, Some(at), None);
    }

    fn checkpoint_now(&mut self, _now: Instant) {}

    fn finish(&mut self, _now: Instant) {}

    fn deadline(&self, _now: Instant) -> Option<Instant> {
        match self.link {
            Link::Up(since) => Some(since + self.patience()),
            Link::Down(_) => None,
        }
    }

    fn on_deadline(&mut self, now: Instant) {
        let Link::Up(since) = self.link else { return };
        if now < since + self.patience() {
            return;
        }
        if self.pipeline.is_idle() {
            return self.keep_alive(now);
        }
        let limit = self.config.target_timeout;
        let silent = format!("no answer within {} s", limit.as_secs());
        warn!(flow = self.flow.0, seconds = limit.as_secs(), "the target does not answer");
        self.on_error(SinkError::Broken(io::Error::new(io::ErrorKind::TimedOut, silent)));
    }

    fn poll_progress(&mut self, context: &mut Context<'_>, now: Instant) -> Poll<()> {
        let flushed = self.poll_flush(context, now);
        let moved = self.poll_link(context, now);
        if flushed.is_ready() { flushed } else { moved }
    }

    fn next_event(&mut self, _now: Instant) -> Option<TargetEvent> {
        if self.events.is_empty() {
            self.collect();
        }
        self.events.pop_front()
    }
}
