//! Recorded sessions of a real master, and scripted masters with a model, replicated into a real Redis.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation must stop the test"
)]

mod accidents;
mod acks;
mod bad_input;
mod captures;
mod clocks;
mod cluster;
mod control;
mod cuts;
mod databases;
mod evictions;
mod expiry;
mod failover;
mod full_targets;
mod gone_slots;
mod idle;
mod modules;
mod oversized;
mod passwords;
mod peers;
mod permissions;
mod property;
mod proxied;
mod refused_values;
mod reserved;
mod resume;
mod roles;
mod run;
mod scenarios;
mod scripted;
mod small;
mod source_answers;
mod sources;
mod tasks;
mod terms;
mod unanswered;
mod unfinished;
mod unknown;
mod workload;
