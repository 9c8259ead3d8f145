//! How a session comes about: handshake, flows, what each resumes from, and a task for each.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use dfly_client::driver::{ControlConn, FlowConn};
use dfly_client::{
    FlowId, FlowRequest as OpenFlowRequest, FlowStart, FullPlan, HandshakeError, PartialPlan, PartialStart,
    Plan, Resume, Session,
};
use dfly_journal::Lsn;
use dfly_rdb::Family;
use dfly_translate::ZAddBeyond;
use dfly_wire::DbIndex;
use tokio::sync::{Mutex, mpsc, watch};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::coordinator::{HelperEnd, Incoming, Running, SessionParts};
use super::ending::SourceLoss;
use super::flow_setup::{OpenFlow, Shared, StreamForm};
use super::promotion;
use super::resume::{self, Known, Resumed};
use crate::checkpoint::written_keys::WrittenKeys;
use crate::checkpoint::{Checkpoint, ExtraKeys, SyncMetadata, WriterIdentity};
use crate::config::EngineConfig;
use crate::error::Error;
use crate::maintenance::eviction_watch::EvictionWatch;
use crate::maintenance::ttl_scan::TtlScan;
use crate::run::counters::Counters;
use crate::run::report::{Phase, TargetKind};
use crate::source::candidates::{self, Master};
use crate::source::identity::{Holdings, ask_time};
use crate::source::quirks::zadd_beyond;
use crate::source::reader::{self, QUESTIONS, SourceReader};
use crate::target::capacity;
use crate::target::clock::round_trip;
use crate::target::connect::connect_target;
use crate::target::databases::count_databases;
use crate::target::handover;
use crate::target::opening::{Resumption, SessionTarget};
use crate::target::questions::TargetConnection;
use crate::target::tasks;

/// How often the source is asked for its positions.
const ASK_EVERY: Duration = Duration::from_secs(1);

/// What a session begins with.
#[derive(Debug, Clone)]
pub(crate) enum Opening {
    /// The snapshot.
    Full(ExtraKeys),
    /// The journal, from these positions of the target on.
    Partial(Checkpoint),
}

/// Who opens a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Opener<'a> {
    /// What the source knows this run by.
    pub replica_id: &'a str,
    /// What the target knows the session by.
    pub owner: &'a str,
    /// The sources that may be synchronised from; `None`: any.
    pub allowed: Option<&'a BTreeSet<String>>,
    /// The session before ended because the source handed over to another, in order.
    pub was_handed_over: bool,
}

impl Opener<'_> {
    fn may_synchronise(&self, session: &Session) -> bool {
        let id = session.replication_id.to_string();
        self.allowed.is_none_or(|allowed| allowed.contains(&id))
    }
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

/// What a session that resumes goes on from.
struct Resuming {
    plan: PartialPlan,
    known: Known,
    resumed: Vec<Resumed>,
    flows: Vec<OpenFlow>,
}

/// What a synchronisation begins with.
struct Begins<'a> {
    config: &'a EngineConfig,
    release: String,
    owner: &'a str,
}

impl Begins<'_> {
    /// What is stored beside the positions: anew for a full synchronisation, otherwise as it is.
    async fn metadata(
        self,
        opening: &Opening,
        target: &mut TargetConnection,
        session: &Session,
    ) -> Result<SyncMetadata, Error> {
        match opening {
            Opening::Full(extra) => {
                tasks::check_others(target, &session.replication_id.to_string()).await?;
                let begun = SyncMetadata::begin(*extra, self.config, self.release, self.owner);
                Ok(begun.noting(*extra, session.flows))
            }
            Opening::Partial(_) => SyncMetadata::load(target).await,
        }
    }
}

