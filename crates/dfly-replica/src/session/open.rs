//! How a session comes about: handshake, flows, what each resumes from, and a task for each.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use dfly_client::driver::{AckConn, ControlConn, FlowConn};
use dfly_client::{
    AckSchedule, FlowId, FlowRequest, FlowStart, FullPlan, HandshakeError, PartialPlan, Plan, Resume, Session,
};
use dfly_journal::Lsn;
use dfly_translate::Translator;
use redis_resp::connection::Connection;
use redis_resp::{CommandBatch, Reply};
use redis_sink::Pipeline;
use relay_log::{Identity, Options, RelayLog};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{debug, info, warn};

use super::Running;
use crate::barrier::{CutBarrier, FlushBarrier};
use crate::checkpoint::{Checkpoint, Others, Position};
use crate::config::EngineConfig;
use crate::error::{Error, FlowError};
use crate::flow::{AtFlush, Flow, Lines, Link, Signal, Spill, Stage, Wanted, folder};
use crate::owner::OwnerCheck;
use crate::pace::Pace;
use crate::progress::Progress;
use crate::reader::{self, ReadRequest};
use crate::report::{Counters, Phase};
use crate::target::{connect_target, databases, demand};

/// How many requests to read a key may wait, over all flows.
const READ_REQUESTS: usize = 64;

/// The largest frame of the relay log: one record of any size, and a little more.
const MAX_FRAME: u32 = 1 << 30;

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

/// What a flow resumes from.
struct Resumed {
    position: Position,
    log: Option<RelayLog>,
    /// The next record that the source is asked for: behind the log.
    ask: Lsn,
}

/// What the flows' tasks share.
struct Shared {
    signals: mpsc::Sender<(FlowId, Signal)>,
    stop: watch::Receiver<bool>,
    requests: mpsc::Sender<ReadRequest>,
}

/// Shakes hands, opens every flow and starts its task.
pub(crate) async fn open(
    config: &Arc<EngineConfig>,
    replica_id: &str,
    opening: &Opening,
    counters: impl FnOnce(u16) -> Arc<Counters>,
) -> Result<Running, Error> {
    let (control, session) = ControlConn::open(&config.source, replica_id).await?;
    info!(flows = session.flows, version = session.version.0, source = %session.replication_id, "the source accepts us as a replica");
    let known = match opening {
        Opening::Partial(at) if !fits(at, &session) => return Err(Error::CannotResume),
        Opening::Partial(at) => Some(at),
        Opening::Full(_) => None,
    };
    let flows = open_flows(config, &session, known).await?;
    let starts: Vec<FlowStart> = flows.iter().map(|flow| flow.start.clone()).collect();
    let plan = match session.plan(&starts) {
        Ok(Plan::Full(_)) | Err(HandshakeError::Mixed) if known.is_some() => return Err(Error::CannotResume),
        plan => plan?,
    };
    let (signals_in, signals) = mpsc::channel(usize::from(session.flows) * 4);
    let (stop_flows, stop) = watch::channel(false);
    let (requests, requested) = mpsc::channel(READ_REQUESTS);
    tokio::spawn(reader::serve(Arc::clone(config), requested));
    let mut running = Running {
        config: Arc::new(config.for_flows(session.flows)),
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
        target_lost: None,
        flushed: None,
        sweeps: false,
        sweep: None,
        counters: counters(session.flows),
        session,
    };
    let shared = Shared { signals: signals_in, stop, requests };
    let (mut target, _) = connect_target(config).await?;
    running.sweeps = match opening {
        Opening::Full(others) => *others == Others::Remove,
        Opening::Partial(_) => Checkpoint::wants_sweep(&mut target).await?,
    };
    running.counters.set_sweeping(running.sweeps);
    match (plan, opening) {
        (Plan::Full(plan), Opening::Full(others)) => {
            // Nothing may resume from before this synchronisation, however it ends.
            Checkpoint::begin(&mut target, *others).await?;
            running.forget_notes(&mut target).await?;
            // The flows are read before SYNC is asked for: bytes come before its reply does.
            running.spawn_all(flows, &shared).await?;
            running.begin_full(plan).await?;
        }
        (Plan::Partial(plan), _) => {
            // No flow may acknowledge before the journal is granted, so they start behind STARTSTABLE.
            running.begin_partial(&plan).await?;
            running.spawn_all(flows, &shared).await?;
            running.enter_stable();
        }
        (Plan::Full(_), Opening::Partial(_)) => return Err(Error::CannotResume),
    }
    Ok(running)
}

