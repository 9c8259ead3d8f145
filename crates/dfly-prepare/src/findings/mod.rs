//! What the facts mean for this pair. Pure: each file decides about one question.

mod engine;
mod fits;
mod lasts;
mod may;
mod reach;
mod who;
mod words;

use dfly_replica::{EngineConfig, Error};

pub(crate) use fits::needed;

use crate::check::{Check, Skipped, When};
use crate::facts::Facts;
use crate::finding::{Finding, Severity};

/// What is decided by.
pub(crate) struct Judging<'a> {
    /// What is known.
    pub facts: &'a Facts,
    /// The settings of the run.
    pub config: &'a EngineConfig,
    /// What to do about an error of the engine, in the words of whoever reads it.
    pub advice: fn(&Error) -> String,
}

impl Judging<'_> {
    /// Everything that was found, in the order of the checks. Of several findings of one check, only the worst kind is told.
    pub(crate) fn findings(&self, skipped: &Skipped) -> Vec<Finding> {
        let mut found = Vec::new();
        for part in
            [engine::findings, reach::findings, who::findings, may::findings, fits::findings, lasts::findings]
        {
            part(self, &mut found);
        }
        let mut kept: Vec<Finding> = Vec::new();
        for check in Check::ALL.iter().filter(|check| !skipped.has(**check)) {
            let of_check: Vec<&Finding> = found.iter().filter(|finding| finding.check == *check).collect();
            let worst = of_check.iter().map(|finding| finding.severity).max();
            for finding in of_check {
                if Some(finding.severity) == worst && !kept.contains(finding) {
                    kept.push(finding.clone());
                }
            }
        }
        kept
    }
}

/// The findings that stop a start before the engine begins, or are told there: those that the engine does not find itself.
pub(crate) fn of_a_start(findings: Vec<Finding>) -> Vec<Finding> {
    findings
        .into_iter()
        .filter(|finding| finding.check.when() == When::Always && finding.severity != Severity::Ok)
        .collect()
}
