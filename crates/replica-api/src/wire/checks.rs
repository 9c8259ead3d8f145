//! Comparisons of source and target, as they are asked for and told.

use std::collections::BTreeMap;

use dfly_check::{Outcome, Progress, Summary};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::KeyName;

/// A comparison of all keys, in step with the replication. What is absent has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckRequest {
    /// How much of each key: `outline`, `length`, `full` (the default) or `smart`.
    #[serde(default)]
    pub mode: Option<String>,
    /// Compares only this share of the keys, such as `1%`.
    #[serde(default)]
    pub sample: Option<String>,
    /// How many keys are compared in a second at the most; absent: as many as both sides give.
    #[serde(default)]
    pub keys_per_second: Option<u64>,
    /// Whether keys that differ are refetched, and compared again.
    #[serde(default)]
    pub repair: bool,
}

/// How fast all keys are compared and repaired, again and again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct VerifyRequest {
    /// Keys in a second; 0 ends it.
    pub keys_per_second: u64,
}

/// The positions that the target holds for certain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checkpointed {
    /// The next record of each flow.
    pub lsns: Vec<u64>,
}

/// The comparison that runs, and the last one that has ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Checks {
    /// The one that runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub running: Option<CheckProgress>,
    /// The last one that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<CheckResult>,
}

/// How far a comparison has come.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckProgress {
    /// When it began, in milliseconds since 1970.
    pub started_at: i64,
    /// How much of each key it compares.
    pub mode: String,
    /// Whether it repairs what differs.
    pub repairs: bool,
    /// What it does now, in words.
    pub stage: String,
    /// Keys that it has looked at in this stage.
    pub keys: u64,
    /// Keys that there are, as far as is known.
    pub of: u64,
    /// Keys that differ so far.
    pub different: u64,
    /// Keys that could not be compared so far.
    pub not_compared: u64,
}

/// What came of a comparison.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckResult {
    /// When it began, in milliseconds since 1970.
    pub started_at: i64,
    /// When it ended.
    pub ended_at: i64,
    /// How much of each key was compared.
    pub mode: String,
    /// `equal`, `different`, `incomplete` or `failed`.
    pub outcome: String,
    /// The result in one sentence.
    pub sentence: String,
    /// Keys that were compared.
    pub compared: u64,
    /// Keys that were equal.
    pub equal: u64,
    /// Keys that differed, were refetched, and are equal now.
    pub repaired: u64,
    /// Keys that differ.
    pub different: u64,
    /// How many keys differ in what.
    pub kinds: BTreeMap<String, u64>,
    /// Keys that could not be compared.
    pub not_compared: u64,
    /// What else could not be compared, in words.
    pub gaps: Vec<String>,
    /// Keys that the target cannot hold, by kind.
    pub left_out: BTreeMap<String, u64>,
}

/// Keys that differ or could not be compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Differences {
    /// The first of them, in the order of their names.
    pub keys: Vec<OneDifference>,
    /// How many there are besides.
    pub more: u64,
}

/// A key that differs or could not be compared. Values are never told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OneDifference {
    /// Its name on the source.
    #[serde(flatten)]
    pub key: KeyName,
    /// The key, what is the matter, and both sides' outlines, in one line.
    pub line: String,
}

impl CheckProgress {
    /// This, with how far it has come.
    pub(crate) fn at(self, progress: &Progress) -> Self {
        Self {
            stage: progress.stage.to_string(),
            keys: progress.keys,
            of: progress.of,
            different: progress.different,
            not_compared: progress.not_compared,
            ..self
        }
    }
}

impl CheckResult {
    /// The result of the comparison that has been running as `was`.
    pub(crate) fn of(was: &CheckProgress, ended_at: i64, summary: Summary) -> Self {
        let outcome = match summary.outcome() {
            Outcome::Equal => "equal",
            Outcome::Different => "different",
            Outcome::Incomplete => "incomplete",
        };
        Self {
            started_at: was.started_at,
            ended_at,
            mode: was.mode.clone(),
            outcome: outcome.to_owned(),
            sentence: summary.sentence().to_owned(),
            compared: summary.compared,
            equal: summary.equal,
            repaired: summary.repaired,
            different: summary.different,
            kinds: summary.kinds,
            not_compared: summary.not_compared,
            gaps: summary.gaps,
            left_out: summary.left_out,
        }
    }

    /// The comparison could not be made.
    pub(crate) fn failed(was: &CheckProgress, ended_at: i64, cause: String) -> Self {
        Self {
            started_at: was.started_at,
            ended_at,
            mode: was.mode.clone(),
            outcome: "failed".to_owned(),
            sentence: cause,
            ..Self::default()
        }
    }
}
