//! One flow, from bytes of the source to commands for the target: one task, one buffer, one pipeline.

mod apply;
mod barrier;
mod decode;
mod expiring;
mod findings;
mod guesses;
mod keeping;
mod link;
mod sink;
mod spill;
mod stale;
mod suspects;
mod wanted;

use std::sync::Arc;
use std::time::{Duration, Instant};

use dfly_client::driver::{AckConn, FlowConn, READ_ROOM};
use dfly_client::{AckSchedule, FlowId};
use dfly_journal::Lsn;
use dfly_translate::{Flush, Translator};
use dfly_wire::UnixMillis;
use redis_resp::CommandBatch;
use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, sleep_until, timeout};
use tracing::warn;

use crate::checkpoint::{Checkpoint, Parties, Position};
use crate::cluster::confirm::Confirmed;
use crate::cluster::passed::Passed;
use crate::config::EngineConfig;
use crate::error::FlowError;
use crate::lasting::Lasting;
use crate::owner::{OwnerCheck, Sharding};
use crate::pace::Pace;
use crate::progress::Progress;
use crate::report::{Counters, FlowCounters};

pub(crate) use barrier::AtFlush;
pub(crate) use decode::Stage;
pub(crate) use expiring::Expiring;
pub(crate) use findings::{Finding, Look, Looked};
pub(crate) use keeping::Keeping;
pub(crate) use link::Link;
pub(crate) use sink::{ClusterSink, Sink};
pub(crate) use spill::{Spill, folder};
pub(crate) use stale::Stale;
pub(crate) use suspects::Suspects;
pub(crate) use wanted::Wanted;

/// A batch is handed over when it holds this many commands, or [`BATCH_BYTES`].
const BATCH_COMMANDS: usize = 512;

/// A batch is handed over when it is this large.
const BATCH_BYTES: usize = 64 << 10;

/// While the target has plenty to do the flow rests this long, so that it is not woken for every few replies and every
/// few bytes: that costs it, and the target, more than the work does.
const REST: Duration = Duration::from_millis(1);

/// What a batch stands for once the target has carried it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// A part of the snapshot; no position.
    Baseline,
    /// The end of the snapshot, and the flow's first position with it.
    Entry,
    /// Everything up to this position.
    Before(Position),
    /// That a cluster has carried out everything up to this position is stored there.
    Stored(Position),
}

/// What a flow tells its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The snapshot is complete; journal blobs go on.
    Cut,
    /// The snapshot is durable; the journal follows.
    Stable,
    /// A flush is reached, and everything before it is durable; the position is that behind it.
    AtFlush(Flush, Position),
    /// The flush is carried out.
    Flushed,
}

/// What a session tells a flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Order {
    /// Carry the flush out, and store with it these positions of all flows, and what lasts.
    Execute(Checkpoint, Box<Lasting>),
    /// The flush is carried out; go on behind it.
    Pass,
}

/// How a flow ended without an error.
#[derive(Debug)]
pub(crate) enum FlowEnd {
    /// It was told to stop, and everything that was written is durable.
    Drained(Option<Lsn>),
    /// The source is gone, and everything that was written is durable.
    SourceLost(Option<Lsn>, FlowError),
    /// The target is gone, or does not hold any more what it held.
    TargetLost(FlowError),
}

/// What a flow needs next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Want {
    /// More bytes of the source.
    Bytes,
    /// Room in the window of the target.
    Room,
    /// Every other flow at the same flush, which this position is behind.
    Flush(Flush, Lsn),
}

/// A flow's lines to its session. Orders have one of their own, which never holds more than one: a session that gives one
/// does not wait.
#[derive(Debug)]
pub(crate) struct Lines {
    pub signals: mpsc::Sender<(FlowId, Signal)>,
    pub orders: mpsc::Receiver<Order>,
    pub findings: mpsc::Receiver<Finding>,
    pub stop: watch::Receiver<bool>,
}

