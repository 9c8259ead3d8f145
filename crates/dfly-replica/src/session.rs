//! One session with the source: the control connection, and a task for each flow.

use std::collections::BTreeMap;
use std::sync::Arc;

use dfly_client::driver::{AckConn, ControlConn, FlowConn};
use dfly_client::{
    AckSchedule, FlowId, FlowRequest, FlowStart, FullPlan, HandshakeError, PartialPlan, Plan, Resume,
    Session, StartStable,
};
use dfly_journal::Lsn;
use dfly_rdb::payload::TargetFormat;
use dfly_translate::{Flush, Translator};
use redis_resp::CommandBatch;
use redis_resp::connection::Connection;
use redis_sink::{Family, Pipeline, TargetInfo};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval};
use tracing::{debug, info};

use crate::barrier::{CutBarrier, FlushBarrier};
use crate::checkpoint::Checkpoint;
use crate::config::EngineConfig;
use crate::error::{Error, FlowError};
use crate::flow::{Flow, FlowEnd, Lines, Order, Signal, Stage};
use crate::progress::Progress;
use crate::report::{Counters, Phase};
use crate::stop::{Stop, told};

/// How a session ended without an error.
#[derive(Debug)]
pub(crate) enum SessionEnd {
    /// It was told to stop.
    Stopped,
    /// The source is gone; with positions, if every flow was in stable sync.
    SourceLost { positions: Option<Checkpoint>, cause: String },
    /// The source was flushed while its snapshot was read: the target is to be flushed and the sync to be repeated.
    Flushed(Flush),
}

/// Where every flow sends its signals, and where it sees that it has to stop.
type FlowLines = (mpsc::Sender<(FlowId, Signal)>, watch::Receiver<bool>);

/// An open flow before its task runs.
struct OpenFlow {
    id: FlowId,
    conn: FlowConn,
    acks: AckConn,
    start: FlowStart,
}

/// Where reports go while a session runs.
pub(crate) trait Observer {
    /// Called when the phase changes and once an interval.
    fn publish(&mut self, phase: Phase, counters: &Counters);
}

/// A running session.
pub(crate) struct Running {
    config: Arc<EngineConfig>,
    control: ControlConn,
    session: Session,
    counters: Arc<Counters>,
    phase: Phase,
    tasks: JoinSet<(FlowId, Result<FlowEnd, FlowError>)>,
    signals: mpsc::Receiver<(FlowId, Signal)>,
    orders: BTreeMap<FlowId, mpsc::Sender<Order>>,
    stop_flows: watch::Sender<bool>,
    cut: CutBarrier,
    flush: FlushBarrier,
    /// Taken when the stable stream is asked for.
    start_stable: Option<StartStable>,
    stable: usize,
    ends: BTreeMap<FlowId, Option<Lsn>>,
    lost: Option<String>,
    flushed: Option<Flush>,
}

/// Shakes hands, opens every flow and starts its task.
pub(crate) async fn open(
    config: &Arc<EngineConfig>,
    replica_id: &str,
    resume: Option<&Checkpoint>,
    counters: impl FnOnce(u16) -> Arc<Counters>,
) -> Result<Running, Error> {
    let (control, session) = ControlConn::open(&config.source, replica_id).await?;
    info!(flows = session.flows, version = session.version.0, source = %session.replication_id, "the source accepts us as a replica");
    let known = resume.filter(|at| at.source_id == session.replication_id.to_string());
    let flows = open_flows(config, &session, known).await?;
    let starts: Vec<FlowStart> = flows.iter().map(|flow| flow.start.clone()).collect();
    let plan = match session.plan(&starts) {
        Ok(Plan::Full(_)) | Err(HandshakeError::Mixed) if resume.is_some() => {
            return Err(Error::CannotResume);
        }
        plan => plan?,
    };
    let counters = counters(session.flows);
    let (signal, signals) = mpsc::channel(usize::from(session.flows) * 4);
    let (stop_flows, stop) = watch::channel(false);
    let mut running = Running {
        config: Arc::clone(config),
        control,
        phase: Phase::FullSync,
        tasks: JoinSet::new(),
        signals,
        orders: BTreeMap::new(),
        stop_flows,
        cut: CutBarrier::new(session.flows),
        flush: FlushBarrier::new(session.flows),
        start_stable: None,
        stable: 0,
        ends: BTreeMap::new(),
        lost: None,
        flushed: None,
        counters,
        session,
    };
    let lines = (signal, stop);
    match plan {
        Plan::Full(plan) => {
            // Nothing may resume from before this synchronisation, however it ends.
            let (mut target, _) = connect_target(config).await?;
            Checkpoint::remove(&mut target).await?;
            // The flows are read before SYNC is asked for: bytes come before its reply does.
            running.spawn_all(flows, None, &lines).await?;
            running.begin_full(plan).await?;
        }
        Plan::Partial(plan) => {
            // No flow may acknowledge before the journal is granted, so they start behind STARTSTABLE.
            running.begin_partial(&plan).await?;
            running.spawn_all(flows, known, &lines).await?;
        }
    }
    Ok(running)
}

