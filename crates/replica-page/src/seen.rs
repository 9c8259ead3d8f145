//! What the page is made from.

use replica_api::wire::{Checks, CutoverState, OneEvent, Sample, Status};

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
    /// The comparison that runs, and the last one that has ended.
    pub checks: Checks,
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
