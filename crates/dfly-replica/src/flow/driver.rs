//! One flow's select loop: it moves bytes between the source, the target, the relay log's disk and the session, and leaves
//! every decision to the core.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::time::{Duration, Instant};

use dfly_client::FlowId;
use dfly_client::driver::{FlowConn, READ_ROOM};
use dfly_journal::Lsn;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, sleep_until, timeout};
use tracing::warn;

use super::core::{Action, Course, FlowAnswer, FlowCore, FlowRequest, Order, Signal, Want};
use super::relay_disk::RelayDisk;
use super::scan_events::ScanEvent;
use crate::clock::Clock;
use crate::error::FlowError;
use crate::source::reader::{ReadAnswer, ReadLine};
use crate::target::retry_policy::is_target_lost;
use crate::target::writer::{TargetEvent, TargetWriter};

/// While the target has plenty to do the flow rests this long, so that it is not woken for every few replies and every
/// few bytes: that costs it, and the target, more than the work does.
const REST: Duration = Duration::from_millis(1);

/// How a flow ended without an error.
#[derive(Debug)]
pub(crate) enum FlowEnd {
    /// It was told to stop, and everything that was written is durable.
    Drained(FlowStand),
    /// It was told to stop, and so many records are on disk that the target may lack.
    Kept(FlowStand, u64),
    /// The source is gone, and everything that was written is durable.
    SourceLost(FlowStand, FlowError),
    /// The target is gone, or does not hold what it held.
    TargetLost(FlowError),
}

/// Where a flow stands at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowStand {
    /// What the target holds, if it holds a position.
    pub durable: Option<Lsn>,
    /// The last record that was read is a PING, as before the source hands over.
    pub is_behind_ping: bool,
}

/// A flow's lines to its session. Orders have one of their own, which never holds more than one: a session that gives one
/// does not wait.
#[derive(Debug)]
pub(crate) struct Lines {
    pub signals: mpsc::Sender<(FlowId, Signal)>,
    pub orders: mpsc::Receiver<Order>,
    pub scans: mpsc::Receiver<ScanEvent>,
    pub scan_settled: mpsc::Sender<FlowId>,
    pub requests: mpsc::Receiver<FlowRequest>,
    pub answers: mpsc::Sender<FlowAnswer>,
    pub stop: watch::Receiver<bool>,
}

/// A running flow.
pub(crate) struct FlowDriver {
    pub id: FlowId,
    pub core: FlowCore,
    pub conn: FlowConn,
    pub target: Box<dyn TargetWriter>,
    pub disk: RelayDisk,
    pub reads: ReadLine,
    pub lines: Lines,
    pub clock: Clock,
    /// The longest wait for the target to answer what is in flight when the flow is stopped.
    pub drain_timeout: Duration,
    /// Why the target takes nothing, if it does not.
    pub stalled: Option<String>,
    /// Slots that the source has given away, and of which the session has not been told: there was no room.
    pub untold: VecDeque<Signal>,
    /// Whether the source may have more to give than was read last.
    pub is_backlogged: bool,
}

/// How long the source is kept at the end, so that it hears what became durable; a target that says nothing for as long is not
/// waited for if what it lacks can be kept.
const LAST_ACK: Duration = Duration::from_secs(1);

/// How a wait ended.
enum Waited {
    Moved,
    Stopped,
    SourceLost(FlowError),
    TargetLost(FlowError),
}

impl FlowDriver {
    /// Runs until told to stop, until a server is gone, or until an error.
    pub(crate) async fn run(mut self) -> Result<FlowEnd, FlowError> {
        let ended = self.follow().await;
        self.disk.close().await;
        match ended {
            Err(error) if is_target_lost(&error) => Ok(FlowEnd::TargetLost(error)),
            ended => ended,
        }
    }

