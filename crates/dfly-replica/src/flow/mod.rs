//! One flow, from bytes of the source to commands for the target: one task, one buffer, one pipeline.

mod decode;

use std::sync::Arc;
use std::time::Instant;

use dfly_client::driver::{AckConn, FlowConn};
use dfly_client::{AckSchedule, FlowId};
use dfly_journal::Lsn;
use dfly_translate::{Effect, Flush, Policy, Translator};
use dfly_wire::DbIndex;
use redis_resp::CommandBatch;
use redis_sink::Pipeline;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep_until, timeout};
use tracing::{debug, info, warn};

use crate::checkpoint::{self, Checkpoint};
use crate::config::EngineConfig;
use crate::error::FlowError;
use crate::progress::Progress;
use crate::report::{Counters, FlowCounters};

pub(crate) use decode::Stage;

/// A batch is handed over when it holds this many commands, or [`BATCH_BYTES`].
const BATCH_COMMANDS: usize = 512;

/// A batch is handed over when it is this large.
const BATCH_BYTES: usize = 64 << 10;

/// What a batch stands for once the target has carried it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A part of the snapshot; no position.
    Baseline,
    /// The end of the snapshot, and the flow's first position with it.
    Entry,
    /// All records before this one.
    Before(Lsn),
}

/// What a flow tells its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The snapshot is complete; journal blobs go on.
    Cut,
    /// The snapshot is durable; the journal follows.
    Stable,
    /// A flush is reached, and everything before it is durable; the position is that behind it.
    AtFlush(Flush, Lsn),
    /// The flush is carried out.
    Flushed,
}

/// What a session tells a flow that waits at a flush.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Carry the flush out, and store these positions of all flows with it.
    Execute(Checkpoint),
    /// The flush is carried out; go on behind it.
    Pass,
}

/// How a flow ended without an error.
#[derive(Debug)]
pub(crate) enum FlowEnd {
    /// It was told to stop, and everything that was decoded is durable.
    Drained(Option<Lsn>),
    /// The source is gone, and everything that was decoded is durable.
    SourceLost(Option<Lsn>, FlowError),
}

/// What a flow needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Want {
    /// More bytes of the source.
    Bytes,
    /// Room in the window of the target.
    Room,
    /// Every other flow at the same flush.
    Flush(Flush),
}

/// A flow's lines to its session.
#[derive(Debug)]
pub(crate) struct Lines {
    pub signals: mpsc::Sender<(FlowId, Signal)>,
    pub orders: mpsc::Receiver<Order>,
    pub stop: watch::Receiver<bool>,
}

/// A running flow.
#[derive(Debug)]
pub(crate) struct Flow {
    pub id: FlowId,
    pub config: Arc<EngineConfig>,
    pub conn: FlowConn,
    pub acks: AckConn,
    pub sink: Pipeline<Mark>,
    pub translator: Translator,
    pub stage: Stage,
    pub lines: Lines,
    pub counters: Arc<Counters>,
    /// The master's replication id, and how many flows it has.
    pub source: (String, u16),
    /// Exists from the start of the journal on.
    pub progress: Option<Progress>,
    /// Whether everything before the journal is durable; nothing is acknowledged before.
    pub entered: bool,
    /// Whether the session knows that.
    pub announced: bool,
    pub ack_schedule: AckSchedule,
    pub batch: CommandBatch,
    /// Decoding again is of no use before the buffer holds this many bytes.
    pub needed: usize,
}

impl Flow {
    /// Runs until told to stop, until the source is gone, or until an error.
    pub(crate) async fn run(mut self) -> Result<FlowEnd, FlowError> {
        loop {
            let want = match self.decode() {
                // What is in flight must not reach the target behind the flush that the session carries out.
                Err(flushed @ FlowError::FlushedInSync(_)) => {
                    self.drain().await?;
                    return Err(flushed);
                }
                want => want?,
            };
            self.hand_over();
            self.announce_entry()?;
            if let Want::Flush(flush) = want {
                match self.pass_flush(flush).await? {
                    Waited::Moved => continue,
                    Waited::Stopped => return self.drain().await.map(FlowEnd::Drained),
                    Waited::SourceLost(error) => return self.lost(error).await,
                }
            }
            match self.wait(want).await? {
                Waited::Moved => {}
                Waited::Stopped => return self.drain().await.map(FlowEnd::Drained),
                Waited::SourceLost(error) => return self.lost(error).await,
            }
        }
    }

