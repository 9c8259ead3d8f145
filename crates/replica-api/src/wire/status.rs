//! What a run is doing.

use std::collections::BTreeMap;
use std::time::Duration;

use dfly_replica::{Backlog, Event, FlowReport, Phase, Report, TargetKind};
use dfly_wire::UnixMillis;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::nodes::TargetNode;
use super::times::{micros, millis};

/// One end of the replication. Passwords are never part of an address.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Side {
    /// Where it is reached.
    pub address: String,
    /// `standalone` or `cluster`; absent for the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// What it is, and its release, such as `Dragonfly v1.40.1`; absent before it has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product: Option<String>,
    /// How many primaries it has, if it is a cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primaries: Option<u64>,
}

/// How far the target is behind the source.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lag {
    /// Records that the source has journaled and the target does not hold.
    pub records: u64,
    /// For how long the oldest of them has been missing, in milliseconds.
    pub millis: u64,
}

/// What a run is doing. Times are in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Status {
    /// The release of this tool.
    pub version: String,
    /// The task's name, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<String>,
    /// The process.
    pub pid: u32,
    /// When the run began, since 1970.
    pub started_at: i64,
    /// When this was written, since 1970.
    pub now: i64,
    /// `connecting`, `full-sync`, `stable-sync`, `reconnecting` or `stopped`.
    #[schema(value_type = String)]
    pub phase: Phase,
    /// Whether the target is what the source is, but for what is on its way.
    pub in_sync: bool,
    /// The source.
    pub source: Side,
    /// The source's replication id, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// The target.
    pub target: Side,
    /// When the run came to each part of its way.
    #[serde(default)]
    pub milestones: Milestones,
    /// The flow that is behind the most; absent before stable sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<Lag>,
    /// Keys of the snapshot that were read.
    pub keys: u64,
    /// Those keys by kind, such as `string` or `zset`.
    #[serde(default)]
    pub kinds: BTreeMap<String, u64>,
    /// Keys that the source has, as far as it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_keys: Option<u64>,
    /// Bytes that were received.
    pub bytes: u64,
    /// Journal records that were read.
    pub records: u64,
    /// How far the source may go on without the run that then still resumes; absent if that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resume_window: Option<ResumeWindow>,
    /// How long the oldest stored position has not moved; absent before stable sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_age: Option<u64>,
    /// Bytes of the journal that wait on disk for the target.
    pub relay_bytes: u64,
    /// How much of the journal may wait there, over all flows; absent without a relay log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_limit: Option<u64>,
    /// Commands that the target has refused, by the first word of its answer.
    #[serde(default)]
    pub refusals: BTreeMap<String, u64>,
    /// Keys that wait to be refetched.
    pub refetching: u64,
    /// How long the oldest of them has waited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_refetch: Option<u64>,
    /// Keys that were refetched.
    pub refetched: u64,
    /// Why keys were refetched.
    pub refetches: BTreeMap<String, u64>,
    /// Attempts that failed, by what failed.
    pub retries: BTreeMap<String, u64>,
    /// What was left out, by kind.
    pub left_out: BTreeMap<String, u64>,
    /// Whether keys of the target are being looked for that the source does not have.
    pub is_removing_extra_keys: bool,
    /// Keys that the source did not have, and that were removed.
    pub extra_keys_removed: u64,
    /// Keys that the target has evicted.
    pub evicted_keys: u64,
    /// Batches of commands that were sent and not carried out.
    pub in_flight: u64,
    /// How long the oldest of them has waited for the target's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<u64>,
    /// How long 99 of 100 batches took at the most, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_p99_micros: Option<u64>,
    /// Whether the run is paused.
    pub is_paused: bool,
    /// What the run asks a person about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<String>,
    /// Why the target takes nothing, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<String>,
    /// What was compared with the source and repaired beside the run; absent if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified: Option<Verified>,
    /// Each flow.
    pub flows: Vec<Flow>,
    /// Each server of the target that was written to.
    #[serde(default)]
    pub nodes: Vec<TargetNode>,
}

/// How far the source may go on without a run that then still resumes, in records of the flow that is behind the most.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ResumeWindow {
    /// How many records a source of this release keeps of each flow, unless it is told otherwise.
    pub kept: u64,
    /// How many of them are not needed yet.
    pub left: u64,
    /// How long the source takes to write that many, as it writes now, in milliseconds; absent if it writes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub millis: Option<u64>,
}