    async fn follow(&mut self) -> Result<FlowEnd, FlowError> {
        loop {
            let want = match self.advance() {
                // What is in flight must not reach the target behind the flush that the session carries out.
                Err(flushed @ FlowError::FlushedInSync(_)) => {
                    self.core.discard();
                    return match self.drain().await? {
                        FlowEnd::TargetLost(error) => Ok(FlowEnd::TargetLost(error)),
                        FlowEnd::Drained(_) | FlowEnd::Kept(..) | FlowEnd::SourceLost(..) => Err(flushed),
                    };
                }
                Err(full @ FlowError::RelayFull { .. }) => {
                    // The other flows are not to hold the source up either.
                    self.tell(Signal::RelayFull)?;
                    return self.lost(full).await;
                }
                Err(told @ FlowError::SourceLine(_)) => return self.lost(told).await,
                want => want?,
            };
            if let Waited::SourceLost(error) = self.act().await? {
                return self.lost(error).await;
            }
            match self.wait(want).await? {
                Waited::Moved => {}
                Waited::Stopped => return self.stop().await,
                Waited::SourceLost(error) => return self.lost(error).await,
                Waited::TargetLost(error) => return Ok(FlowEnd::TargetLost(error)),
            }
        }
    }

    fn advance(&mut self) -> Result<Want, FlowError> {
        let now = self.clock.moment();
        self.core.advance(&mut self.conn.buffer, &mut *self.target, now)
    }

    /// Does what the core has decided.
    async fn act(&mut self) -> Result<Waited, FlowError> {
        while let Some(action) = self.core.next_action() {
            match action {
                Action::Acknowledge(lsn) => {
                    if let Err(error) = self.conn.ack(lsn).await {
                        return Ok(Waited::SourceLost(FlowError::Source(error)));
                    }
                }
                // There may be many of them at a time, and no flow waits for an answer.
                Action::Tell(signal @ Signal::SlotsGone(..)) => self.untold.push_back(signal),
                Action::Tell(signal) => self.tell(signal)?,
                Action::Ask(question) => self.reads.ask(question),
                Action::Relay(work) => self.disk.begin(work),
                // Who is gone has no use for it.
                Action::ScanSettled => drop(self.lines.scan_settled.try_send(self.id)),
                Action::Answer(answer) => drop(self.lines.answers.send(answer).await),
            }
        }
        self.tell_of_slots()?;
        Ok(Waited::Moved)
    }

    /// As many as there is room for; the rest later.
    fn tell_of_slots(&mut self) -> Result<(), FlowError> {
        while let Some(signal) = self.untold.pop_front() {
            match self.lines.signals.try_send((self.id, signal)) {
                Ok(()) => {}
                Err(TrySendError::Full((_, signal))) => {
                    self.untold.push_front(signal);
                    break;
                }
                Err(TrySendError::Closed(_)) => return Err(FlowError::SessionGone),
            }
        }
        Ok(())
    }

    fn tell(&self, signal: Signal) -> Result<(), FlowError> {
        let told = self.lines.signals.try_send((self.id, signal));
        told.map_err(|_gone_or_stuck| FlowError::SessionGone)
    }

    /// Waits until something can go on.
    async fn wait(&mut self, want: Want) -> Result<Waited, FlowError> {
        let hurried = self.is_backlogged && self.core.is_hurried();
        if self.target.has_plenty() && !hurried {
            self.conn.unwatch();
            self.target.rest();
            sleep(REST).await;
        }
        let now = Instant::now();
        let reads = self.core.may_read(self.conn.buffer.len(), want, now);
        if !reads {
            self.conn.unwatch();
        }
        let rests = self.core.is_gathering(now) && self.target.rest();
        let scans = self.core.takes_scan_events();
        let wake_at = self.core.wake_at(&*self.target, now);
        // Not biased: a source that always has bytes must not keep replies from being read, nor the other way round.
        tokio::select! {
            stop = self.lines.stop.changed() => {
                return Ok(if stop.is_ok() { Waited::Stopped } else { Waited::SourceLost(FlowError::SessionGone) });
            }
            order = self.lines.orders.recv() => {
                let order = order.ok_or(FlowError::SessionGone)?;
                self.core.on_order(order, &mut *self.target, self.clock.moment());
            }
            event = self.lines.scans.recv(), if scans => {
                let event = event.ok_or(FlowError::SessionGone)?;
                self.core.on_scan(event, &mut *self.target);
            }
            Some(request) = self.lines.requests.recv() => {
                self.core.on_request(request, &*self.target, Instant::now());
            }
            answer = self.reads.answered() => self.on_answer(answer)?,
            done = self.disk.done() => self.core.on_relay(done?, Instant::now()),
            () = poll_fn(|context| self.target.poll_progress(context, Instant::now())), if !rests => {
                return self.on_progress();
            }
            filled = self.conn.fill(), if reads => match filled {
                Ok(bytes) => self.on_bytes(bytes),
                Err(error) => return Ok(Waited::SourceLost(FlowError::Source(error))),
            },
            () = sleep_until(wake_at.into()) => {
                self.target.on_deadline(Instant::now());
                return self.on_progress();
            }
        }
        Ok(Waited::Moved)
    }

