//! Looks at a Dragonfly, at its target and at what lies between before a replication begins, and says what will go wrong.
//!
//! What it is: [`Prepare::run`] gathers what both ends, the network and this host say ([`Facts`]), and decides what that means
//! for this pair: a [`Report`] of [`Finding`]s, each of a [`Check`] with a stable name. [`Prepare::at_start`] makes the checks
//! that are quick, before a first start. What the engine refuses itself is found by rehearsing its start
//! ([`dfly_replica::Rehearsed`]), and told in the engine's words.
//!
//! What it is not: it copies nothing, and writes nothing but reserved keys that it removes at once. It reads no flag or file of
//! the user; what it advises names the settings of the command line.
//!
//! ```no_run
//! use std::time::Instant;
//!
//! use dfly_prepare::{Prepare, Skipped, by_system};
//! use dfly_replica::EngineConfig;
//! use redis_resp::connection::{Endpoint, Peer};
//!
//! # async fn example() {
//! let endpoint = |peer, port| Endpoint::new(peer, "127.0.0.1", port);
//! let config = EngineConfig::new(endpoint(Peer::Source, 6379), endpoint(Peer::Target, 6380));
//! let advice = |error: &dfly_replica::Error| format!("see why: {error}");
//! let (skipped, resolve, now) = (Skipped::default(), by_system, Instant::now);
//! let prepare = Prepare { config, skipped, measures: false, advice, resolve, now };
//! for blocker in prepare.run().await.blocking() {
//!     println!("{}: {}", blocker.check, blocker.sentence());
//! }
//! # }
//! ```

mod check;
mod facts;
mod finding;
mod findings;
mod info;
mod memory;
mod prepare;
mod report;
mod resolve;
mod sample;
mod source_commands;

pub use check::{Check, Side, Skipped, When};
pub use facts::{
    AbilityFact, AddressFacts, ClusterFacts, Facts, HostFacts, Measured, NodeFacts, SourceFacts, TargetFacts,
    WriteRate,
};
pub use finding::{Finding, Severity};
pub use info::{DatabaseInfo, Info, ReplicaInfo};
pub use prepare::{Prepare, Start};
pub use report::{Estimates, Report, TypeEstimate};
pub use resolve::{Resolve, Resolved, by_system};
pub use sample::{BigKey, Estimate, KindSample, Sample};
pub use source_commands::{SourceCommand, source_commands};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