/// When a run came to each part of its way, in milliseconds since 1970. Another full synchronisation begins a new way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Milestones {
    /// It began to read the snapshot; absent if it resumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<i64>,
    /// It began to follow the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journal: Option<i64>,
    /// The target was in sync for the first time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub in_sync: Option<i64>,
}

/// What was compared with the source beside the run, since it began.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Verified {
    /// How many times the whole key space was compared.
    pub passes: u64,
    /// Keys that were compared.
    pub compared: u64,
    /// Keys that differed, and are equal since.
    pub repaired: u64,
    /// Keys that still differed behind their repair, by what differed.
    pub different: BTreeMap<String, u64>,
    /// Keys that could not be compared.
    pub not_compared: u64,
}

/// One flow: what one shard of the source sends.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Flow {
    /// Its number.
    pub flow: u16,
    /// The source's next record, when it was asked last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_lsn: Option<u64>,
    /// The next record to be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received_lsn: Option<u64>,
    /// The next record to be applied: the target holds everything before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub durable_lsn: Option<u64>,
    /// How far it is behind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag: Option<Lag>,
    /// Keys of the snapshot that were read.
    pub keys: u64,
    /// Bytes that were received.
    pub bytes: u64,
    /// Journal records that were read.
    pub records: u64,
    /// Keys that wait to be refetched.
    pub refetching: u64,
    /// Bytes of the journal that wait on disk.
    pub relay_bytes: u64,
    /// Batches of commands that were sent and not carried out.
    pub in_flight: u64,
    /// How long the oldest of them has waited for the target's answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unanswered: Option<u64>,
    /// How long the stored position has not moved; absent before stable sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_age: Option<u64>,
    /// Why the target takes nothing of it, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stalled: Option<String>,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OneEvent {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// What, in one sentence.
    pub text: String,
}

/// One second of a run's history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Sample {
    /// When, in milliseconds since 1970.
    pub at: i64,
    /// Keys of the snapshot, in this second.
    pub keys: u64,
    /// Journal records that were read, in this second.
    pub records: u64,
    /// Bytes that were received, in this second.
    pub bytes: u64,
    /// Records that the source has journaled and the target does not hold; absent before stable sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_records: Option<u64>,
    /// For how long the oldest of them has been missing, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_millis: Option<u64>,
    /// Bytes of the journal that wait on disk.
    pub relay_bytes: u64,
    /// Records that the source has journaled, in this second, as far as it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub journaled: Option<u64>,
    /// Records of the journal that became durable on the target, in this second; absent before stable sync.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applied: Option<u64>,
    /// How long half of the batches took at the most that were carried out in this second, in microseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_p50_micros: Option<u64>,
    /// The same for 99 of 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch_p99_micros: Option<u64>,
}

impl Flow {
    fn of(nth: usize, flow: &FlowReport) -> Self {
        Self {
            flow: u16::try_from(nth).unwrap_or(u16::MAX),
            source_lsn: flow.source.map(|source| source.next.0),
            received_lsn: flow.positions.map(|at| at.received.0),
            durable_lsn: flow.positions.map(|at| at.durable.0),
            lag: flow.lag.map(|lag| Lag { records: lag.records, millis: millis(lag.time) }),
            keys: flow.keys,
            bytes: flow.bytes,
            records: flow.records,
            refetching: flow.refetching,
            relay_bytes: flow.relay_bytes,
            in_flight: flow.in_flight,
            unanswered: flow.unanswered.map(millis),
            checkpoint_age: flow.checkpoint_age.map(millis),
            stalled: flow.stalled.clone(),
        }
    }
}

impl Lag {
    /// Of all flows: the records together, and the longest time. `None` before every flow is in stable sync.
    pub fn of_all(report: &Report) -> Option<Self> {
        let lags: Option<Vec<_>> = report.flows.iter().map(|flow| flow.lag).collect();
        let lags = lags.filter(|lags| !lags.is_empty())?;
        let longest = lags.iter().map(|lag| lag.time).max().unwrap_or_default();
        Some(Self { records: lags.iter().map(|lag| lag.records).sum(), millis: millis(longest) })
    }
}

