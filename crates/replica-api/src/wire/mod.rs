//! What the API takes and answers, in JSON. Names are stable; fields are added, never renamed.

mod checks;
mod cutover;
mod keys;
mod nodes;
mod problem;
mod requests;
mod status;
mod times;

pub use checks::{
    CheckProgress, CheckRequest, CheckResult, Checkpointed, Checks, Differences, OneDifference, VerifyRequest,
};
pub use cutover::{CutoverRequest, CutoverState};
pub use keys::{KeyName, KeyNameError};
pub use nodes::TargetNode;
pub use problem::{Problem, ProblemBody};
pub use requests::{
    Accepted, KeyOutcome, Limits, Outcome, Refetch, Refetched, Release, Released, Settle, Settled, State,
    Watch, Watched,
};
pub use status::{Flow, Lag, Milestones, OneEvent, ResumeWindow, Sample, Side, Status, Verified};
pub(crate) use times::micros;