/// Whether positions are of this master process.
fn fits(at: &Checkpoint, session: &Session) -> bool {
    let (source, flows) = (session.replication_id.to_string(), usize::from(session.flows));
    if at.source_id != source {
        warn!(was = at.source_id, is = source, "the source is another process than the positions are of");
    } else if at.flows.len() != flows {
        warn!(was = at.flows.len(), is = flows, "the source has another number of shards than the positions are of");
    }
    at.source_id == source && at.flows.len() == flows
}

async fn open_flows(
    config: &Arc<EngineConfig>,
    session: &Session,
    known: Option<&Checkpoint>,
) -> Result<Vec<OpenFlow>, Error> {
    let mut flows = Vec::with_capacity(usize::from(session.flows));
    for id in (0..session.flows).map(FlowId) {
        let position = known.and_then(|at| at.flows.get(&id)).copied();
        let resumed = match position {
            Some(position) => Some(resumed(config, (session, id), position)?),
            None => None,
        };
        let resume = resumed.as_ref().map_or(Resume::Nothing, |resumed| Resume::Position(resumed.ask));
        let request = FlowRequest { session, flow: id, resume: &resume };
        let (conn, acks, start) = FlowConn::open(&config.source, &request).await?;
        debug!(flow = id.0, kind = ?start.kind, "flow open");
        flows.push(OpenFlow { id, conn, acks, start, resume: resumed });
    }
    Ok(flows)
}

/// What the relay log adds to the position of the target.
fn resumed(
    config: &EngineConfig,
    (session, id): (&Session, FlowId),
    position: Position,
) -> Result<Resumed, Error> {
    let mut log = open_log(config, session, id)?;
    let held = log.as_ref().and_then(RelayLog::positions);
    let ask = match held.filter(|held| held.start <= position.next.0 && position.next.0 < held.end) {
        Some(held) => {
            info!(flow = id.0, records = held.end - position.next.0, "a run before has left a part of the journal on disk");
            Lsn(held.end)
        }
        None => {
            // What it holds is older than the target, or does not reach back to it.
            if let Some(log) = &mut log {
                log.clear().map_err(|error| Error::Flow { flow: id, error: FlowError::Relay(error) })?;
            }
            position.next
        }
    };
    Ok(Resumed { position, log, ask })
}