/// Shakes hands, opens every flow and starts its task.
pub(crate) async fn open(
    config: &Arc<EngineConfig>,
    opener: Opener<'_>,
    opening: &Opening,
    counters: impl FnOnce(u16) -> Arc<Counters>,
) -> Result<Running, Error> {
    let at = match opening {
        Opening::Partial(at) => Some(at),
        Opening::Full(_) => None,
    };
    let mut master = candidates::find(config, opener.replica_id, at).await?;
    let config = &Arc::new(EngineConfig { source: master.endpoint.clone(), ..EngineConfig::clone(config) });
    ask_time(&mut master.control, &config.clock).await?;
    if matches!(opening, Opening::Full(_)) && !opener.may_synchronise(&master.session) {
        return Err(resume::stranger(&master.session));
    }
    let agreed = agree(config, opener, opening, &mut master).await?;
    let Master { mut control, session, .. } = master;
    info!(flows = session.flows, version = session.version.0, source = %session.replication_id, "the source accepts us as a replica");
    let counters = counters(session.flows);
    counters.begin_session();
    let holdings = Holdings::ask(&mut control).await?;
    counters.set_source_keys(holdings.keys);
    let (mut target, databases, kind) = connect_checked(config, &holdings, session.flows).await?;
    counters.set_sides(&agreed.release, kind);
    let begins = Begins { config, release: agreed.release.clone(), owner: opener.owner };
    let metadata = begins.metadata(opening, &mut target, &session).await?;
    let round_trip = round_trip(&mut target).await?;
    let session_target = SessionTarget {
        config: Arc::new(config.for_flows(session.flows, round_trip)),
        identity: WriterIdentity {
            source_id: session.replication_id.to_string(),
            owner: opener.owner.to_owned(),
        },
        flows: session.flows,
        databases,
        sync: metadata.sync.clone(),
        safety: crate::target::cluster::durability::Safety::default(),
    };
    let resumption = agreed
        .known
        .as_ref()
        .map(|known| Resumption { at: known.checkpoint(), is_of_another_master: known.is_of_another() });
    let session_target = session_target.meet(&mut target, resumption).await?;
    let (mut running, mut shared) = assemble(control, session, counters, session_target, metadata);
    shared.zadd_beyond = zadd_beyond(&agreed.release);
    match (agreed.plan, opening, agreed.known) {
        (Plan::Full(plan), Opening::Full(extra), None) => {
            shared.written = running.begin_anew(&mut target, &shared.target.identity, *extra).await?;
            // The flows are read before SYNC is asked for: bytes come before its reply does.
            running.spawn_all(agreed.flows, StreamForm::Snapshot, &shared).await?;
            running.begin_sync(plan).await?;
        }
        (Plan::Partial(plan), Opening::Partial(_), Some(known)) => {
            let resuming = Resuming { plan, known, resumed: agreed.resumed, flows: agreed.flows };
            running.resume(config, &mut target, resuming, &shared).await?;
        }
        _ => return Err(Error::Internal("a session of another form than was asked for".to_owned())),
    }
    Ok(running)
}

/// Connects to the target, and counts its databases and what the session needs. Nothing is written before it is known that every database of the source
/// has its place: a command behind a SELECT that fails would be carried out in another one.
pub(crate) async fn connect_checked(
    config: &EngineConfig,
    source: &Holdings,
    flows: u16,
) -> Result<(TargetConnection, u32, TargetKind), Error> {
    let (mut target, facts) = connect_target(config).await?;
    let has_relay = config.state_dir.is_some() && config.relay_max_bytes > 0;
    for scarce in capacity::check(&mut target, flows, has_relay).await? {
        warn!("{scarce}");
    }
    let databases = count_databases(&mut target).await?;
    has_databases(config, source, databases)?;
    let kind = TargetKind {
        product: match facts.format.family {
            Family::Valkey => "Valkey",
            _ => "Redis",
        },
        version: facts.format.version,
        primaries: target.primaries(),
    };
    Ok((target, databases, kind))
}

/// # Errors
/// [`Error::NoDatabase`], for a database of the source that has no place among so many of the target.
pub(crate) fn has_databases(config: &EngineConfig, source: &Holdings, databases: u32) -> Result<(), Error> {
    for db in source.dbs.iter().copied() {
        if let Some(to) = config.rules.selection.dbs.get(DbIndex(db)).filter(|to| to.0 >= databases) {
            return Err(Error::NoDatabase { db, to: to.0, databases });
        }
    }
    Ok(())
}

