//! What a migration tells at its end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use dfly_check::Summary;
use dfly_replica::{EngineConfig, Report};
use serde::Serialize;

use super::goal::{Phases, Reached};
use crate::commands::progress::size;

/// The addresses of both ends.
#[derive(Debug, Serialize)]
pub(super) struct Sides {
    source: String,
    target: String,
}

impl Sides {
    pub(super) fn of(config: &EngineConfig) -> Self {
        Self { source: config.source.to_string(), target: config.target.to_string() }
    }
}

/// What came over, what was left out and why, and how long it took.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MigrationReport {
    #[serde(flatten)]
    sides: Sides,
    flows: usize,
    /// Keys of the snapshot, those left out counted.
    keys: u64,
    keys_by_type: BTreeMap<&'static str, u64>,
    /// Bytes that were received.
    bytes: u64,
    /// Journal records, those inside the snapshot counted.
    records: u64,
    left_out: Vec<LeftOut>,
    /// Keys whose values were read again from the source.
    refetched: u64,
    /// Keys of the target that the source did not have.
    extra_keys_removed: u64,
    seconds: Seconds,
    /// The next record of each flow: the target has everything before it.
    lsns: Vec<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    verdict: Option<Summary>,
}

#[derive(Debug, PartialEq, Serialize)]
struct LeftOut {
    what: &'static str,
    count: u64,
    reason: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Seconds {
    snapshot: f64,
    catching_up: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    verification: Option<f64>,
}

impl Seconds {
    fn of(phases: Phases) -> Self {
        Self {
            snapshot: seconds(phases.snapshot),
            catching_up: seconds(phases.catching_up),
            verification: phases.verification.map(seconds),
        }
    }
}

/// To a hundredth.
fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 100.0).round() / 100.0
}

impl MigrationReport {
    pub(super) fn new(sides: Sides, report: &Report, reached: &Reached) -> Self {
        let left_out = report.losses.iter();
        Self {
            sides,
            flows: report.flows.len(),
            keys: report.keys(),
            keys_by_type: report.kinds.clone(),
            bytes: report.bytes(),
            records: report.records(),
            left_out: left_out
                .map(|(loss, count)| LeftOut { what: loss.name(), count, reason: loss.reason() })
                .collect(),
            refetched: report.refetched,
            extra_keys_removed: report.extra_keys_removed,
            seconds: Seconds::of(reached.phases),
            lsns: reached.lsns.iter().map(|lsn| lsn.0).collect(),
            verdict: reached.verdict.as_ref().map(|(summary, _)| summary.clone()),
        }
    }

    /// Lines for people.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            out.write_fmt(format_args!("{name:<16}{value}\n")).unwrap_or_default();
        };
        line("source", self.sides.source.clone());
        line("target", self.sides.target.clone());
        line("keys", format!("{}, of {} flows, {}", self.keys, self.flows, size(self.bytes)));
        for (kind, count) in &self.keys_by_type {
            line(&format!("  {kind}"), count.to_string());
        }
        line("journal", format!("{} records", self.records));
        if self.refetched > 0 {
            line("refetched", format!("{} keys, which the journal does not tell whole", self.refetched));
        }
        if self.extra_keys_removed > 0 {
            line("removed", format!("{} keys that the source does not have", self.extra_keys_removed));
        }
        match self.left_out.as_slice() {
            [] => line("left out", "nothing".to_owned()),
            all => line("left out", all.iter().map(|left| left.count).sum::<u64>().to_string()),
        }
        for LeftOut { what, count, reason } in &self.left_out {
            line(&format!("  {what}"), format!("{count}, because {reason}"));
        }
        line("snapshot", self.rate());
        line("catching up", format!("{:.2} s", self.seconds.catching_up));
        if let Some(verification) = self.seconds.verification {
            line("verification", format!("{verification:.2} s"));
        }
        line("verdict", self.sentence());
        out
    }

    fn rate(&self) -> String {
        let seconds = self.seconds.snapshot;
        match self.keys {
            0 => format!("{seconds:.2} s"),
            keys => format!(
                "{seconds:.2} s, {:.0} keys/s",
                f64::from(u32::try_from(keys).unwrap_or(u32::MAX)) / seconds.max(0.01)
            ),
        }
    }

    fn sentence(&self) -> String {
        match &self.verdict {
            Some(summary) => format!(
                "{}: {} keys compared (mode {}), {} differ, {} could not be compared",
                summary.sentence(),
                summary.compared,
                summary.mode,
                summary.different,
                summary.not_compared
            ),
            None => "the target has everything; it was not compared (--verify full compares it)".to_owned(),
        }
    }
}
