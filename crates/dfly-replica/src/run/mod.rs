//! The run as a whole: session after session until it is told to stop, and what others may know of it and ask of it.

pub(crate) mod control;
pub(crate) mod counters;
pub(crate) mod engine;
pub(crate) mod events;
pub(crate) mod kinds;
pub(crate) mod latency;
pub(crate) mod milestones;
pub(crate) mod new_source;
pub(crate) mod nodes;
pub(crate) mod publisher;
pub(crate) mod rehearsal;
pub(crate) mod report;
pub(crate) mod retry;
pub(crate) mod start;
pub(crate) mod state_file;
pub(crate) mod stop;
pub(crate) mod throttle;
