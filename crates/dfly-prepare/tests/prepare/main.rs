//! Each check is planted on a real pair and found by its name; nothing is said about pairs that are as they should be.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a failed expectation must stop the test")]

mod clusters;
mod commands;
mod document;
mod estimates;
mod healthy;
mod pair;
mod releases;
mod servers_between;
mod sources;
mod targets;