    /// Gives the collected commands to the target's connection, with the position that they reach.
    fn hand_over(&mut self) {
        self.count_losses();
        match &mut self.progress {
            Some(progress) if progress.received() > progress.dispatched() => {
                let next = progress.received();
                progress.dispatch(next);
                self.close_transaction(next);
                self.sink.submit(&mut self.batch, Mark::Before(next));
            }
            // A transaction that was opened for a record that waits at a barrier.
            Some(_) => self.batch.truncate(0),
            None if !self.batch.is_empty() => self.sink.submit(&mut self.batch, Mark::Baseline),
            None => {}
        }
        self.settle();
    }

    /// Data and position are carried out together or not at all (P18).
    fn open_transaction(&mut self) {
        if self.batch.is_empty() {
            self.batch.push(&[b"MULTI"]);
        }
    }

    fn close_transaction(&mut self, next: Lsn) {
        let has_data = self.batch.len() > 1;
        if !has_data {
            self.batch.truncate(0);
        }
        self.translator.select(DbIndex(0), &mut self.batch);
        checkpoint::write_position(self.id, next, &mut self.batch);
        if has_data {
            self.batch.push(&[b"EXEC"]);
        }
    }

    /// Takes what the target has carried out into the durable position.
    fn settle(&mut self) {
        while let Some(mark) = self.sink.settled() {
            match (mark, &mut self.progress) {
                (Mark::Before(next), Some(progress)) => progress.settle(next),
                (Mark::Entry, _) => self.entered = true,
                (Mark::Before(_), None) | (Mark::Baseline, _) => {}
            }
        }
        if let (Some(progress), Some(counters)) = (self.durable_progress(), self.counters.flow(self.id)) {
            counters.set_positions(progress);
        }
    }

    /// Positions, once everything before the journal is durable.
    fn durable_progress(&self) -> Option<&Progress> {
        self.progress.as_ref().filter(|_| self.entered)
    }

    /// Sends an ACK that is due, then waits until a byte came, a reply came, or the next ACK is due.
    async fn wait(&mut self, want: Want) -> Result<Waited, FlowError> {
        if let lost @ Waited::SourceLost(_) = self.acknowledge().await? {
            return Ok(lost);
        }
        let hungry = want == Want::Bytes || self.conn.buffer.len() < self.config.read_ahead;
        let ack_at = self.ack_schedule.deadline(Instant::now());
        // Not biased: a source that always has bytes must not keep replies from being read, nor the other way round.
        tokio::select! {
            stop = self.lines.stop.changed() => {
                return Ok(if stop.is_ok() { Waited::Stopped } else { Waited::SourceLost(FlowError::SessionGone) });
            }
            moved = self.sink.progress() => {
                moved?;
                self.settle();
            }
            filled = self.conn.fill(), if hungry => match filled {
                Ok(bytes) => self.count_bytes(bytes),
                Err(error) => return Ok(Waited::SourceLost(FlowError::Source(error))),
            },
            () = sleep_until(ack_at.into()), if self.entered => {}
        }
        Ok(Waited::Moved)
    }

    fn count_bytes(&self, bytes: usize) {
        if let Some(counters) = self.counters.flow(self.id) {
            FlowCounters::add(&counters.bytes, bytes as u64);
        }
    }

    /// Sends an ACK if one is due. Only durable positions are ever sent (P19).
    async fn acknowledge(&mut self) -> Result<Waited, FlowError> {
        let Some(durable) = self.durable_progress().map(Progress::durable) else { return Ok(Waited::Moved) };
        let Some(lsn) = self.ack_schedule.due(Instant::now(), durable) else {
            return Ok(Waited::Moved);
        };
        match self.acks.ack(lsn).await {
            Ok(()) => Ok(Waited::Moved),
            Err(error) => Ok(Waited::SourceLost(FlowError::Source(error))),
        }
    }

