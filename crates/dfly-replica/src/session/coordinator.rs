//! A running session: the control connection, a task for each flow, and what flows wait for each other for.

mod scans;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dfly_client::driver::ControlConn;
use dfly_client::{FlowId, Session, StartStable};
use dfly_journal::Lsn;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Interval, MissedTickBehavior, interval, sleep};
use tracing::{debug, info, warn};

use super::barriers::{CutBarrier, FlushBarrier};
use super::ending::{Ending, SessionEnd, SourceLoss};
use super::gone_slots::GoneSlots;
use super::progress::SnapshotProgress;
use super::silence::{Silence, TargetSilence};
use crate::checkpoint::{Checkpoint, SyncMetadata};
use crate::config::{EngineConfig, OnRelayFull, OnStart};
use crate::error::{Error, FlowError};
use crate::flow::core::{FlowAnswer, FlowRequest, Order, Signal};
use crate::flow::driver::{FlowEnd, FlowStand};
use crate::maintenance::extra_keys::Removals;
use crate::maintenance::gone_slots::GoneKeys;
use crate::maintenance::scan::ScanLines;
use crate::run::control::{ControlDesk, Instruction};
use crate::run::counters::Counters;
use crate::run::report::Phase;
use crate::run::stop::{Stop, told};
use crate::slot_set::SlotSet;
use crate::target::trouble::TargetTrouble;

/// Where reports go while a session runs.
pub(crate) trait Observer {
    /// Called when the phase changes and once an interval.
    fn publish(&mut self, phase: Phase, counters: &Counters);
}

/// The session's side of a flow's lines.
#[derive(Debug)]
pub(crate) struct FlowLines {
    pub orders: mpsc::Sender<Order>,
    pub requests: mpsc::Sender<FlowRequest>,
}

/// What the tasks of a session tell it.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub signals: mpsc::Receiver<(FlowId, Signal)>,
    pub answers: mpsc::Receiver<FlowAnswer>,
    /// For the scan for extra keys.
    pub scan_settled: Arc<Mutex<mpsc::Receiver<FlowId>>>,
    /// What the source has said of its positions.
    pub source_lsns: mpsc::Receiver<Vec<Lsn>>,
}

/// How a task beside the flows ended.
#[derive(Debug)]
pub(crate) enum HelperEnd {
    ExtraKeys(Result<(), Error>),
    GoneSlots(SlotSet, Result<GoneKeys, Error>),
    Other,
}

/// A running session.
pub(crate) struct Running {
    pub(super) config: Arc<EngineConfig>,
    pub(super) control: ControlConn,
    pub(super) session: Session,
    pub(super) counters: Arc<Counters>,
    pub(super) phase: Phase,
    pub(super) flows: JoinSet<(FlowId, Result<FlowEnd, FlowError>)>,
    /// Tasks beside the flows. They end with the session.
    pub(super) helpers: JoinSet<HelperEnd>,
    pub(super) incoming: Incoming,
    pub(super) lines: BTreeMap<FlowId, FlowLines>,
    pub(super) scans: ScanLines,
    pub(super) stop_flows: watch::Sender<bool>,
    pub(super) cut: CutBarrier,
    pub(super) flush: FlushBarrier,
    pub(super) progress: SnapshotProgress,
    pub(super) source_silence: Silence,
    pub(super) target_silence: TargetSilence,
    /// Taken when the stable stream is asked for.
    pub(super) start_stable: Option<StartStable>,
    /// How many flows are stable.
    pub(super) stable: usize,
    /// Where each flow stood that has ended.
    pub(super) ends: BTreeMap<FlowId, FlowStand>,
    pub(super) ending: Ending,
    /// How many records flows have left on disk that the target may lack.
    on_disk: u64,
    /// Slots that the source has given away, and whose keys are still to be removed.
    pub(super) gone_slots: GoneSlots,
    is_removing_slots: bool,
    /// What a flush must not take with it.
    pub(super) metadata: SyncMetadata,
}

/// What a session begins with.
pub(crate) struct SessionParts {
    pub config: Arc<EngineConfig>,
    pub control: ControlConn,
    pub session: Session,
    pub counters: Arc<Counters>,
    pub incoming: Incoming,
    pub stop_flows: watch::Sender<bool>,
}