/// Asks for every flow, from where the target and the relay log stand.
async fn agree(
    config: &Arc<EngineConfig>,
    opener: Opener<'_>,
    opening: &Opening,
    master: &mut Master,
) -> Result<Agreed, Error> {
    let release = resume::release(&mut master.control).await?;
    let known = match opening {
        Opening::Partial(at) => Some(Known::find(at, &release, &master.session)?),
        Opening::Full(_) => None,
    };
    let (resumed, requests) = match &known {
        Some(known) => {
            let resumed = known.with_logs(config).await?;
            if let Some(was) = known.last_master().filter(|_| !opener.was_handed_over) {
                promotion::check(config, &master.session, was, &resumed).await?;
                master.begin_again(opener.replica_id).await?;
            }
            let requests = known.requests(&resumed);
            (resumed, requests)
        }
        None => (Vec::new(), vec![Resume::Nothing; usize::from(master.session.flows)]),
    };
    let session = &master.session;
    let flows = open_flows(config, session, &requests).await?;
    let starts: Vec<FlowStart> = flows.iter().map(|flow| flow.start.clone()).collect();
    let plan = match session.plan(&starts) {
        Ok(Plan::Full(_)) | Err(HandshakeError::Mixed) if known.is_some() => {
            return Err(match known.as_ref().and_then(|known| known.of_another(session)) {
                Some(error) => error,
                None => resume::cannot_resume(config, &resumed, &release).await,
            });
        }
        plan => plan?,
    };
    Ok(Agreed { plan, release, known, resumed, flows })
}

/// A session without flows.
fn assemble(
    control: ControlConn,
    session: Session,
    counters: Arc<Counters>,
    target: SessionTarget,
    metadata: SyncMetadata,
) -> (Running, Shared) {
    let config = Arc::clone(&target.config);
    let flows = usize::from(session.flows);
    let (signals_in, signals) = mpsc::channel(flows * 4);
    let (scan_settled_in, scan_settled) = mpsc::channel(flows.max(1));
    let (answers_in, answers) = mpsc::channel(QUESTIONS);
    let (lsns_in, source_lsns) = mpsc::channel(1);
    let (stop_flows, stop) = watch::channel(false);
    let (reads, requested) = mpsc::channel(QUESTIONS);
    counters.set_removing_extra_keys(metadata.sweep);
    let is_over_data = metadata.sweep || metadata.keep;
    let incoming =
        Incoming { signals, answers, scan_settled: Arc::new(Mutex::new(scan_settled)), source_lsns };
    let parts =
        SessionParts { config: Arc::clone(&config), control, session, counters, incoming, stop_flows };
    let mut running = Running::new(parts);
    running.metadata = metadata;
    running.helpers.spawn({
        let config = Arc::clone(&config);
        async move {
            reader::serve(config, requested).await;
            HelperEnd::Other
        }
    });
    running.helpers.spawn(async move {
        ask_for_positions(config, lsns_in).await;
        HelperEnd::Other
    });
    let evictions =
        EvictionWatch { config: Arc::clone(&running.config), counters: Arc::clone(&running.counters) };
    running.helpers.spawn(async move {
        evictions.run().await;
        HelperEnd::Other
    });
    let shared = Shared {
        signals: signals_in,
        scan_settled: scan_settled_in,
        answers: answers_in,
        stop,
        reads,
        target,
        zadd_beyond: ZAddBeyond::default(),
        is_over_data,
        written: None,
    };
    (running, shared)
}

/// Asks the source for the next record of each flow, now and then, so that the lag can be told.
async fn ask_for_positions(config: Arc<EngineConfig>, lsns: mpsc::Sender<Vec<Lsn>>) {
    let mut reader = SourceReader::new(config);
    loop {
        sleep(ASK_EVERY).await;
        match reader.lsns().await {
            Ok(found) => {
                if lsns.send(found).await.is_err() {
                    return;
                }
            }
            Err(error) => debug!(%error, "the source does not tell its positions"),
        }
    }
}