    fn on_bytes(&mut self, bytes: usize) {
        self.is_backlogged = bytes >= READ_ROOM;
        self.core.on_bytes(bytes, Instant::now());
    }

    fn on_answer(&mut self, answer: ReadAnswer) -> Result<(), FlowError> {
        match answer {
            ReadAnswer::Value(key, ticket, answer) => {
                self.core.on_value(&key, ticket, answer, &*self.target, Instant::now())
            }
            ReadAnswer::Presence(ticket, presence) => {
                self.core.on_presence(ticket, presence);
                Ok(())
            }
        }
    }

    /// Something moved at the target.
    fn on_progress(&mut self) -> Result<Waited, FlowError> {
        let now = self.clock.moment();
        self.core.on_moved(&mut *self.target, now);
        while let Some(event) = self.target.next_event(now.instant) {
            if let Course::TargetLost(error) = self.on_event(event)? {
                return Ok(Waited::TargetLost(error));
            }
        }
        Ok(Waited::Moved)
    }

    fn on_event(&mut self, event: TargetEvent) -> Result<Course, FlowError> {
        match &event {
            TargetEvent::Stalled(why) => self.stalled = Some(why.clone()),
            TargetEvent::Carried => self.stalled = None,
            _ => {}
        }
        self.core.on_target(event, &mut *self.target, self.clock.moment())
    }

    /// The run is told to stop.
    async fn stop(&mut self) -> Result<FlowEnd, FlowError> {
        let now = self.clock.moment();
        self.core.begin_stop(now);
        let until = now.instant + self.drain_timeout;
        loop {
            let heard = self.core.heard();
            tokio::select! {
                ended = self.finish() => match ended {
                    Err(FlowError::DrainTimeout { .. }) if self.core.can_keep() => return self.keep().await,
                    ended => return Ok(self.with_rest_on_disk(ended?)),
                },
                () = sleep(LAST_ACK) => {}
            }
            self.leave_source();
            let is_silent = self.core.heard() == heard || Instant::now() >= until;
            match is_silent {
                true if self.core.can_keep() => return self.keep().await,
                true => return self.finish().await,
                false => {}
            }
        }
    }

    fn with_rest_on_disk(&self, ended: FlowEnd) -> FlowEnd {
        match (ended, self.core.on_disk()) {
            (FlowEnd::Drained(stand), records @ 1..) => FlowEnd::Kept(stand, records),
            (ended, _) => ended,
        }
    }

    /// The target does not answer: what it may lack is kept on disk for the next run.
    async fn keep(&mut self) -> Result<FlowEnd, FlowError> {
        self.core.keep(self.clock.moment());
        self.relay_rest().await?;
        Ok(FlowEnd::Kept(self.stand(), self.core.on_disk()))
    }

    /// Nothing more is received: what was becomes durable, and the next session is told so.
    async fn finish(&mut self) -> Result<FlowEnd, FlowError> {
        let ended = self.drain().await?;
        if let FlowEnd::Drained(_) = ended {
            self.target.finish(Instant::now());
            return self.drain().await;
        }
        Ok(ended)
    }

