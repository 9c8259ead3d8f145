//! The real binary, as a person or a script runs it.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

mod alone;
mod bad_input;
mod binary;
mod blockers;
mod causes;
mod check;
mod check_live;
mod cluster;
mod config;
mod crash;
mod crash_cluster;
mod crash_live;
mod cutover;
mod cutover_live;
mod dashboard;
mod demo;
mod live;
mod memory;
mod metrics;
mod migrate;
mod page_run;
mod passwords;
mod prepare;
mod readers;
mod replicate;
mod secrets;
mod sentinel;
mod signals;
mod starts;
mod tls;
mod verify_live;
