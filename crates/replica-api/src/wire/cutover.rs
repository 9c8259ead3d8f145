//! A cutover, as it is asked for and told.

use dfly_cutover::Stage;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What a cutover is to do. What is absent has its default.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CutoverRequest {
    /// How writes are stopped: `pause`, `takeover` or `none`.
    #[serde(default)]
    pub method: Option<String>,
    /// What is compared: `recent`, `full` or `none`.
    #[serde(default)]
    pub verify: Option<String>,
    /// How long writes may be stopped before it is safe, in milliseconds.
    #[serde(default)]
    pub timeout: Option<u64>,
    /// How long a small lag is waited for before that, in milliseconds.
    #[serde(default)]
    pub patience: Option<u64>,
    /// Whether nothing is stopped.
    #[serde(default)]
    pub dry_run: bool,
}

/// How far a cutover has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CutoverState {
    /// In one sentence.
    pub text: String,
    /// Whether it is known how it comes out.
    pub is_decided: bool,
    /// Whether it goes on: writes may be stopped.
    pub is_running: bool,
    /// The stage, with its evidence or its doubt.
    #[schema(value_type = Object)]
    pub stage: Stage,
}

impl From<Stage> for CutoverState {
    fn from(stage: Stage) -> Self {
        Self {
            text: stage.to_string(),
            is_decided: stage.is_decided(),
            is_running: stage.is_running(),
            stage,
        }
    }
}
