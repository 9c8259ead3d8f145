//! One session of the rig: a flow, its writer, and what is on its way to it. It stands in for the driver, step by step.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use bytes::BytesMut;
use dfly_client::{FlowStart, SyncKind};
use dfly_journal::Lsn;
use dfly_wire::Limits;

use super::super::in_memory::{FLOW, parts};
use super::super::{FlowCore, FlowParts, Want};
use super::checks::Checks;
use super::disk::Disk;
use super::source::TOKEN;
use super::watch::Watch;
use crate::checkpoint::Position;
use crate::flow::admission::UnsyncedKeys;
use crate::flow::intake::relay::{Relay, RelayWork};
use crate::flow::intake::snapshot::Stage;
use crate::flow::intake::{Intake, IntakeLimits};
use crate::flow::positions::FlowPositions;
use crate::flow::refetch::{Noted, Question};
use crate::target::in_memory::InMemoryWriter;
use crate::target::in_memory::server::{Server, SharedServer, lock};

/// Where a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    Snapshot,
    /// The target stands at the position. The relay log holds records up to `ask`, from `logged` on.
    Journal {
        at: Position,
        ask: Lsn,
        logged: Option<Lsn>,
        in_snapshot_form: bool,
    },
}

/// A question to the source that is on its way.
#[derive(Debug)]
pub(super) struct Asked {
    pub question: Question,
    /// The source's next LSN before it was asked, once that is known.
    pub before: Option<Lsn>,
}

/// How a step ended.
#[derive(Debug)]
pub(super) enum Stepped {
    On,
    /// The source was flushed in the snapshot.
    Flushed,
    TargetLost,
}

/// A session.
#[derive(Debug)]
pub(super) struct Session {
    pub core: FlowCore,
    pub writer: InMemoryWriter<Server>,
    pub buffer: BytesMut,
    pub want: Want,
    pub asked: Vec<Asked>,
    pub work: Option<RelayWork>,
    /// What the session says about a flush.
    pub orders: VecDeque<super::super::Order>,
    /// The scan for extra keys has begun.
    pub scans: bool,
    pub scanned: bool,
    pub watch: Watch,
    pub checks: Checks,
    /// What was acknowledged last, or where the session began.
    pub acknowledged: Lsn,
}

impl Session {
    pub(super) fn begin(begin: Begin, over_data: bool, server: &SharedServer, now: Instant) -> Self {
        let position = match begin {
            Begin::Snapshot => None,
            Begin::Journal { at, .. } => Some(at),
        };
        let (intake, positions) = intake(begin);
        let mut parts = parts(intake, positions, now);
        parts.admission.unsynced = over_data.then(UnsyncedKeys::default);
        if position.is_some() {
            adopt(&mut parts, server, now);
        }
        Self {
            core: FlowCore::new(parts, now),
            writer: InMemoryWriter::new(Arc::clone(server), position),
            buffer: BytesMut::new(),
            want: Want::Bytes,
            asked: Vec::new(),
            work: None,
            orders: VecDeque::new(),
            scans: false,
            scanned: false,
            watch: Watch::default(),
            checks: Checks::default(),
            acknowledged: position.map_or(Lsn(u64::MAX), |at| at.next),
        }
    }

    /// Whether nothing of this side is on its way.
    pub(super) fn is_quiet(&self) -> bool {
        self.writer_is_idle()
            && self.asked.is_empty()
            && self.work.is_none()
            && self.orders.is_empty()
            && self.core.refetch.is_idle()
            && self.core.refetch.takes_extra_keys()
            && !self.core.refetch.has_unwritten()
            && !self.core.refetch.has_unheard()
            && !self.core.intake.relay().is_active()
            && !self.core.flush.is_reached()
            && self.core.writer.is_empty()
    }

    pub(super) fn writer_is_idle(&self) -> bool {
        crate::target::writer::TargetWriter::is_idle(&self.writer)
    }

    pub(super) fn disk(&mut self, disk: &mut Disk, now: Instant) -> bool {
        let Some(work) = self.work.take() else { return false };
        self.core.on_relay(disk.carry_out(work), now);
        true
    }
}

fn intake(begin: Begin) -> (Intake, FlowPositions) {
    let limits = Limits::default();
    let sizes = IntakeLimits { limits, read_ahead: 600, relay_frame: 90, recent: 3000 };
    let start = |kind| FlowStart { kind, token: TOKEN };
    match begin {
        Begin::Snapshot => {
            let stage = Stage::snapshot(&start(SyncKind::Full), limits);
            (Intake::new(stage, Relay::new(true), sizes), FlowPositions::default())
        }
        Begin::Journal { at, ask, logged, in_snapshot_form } => {
            let relay = match logged {
                Some(first) => Relay::resumed(first..ask, limits, dfly_wire::UnixMillis(0)),
                None => Relay::new(true),
            };
            let (stage, from) = match in_snapshot_form {
                true => (Stage::backlog(&start(SyncKind::Partial), ask, limits), None),
                false => (Stage::journal(ask, limits), Some(ask)),
            };
            (Intake::new(stage, relay, sizes), FlowPositions::resumed(at, from))
        }
    }
}

/// What the run before has noted.
fn adopt(parts: &mut FlowParts, server: &SharedServer, now: Instant) {
    let name = parts.rules.names.refetch(FLOW.0, None);
    let server = lock(server);
    let noted = server.now.sets.get(name.as_bytes()).into_iter().flatten();
    for noted in noted.filter_map(|member| Noted::parse(member)) {
        parts.refetch.adopt(noted, now);
    }
}
