//! What each flow of a session begins with: where its records come from, what it knows, where it writes.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use dfly_client::driver::FlowConn;
use dfly_client::{FlowId, FlowStart};
use dfly_translate::{Translator, ZAddBeyond};
use relay_log::RelayLog;
use tokio::sync::{mpsc, watch};

use super::coordinator::{FlowLines, Running};
use super::resume::{self, LogOwner, Resumed};
use crate::checkpoint::written_keys::WrittenKeys;
use crate::config::OnRelayFull;
use crate::error::Error;
use crate::flow::admission::ttl_index::{TtlIndex, TtlLimits};
use crate::flow::admission::{Admission, EarlyExpiry, OmittedDeletes, Ownership, UnsyncedKeys};
use crate::flow::core::{FlowAnswer, FlowCore, FlowParts, FlowSettings, Signal};
use crate::flow::driver::{FlowDriver, Lines};
use crate::flow::intake::relay::Relay;
use crate::flow::intake::snapshot::Stage;
use crate::flow::intake::{Intake, IntakeLimits};
use crate::flow::positions::FlowPositions;
use crate::flow::refetch::Refetch;
use crate::flow::relay_disk::RelayDisk;
use crate::flow::writer::FlowWriter;
use crate::flow::written_notes::WrittenNotes;
use crate::rate_limiter::RateLimiter;
use crate::source::reader::{ReadLine, ReadRequest};
use crate::target::clock::clock_ahead;
use crate::target::connect::connect_target;
use crate::target::handover::{self, Heir};
use crate::target::opening::SessionTarget;
use crate::target::questions::TargetConnection;

/// How many batches of what a scan has found may wait for a flow.
const SCAN_EVENTS: usize = 2;

/// How many requests from outside may wait for a flow.
const REQUESTS: usize = 16;

/// An open flow before its task runs.
pub(super) struct OpenFlow {
    pub id: FlowId,
    pub conn: FlowConn,
    pub start: FlowStart,
    /// Where the target stands, and what the relay log holds from there on.
    pub resume: Option<Resumed>,
}

/// What a flow's bytes are, from `DFLY SYNC` or `DFLY STARTSTABLE` on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamForm {
    /// A snapshot, or the form of one, then the journal.
    Snapshot,
    /// The journal.
    Journal,
}

/// What the flows' tasks share.
pub(super) struct Shared {
    pub signals: mpsc::Sender<(FlowId, Signal)>,
    pub scan_settled: mpsc::Sender<FlowId>,
    pub answers: mpsc::Sender<FlowAnswer>,
    pub stop: watch::Receiver<bool>,
    pub reads: mpsc::Sender<ReadRequest>,
    pub target: SessionTarget,
    pub zadd_beyond: ZAddBeyond,
    /// Whether the target may hold other values when the session begins.
    pub is_over_data: bool,
    /// What was written since the target was empty, if flows are to note what they write.
    pub written: Option<Arc<WrittenKeys>>,
}

/// A flow's intake, and the log that belongs to it.
struct Source {
    intake: Intake,
    log: Option<RelayLog>,
    positions: FlowPositions,
}

/// What a flow knows of expiries, and whether the target has to be scanned for them.
struct Expiry {
    known: EarlyExpiry,
    is_unknown: bool,
}

impl Running {
    /// No flow runs before each can: what one writes must not be undone by starting over with another.
    pub(super) async fn spawn_all(
        &mut self,
        flows: Vec<OpenFlow>,
        form: StreamForm,
        shared: &Shared,
    ) -> Result<bool, Error> {
        let mut drivers = Vec::with_capacity(flows.len());
        let mut has_unknown_expiries = false;
        for flow in flows {
            let (driver, is_unknown) = self.prepare(flow, form, shared).await?;
            has_unknown_expiries |= is_unknown;
            drivers.push(driver);
        }
        for driver in drivers {
            self.flows.spawn(async move { (driver.id, driver.run().await) });
        }
        Ok(has_unknown_expiries)
    }