impl Running {
    pub(super) fn new(parts: SessionParts) -> Self {
        let flows = parts.session.flows;
        Self {
            config: parts.config,
            control: parts.control,
            session: parts.session,
            counters: parts.counters,
            phase: Phase::FullSync,
            flows: JoinSet::new(),
            helpers: JoinSet::new(),
            incoming: parts.incoming,
            lines: BTreeMap::new(),
            scans: BTreeMap::new(),
            stop_flows: parts.stop_flows,
            cut: CutBarrier::new(flows),
            flush: FlushBarrier::new(flows),
            progress: SnapshotProgress::default(),
            source_silence: Silence::default(),
            target_silence: TargetSilence::default(),
            start_stable: None,
            stable: 0,
            ends: BTreeMap::new(),
            ending: Ending::Running,
            gone_slots: GoneSlots::new(flows),
            is_removing_slots: false,
            on_disk: 0,
            metadata: SyncMetadata::default(),
        }
    }

    /// The source's replication id.
    pub(crate) fn source_id(&self) -> String {
        self.session.replication_id.to_string()
    }

    /// Runs until every flow has ended, and ends every task of the session on every path.
    pub(crate) async fn run(
        mut self,
        stop: &mut watch::Receiver<Stop>,
        desk: &mut ControlDesk,
        observer: &mut (impl Observer + Send),
    ) -> Result<SessionEnd, Error> {
        observer.publish(self.phase, &self.counters);
        desk.begin_session(self.lines.iter().map(|(flow, lines)| (*flow, lines.requests.clone())));
        let ended = self.until_all_flows_ended(stop, desk, observer).await;
        desk.end_session();
        self.counters.set_question(None);
        self.helpers.shutdown().await;
        self.flows.shutdown().await;
        observer.publish(self.phase, &self.counters);
        ended.map(|()| self.end())
    }

    async fn until_all_flows_ended(
        &mut self,
        stop: &mut watch::Receiver<Stop>,
        desk: &mut ControlDesk,
        observer: &mut (impl Observer + Send),
    ) -> Result<(), Error> {
        let (mut ping, mut report) = (ticks(self.config.ping_interval), ticks(self.config.report_interval));
        loop {
            let is_running = !matches!(self.ending, Ending::Stopped);
            tokio::select! {
                () = told(stop), if is_running => self.stop("stopping: waiting for the target to answer what is in flight"),
                Some((flow, signal)) = self.incoming.signals.recv() => self.on_signal(flow, signal).await?,
                ended = self.flows.join_next() => match ended {
                    // What is in flight when the run is told to stop is to become durable.
                    Some(Ok((flow, Ok(FlowEnd::TargetLost(error))))) if !is_running => {
                        return Err(Error::Flow { flow, error });
                    }
                    Some(Ok((flow, end))) => self.on_end(flow, end)?,
                    Some(Err(error)) => return Err(Error::Internal(error.to_string())),
                    None => return Ok(()),
                },
                Some(ended) = self.helpers.join_next() => self.on_helper(ended, desk)?,
                Some(answer) = self.incoming.answers.recv() => desk.on_answer(answer),
                Some(lsns) = self.incoming.source_lsns.recv() => self.counters.set_source(&lsns, Instant::now()),
                instruction = desk.next_instruction() => self.on_instruction(instruction, desk).await,
                () = sleep(REACHING), if desk.is_reaching() => desk.tell_reached(&self.counters),
                _ = ping.tick(), if is_running && !self.ending.is_source_lost() => self.ping(stop, &mut report, observer).await,
                _ = report.tick() => {
                    observer.publish(self.phase, &self.counters);
                    self.check_progress(Instant::now());
                    self.watch_target(Instant::now());
                    if desk.is_drained(&self.counters) {
                        self.stop("stopping: the target holds everything up to the agreed positions");
                    }
                }
            }
        }
    }

    fn stop(&mut self, why: &str) {
        info!("{why}");
        self.ending = match std::mem::take(&mut self.ending) {
            flushed @ Ending::Flushed(_) => flushed,
            _ => Ending::Stopped,
        };
        self.stop_flows.send_replace(true);
    }