    /// Waits until everything that was committed is durable; or until the target is lost.
    async fn drain(&mut self) -> Result<FlowEnd, FlowError> {
        let limit = self.drain_timeout;
        let ended = match timeout(limit, self.until_settled()).await {
            Ok(ended) => ended?,
            Err(_elapsed) if self.target.is_idle() => {
                warn!(
                    flow = self.id.0,
                    "the last position was not stored: replicas of the target are behind"
                );
                Waited::Moved
            }
            Err(_elapsed) => return Err(FlowError::DrainTimeout { after: limit, why: self.stalled.take() }),
        };
        match ended {
            Waited::TargetLost(error) => Ok(FlowEnd::TargetLost(error)),
            _ => Ok(FlowEnd::Drained(self.stand())),
        }
    }

    async fn until_settled(&mut self) -> Result<Waited, FlowError> {
        loop {
            self.core.commit_rest(&mut *self.target, self.clock.moment());
            self.act().await?;
            let is_settled = self.target.is_settled() || (self.target.is_idle() && self.core.is_at_flush());
            if is_settled && self.core.is_relay_at_rest() {
                return Ok(Waited::Moved);
            }
            if self.target.is_idle() && !self.core.is_at_flush() {
                self.target.checkpoint_now(Instant::now());
            }
            let now = Instant::now();
            let deadlines = [self.target.deadline(now), self.core.relay_deadline()];
            let wake_at = deadlines.into_iter().flatten().min().unwrap_or(now + REST).max(now + REST);
            let moved = tokio::select! {
                () = poll_fn(|context| self.target.poll_progress(context, Instant::now())) => self.on_progress()?,
                done = self.disk.done() => {
                    self.core.on_relay(done?, Instant::now());
                    Waited::Moved
                }
                () = sleep_until(wake_at.into()) => {
                    self.target.on_deadline(Instant::now());
                    self.on_progress()?
                }
            };
            if let lost @ Waited::TargetLost(_) = moved {
                return Ok(lost);
            }
        }
    }

    /// The source is gone: what has arrived is still applied as far as it goes, and made durable.
    async fn lost(&mut self, mut error: FlowError) -> Result<FlowEnd, FlowError> {
        self.leave_source();
        loop {
            let rest = match self.core.relays() {
                true => self.relay_rest().await,
                false => self.core.apply_rest(&mut self.conn.buffer, &mut *self.target, self.clock.moment()),
            };
            let want = match rest {
                // The source has said why before it closed.
                Err(told @ FlowError::SourceLine(_)) => {
                    error = told;
                    continue;
                }
                rest => rest?,
            };
            if want == Want::Disk {
                self.act().await?;
                let done = self.disk.done().await?;
                self.core.on_relay(done, Instant::now());
                continue;
            }
            // At a flush the other flows cannot be waited for any longer: it comes again.
            let is_last = want == Want::Bytes || self.core.is_at_flush();
            if is_last {
                self.core.conclude();
            }
            let drained = if is_last { self.finish().await } else { self.drain().await };
            let stand = match drained {
                Ok(FlowEnd::Drained(stand)) => stand,
                Err(late @ FlowError::DrainTimeout { .. }) => return Ok(FlowEnd::TargetLost(late)),
                other => return other,
            };
            if is_last {
                return Ok(FlowEnd::SourceLost(stand, error));
            }
        }
    }

    fn stand(&self) -> FlowStand {
        FlowStand { durable: self.core.durable(), is_behind_ping: self.core.is_behind_ping() }
    }

    /// A source that is not read any more must not wait for that.
    fn leave_source(&mut self) {
        self.conn.close();
    }

    /// What has arrived goes to the relay log.
    async fn relay_rest(&mut self) -> Result<Want, FlowError> {
        loop {
            let is_done = self.core.relay_rest(&mut self.conn.buffer, self.clock.moment())?;
            self.act().await?;
            if is_done {
                return Ok(Want::Bytes);
            }
            let done = self.disk.done().await?;
            self.core.on_relay(done, Instant::now());
        }
    }
}
