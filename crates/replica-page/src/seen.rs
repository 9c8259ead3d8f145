//! What the page is made from.

use replica_api::wire::{CutoverState, OneEvent, Sample, Status};

/// Everything that the page shows of a run, at one moment.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// Whether it is what the run says now.
    pub answer: Answer,
    /// What the run is doing.
    pub status: Status,
    /// What it was doing a few seconds before, for rates of single flows.
    pub before: Option<Status>,
    /// The last hour, one sample a second, the oldest first.
    pub history: Vec<Sample>,
    /// What has happened last, the oldest first.
    pub events: Vec<OneEvent>,
    /// How far the last cutover has come.
    pub cutover: Option<CutoverState>,
    /// What the run says of its last comparison.
    pub check: Option<LastCheck>,
    /// How many replicas of each primary must have a write before its position is stored.
    pub wait_replicas: Option<u64>,
}

/// Who says what the page shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Answer {
    /// The run itself, now.
    #[default]
    Live,
    /// The run does not answer. This is what it said last, at this time.
    Gone {
        /// In milliseconds since 1970.
        last: i64,
    },
    /// No run has answered yet.
    Never,
}

/// What became of a comparison of source and target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LastCheck {
    /// Whether it goes on.
    pub is_running: bool,
    /// When it ended, in milliseconds since 1970.
    pub ended_at: Option<i64>,
    /// Keys that were compared.
    pub compared: u64,
    /// Keys that differ, by what differs.
    pub different: Vec<(String, u64)>,
    /// Keys that could not be compared.
    pub not_compared: u64,
    /// Keys that were repaired.
    pub repaired: u64,
    /// Why it failed, if it did.
    pub failure: Option<String>,
}
