//! How a session comes about: handshake, flows, what each resumes from, and a task for each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use dfly_client::driver::{AckConn, ControlConn, FlowConn};
use dfly_client::{
    AckSchedule, FlowId, FlowRequest, FlowStart, FullPlan, HandshakeError, PartialPlan, PartialStart, Plan,
    Resume, Session,
};
use dfly_journal::Lsn;
use dfly_translate::Translator;
use redis_resp::CommandBatch;
use redis_sink::Pipeline;
use redis_sink::cluster::ClusterPipeline;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{debug, info};

use super::resume::{self, Known, Resumed, open_log};
use super::{Running, notes};
use crate::barrier::{CutBarrier, FlushBarrier};
use crate::checkpoint::{Checkpoint, Others, Parties, Position};
use crate::cluster;
use crate::cluster::confirm::{self, Runs};
use crate::cluster::passed::{self, Passed};
use crate::cluster::units::Units;
use crate::cluster::{drained, witness};
use crate::config::EngineConfig;
use crate::error::{Error, FlowError};
use crate::expiries::Expiries;
use crate::expiry_scan;
use crate::flow::{
    AtFlush, ClusterSink, Expiring, Flow, Keeping, Lines, Link, Signal, Sink, Spill, Stage, Stale, Suspects,
    Wanted,
};
use crate::lasting::Lasting;
use crate::owner::OwnerCheck;
use crate::pace::Pace;
use crate::progress::Progress;
use crate::reader::{self, ReadRequest, SourceReader};
use crate::report::{Counters, Phase};
use crate::target::{self, TargetConnection, connect_target};

/// How many requests to read a key may wait, over all flows.
const READ_REQUESTS: usize = 64;

/// How many batches of findings may wait for a flow.
const FINDINGS: usize = 2;

/// What a session begins with.
#[derive(Debug, Clone)]
pub(crate) enum Opening {
    /// The snapshot.
    Full(Others),
    /// The journal, from these positions of the target on.
    Partial(Checkpoint),
}

/// An open flow before its task runs.
struct OpenFlow {
    id: FlowId,
    conn: FlowConn,
    acks: AckConn,
    start: FlowStart,
    /// Where the target stands, and what the relay log holds from there on.
    resume: Option<Resumed>,
}

/// What a flow's bytes are, from `DFLY SYNC` or `DFLY STARTSTABLE` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A snapshot, or the form of one, then the journal.
    Snapshot,
    /// The journal.
    Journal,
}

/// What the flows' tasks share.
struct Shared {
    signals: mpsc::Sender<(FlowId, Signal)>,
    stop: watch::Receiver<bool>,
    requests: mpsc::Sender<ReadRequest>,
}

/// What the source has agreed to.
struct Agreed {
    plan: Plan,
    /// What the source calls its release; empty if it does not say.
    release: String,
    known: Option<Known>,
    resumed: Vec<Resumed>,
    flows: Vec<OpenFlow>,
}

/// Shakes hands, opens every flow and starts its task.
pub(crate) async fn open(
    config: &Arc<EngineConfig>,
    (replica_id, owner): (&str, &str),
    opening: &Opening,
    counters: impl FnOnce(u16) -> Arc<Counters>,
) -> Result<Running, Error> {
    let (mut control, session) = ControlConn::open(&config.source, replica_id).await?;
    info!(flows = session.flows, version = session.version.0, source = %session.replication_id, "the source accepts us as a replica");
    let agreed = agree(config, opening, (&mut control, &session)).await?;
    let counters = counters(session.flows);
    let (mut running, shared) = running(config, (control, session), (counters, owner));
    let (mut target, _) = connect_target(config).await?;
    running.lasting = match opening {
        Opening::Full(others) => Lasting::of(*others, config, (agreed.release, owner)),
        Opening::Partial(_) => Lasting::load(&mut target).await?,
    };
    if let TargetConnection::Cluster(cluster) = &mut target {
        running.runs = confirm::runs(cluster).await?;
    }
    if let (Opening::Partial(at), Some(known)) = (opening, &agreed.known)
        && target.is_cluster()
    {
        if known.is_of_another() && !drained::is_all(&mut target, at).await? {
            return Err(Error::AheadOfSource);
        }
        drained::forget(&mut target, at).await?;
    }
    // One that lost something since the target was claimed would be taken for what it was.
    if let Opening::Partial(at) = opening
        && !witness::agree(&mut target, &config.rules.names, at).await?
    {
        return Err(Error::Replaced("it has lost what it had answered".to_owned()));
    }
    running.over_data = running.lasting.sweep || running.lasting.keep;
    running.counters.set_sweeping(running.lasting.sweep);
    match (agreed.plan, opening, agreed.known) {
        (Plan::Full(plan), Opening::Full(_), None) => {
            // Nothing may resume from before this synchronisation, however it ends.
            Checkpoint::begin(&mut target, owner, &running.lasting).await?;
            notes::forget(&mut target, &config.rules.names, running.session.flows).await?;
            // The flows are read before SYNC is asked for: bytes come before its reply does.
            running.spawn_all(agreed.flows, (Form::Snapshot, &shared)).await?;
            running.begin_sync(plan).await?;
        }
        (Plan::Partial(plan), Opening::Partial(_), Some(known)) => {
            let mut resumed = agreed.resumed;
            known.take_over(config, &mut target, (&running.session, &mut resumed)).await?;
            let with = |(flow, resumed)| OpenFlow { resume: Some(resumed), ..flow };
            let flows = agreed.flows.into_iter().zip(resumed).map(with).collect();
            running.begin_partial(plan, flows, &shared).await?;
        }
        _ => return Err(Error::Internal("a session of another form than was asked for".to_owned())),
    }
    Ok(running)
}

