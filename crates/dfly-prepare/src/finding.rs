//! What a check has found.

use std::fmt;

use serde::Serialize;

use crate::check::{Check, Side};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// As it should be.
    Ok,
    /// A run can begin, and something may go wrong or be missing later.
    Warning,
    /// A run would not begin, or would not come to its end.
    Blocker,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Blocker => "blocker",
        })
    }
}

/// What a check has found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Finding {
    /// What was looked at.
    pub check: Check,
    /// Whom it is about.
    pub side: Side,
    /// How bad it is.
    pub severity: Severity,
    /// What it means for this pair.
    pub means: String,
    /// What to do; nothing if all is well.
    pub remedy: Option<String>,
    /// Whether a start ends with the engine's own error of the same words.
    #[serde(skip)]
    pub is_engines: bool,
}

impl Finding {
    /// All is well.
    pub fn ok(check: Check, means: impl Into<String>) -> Self {
        Self::new(check, Severity::Ok, means.into(), None)
    }

    /// Something may go wrong later.
    pub fn warning(check: Check, means: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(check, Severity::Warning, means.into(), Some(remedy.into()))
    }

    /// Nothing can begin.
    pub fn blocker(check: Check, means: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(check, Severity::Blocker, means.into(), Some(remedy.into()))
    }

    fn new(check: Check, severity: Severity, means: String, remedy: Option<String>) -> Self {
        Self { check, side: check.side(), severity, means, remedy, is_engines: false }
    }

    /// The whole sentence: what it means, and what to do.
    pub fn sentence(&self) -> String {
        match &self.remedy {
            Some(remedy) => format!("{}; {remedy}", self.means.trim_end_matches('.')),
            None => self.means.clone(),
        }
    }
}