    /// Tells the session once that the snapshot is durable.
    fn announce_entry(&mut self) -> Result<(), FlowError> {
        if self.entered && !self.announced {
            self.announced = true;
            self.signal(Signal::Stable)?;
        }
        Ok(())
    }

    /// Waits at a flush until every flow has reached it and one has carried it out (I3, P10).
    async fn pass_flush(&mut self, flush: Flush) -> Result<Waited, FlowError> {
        self.drain().await?;
        self.signal(Signal::AtFlush(flush, self.stage.next_lsn().unwrap_or_default()))?;
        loop {
            let ack_at = self.ack_schedule.deadline(Instant::now());
            let order = tokio::select! {
                biased;
                _ = self.lines.stop.changed() => return Ok(Waited::Stopped),
                order = self.lines.orders.recv() => order,
                () = sleep_until(ack_at.into()) => match self.acknowledge().await? {
                    Waited::Moved => continue,
                    other => return Ok(other),
                },
            };
            match order {
                Some(Order::Execute(positions)) => self.execute(flush, &positions).await?,
                Some(Order::Pass) => {
                    self.pass_record();
                    return Ok(Waited::Moved);
                }
                None => return Err(FlowError::SessionGone),
            }
        }
    }

    /// A flush removes the stored positions too, so they are written anew in its transaction.
    async fn execute(&mut self, flush: Flush, positions: &Checkpoint) -> Result<(), FlowError> {
        self.batch.push(&[b"MULTI"]);
        flush.write(&mut self.translator, &mut self.batch);
        self.translator.select(DbIndex(0), &mut self.batch);
        positions.write(&mut self.batch);
        self.batch.push(&[b"EXEC"]);
        self.sink.submit(&mut self.batch, Mark::Baseline);
        self.drain().await?;
        info!(flow = self.id.0, ?flush, "flushed the target, as the source was");
        self.signal(Signal::Flushed)
    }

    /// The flush is durable: the position moves behind it.
    fn pass_record(&mut self) {
        if let (Some(progress), Some(next)) = (&mut self.progress, self.stage.next_lsn()) {
            progress.receive(next);
            progress.dispatch(next);
            progress.settle(next);
        }
        self.settle();
    }

    fn signal(&self, signal: Signal) -> Result<(), FlowError> {
        debug!(flow = self.id.0, ?signal, "signal");
        self.lines
            .signals
            .try_send((self.id, signal))
            .map_err(|_session_gone_or_stuck| FlowError::SessionGone)
    }

    /// Waits until everything that was handed over is durable; gives that position.
    async fn drain(&mut self) -> Result<Option<Lsn>, FlowError> {
        let limit = self.config.drain_timeout;
        timeout(limit, self.empty_window()).await.map_err(|_elapsed| FlowError::DrainTimeout(limit))??;
        Ok(self.durable_progress().map(Progress::durable))
    }

    async fn empty_window(&mut self) -> Result<(), FlowError> {
        while !self.sink.is_idle() {
            self.sink.progress().await?;
            self.settle();
        }
        Ok(())
    }

    /// The source is gone: what has arrived is still decoded as far as it goes, and made durable.
    async fn lost(&mut self, error: FlowError) -> Result<FlowEnd, FlowError> {
        loop {
            let want = self.decode()?;
            self.hand_over();
            let durable = self.drain().await?;
            if want != Want::Room {
                return Ok(FlowEnd::SourceLost(durable, error));
            }
        }
    }

    fn note(&self, effect: Effect, key: &[u8]) {
        if let Effect::Lost(loss) = effect {
            debug!(flow = self.id.0, %loss, key = %key.escape_ascii(), "left out");
        }
    }

    /// Counts what was left out, and tells the first of each kind if the user wants to know.
    fn count_losses(&mut self) {
        let losses = self.translator.take_losses();
        if losses.is_empty() {
            return;
        }
        for loss in self.counters.lose(&losses) {
            if self.config.on_unsupported == Policy::Warn {
                warn!(flow = self.id.0, %loss, "the target cannot hold this; it is left out and counted");
            }
        }
    }
}

/// How a wait ended.
enum Waited {
    Moved,
    Stopped,
    SourceLost(FlowError),
}