/// The flow's log, if one is to be used. One of another source is of no use and is removed.
fn open_log(config: &EngineConfig, session: &Session, id: FlowId) -> Result<Option<RelayLog>, Error> {
    let Some(dir) = folder(config, id) else { return Ok(None) };
    let failed = |error: String| Error::Internal(format!("the relay log in {}: {error}", dir.display()));
    let identity = Identity::new(&session.replication_id.to_string(), id.0, session.flows)
        .map_err(|error| failed(error.to_string()))?;
    let options = Options { max_bytes: config.relay_max_bytes, frame_bytes: MAX_FRAME, ..Options::default() };
    std::fs::create_dir_all(&dir).map_err(|error| failed(error.to_string()))?;
    match RelayLog::open(&dir, identity.clone(), options) {
        Ok((log, _)) => Ok(Some(log)),
        Err(error) if error.is_content() => {
            warn!(%error, "what the relay log holds is of no use and is removed");
            std::fs::remove_dir_all(&dir).map_err(|error| failed(error.to_string()))?;
            std::fs::create_dir_all(&dir).map_err(|error| failed(error.to_string()))?;
            let reopened = RelayLog::open(&dir, identity, options);
            reopened.map(|(log, _)| Some(log)).map_err(|error| failed(error.to_string()))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

impl Running {
    async fn spawn_all(&mut self, flows: Vec<OpenFlow>, shared: &Shared) -> Result<(), Error> {
        for flow in flows {
            self.spawn(flow, shared).await?;
        }
        Ok(())
    }

    async fn spawn(&mut self, flow: OpenFlow, shared: &Shared) -> Result<(), Error> {
        let (mut connection, target) = connect_target(&self.config).await?;
        let mut translator = Translator::new(target, Arc::clone(&self.config.rules))
            .for_flow(flow.id.0)
            .holding(self.config.limits.string);
        let mut wanted = Wanted::new(shared.requests.clone(), self.config.parked);
        let position = flow.resume.as_ref().map(|resumed| resumed.position);
        let mut sharding = None;
        if position.is_some() {
            sharding = Checkpoint::sharding(&mut connection).await?;
            adopt_notes(&mut connection, flow.id, (&mut translator, &mut wanted)).await?;
        }
        let (stage, spill) = self.intake(&flow.start, (flow.id, flow.resume))?;
        let (order, orders) = mpsc::channel(2);
        self.orders.insert(flow.id, order);
        let zero = Position { transaction: 0, next: Lsn::default() };
        let task = Flow {
            id: flow.id,
            sink: Pipeline::new(connection, self.config.window),
            link: Link::Up(Instant::now()),
            translator,
            config: Arc::clone(&self.config),
            conn: flow.conn,
            acks: flow.acks,
            stage,
            lines: Lines { signals: shared.signals.clone(), orders, stop: shared.stop.clone() },
            counters: Arc::clone(&self.counters),
            source: (self.source_id(), self.session.flows),
            progress: position.map(|at| Progress::at(at.next)),
            sent: position.unwrap_or(zero),
            written: position.unwrap_or(zero),
            entered: position.is_some(),
            announced: position.is_some(),
            ack_schedule: AckSchedule::new(self.config.ack_interval),
            batch: CommandBatch::default(),
            needed: 0,
            backlogged: false,
            arrived: self.config.clock.now(),
            at_flush: AtFlush::No,
            wanted,
            owners: OwnerCheck::default(),
            sharding,
            spill,
            sweep_at: Instant::now(),
            reading: Pace::new(self.config.snapshot_bytes_per_second, self.session.flows, Instant::now()),
            writing: Pace::new(self.config.target_ops_per_second, self.session.flows, Instant::now()),
        };
        self.tasks.spawn(async move { (task.id, task.run().await) });
        Ok(())
    }

    /// Where the flow's records come from.
    fn intake(
        &self,
        start: &FlowStart,
        (id, resume): (FlowId, Option<Resumed>),
    ) -> Result<(Stage, Spill), Error> {
        let failed = |error| Error::Flow { flow: id, error: FlowError::Relay(error) };
        match resume {
            None => {
                let mut log = open_log(&self.config, &self.session, id)?;
                if let Some(log) = &mut log {
                    log.clear().map_err(failed)?;
                }
                Ok((Stage::snapshot(start, &self.config), Spill::new(log)))
            }
            Some(Resumed { position, log, ask }) => {
                let stage = Stage::stable(ask, &self.config);
                let spill = match log {
                    Some(log) if ask > position.next => Spill::resumed(log, &self.config).map_err(failed)?,
                    log => Spill::new(log),
                };
                Ok((stage, spill))
            }
        }
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
        info!("resumed from where the target stands");
        Ok(())
    }

    /// What runs before have kept beside the keys says nothing of the values that come now.
    async fn forget_notes(&self, target: &mut Connection) -> Result<(), Error> {
        for db in databases(target).await? {
            demand(target, "SELECT", &["SELECT", &db.to_string()]).await?;
            for flow in 0..self.session.flows {
                let names = ["due", "left-out", "reread"].map(|kind| format!("df2redis:{kind}:{flow}"));
                let request = ["DEL".to_owned()].into_iter().chain(names).collect::<Vec<_>>();
                demand(target, "DEL", &request).await?;
            }
        }
        demand(target, "SELECT", &["SELECT", "0"]).await?;
        Ok(())
    }
}

/// Takes over what a run before has noted in the target: due times, keys that were left out, keys to be read again.
async fn adopt_notes(
    target: &mut Connection,
    flow: FlowId,
    (translator, wanted): (&mut Translator, &mut Wanted),
) -> Result<(), Error> {
    for db in databases(target).await? {
        demand(target, "SELECT", &["SELECT", &db.to_string()]).await?;
        let due = translator.due_registry();
        for member in members(target, "ZRANGE", &[&b"ZRANGE"[..], &due, b"0", b"-1"]).await? {
            translator.adopt_expiring(db, &member);
        }
        let left_out = translator.left_out_registry();
        for key in members(target, "SMEMBERS", &[&b"SMEMBERS"[..], &left_out]).await? {
            translator.adopt_left_out(db, &key);
        }
    }
    demand(target, "SELECT", &["SELECT", "0"]).await?;
    let key = Wanted::key(flow);
    for member in members(target, "SMEMBERS", &[&b"SMEMBERS"[..], key.as_bytes()]).await? {
        wanted.adopt(&member);
    }
    Ok(())
}

async fn members(
    target: &mut Connection,
    name: &'static str,
    request: &[&[u8]],
) -> Result<Vec<bytes::Bytes>, Error> {
    match demand(target, name, request).await? {
        Reply::Array(members) => Ok(members
            .into_iter()
            .filter_map(|member| match member {
                Reply::Bulk(member) => Some(member),
                _ => None,
            })
            .collect()),
        other => Err(Error::TargetAnswer { request: name, answer: format!("{other:?}") }),
    }
}