/// How far the source is ahead of what it was asked for.
async fn cannot_resume(config: &Arc<EngineConfig>, asked: &[Resumed]) -> Error {
    let lsns = SourceReader::new(Arc::clone(config)).lsns().await.unwrap_or_default();
    let ahead = lsns.iter().zip(asked).map(|(lsn, asked)| lsn.0.saturating_sub(asked.ask.0));
    Error::CannotResume { behind: ahead.max() }
}

/// Asks for every flow, from where the target and the relay log stand.
async fn agree(
    config: &Arc<EngineConfig>,
    opening: &Opening,
    (control, session): (&mut ControlConn, &Session),
) -> Result<Agreed, Error> {
    let release = resume::release(control).await?;
    let known = match opening {
        Opening::Partial(at) => Some(Known::find(at, (&release, session))?),
        Opening::Full(_) => None,
    };
    let (resumed, requests) = match &known {
        Some(known) => {
            let resumed = known.with_logs(config)?;
            let requests = known.requests(&resumed);
            (resumed, requests)
        }
        None => (Vec::new(), vec![Resume::Nothing; usize::from(session.flows)]),
    };
    let flows = open_flows(config, session, &requests).await?;
    let starts: Vec<FlowStart> = flows.iter().map(|flow| flow.start.clone()).collect();
    let plan = match session.plan(&starts) {
        Ok(Plan::Full(_)) | Err(HandshakeError::Mixed) if known.is_some() => {
            return Err(match known.as_ref().and_then(|known| known.of_another(session)) {
                Some(error) => error,
                None => cannot_resume(config, &resumed).await,
            });
        }
        plan => plan?,
    };
    Ok(Agreed { plan, release, known, resumed, flows })
}

/// A session without tasks.
fn running(
    config: &Arc<EngineConfig>,
    (control, session): (ControlConn, Session),
    (counters, owner): (Arc<Counters>, &str),
) -> (Running, Shared) {
    let (signals_in, signals) = mpsc::channel(usize::from(session.flows) * 4);
    let (stop_flows, stop) = watch::channel(false);
    let (requests, requested) = mpsc::channel(READ_REQUESTS);
    tokio::spawn(reader::serve(Arc::clone(config), requested));
    let running = Running {
        config: Arc::new(config.for_flows(session.flows)),
        control,
        phase: Phase::FullSync,
        tasks: JoinSet::new(),
        signals,
        orders: BTreeMap::new(),
        findings: BTreeMap::new(),
        stop_flows,
        cut: CutBarrier::new(session.flows),
        flush: FlushBarrier::new(session.flows),
        start_stable: None,
        stable: 0,
        ends: BTreeMap::new(),
        lost: None,
        target_lost: None,
        flushed: None,
        lasting: Lasting::default(),
        over_data: false,
        runs: Runs::default(),
        unknown_expiries: false,
        sweep: None,
        scan: None,
        counters,
        owner: owner.to_owned(),
        session,
    };
    (running, Shared { signals: signals_in, stop, requests })
}