async fn open_flows(
    config: &EngineConfig,
    session: &Session,
    resume: Option<&Checkpoint>,
) -> Result<Vec<OpenFlow>, Error> {
    let mut flows = Vec::with_capacity(usize::from(session.flows));
    for id in (0..session.flows).map(FlowId) {
        let resume =
            resume.and_then(|at| at.flows.get(&id)).map_or(Resume::Nothing, |lsn| Resume::Position(*lsn));
        let request = FlowRequest { session, flow: id, resume: &resume };
        let (conn, acks, start) = FlowConn::open(&config.source, &request).await?;
        debug!(flow = id.0, kind = ?start.kind, "flow open");
        flows.push(OpenFlow { id, conn, acks, start });
    }
    Ok(flows)
}

/// Connects to the target and checks that it can be written to.
pub(crate) async fn connect_target(config: &EngineConfig) -> Result<(Connection, TargetFormat), Error> {
    let (connection, info) = TargetInfo::connect(&config.target).await?;
    match unfit(&info) {
        Some(reason) => Err(Error::Unfit { address: config.target.to_string(), reason }),
        None => {
            let family = match info.family {
                Family::Redis => dfly_rdb::Family::Redis,
                Family::Valkey => dfly_rdb::Family::Valkey,
            };
            Ok((connection, TargetFormat { family, version: info.version }))
        }
    }
}

fn unfit(info: &TargetInfo) -> Option<String> {
    let version = &info.version_text;
    match info {
        info if info.dragonfly => Some("is a Dragonfly; name a Redis or Valkey server".to_owned()),
        info if info.replica => Some("is a replica, which takes no writes; name its primary".to_owned()),
        info if info.cluster => Some(
            "is a node of a cluster, which cannot be written to yet; name a standalone server".to_owned(),
        ),
        info if info.version < (6, 2) => Some(format!("is version {version}; 6.2 or later is needed")),
        _ => None,
    }
}

impl Running {
    async fn spawn_all(
        &mut self,
        flows: Vec<OpenFlow>,
        resume: Option<&Checkpoint>,
        lines: &FlowLines,
    ) -> Result<(), Error> {
        for flow in flows {
            let next = resume.and_then(|at| at.flows.get(&flow.id)).copied();
            self.spawn(flow, next, lines).await?;
        }
        Ok(())
    }

    async fn spawn(&mut self, flow: OpenFlow, next: Option<Lsn>, lines: &FlowLines) -> Result<(), Error> {
        let (connection, format) = connect_target(&self.config).await?;
        let (order, orders) = mpsc::channel(1);
        self.orders.insert(flow.id, order);
        let stage = match next {
            Some(next) => Stage::stable(next, &self.config),
            None => Stage::snapshot(&flow.start, &self.config),
        };
        let task = Flow {
            id: flow.id,
            sink: Pipeline::new(connection, self.config.window),
            translator: Translator::new(format, self.config.on_unsupported),
            config: Arc::clone(&self.config),
            conn: flow.conn,
            acks: flow.acks,
            stage,
            lines: Lines { signals: lines.0.clone(), orders, stop: lines.1.clone() },
            counters: Arc::clone(&self.counters),
            source: (self.source_id(), self.session.flows),
            progress: next.map(Progress::at),
            entered: next.is_some(),
            announced: next.is_some(),
            ack_schedule: AckSchedule::new(self.config.ack_interval),
            batch: CommandBatch::default(),
            needed: 0,
        };
        self.tasks.spawn(async move { (task.id, task.run().await) });
        Ok(())
    }

    async fn begin_full(&mut self, plan: FullPlan) -> Result<(), Error> {
        let reply = self.control.ask(&plan.sync_request()).await?;
        self.start_stable = Some(plan.on_sync_reply(&reply)?);
        info!("reading the snapshot");
        Ok(())
    }

    async fn begin_partial(&mut self, plan: &PartialPlan) -> Result<(), Error> {
        self.start_stable = Some(plan.start_stable());
        self.ask_stable().await?;
        self.stable = usize::from(self.session.flows);
        self.phase = Phase::StableSync;
        info!("resumed from where this run stood");
        Ok(())
    }

    async fn ask_stable(&mut self) -> Result<(), Error> {
        if let Some(start) = self.start_stable.take() {
            let reply = self.control.ask(&start.request()).await?;
            start.on_reply(&reply)?;
        }
        Ok(())
    }

