//! What a run is doing, for logs, metrics and pages. Nothing else of the engine is read by them.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use dfly_client::FlowId;
use dfly_journal::Lsn;
use dfly_translate::{Loss, Losses, Reason};
use serde::{Deserialize, Serialize};

use crate::owner::OwnerCheck;
use crate::progress::Progress;

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Connecting and shaking hands.
    #[default]
    Connecting,
    /// Reading the snapshot.
    FullSync,
    /// Following the journal.
    StableSync,
    /// Waiting to connect again.
    Reconnecting,
    /// Ended.
    Stopped,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connecting => "connecting",
            Self::FullSync => "full sync",
            Self::StableSync => "stable sync",
            Self::Reconnecting => "reconnecting",
            Self::Stopped => "stopped",
        })
    }
}

/// The state of a run at one moment.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// Where it stands.
    pub phase: Phase,
    /// The source's replication id, once known.
    pub source_id: Option<String>,
    /// Each flow.
    pub flows: Vec<FlowReport>,
    /// What was left out, over all flows and sessions.
    pub losses: Losses,
    /// Whether keys of the target are being looked for that the source does not have.
    pub sweeping: bool,
    /// Keys that had to be read again from the source, by reason. One key may count several times.
    pub rereads: BTreeMap<Reason, u64>,
    /// Values that were read again and written.
    pub rereads_done: u64,
}

/// One flow. Counters are over all sessions of the run.
#[derive(Debug, Clone, Default)]
pub struct FlowReport {
    /// Bytes received from the source.
    pub bytes: u64,
    /// Keys of the snapshot that were read, those left out counted.
    pub keys: u64,
    /// Journal records that were read, those inside the snapshot and those left out counted.
    pub records: u64,
    /// Copies of keys that came on the wrong flow and were passed over.
    pub phantoms: u64,
    /// Keys that are to be read again from the source.
    pub wanted: u64,
    /// Keys whose members or fields this tool removes when they are due.
    pub expiring: u64,
    /// Bytes of the journal that wait on disk for the target.
    pub relayed: u64,
    /// Positions; `None` before stable sync.
    pub positions: Option<Positions>,
}

/// A flow's positions in stable sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Positions {
    /// The next record to be decoded.
    pub received: Lsn,
    /// The next record to be applied.
    pub durable: Lsn,
}

impl Report {
    /// Keys of the snapshot, over all flows.
    pub fn keys(&self) -> u64 {
        self.flows.iter().map(|flow| flow.keys).sum()
    }

    /// Bytes received, over all flows.
    pub fn bytes(&self) -> u64 {
        self.flows.iter().map(|flow| flow.bytes).sum()
    }

    /// Journal records, over all flows.
    pub fn records(&self) -> u64 {
        self.flows.iter().map(|flow| flow.records).sum()
    }
}

/// What the flows count while they run. Written by one flow each, read when a report is made.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    flows: Vec<FlowCounters>,
    losses: Mutex<Losses>,
    rereads: Mutex<BTreeMap<Reason, u64>>,
    rereads_done: AtomicU64,
    sweeping: AtomicBool,
    /// What the flows have seen of how the source spreads its keys.
    owners: Mutex<OwnerCheck>,
}

#[derive(Debug, Default)]
pub(crate) struct FlowCounters {
    pub bytes: AtomicU64,
    pub keys: AtomicU64,
    pub records: AtomicU64,
    pub phantoms: AtomicU64,
    pub wanted: AtomicU64,
    pub expiring: AtomicU64,
    pub relayed: AtomicU64,
    /// 0 before stable sync; LSNs start at 1.
    received: AtomicU64,
    durable: AtomicU64,
}

impl FlowCounters {
    pub(crate) fn add(counter: &AtomicU64, by: u64) {
        counter.fetch_add(by, Relaxed);
    }

    pub(crate) fn set_positions(&self, progress: &Progress) {
        self.received.store(progress.received().0, Relaxed);
        self.durable.store(progress.durable().0, Relaxed);
    }

    /// How many keys are to be read again, and how many have members that are removed when they are due.
    pub(crate) fn set_kept(&self, wanted: usize, expiring: usize) {
        self.wanted.store(wanted as u64, Relaxed);
        self.expiring.store(expiring as u64, Relaxed);
    }

    fn report(&self) -> FlowReport {
        let (received, durable) = (Lsn(self.received.load(Relaxed)), Lsn(self.durable.load(Relaxed)));
        FlowReport {
            bytes: self.bytes.load(Relaxed),
            keys: self.keys.load(Relaxed),
            records: self.records.load(Relaxed),
            phantoms: self.phantoms.load(Relaxed),
            wanted: self.wanted.load(Relaxed),
            expiring: self.expiring.load(Relaxed),
            relayed: self.relayed.load(Relaxed),
            positions: (durable.0 > 0).then_some(Positions { received, durable }),
        }
    }
}

impl Counters {
    pub(crate) fn new(flows: u16) -> Self {
        Self { flows: (0..flows).map(|_| FlowCounters::default()).collect(), ..Self::default() }
    }

    pub(crate) fn flow(&self, flow: FlowId) -> Option<&FlowCounters> {
        self.flows.get(usize::from(flow.0))
    }

    pub(crate) fn flow_count(&self) -> usize {
        self.flows.len()
    }

    /// A key is to be read again for this reason.
    pub(crate) fn reread(&self, reason: Reason) {
        let mut rereads = self.rereads.lock().unwrap_or_else(PoisonError::into_inner);
        *rereads.entry(reason).or_default() += 1;
    }

    pub(crate) fn see_owners(&self, owners: &OwnerCheck) {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).merge(owners);
    }

    pub(crate) fn owners(&self) -> OwnerCheck {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_sweeping(&self, sweeping: bool) {
        self.sweeping.store(sweeping, Relaxed);
    }

    pub(crate) fn reread_done(&self) {
        FlowCounters::add(&self.rereads_done, 1);
    }

    /// Adds losses; gives those that are the first of their kind.
    pub(crate) fn lose(&self, more: &Losses) -> Vec<Loss> {
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        let is_new = |loss: &Loss| losses.iter().all(|(seen, _)| seen != *loss);
        let first = more.iter().map(|(loss, _)| loss).filter(is_new).collect();
        losses.merge(more);
        first
    }

    pub(crate) fn report(&self, phase: Phase, source_id: Option<String>) -> Report {
        let losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let rereads = self.rereads.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Report {
            phase,
            source_id,
            flows: self.flows.iter().map(FlowCounters::report).collect(),
            losses,
            sweeping: self.sweeping.load(Relaxed),
            rereads,
            rereads_done: self.rereads_done.load(Relaxed),
        }
    }
}
