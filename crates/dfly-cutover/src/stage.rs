//! How far a cutover has come.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::evidence::Evidence;

/// Why a cutover let writes go on. Nothing is lost by it: the replication goes on too.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "cause", content = "text", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Doubt {
    /// The replication was not near its source in time.
    #[error("the target was not near the source in time: {0}")]
    NotNear(String),
    /// The source does not stop its writes.
    #[error("writes could not be stopped at the source: {0}")]
    NotStopped(String),
    /// The pause of writes may have ended by itself.
    #[error("the pause of writes could not be renewed: {0}")]
    NotRenewed(String),
    /// The target did not come to where the source stood.
    #[error("the target did not have everything within {0} ms")]
    NotReached(u64),
    /// Something differs, behind a repair too, or could not be compared.
    #[error("{0} keys differ or could not be compared")]
    Unequal(u64),
    /// The comparison could not be made.
    #[error("the target could not be compared with the source: {0}")]
    NotCompared(String),
    /// The replication has no session, or has ended.
    #[error("the replication does not answer: {0}")]
    NoReplication(String),
}

/// Why it is not safe to switch any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "cause", rename_all = "kebab-case")]
pub enum Withdrawal {
    /// Somebody has written to the source.
    Written {
        /// How many records came.
        records: u64,
    },
    /// The run copies everything again, because one side has lost what it held.
    CopiedAgain,
}

impl fmt::Display for Withdrawal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Written { records } => {
                write!(f, "{records} records were written to the source since; the target gets them too")
            }
            Self::CopiedAgain => f.write_str(
                "the target or the source has lost what it held since, and everything is copied again",
            ),
        }
    }
}

/// How far a cutover has come.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case")]
pub enum Stage {
    /// It waits until the target is near the source.
    #[default]
    Approaching,
    /// Everything is compared before writes are stopped.
    Comparing,
    /// Writes are being stopped.
    Stopping,
    /// Writes are stopped, and the target takes what is on its way.
    Draining,
    /// What changed last is compared.
    Verifying,
    /// It is safe to switch. Writes stay stopped.
    Safe {
        /// Why.
        evidence: Evidence,
    },
    /// It is safe to switch, and the source has shut down.
    TakenOver {
        /// Why.
        evidence: Evidence,
    },
    /// It was safe, and is not any more.
    Withdrawn {
        /// Why it was safe.
        evidence: Evidence,
        /// Why it is not any more.
        because: Withdrawal,
    },
    /// What a cutover would find now; nothing was stopped.
    DryRun {
        /// The target's lag, in milliseconds.
        lag: u64,
        /// How many records it is behind.
        records: u64,
    },
    /// Writes go on, because something was in doubt.
    Undone {
        /// What.
        doubt: Doubt,
    },
    /// Somebody has ended it: writes are not stopped by it any more.
    Released {
        /// Why it was safe, if it was.
        evidence: Option<Evidence>,
        /// Why it was not safe any more, if so.
        withdrawn: Option<Withdrawal>,
    },
}

impl Stage {
    /// Whether it is known how it comes out.
    pub fn is_decided(&self) -> bool {
        match self {
            Self::Approaching | Self::Comparing | Self::Stopping | Self::Draining | Self::Verifying => false,
            Self::Safe { .. }
            | Self::TakenOver { .. }
            | Self::Withdrawn { .. }
            | Self::DryRun { .. }
            | Self::Undone { .. }
            | Self::Released { .. } => true,
        }
    }

    /// Whether it goes on.
    pub fn is_running(&self) -> bool {
        match self {
            Self::TakenOver { .. } | Self::DryRun { .. } | Self::Undone { .. } | Self::Released { .. } => {
                false
            }
            Self::Approaching
            | Self::Comparing
            | Self::Stopping
            | Self::Draining
            | Self::Verifying
            | Self::Safe { .. }
            | Self::Withdrawn { .. } => true,
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Approaching => f.write_str("waiting until the target is near the source"),
            Self::Comparing => f.write_str("comparing all keys"),
            Self::Stopping => f.write_str("stopping writes at the source"),
            Self::Draining => f.write_str("writes are stopped; the target takes what is on its way"),
            Self::Verifying => f.write_str("writes are stopped; comparing what changed last"),
            Self::Safe { evidence } => write!(f, "safe to switch: {evidence}"),
            Self::TakenOver { evidence } => {
                write!(f, "safe to switch, and the source shuts down: {evidence}")
            }
            Self::Withdrawn { because, .. } => write!(f, "NOT safe any more: {because}"),
            Self::DryRun { lag, records } => {
                write!(f, "nothing was stopped; the target is {records} records and {lag} ms behind")
            }
            Self::Undone { doubt } => write!(f, "writes go on: {doubt}"),
            Self::Released { withdrawn: None, evidence: Some(_) } => {
                f.write_str("released; nothing was written to the source since it was safe")
            }
            Self::Released { withdrawn: Some(because), evidence: Some(_) } => {
                write!(f, "released; it was safe, but {because}")
            }
            Self::Released { evidence: None, .. } => f.write_str("released before it was safe"),
        }
    }
}