async fn open_flows(
    config: &Arc<EngineConfig>,
    session: &Session,
    requests: &[Resume],
) -> Result<Vec<OpenFlow>, Error> {
    let mut flows = Vec::with_capacity(requests.len());
    for (id, resume) in (0..).map(FlowId).zip(requests) {
        let request = FlowRequest { session, flow: id, resume };
        let (conn, acks, start) = FlowConn::open(&config.source, &request).await?;
        debug!(flow = id.0, kind = ?start.kind, "flow open");
        flows.push(OpenFlow { id, conn, acks, start, resume: None });
    }
    Ok(flows)
}

impl Running {
    /// No flow runs before each can: what one writes must not be undone by starting over with another.
    async fn spawn_all(
        &mut self,
        flows: Vec<OpenFlow>,
        (form, shared): (Form, &Shared),
    ) -> Result<(), Error> {
        let mut tasks = Vec::with_capacity(flows.len());
        for flow in flows {
            tasks.push(self.prepare(flow, (form, shared)).await?);
        }
        for task in tasks {
            self.tasks.spawn(async move { (task.id, task.run().await) });
        }
        Ok(())
    }

    async fn prepare(&mut self, flow: OpenFlow, (form, shared): (Form, &Shared)) -> Result<Flow, Error> {
        let (mut connection, target) = connect_target(&self.config).await?;
        let position = flow.resume.as_ref().map(|resumed| resumed.position);
        let mut translator = Translator::new(target, Arc::clone(&self.config.rules))
            .for_flow(flow.id.0)
            .holding(self.config.limits.string);
        let mut wanted = Wanted::new(shared.requests.clone(), self.config.parked);
        if position.is_some() {
            notes::adopt(&mut connection, flow.id, (&mut translator, &mut wanted)).await?;
        }
        let (stage, spill) = self.intake((&flow.start, form), (flow.id, flow.resume))?;
        let ahead = target::clock_ahead(&mut connection, &self.config.clock).await?;
        let (most, span) = (self.config.expiries, 6 * self.config.expiry_horizon);
        let expiries = match position {
            Some(at) => {
                let key = self.config.rules.names.expiries(flow.id.0);
                notes::expiries(&mut connection, &key, at, (most, span)).await?
            }
            None => Expiries::new(most, span),
        };
        self.unknown_expiries |= expiries.is_unknown();
        let (order, orders) = mpsc::channel(1);
        let (finding, findings) = mpsc::channel(FINDINGS);
        self.orders.insert(flow.id, order);
        self.findings.insert(flow.id, finding);
        let zero = Position { transaction: 0, next: Lsn::default() };
        let (sink, keeping, passed) = self.sink(connection, (flow.id, position)).await?;
        Ok(Flow {
            id: flow.id,
            sink,
            keeping,
            passed,
            link: Link::Up(Instant::now()),
            translator,
            config: Arc::clone(&self.config),
            conn: flow.conn,
            acks: flow.acks,
            lines: Lines { signals: shared.signals.clone(), orders, findings, stop: shared.stop.clone() },
            counters: Arc::clone(&self.counters),
            source: (self.source_id(), self.session.flows),
            parties: Parties { source_id: self.source_id(), owner: self.owner.clone() },
            progress: position.map(|at| Progress::at(at.next)),
            sent: position.unwrap_or(zero),
            written: position.unwrap_or(zero),
            entered: position.is_some(),
            announced: matches!(stage, Stage::Stable(_)),
            journal_from: stage.next_lsn().unwrap_or_default(),
            stage,
            ack_schedule: AckSchedule::new(self.config.ack_interval),
            batch: CommandBatch::default(),
            needed: 0,
            backlogged: false,
            arrived: self.config.clock.now(),
            at_flush: AtFlush::No,
            wanted,
            suspects: Suspects::default(),
            stale: self.over_data.then(Stale::default),
            looked: None,
            expiring: Expiring::new(expiries, ahead),
            owners: OwnerCheck::default(),
            sharding: self.lasting.sharding,
            spill,
            sweep_at: Instant::now(),
            reading: Pace::new(self.config.snapshot_bytes_per_second, self.session.flows, Instant::now()),
            writing: Pace::new(self.config.target_ops_per_second, self.session.flows, Instant::now()),
        })
    }