    /// The source's replication id.
    pub(crate) fn source_id(&self) -> String {
        self.session.replication_id.to_string()
    }

    /// Runs until every flow has ended.
    pub(crate) async fn run(
        mut self,
        stop: &mut watch::Receiver<Stop>,
        observer: &mut (impl Observer + Send),
    ) -> Result<SessionEnd, Error> {
        let mut ping = ticks(self.config.ping_interval);
        let mut report = ticks(self.config.report_interval);
        let mut stopped = false;
        loop {
            tokio::select! {
                () = told(stop), if !stopped => {
                    stopped = true;
                    info!("stopping: waiting for the target to answer what is in flight");
                    self.stop_flows.send_replace(true);
                }
                Some((flow, signal)) = self.signals.recv() => self.on_signal(flow, signal).await?,
                ended = self.tasks.join_next() => match ended {
                    Some(Ok((flow, end))) => self.on_end(flow, end)?,
                    Some(Err(error)) => return Err(Error::Internal(error.to_string())),
                    None => break,
                },
                _ = ping.tick(), if self.lost.is_none() && !stopped => self.ping(stop).await,
                _ = report.tick() => observer.publish(self.phase, &self.counters),
            }
        }
        observer.publish(self.phase, &self.counters);
        Ok(self.end(stopped))
    }

    async fn on_signal(&mut self, flow: FlowId, signal: Signal) -> Result<(), Error> {
        match signal {
            Signal::Cut if self.cut.reach(flow) => {
                info!("every flow has shown the end of its snapshot; asking for the journal");
                match self.ask_stable().await {
                    Err(error) if error.is_passing() => self.lose(error.to_string()),
                    other => other?,
                }
            }
            Signal::Cut => {}
            Signal::Stable => {
                self.stable += 1;
                if self.stable == usize::from(self.session.flows) {
                    self.phase = Phase::StableSync;
                    info!("the snapshot is complete; following the journal");
                }
            }
            Signal::AtFlush(flush, next) => {
                if let Some(executor) = self.flush.arrive(flow, flush, next)? {
                    let (source_id, flows) = (self.source_id(), self.flush.positions());
                    self.order(executor, Order::Execute(Checkpoint { source_id, flows }));
                }
            }
            Signal::Flushed => {
                for flow in self.flush.release() {
                    self.order(flow, Order::Pass);
                }
            }
        }
        Ok(())
    }

    /// A flow that is gone by now ends the session by itself.
    fn order(&self, flow: FlowId, order: Order) {
        if let Some(line) = self.orders.get(&flow)
            && line.try_send(order).is_err()
        {
            debug!(flow = flow.0, "the flow is gone");
        }
    }

    fn on_end(&mut self, flow: FlowId, end: Result<FlowEnd, FlowError>) -> Result<(), Error> {
        match end {
            Ok(FlowEnd::Drained(durable)) => {
                self.ends.insert(flow, durable);
            }
            Ok(FlowEnd::SourceLost(durable, error)) => {
                self.ends.insert(flow, durable);
                self.lose(error.to_string());
            }
            Err(FlowError::FlushedInSync(flush)) => {
                self.flushed = Some(flush);
                self.stop_flows.send_replace(true);
            }
            Err(error) => return Err(Error::Flow { flow, error }),
        }
        Ok(())
    }

    /// The session is over; the flows end what they have.
    fn lose(&mut self, cause: String) {
        self.lost.get_or_insert(cause);
        self.stop_flows.send_replace(true);
    }

    /// A source that does not answer is as good as gone (P27). The control connection is of no further use when the
    /// run is told to stop meanwhile.
    async fn ping(&mut self, stop: &mut watch::Receiver<Stop>) {
        let request = vec![b"PING".to_vec()];
        let answer = tokio::select! {
            answer = self.control.ask(&request) => answer,
            () = told(stop) => return,
        };
        if let Err(error) = answer {
            self.lose(error.to_string());
        }
    }

    fn end(self, stopped: bool) -> SessionEnd {
        match (self.flushed, self.lost) {
            (Some(flush), _) => SessionEnd::Flushed(flush),
            (None, Some(cause)) if !stopped => {
                let flows: Option<BTreeMap<FlowId, Lsn>> =
                    self.ends.into_iter().map(|(flow, durable)| Some((flow, durable?))).collect();
                let source_id = self.session.replication_id.to_string();
                // A flow has a position only behind its snapshot, which is durable then.
                let whole = |flows: &BTreeMap<FlowId, Lsn>| flows.len() == usize::from(self.session.flows);
                let positions = flows.filter(whole).map(|flows| Checkpoint { source_id, flows });
                SessionEnd::SourceLost { positions, cause }
            }
            _ => SessionEnd::Stopped,
        }
    }
}

fn ticks(every: std::time::Duration) -> tokio::time::Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