/// A running flow.
pub(crate) struct Flow {
    pub id: FlowId,
    pub config: Arc<EngineConfig>,
    pub conn: FlowConn,
    pub acks: AckConn,
    pub sink: Sink,
    pub link: Link,
    /// How positions are stored in a cluster.
    pub keeping: Option<Keeping>,
    /// What the slots of a cluster hold already of the records that come.
    pub passed: Passed,
    pub translator: Translator,
    pub stage: Stage,
    /// With which record the session's journal begins. What precedes it came in a snapshot, in blobs of the backlog, or
    /// from the relay log.
    pub journal_from: Lsn,
    pub lines: Lines,
    pub counters: Arc<Counters>,
    /// The master's replication id, and how many flows it has.
    pub source: (String, u16),
    /// Between whom the positions hold.
    pub parties: Parties,
    /// Exists from the start of the journal on, or from the start if the flow resumes.
    pub progress: Option<Progress>,
    /// The last transaction that was handed over, and the last that the target has carried out.
    pub sent: Position,
    pub written: Position,
    /// Whether the target holds a position of the flow; nothing is acknowledged before.
    pub entered: bool,
    /// Whether the session knows that.
    pub announced: bool,
    pub ack_schedule: AckSchedule,
    pub batch: CommandBatch,
    /// Decoding again is of no use before the buffer holds this many bytes.
    pub needed: usize,
    /// Whether the source may have more to give than was read last.
    pub backlogged: bool,
    /// When what is decoded now arrived, to the batch.
    pub arrived: UnixMillis,
    /// A flush that the flow has come to.
    pub at_flush: AtFlush,
    pub wanted: Wanted,
    pub suspects: Suspects,
    /// While the target may hold older values of keys that have not come yet.
    pub stale: Option<Stale>,
    /// Wants to hear that what was doubted is noted in the target.
    pub looked: Option<Looked>,
    pub expiring: Expiring,
    /// What the snapshot shows of how the source spreads its keys.
    pub owners: OwnerCheck,
    /// How it does, if that is certain.
    pub sharding: Option<Sharding>,
    pub spill: Spill,
    /// When members that are due are removed next.
    pub sweep_at: Instant,
    /// How fast the snapshot is read, and how fast the target is written to.
    pub reading: Pace,
    pub writing: Pace,
}

/// How a wait ended.
enum Waited {
    Moved,
    Stopped,
    SourceLost(FlowError),
    TargetLost(FlowError),
}

/// The answer to whether a position is safe, where that is asked.
async fn answered(keeping: &mut Option<Keeping>) -> Confirmed {
    match keeping {
        Some(keeping) => keeping.answered().await,
        None => std::future::pending().await,
    }
}

impl Flow {
    /// Runs until told to stop, until a server is gone, or until an error.
    pub(crate) async fn run(self) -> Result<FlowEnd, FlowError> {
        match self.follow().await {
            Err(error) if error.is_target_lost() => Ok(FlowEnd::TargetLost(error)),
            ended => ended,
        }
    }

    async fn follow(mut self) -> Result<FlowEnd, FlowError> {
        self.regroup_guesses();
        loop {
            self.turn_expiries();
            let want = match self.decode() {
                // What is in flight must not reach the target behind the flush that the session carries out.
                Err(flushed @ FlowError::FlushedInSync(_)) => {
                    return match self.drain().await? {
                        FlowEnd::TargetLost(error) => Ok(FlowEnd::TargetLost(error)),
                        FlowEnd::Drained(_) | FlowEnd::SourceLost(..) => Err(flushed),
                    };
                }
                want => want?,
            };
            self.sweep();
            self.hand_over();
            self.keep(false);
            self.pass_look();
            self.announce_entry()?;
            self.reach_flush(want)?;
            self.spill(want)?;
            match self.wait(want).await? {
                Waited::Moved => {}
                Waited::Stopped => {
                    self.spill.rest();
                    self.store_expiries();
                    return self.drain_for_good().await;
                }
                Waited::SourceLost(error) => return self.lost(error).await,
                Waited::TargetLost(error) => return Ok(FlowEnd::TargetLost(error)),
            }
        }
    }