async fn open_flows(
    config: &Arc<EngineConfig>,
    session: &Session,
    requests: &[Resume],
) -> Result<Vec<OpenFlow>, Error> {
    let mut flows = Vec::with_capacity(requests.len());
    for (id, resume) in (0..).map(FlowId).zip(requests) {
        let request = OpenFlowRequest { session, flow: id, resume };
        let (conn, start) = FlowConn::open(&config.source, &request).await?;
        debug!(flow = id.0, kind = ?start.kind, "flow open");
        flows.push(OpenFlow { id, conn, start, resume: None });
    }
    Ok(flows)
}

impl Running {
    /// Nothing on the target says any more that a session may resume from before this synchronisation, however it ends. What
    /// was written since the target was empty is known, if that matters.
    async fn begin_anew(
        &mut self,
        target: &mut TargetConnection,
        identity: &WriterIdentity,
        extra: ExtraKeys,
    ) -> Result<Option<Arc<WrittenKeys>>, Error> {
        let written = self.known_notes(target, extra).await?;
        Checkpoint::begin(target, identity, &self.metadata).await?;
        tasks::register(target).await?;
        handover::forget(target, self.session.flows).await?;
        WrittenKeys::begin(target, self.metadata.written).await?;
        Ok(written)
    }

    /// What was written since the target was empty, if that matters and is known. Lists of before that are of no use.
    async fn known_notes(
        &mut self,
        target: &mut TargetConnection,
        extra: ExtraKeys,
    ) -> Result<Option<Arc<WrittenKeys>>, Error> {
        let known = match extra {
            ExtraKeys::None => {
                WrittenKeys::remove(target, self.metadata.written).await?;
                Some(WrittenKeys::default())
            }
            ExtraKeys::RemoveWritten(lists) => WrittenKeys::load(target, lists).await?,
            ExtraKeys::Keep | ExtraKeys::Remove => None,
        };
        if known.is_none() {
            self.metadata.written = 0;
        }
        Ok(known.map(Arc::new))
    }

    /// Asks for the snapshot. A session that is lost by then has flows that run, so it ends as any other.
    async fn begin_sync(&mut self, plan: FullPlan) -> Result<(), Error> {
        match self.ask_sync(plan).await {
            Err(error) if error.is_passing() => self.lose_source(SourceLoss::gone(error)),
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

    /// Goes on from where the target stands.
    async fn resume(
        &mut self,
        config: &Arc<EngineConfig>,
        target: &mut TargetConnection,
        resuming: Resuming,
        shared: &Shared,
    ) -> Result<(), Error> {
        let Resuming { plan, known, mut resumed, flows } = resuming;
        self.load_gone_slots(target).await?;
        known.take_over(config, target, &self.session, &mut resumed).await?;
        let with = |(flow, resumed)| OpenFlow { resume: Some(resumed), ..flow };
        let flows = flows.into_iter().zip(resumed).map(with).collect();
        self.begin_partial(plan, flows, shared).await
    }

    /// What a session before has left to do about slots that the source has given away.
    async fn load_gone_slots(&mut self, target: &mut TargetConnection) -> Result<(), Error> {
        for ((flow, lsn), slots) in Checkpoint::gone_slots(target).await? {
            self.gone_slots.pass((flow, Some(lsn)), &slots);
        }
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
        let has_unknown_expiries = match plan.on_reply(&reply)? {
            // No flow may acknowledge before the journal is granted, so they start behind STARTSTABLE.
            PartialStart::Journal => {
                let is_unknown = self.spawn_all(flows, StreamForm::Journal, shared).await?;
                self.stable = usize::from(self.session.flows);
                self.enter_stable();
                is_unknown
            }
            PartialStart::Snapshot(plan) => {
                let is_unknown = self.spawn_all(flows, StreamForm::Snapshot, shared).await?;
                self.begin_sync(plan).await?;
                is_unknown
            }
        };
        info!("resumed from where the target stands");
        self.scan_ttls(has_unknown_expiries);
        Ok(())
    }

    /// The flows do not know what expires on the target until it was scanned, unless a session before has told them.
    fn scan_ttls(&mut self, unknown: bool) {
        let scan = TtlScan { config: Arc::clone(&self.config), lines: self.scans.clone(), unknown };
        self.helpers.spawn(async move {
            scan.run().await;
            HelperEnd::Other
        });
    }
}