    async fn prepare(
        &mut self,
        flow: OpenFlow,
        form: StreamForm,
        shared: &Shared,
    ) -> Result<(FlowDriver, bool), Error> {
        let (config, id, now) = (Arc::clone(&self.config), flow.id, Instant::now());
        let (mut connection, target) = connect_target(&config).await?;
        let target = target.with_databases(shared.target.databases);
        let position = flow.resume.as_ref().map(|resumed| resumed.position);
        let mut translator = Translator::new(target, Arc::clone(&config.rules))
            .of_source(shared.zadd_beyond)
            .for_flow(id.0)
            .holding(config.limits.string);
        let mut refetch = Refetch::new(config.parked);
        if position.is_some() {
            let mut heir = Heir { translator: &mut translator, refetch: &mut refetch, now };
            handover::adopt(&mut connection, id, &mut heir).await?;
            translator = translator.resuming();
        }
        let source = self.source_of(&flow.start, form, id, flow.resume).await?;
        let expiry = self.expiry_of(&mut connection, id, position).await?;
        let writer = shared.target.writer(connection, id, position).await?;
        let ownership = Ownership::new(id, self.session.flows, self.metadata.sharding);
        let rate = |per_second| RateLimiter::new(per_second, self.session.flows, now);
        let parts = FlowParts {
            id,
            rules: Arc::clone(&config.rules),
            settings: FlowSettings {
                sweep_interval: config.sweep_interval,
                ack_interval: config.ack_interval,
                relay_max_bytes: config.relay_max_bytes,
                leaves_when_full: config.on_relay_full != OnRelayFull::Throttle,
                longest_rest: config.report_interval.max(config.ack_interval),
            },
            positions: source.positions,
            intake: source.intake,
            admission: Admission {
                omitted: OmittedDeletes::default(),
                unsynced: shared.is_over_data.then(UnsyncedKeys::default),
                expiry: expiry.known,
                ownership,
            },
            refetch,
            writer: FlowWriter::new(
                id.0,
                Arc::clone(&config.rules),
                translator,
                rate(config.target_ops_per_second),
            )
            .with_largest_argument(config.largest_argument)
            .with_batches_of(config.batch)
            .noting(self.notes_of(id, shared)),
            reading: rate(config.snapshot_bytes_per_second),
            counters: Arc::clone(&self.counters),
        };
        let driver = FlowDriver {
            id,
            core: FlowCore::new(parts, now),
            conn: flow.conn,
            target: writer,
            disk: RelayDisk::new(source.log),
            reads: ReadLine::new(id, shared.reads.clone()),
            lines: self.lines_of(id, shared),
            clock: config.clock.clone(),
            drain_timeout: config.drain_timeout,
            stalled: None,
            untold: VecDeque::new(),
            is_backlogged: false,
        };
        Ok((driver, expiry.is_unknown))
    }

    /// What the flow notes of the keys that it writes, if that matters.
    fn notes_of(&self, flow: FlowId, shared: &Shared) -> Option<WrittenNotes> {
        let known = Arc::clone(shared.written.as_ref()?);
        Some(WrittenNotes::new(&self.config.rules.names, flow.0, known, self.metadata.sweep))
    }

    fn lines_of(&mut self, id: FlowId, shared: &Shared) -> Lines {
        let (order, orders) = mpsc::channel(1);
        let (scan, scans) = mpsc::channel(SCAN_EVENTS);
        let (request, requests) = mpsc::channel(REQUESTS);
        self.lines.insert(id, FlowLines { orders: order, requests: request });
        self.scans.insert(id, scan);
        Lines {
            signals: shared.signals.clone(),
            orders,
            scans,
            scan_settled: shared.scan_settled.clone(),
            requests,
            answers: shared.answers.clone(),
            stop: shared.stop.clone(),
        }
    }

    /// Where the flow's records come from, and how far it has come.
    async fn source_of(
        &self,
        start: &FlowStart,
        form: StreamForm,
        flow: FlowId,
        resume: Option<Resumed>,
    ) -> Result<Source, Error> {
        let config = &self.config;
        let sizes = IntakeLimits {
            limits: config.limits,
            read_ahead: config.read_ahead,
            relay_frame: config.relay_frame,
            recent: config.recent,
        };
        let Some(Resumed { position, log, ask }) = resume else {
            let of = LogOwner { source_id: self.source_id(), flows: self.session.flows, flow };
            let log = resume::open_empty_log(config, of).await?;
            let stage = Stage::snapshot(start, config.limits);
            let intake = Intake::new(stage, Relay::new(log.is_some()), sizes);
            return Ok(Source { intake, log, positions: FlowPositions::default() });
        };
        let (stage, journal_from) = match form {
            StreamForm::Snapshot => (Stage::backlog(start, ask, config.limits), None),
            StreamForm::Journal => (Stage::journal(ask, config.limits), Some(ask)),
        };
        let (log, relay) = match log {
            Some(log) if ask > position.heard => resume::relay_from(log, flow, config).await?,
            log => {
                let relay = Relay::new(log.is_some());
                (log, relay)
            }
        };
        let positions = FlowPositions::resumed(position, journal_from);
        Ok(Source { intake: Intake::new(stage, relay, sizes), log, positions })
    }

    async fn expiry_of(
        &self,
        connection: &mut TargetConnection,
        flow: FlowId,
        position: Option<crate::checkpoint::Position>,
    ) -> Result<Expiry, Error> {
        let config = &self.config;
        let ahead = clock_ahead(connection, &config.clock).await?;
        let limits = TtlLimits { most: config.expiries, span: 6 * config.expiry_horizon };
        let index = match position {
            Some(at) => handover::ttl_index(connection, flow, at, limits).await?,
            None => TtlIndex::new(limits),
        };
        let is_unknown = index.is_unknown();
        Ok(Expiry { known: EarlyExpiry::new(index, ahead, config.expiry_horizon), is_unknown })
    }
}