    /// Sends an ACK that is due, then waits until something can go on.
    async fn wait(&mut self, want: Want) -> Result<Waited, FlowError> {
        if let lost @ Waited::SourceLost(_) = self.acknowledge().await? {
            return Ok(lost);
        }
        if self.may_rest() {
            sleep(REST).await;
        }
        let paused = self.paused_until();
        let hungry = self.may_read(want) && paused.is_none();
        let wake_at = paused.into_iter().fold(self.wake_at(), Instant::min);
        // Not biased: a source that always has bytes must not keep replies from being read, nor the other way round.
        tokio::select! {
            stop = self.lines.stop.changed() => {
                return Ok(if stop.is_ok() { Waited::Stopped } else { Waited::SourceLost(FlowError::SessionGone) });
            }
            order = self.lines.orders.recv() => match order {
                Some(order) => return self.obey(order).await,
                None => return Err(FlowError::SessionGone),
            },
            finding = self.lines.findings.recv(), if !self.at_flush.is_waiting() => match finding {
                Some(finding) => self.find(finding),
                None => return Err(FlowError::SessionGone),
            },
            answer = self.wanted.answers.recv() => self.on_answer(answer),
            moved = self.sink.progress(), if self.link.is_up() => return self.on_progress(moved),
            regained = self.link.regained() => return self.on_regained(regained),
            confirmed = answered(&mut self.keeping) => return self.on_confirmed(confirmed),
            filled = self.conn.fill(), if hungry => match filled {
                Ok(bytes) => self.count_bytes(bytes),
                Err(error) => return Ok(Waited::SourceLost(FlowError::Source(error))),
            },
            () = sleep_until(wake_at.into()) => return self.check_target(),
        }
        Ok(Waited::Moved)
    }

    /// Whether nothing is gained by going on at once. In stable sync a source that has more to give than was read is never
    /// made to wait (P26).
    fn may_rest(&self) -> bool {
        let hurried = self.backlogged && !matches!(self.stage, Stage::Snapshot(_));
        self.link.is_up() && self.sink.has_plenty() && !hurried
    }

    /// The next moment at which something is due without an event.
    fn wake_at(&self) -> Instant {
        let ack = self.is_stable().then(|| self.ack_schedule.deadline(Instant::now()));
        // In a cluster the pipeline watches each node by itself.
        let owes = !self.sink.is_idle() && !self.is_in_cluster();
        let target = self.link.deadline(owes, self.config.target_timeout);
        let sweep = self.sweeps().then_some(self.sweep_at);
        let wanted = self.entered.then(|| self.wanted.rereads.deadline()).flatten();
        let writing = self.writing.wait_until(Instant::now());
        let keeping = self.keep_at();
        let far = Instant::now() + self.config.report_interval.max(self.config.ack_interval);
        [ack, target, sweep, wanted, writing, keeping].into_iter().flatten().min().unwrap_or(far)
    }

    /// Until when the snapshot is not read, so that the source is not burdened too much.
    fn paused_until(&self) -> Option<Instant> {
        let snapshot = matches!(self.stage, Stage::Snapshot(_));
        self.reading.wait_until(Instant::now()).filter(|_| snapshot)
    }

    fn count_bytes(&mut self, bytes: usize) {
        self.backlogged = bytes >= READ_ROOM;
        self.reading.take(bytes as u64, Instant::now());
        if let Some(counters) = self.counters.flow(self.id) {
            FlowCounters::add(&counters.bytes, bytes as u64);
        }
    }

    /// Takes what the target has carried out into the durable position.
    fn settle(&mut self) {
        while let Some(mark) = self.sink.settled() {
            self.expiring.settled();
            match (mark, &mut self.progress) {
                (Mark::Before(at), Some(progress)) => match &mut self.keeping {
                    Some(keeping) => keeping.settle(at),
                    None => {
                        progress.settle(at.next);
                        self.written = at;
                    }
                },
                (Mark::Stored(at), Some(progress)) => {
                    progress.settle(at.next);
                    (self.written, self.entered) = (at, true);
                    self.keeping.iter_mut().for_each(|keeping| keeping.store(at));
                }
                (Mark::Entry, _) => self.entered = true,
                (Mark::Before(_) | Mark::Stored(_), None) | (Mark::Baseline, _) => {}
            }
        }
        if let (Some(progress), Some(counters)) = (self.durable_progress(), self.counters.flow(self.id)) {
            counters.set_positions(progress);
            counters.set_kept(self.wanted.rereads.len(), self.translator.expiring_keys());
        }
        self.confirm_look();
    }

    /// Positions, once everything before the journal is durable.
    fn durable_progress(&self) -> Option<&Progress> {
        self.progress.as_ref().filter(|_| self.entered)
    }