    /// Where the flow's commands go, and what a cluster holds of them.
    async fn sink(
        &self,
        mut target: TargetConnection,
        (flow, position): (FlowId, Option<Position>),
    ) -> Result<(Sink, Option<Keeping>, Passed), Error> {
        let (mut units, mut passed) = (Units::new(self.config.rules.names.clone(), flow), Passed::default());
        if position.is_some() && target.is_cluster() {
            for (slot, position) in passed::positions(&mut target, &self.config.rules.names, flow).await? {
                units.hold(slot, position);
                passed.add(slot, position);
            }
        }
        match target {
            TargetConnection::Server(connection) => {
                let pipeline = Pipeline::new(connection, self.config.window);
                Ok((Sink::Server(Box::new(pipeline)), None, passed))
            }
            TargetConnection::Cluster(questions) => {
                let memo = Wanted::memo(Arc::clone(&self.config.rules), flow);
                let options = cluster::writing(&self.config, (flow, &self.owner), memo);
                let pipeline = ClusterPipeline::open(options, self.config.window).await?;
                let safety = (self.runs.clone(), self.config.wait_replicas);
                let keeping = Keeping::new(questions, safety, (flow, position, self.lasting.sync.clone()));
                Ok((Sink::Cluster(Box::new(ClusterSink { pipeline, units })), Some(keeping), passed))
            }
        }
    }

    /// Where the flow's records come from.
    fn intake(
        &self,
        (start, form): (&FlowStart, Form),
        (id, resume): (FlowId, Option<Resumed>),
    ) -> Result<(Stage, Spill), Error> {
        let failed = |error| Error::Flow { flow: id, error: FlowError::Relay(error) };
        match resume {
            None => {
                let source_id = self.source_id();
                let mut log = open_log(&self.config, (&source_id, self.session.flows), id)?;
                if let Some(log) = &mut log {
                    log.clear().map_err(failed)?;
                }
                Ok((Stage::snapshot(start, &self.config), Spill::new(log)))
            }
            Some(Resumed { position, log, ask }) => {
                let stage = match form {
                    Form::Snapshot => Stage::backlog((start, ask), &self.config),
                    Form::Journal => Stage::stable(ask, &self.config),
                };
                let spill = match log {
                    Some(log) if ask > position.next => Spill::resumed(log, &self.config).map_err(failed)?,
                    log => Spill::new(log),
                };
                Ok((stage, spill))
            }
        }
    }

    /// Asks for the snapshot. A session that is lost by then has flows that run, so it ends as any other.
    async fn begin_sync(&mut self, plan: FullPlan) -> Result<(), Error> {
        match self.ask_sync(plan).await {
            Err(error) if error.is_passing() => self.lose(error.to_string()),
            asked => asked?,
        }
        Ok(())
    }

    async fn ask_sync(&mut self, plan: FullPlan) -> Result<(), Error> {
        let reply = self.control.ask(&plan.sync_request()).await?;
        self.start_stable = Some(plan.on_sync_reply(&reply)?);
        info!("the source sends what was asked for");
        Ok(())
    }

    /// Resumes in the form that the source has (protocol section 6.2).
    async fn begin_partial(
        &mut self,
        plan: PartialPlan,
        flows: Vec<OpenFlow>,
        shared: &Shared,
    ) -> Result<(), Error> {
        let reply = self.control.ask(&plan.request()).await?;
        // The positions count from here on, whatever the form.
        self.phase = Phase::StableSync;
        match plan.on_reply(&reply)? {
            // No flow may acknowledge before the journal is granted, so they start behind STARTSTABLE.
            PartialStart::Journal => {
                self.spawn_all(flows, (Form::Journal, shared)).await?;
                self.stable = usize::from(self.session.flows);
                self.enter_stable();
            }
            PartialStart::Snapshot(plan) => {
                self.spawn_all(flows, (Form::Snapshot, shared)).await?;
                self.begin_sync(plan).await?;
            }
        }
        info!("resumed from where the target stands");
        self.scan_expiries();
        Ok(())
    }

    /// The flows do not know what expires on the target until it was looked at, unless a session before has told them.
    fn scan_expiries(&mut self) {
        let scan = expiry_scan::Task {
            config: Arc::clone(&self.config),
            findings: self.findings.clone(),
            unknown: self.unknown_expiries,
        };
        self.scan = Some(tokio::spawn(scan.run()));
    }
}
