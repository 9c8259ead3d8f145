//! Everything that was found about a pair, for people and for scripts.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use crate::finding::{Finding, Severity};

/// Everything that was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The source's address.
    pub source: String,
    /// The target's address.
    pub target: String,
    /// What the source calls its release, if it says.
    pub release: Option<String>,
    /// How many flows it has, if it was asked.
    pub flows: Option<u16>,
    /// What the sample stands for.
    pub estimates: Option<Estimates>,
    /// How many findings block a start.
    pub blockers: usize,
    /// How many are warnings.
    pub warnings: usize,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What was found, in the order of the checks.
    pub findings: Vec<Finding>,
}

/// What a sample of keys stands for.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Estimates {
    /// Keys in all databases.
    pub keys: u64,
    /// Keys that were looked at.
    pub sampled: u64,
    /// Keys with an expiry.
    pub expires: u64,
    /// Keys by type.
    pub types: BTreeMap<String, TypeEstimate>,
    /// What they take on the source, in bytes, if it says.
    pub source_bytes: Option<u64>,
    /// What they will take on the target, in bytes, over all its servers.
    pub target_bytes: Option<u64>,
    /// How long the snapshot takes, in seconds, if the first seconds of it were measured.
    pub snapshot_seconds: Option<f64>,
}

/// How many keys of a type there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct TypeEstimate {
    /// The most likely number.
    pub keys: u64,
    /// The true number differs by no more than this, with a confidence of 95 %.
    pub margin: u64,
}

impl Report {
    /// The findings that block a start.
    pub fn blocking(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Blocker)
    }

    /// The worst that was found.
    pub fn worst(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
    }
}

/// How many findings are of this severity.
pub(crate) fn number_of(findings: &[Finding], severity: Severity) -> usize {
    findings.iter().filter(|finding| finding.severity == severity).count()
}

/// In seconds, to a hundredth.
pub(crate) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 100.0).round() / 100.0
}