    async fn on_instruction(&mut self, instruction: Instruction, desk: &mut ControlDesk) {
        match instruction {
            Instruction::Pause(is_paused) => self.counters.set_paused(is_paused),
            Instruction::Route => {
                let owners = (self.metadata.sharding, self.counters.owners());
                let flows = self.session.flows;
                desk.route(|key| match owners.0 {
                    Some(sharding) => Some(sharding.owner(key, flows)),
                    None => owners.1.owner(key, flows).or_else(|| owners.1.owner_if_unseen(key, flows)),
                });
            }
            Instruction::Answer(accepts) => self.on_answer(accepts),
            Instruction::TakeOver(within) => desk.taken_over(self.take_over(within).await),
            Instruction::Nothing => {}
        }
    }

    /// Whether the keys may be removed that the session has asked about.
    fn on_answer(&mut self, accepts: bool) {
        self.counters.set_question(None);
        match accepts {
            true => self.scan_for_extra_keys(Removals::Any),
            false => self.tell("keys that the source does not have are left on the target"),
        }
    }

    fn tell(&self, text: impl Into<String>) {
        self.counters.events.push(self.config.clock.host(), text);
    }

    async fn on_signal(&mut self, flow: FlowId, signal: Signal) -> Result<(), Error> {
        match signal {
            Signal::Cut if self.cut.reach(flow) => {
                info!("every flow has shown the end of its snapshot; asking for the journal");
                self.ask_stable_unless_lost().await?;
            }
            Signal::Cut => {}
            Signal::Stable => {
                self.stable += 1;
                if self.stable == usize::from(self.session.flows) {
                    self.enter_stable();
                    info!("following the journal");
                }
            }
            Signal::AtFlush(flush, next) => {
                if let Some(executor) = self.flush.arrive(flow, flush, next)? {
                    // A source that becomes a replica empties itself first, and one that is gone cannot be asked.
                    if let Err(cause) = self.confirm_source().await {
                        warn!(%cause, "the source's flush is not carried out");
                        self.lose_source(cause);
                        return Ok(());
                    }
                    let (source_id, flows) = (self.source_id(), self.flush.positions());
                    let checkpoint = Checkpoint { source_id, flows, is_demoted: false };
                    self.order(executor, Order::Execute(checkpoint, Box::new(self.metadata.clone())))?;
                }
            }
            Signal::RelayFull => {
                let full = SourceLoss::RelayFull(flow);
                warn!("{full}");
                self.tell(full.to_string());
                self.lose_source(full);
            }
            Signal::SlotsGone(lsn, slots) => {
                self.gone_slots.pass((flow, lsn), &slots);
                self.remove_gone_slots();
            }
            Signal::Flushed => {
                for flow in self.flush.release() {
                    self.order(flow, Order::Pass)?;
                }
            }
        }
        Ok(())
    }

    /// A refusal of STARTSTABLE may be the consequence of something else: a flow that has ended says what (the cause wins over
    /// its consequences, whichever task hears it first).
    async fn ask_stable_unless_lost(&mut self) -> Result<(), Error> {
        let Some(start) = self.start_stable.take() else { return Ok(()) };
        let reply = match self.control.ask(&start.request()).await {
            Ok(reply) => reply,
            Err(error) => {
                self.lose_source(SourceLoss::gone(error));
                return Ok(());
            }
        };
        match start.on_reply(&reply).map_err(Error::from) {
            Err(error) if error.is_passing() => {
                self.lose_source(SourceLoss::gone(error));
                Ok(())
            }
            Err(error) => Err(self.cause_of(error).await),
            Ok(()) => Ok(()),
        }
    }

    /// The error of a flow that has failed before, or fails within a moment; otherwise `consequence`.
    async fn cause_of(&mut self, consequence: Error) -> Error {
        let settled = tokio::time::timeout(FIRST_CAUSE, async {
            while let Some(ended) = self.flows.join_next().await {
                if let Ok((flow, Err(error))) = ended
                    && !matches!(error, FlowError::Source(_) | FlowError::SessionGone)
                {
                    return Some(Error::Flow { flow, error });
                }
            }
            None
        });
        settled.await.ok().flatten().unwrap_or(consequence)
    }