impl Side {
    fn of_source(self, report: &Report) -> Self {
        let named = |release: &String| format!("Dragonfly {}", release.trim_start_matches("df-"));
        Self { product: report.source_release.as_ref().map(named), ..self }
    }

    fn of_target(self, report: &Report) -> Self {
        let Some(TargetKind { product, version: (major, minor), primaries }) = &report.target else {
            return self;
        };
        let mode = if primaries.is_some() { "cluster" } else { "standalone" };
        Self {
            mode: Some(mode.to_owned()),
            product: Some(format!("{product} {major}.{minor}")),
            primaries: primaries.map(|primaries| primaries as u64),
            ..self
        }
    }
}

impl ResumeWindow {
    /// The same, while the source writes so many records of each flow in so many seconds.
    #[must_use]
    pub fn at_rate(self, records: u64, seconds: u64) -> Self {
        Self { millis: self.left.saturating_mul(seconds).saturating_mul(1000).checked_div(records), ..self }
    }

    /// A run with a relay log goes on from what it has read, any other from what the target has.
    fn of(report: &Report, has_relay_log: bool) -> Option<Self> {
        let kept = Backlog::usual_records(report.source_release.as_deref()?)?;
        let used = |flow: &FlowReport| {
            let (source, at) = (flow.source?.next.0, flow.positions?);
            let resumes_at = if has_relay_log { at.received.0 } else { at.durable.0 };
            Some(source.saturating_sub(resumes_at))
        };
        let used: Option<Vec<u64>> = report.flows.iter().map(used).collect();
        let most = used?.into_iter().max()?;
        Some(Self { kept, left: kept.saturating_sub(most), millis: None })
    }
}

impl Milestones {
    fn of(report: &Report) -> Self {
        let dfly_replica::Milestones { snapshot, journal, in_sync } = report.milestones;
        let millis = |at: Option<UnixMillis>| at.map(|at| at.0);
        Self { snapshot: millis(snapshot), journal: millis(journal), in_sync: millis(in_sync) }
    }
}

impl Status {
    /// This status, with what a report says.
    pub fn with_report(self, report: &Report) -> Self {
        let longest = |of: &dyn Fn(&FlowReport) -> Option<Duration>| report.flows.iter().filter_map(of).max();
        let named = |counts: &BTreeMap<&'static str, u64>| {
            counts.iter().map(|(name, count)| ((*name).to_owned(), *count)).collect()
        };
        Self {
            phase: report.phase,
            in_sync: report.is_in_sync(),
            source: self.source.clone().of_source(report),
            source_id: report.source_id.clone(),
            target: self.target.clone().of_target(report),
            milestones: Milestones::of(report),
            lag: Lag::of_all(report),
            keys: report.keys(),
            kinds: named(&report.kinds),
            source_keys: report.source_keys,
            bytes: report.bytes(),
            records: report.records(),
            resume_window: ResumeWindow::of(report, self.relay_limit.is_some()),
            checkpoint_age: longest(&|flow| flow.checkpoint_age).map(millis),
            relay_bytes: report.relay_bytes(),
            refetching: report.refetching(),
            oldest_refetch: longest(&|flow| flow.oldest_refetch).map(millis),
            refetched: report.refetched,
            refetches: report.refetches.iter().map(|(why, n)| (why.name().to_owned(), *n)).collect(),
            refusals: report.refusals.clone(),
            retries: named(&report.retries),
            left_out: report.losses.iter().map(|(loss, n)| (loss.to_string(), n)).collect(),
            is_removing_extra_keys: report.is_removing_extra_keys,
            extra_keys_removed: report.extra_keys_removed,
            evicted_keys: report.evicted_keys,
            in_flight: report.flows.iter().map(|flow| flow.in_flight).sum(),
            unanswered: longest(&|flow| flow.unanswered).map(millis),
            batch_p99_micros: report.latency.quantile(990).map(micros),
            is_paused: report.is_paused,
            question: report.question.clone(),
            stalled: report.flows.iter().find_map(|flow| flow.stalled.clone()),
            flows: report.flows.iter().enumerate().map(|(nth, flow)| Flow::of(nth, flow)).collect(),
            nodes: report.nodes.iter().map(TargetNode::from).collect(),
            ..self
        }
    }
}

impl From<&Event> for OneEvent {
    fn from(event: &Event) -> Self {
        Self { at: event.at.0, text: event.text.clone() }
    }
}
