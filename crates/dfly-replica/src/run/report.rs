//! What a run is doing, for logs, metrics and pages. They read nothing else of the engine.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use dfly_journal::Lsn;
use dfly_translate::{Losses, Reason};
use dfly_wire::UnixMillis;
use serde::{Deserialize, Serialize};

use crate::run::events::Event;
use crate::run::latency::Latency;
use crate::run::nodes::NodeReport;

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
    /// What the source calls its release, such as `df-v1.40.1`, once known.
    pub source_release: Option<String>,
    /// What the target is, once known.
    pub target: Option<TargetKind>,
    /// When the run came to each part of its way.
    pub milestones: Milestones,
    /// Keys that the source said it has, when it was asked last.
    pub source_keys: Option<u64>,
    /// Each flow.
    pub flows: Vec<FlowReport>,
    /// Keys of the snapshot by kind, such as `string` or `zset`, those left out counted.
    pub kinds: BTreeMap<&'static str, u64>,
    /// Bytes of those values of the snapshot that came whole, by kind.
    pub kind_bytes: BTreeMap<&'static str, u64>,
    /// Journal records by the kind of value that their command works on: `any`, `none` for one without a key, `unknown` for one
    /// that is not known.
    pub record_kinds: BTreeMap<&'static str, u64>,
    /// What was left out, over all flows and sessions.
    pub losses: Losses,
    /// Whether keys of the target are being looked for that the source does not have.
    pub is_removing_extra_keys: bool,
    /// How far that has come.
    pub extra_keys: ExtraKeysProgress,
    /// Keys of the target that the source did not have, and that were removed.
    pub extra_keys_removed: u64,
    /// Keys that the target has evicted while it was watched.
    pub evicted_keys: u64,
    /// Keys that had to be refetched from the source, by reason. One key may count several times.
    pub refetches: BTreeMap<Reason, u64>,
    /// Values that were refetched and written.
    pub refetched: u64,
    /// Commands that the target has refused, by the first word of its answer, such as `OOM`.
    pub refusals: BTreeMap<String, u64>,
    /// Attempts that failed, by cause: a session, a connection to the target.
    pub retries: BTreeMap<&'static str, u64>,
    /// For how long flows have read less from the source than there was, all flows together, by what held them up:
    /// `snapshot-rate` and `command-rate`, which are limits, `target`, and `relay-log`, which is full.
    pub throttled: BTreeMap<&'static str, Duration>,
    /// The nodes of the target that were written to.
    pub nodes: Vec<NodeReport>,
    /// How long batches took from being committed to being carried out.
    pub latency: Latency,
    /// What has happened last, the oldest first. Their number is bounded.
    pub events: Vec<Event>,
    /// Whether the run is paused.
    pub is_paused: bool,
    /// What the run asks a person about. It waits for [`Control::accept`](crate::Control::accept) or
    /// [`Control::refuse`](crate::Control::refuse).
    pub question: Option<String>,
}

/// When the run came to each part of its way, by the clock of the host. Another full synchronisation begins a new way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Milestones {
    /// It began to read the snapshot; `None` if it resumed.
    pub snapshot: Option<UnixMillis>,
    /// It began to follow the journal.
    pub journal: Option<UnixMillis>,
    /// The target was in sync for the first time.
    pub in_sync: Option<UnixMillis>,
}

/// What a target is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetKind {
    /// `Redis` or `Valkey`.
    pub product: &'static str,
    /// Major and minor version; of a cluster, those of its oldest node.
    pub version: (u16, u16),
    /// How many primaries it has, if it is a cluster.
    pub primaries: Option<usize>,
}

/// How far the search has come for keys of the target that the source does not have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExtraKeysProgress {
    /// Keys that the source was asked about.
    pub looked_at: u64,
    /// Keys that it is to be asked about, as the target counted them when the search began. Where they are counted before the
    /// first is removed, each is asked about twice.
    pub of: u64,
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
    /// Those of them that delete keys. What expires on the source is deleted by such records.
    pub deletions: u64,
    /// Copies of keys that came on a flow which does not own them, and were passed over.
    pub copies: u64,
    /// Keys that are to be refetched from the source.
    pub refetching: u64,
    /// How long the oldest of them has waited.
    pub oldest_refetch: Option<Duration>,
    /// Keys whose members or fields this tool removes when they are due.
    pub expiring: u64,
    /// Bytes of the journal that wait on disk for the target.
    pub relay_bytes: u64,
    /// Commands that were committed and not carried out.
    pub in_flight: u64,
    /// How long the oldest of them has waited for the target's answer.
    pub unanswered: Option<Duration>,
    /// Batches that the target has carried out.
    pub carried: u64,
    /// Why the target takes nothing, if it does not.
    pub stalled: Option<String>,
    /// How long the position that the target holds has not moved; `None` before stable sync.
    pub checkpoint_age: Option<Duration>,
    /// Positions; `None` before stable sync.
    pub positions: Option<FlowLsns>,
    /// The source's own next record, and how long ago it was asked.
    pub source: Option<SourceLsn>,
    /// How far the flow is behind the source; `None` before stable sync (P31).
    pub lag: Option<Lag>,
}

/// A flow's positions in stable sync.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowLsns {
    /// The next record to be decoded.
    pub received: Lsn,
    /// The next record whose answer has not come: the target has carried out everything before it.
    pub carried: Lsn,
    /// The next record behind the position that the target holds.
    pub durable: Lsn,
}

/// What the source has said of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SourceLsn {
    /// Its next record.
    pub next: Lsn,
    /// When it was asked.
    pub asked: Instant,
}

/// How far a flow is behind the source, as of the last time that the source was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lag {
    /// Records that the source has journaled and the target does not hold.
    pub records: u64,
    /// For how long at least the oldest of them has been missing; at most one question too little.
    pub time: Duration,
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

    /// Whether the target is what the source is, but for what is on its way: nothing is left to be removed or to be refetched,
    /// and no record has been missing for longer than a second.
    pub fn is_in_sync(&self) -> bool {
        let is_close = |flow: &FlowReport| flow.lag.is_some_and(|lag| lag.time <= Duration::from_secs(1));
        let follows = self.phase == Phase::StableSync && !self.flows.is_empty();
        follows && !self.is_removing_extra_keys && self.refetching() == 0 && self.flows.iter().all(is_close)
    }

    /// Bytes of the journal that wait on disk for the target, over all flows.
    pub fn relay_bytes(&self) -> u64 {
        self.flows.iter().map(|flow| flow.relay_bytes).sum()
    }

    /// Keys that are to be refetched, over all flows.
    pub fn refetching(&self) -> u64 {
        self.flows.iter().map(|flow| flow.refetching).sum()
    }
}