    /// Whether the flow follows the journal, and everything before it is durable.
    fn is_stable(&self) -> bool {
        let durable = self.durable_progress().map(Progress::durable);
        matches!(self.stage, Stage::Stable(_)) && durable.is_some_and(|durable| durable >= self.journal_from)
    }

    /// Sends an ACK if one is due. Only durable positions are ever sent (P19), and none before the journal.
    async fn acknowledge(&mut self) -> Result<Waited, FlowError> {
        let durable = self.durable_progress().filter(|_| self.is_stable()).map(Progress::durable);
        let Some(durable) = durable else { return Ok(Waited::Moved) };
        let Some(lsn) = self.ack_schedule.due(Instant::now(), durable) else {
            return Ok(Waited::Moved);
        };
        match self.acks.ack(lsn).await {
            Ok(()) => Ok(Waited::Moved),
            Err(error) => Ok(Waited::SourceLost(FlowError::Source(error))),
        }
    }

    /// Tells the session once that everything before the journal is durable.
    fn announce_entry(&mut self) -> Result<(), FlowError> {
        if self.is_stable() && !self.announced {
            self.announced = true;
            self.signal(Signal::Stable)?;
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<(), FlowError> {
        tracing::debug!(flow = self.id.0, ?signal, "signal");
        self.lines
            .signals
            .try_send((self.id, signal))
            .map_err(|_session_gone_or_stuck| FlowError::SessionGone)
    }

    /// Waits until everything that was handed over is durable, and gives that position; or until the target is lost.
    async fn drain(&mut self) -> Result<FlowEnd, FlowError> {
        let limit = self.config.drain_timeout;
        let ended = match timeout(limit, self.empty_window()).await {
            Ok(ended) => ended?,
            Err(_elapsed) if self.is_in_cluster() && self.sink.is_idle() => {
                warn!(
                    flow = self.id.0,
                    "the last position was not stored: replicas of the target are behind"
                );
                Waited::Moved
            }
            Err(_elapsed) => return Err(FlowError::DrainTimeout(limit)),
        };
        match ended {
            Waited::TargetLost(error) => Ok(FlowEnd::TargetLost(error)),
            _ => Ok(FlowEnd::Drained(self.durable_progress().map(Progress::durable))),
        }
    }

    /// The same at the end of the session: nothing is sent any more.
    async fn drain_for_good(&mut self) -> Result<FlowEnd, FlowError> {
        let ended = self.drain().await?;
        if matches!(ended, FlowEnd::Drained(_)) {
            self.note_drained().await?;
        }
        Ok(ended)
    }

    async fn empty_window(&mut self) -> Result<Waited, FlowError> {
        while !self.sink.is_idle() || !(self.is_kept() || self.at_flush.is_waiting()) {
            if self.sink.is_idle() {
                self.keep(true);
            }
            let moved = match self.link.is_up() {
                true => tokio::select! {
                    moved = self.sink.progress(), if !self.sink.is_idle() => self.on_progress(moved)?,
                    confirmed = answered(&mut self.keeping) => self.on_confirmed(confirmed)?,
                    () = sleep(REST) => Waited::Moved,
                },
                false => {
                    let regained = self.link.regained().await;
                    self.on_regained(regained)?
                }
            };
            if let lost @ Waited::TargetLost(_) = moved {
                return Ok(lost);
            }
            // Which keys are to be read again because the last of it was refused.
            if self.sink.is_idle() {
                self.hand_over();
            }
        }
        Ok(Waited::Moved)
    }

    /// The source is gone: what has arrived is still decoded as far as it goes, and made durable.
    async fn lost(&mut self, error: FlowError) -> Result<FlowEnd, FlowError> {
        loop {
            let kept = self.keep_rest()?;
            let want = if kept { Want::Bytes } else { self.decode()? };
            self.hand_over();
            // At a flush the other flows cannot be waited for any longer: it comes again.
            let is_last = want != Want::Room || self.at_flush.is_waiting();
            if is_last {
                self.store_expiries();
            }
            let drained = if is_last { self.drain_for_good().await } else { self.drain().await };
            let durable = match drained {
                Ok(FlowEnd::Drained(durable)) => durable,
                Err(late @ FlowError::DrainTimeout(_)) => return Ok(FlowEnd::TargetLost(late)),
                other => return other,
            };
            if is_last {
                return Ok(FlowEnd::SourceLost(durable, error));
            }
        }
    }
}