    /// Every flow follows the journal: from here on the target can be scanned for keys that the source does not have.
    pub(super) fn enter_stable(&mut self) {
        self.phase = Phase::StableSync;
        self.tell("every flow follows the journal");
        if self.metadata.sweep {
            let is_wanted = matches!(self.config.on_start, OnStart::Mirror | OnStart::Flush);
            let is_asked_for = is_wanted || self.config.force_resync;
            let most = self.config.max_removals;
            self.scan_for_extra_keys(match self.metadata.written {
                _ if is_asked_for || most >= 100 => Removals::Any,
                0 => Removals::Share(most),
                _ => Removals::Written(most),
            });
        } else {
            // Each flow has removed its list with its first position.
            self.metadata.written = 0;
        }
        self.remove_gone_slots();
    }

    /// A flow that is gone ends the session by itself.
    fn order(&self, flow: FlowId, order: Order) -> Result<(), Error> {
        match self.lines.get(&flow).map(|lines| lines.orders.try_send(order)) {
            Some(Err(TrySendError::Full(order))) => {
                Err(Error::Internal(format!("flow {flow} was given another order before {order:?}")))
            }
            Some(Err(TrySendError::Closed(_))) => {
                debug!(flow = flow.0, "the flow is gone");
                Ok(())
            }
            Some(Ok(())) | None => Ok(()),
        }
    }

    fn on_end(&mut self, flow: FlowId, end: Result<FlowEnd, FlowError>) -> Result<(), Error> {
        match end {
            Ok(FlowEnd::Drained(stand)) => {
                self.ends.insert(flow, stand);
            }
            Ok(FlowEnd::Kept(stand, records)) => {
                self.ends.insert(flow, stand);
                self.on_disk += records;
            }
            Ok(FlowEnd::SourceLost(_, error @ FlowError::RelayFull { .. }))
                if self.config.on_relay_full == OnRelayFull::Stop =>
            {
                return Err(Error::Flow { flow, error });
            }
            Ok(FlowEnd::SourceLost(stand, error)) => {
                self.ends.insert(flow, stand);
                self.lose_source(SourceLoss::of_flow(error));
            }
            Ok(FlowEnd::TargetLost(error)) => {
                self.ending.lose_target(TargetTrouble::of_flow(&error));
                self.stop_flows.send_replace(true);
            }
            Err(FlowError::FlushedInSync(flush)) => {
                self.ending = Ending::Flushed(flush);
                self.stop_flows.send_replace(true);
            }
            // The journal that was on disk is asked for again, from where the target stands.
            Err(error @ FlowError::Relay(_)) => {
                warn!(flow = flow.0, %error, "the flow begins again without what was on disk");
                self.lose_source(SourceLoss::gone(error));
            }
            // Another flow has said why.
            Err(FlowError::Sink(_) | FlowError::DrainTimeout { .. } | FlowError::SessionGone)
                if matches!(self.ending, Ending::TargetLost(_)) => {}
            Err(error) => return Err(Error::Flow { flow, error }),
        }
        Ok(())
    }

    /// The session is over; the flows end what they have.
    pub(super) fn lose_source(&mut self, cause: SourceLoss) {
        self.ending.lose_source(cause);
        self.stop_flows.send_replace(true);
    }

    fn end(self) -> SessionEnd {
        match self.ending {
            Ending::Flushed(flush) => SessionEnd::Flushed(flush),
            Ending::TargetLost(cause) => SessionEnd::TargetLost(cause),
            Ending::SourceLost(cause) => {
                // A flow has a position only behind its snapshot, which is durable then.
                let flows = usize::from(self.session.flows);
                let is_stable =
                    self.ends.len() == flows && self.ends.values().all(|end| end.durable.is_some());
                let was_handed_over = is_stable && self.ends.values().all(|end| end.is_behind_ping);
                SessionEnd::SourceLost { is_stable, was_handed_over, on_disk: self.on_disk, cause }
            }
            Ending::Running | Ending::Stopped => SessionEnd::Stopped { on_disk: self.on_disk },
        }
    }
}

/// How often it is looked whether the target has come to where somebody waits for it.
const REACHING: Duration = Duration::from_millis(2);

/// How long the first cause is waited for behind one of its consequences.
const FIRST_CAUSE: Duration = Duration::from_secs(2);

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
