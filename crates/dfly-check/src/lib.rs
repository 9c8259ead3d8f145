//! Compares a Dragonfly with the Redis, Valkey or cluster that it is replicated into.
//!
//! What it is: [`Rounds`] compares all keys of both sides, and then again what differed, until nothing does or the rounds are
//! over. [`StepRun`] and [`InStep`] compare in step with a running replication, which they reach by the trait [`Step`]: each
//! verdict is exact and holds at an LSN. [`Store`] keeps what was found in an embedded database file, [`Report`] shows it, and
//! [`Summary`] says as a whole whether both sides are equal, differ, or could not be compared. [`Repair`] makes the target
//! equal while nobody writes to the source. [`FullCheck`] has redis-full-check compare.
//!
//! What it is not: it follows no source and applies no journal (`dfly-replica`), and reads no flag or file of the user. No
//! value is ever reported: a difference is a key, what differs, and the outline of both sides.
//!
//! ```no_run
//! use dfly_check::{CheckConfig, Outcome, Progress, Rounds, RunSignals, Store};
//! use dfly_replica::EngineConfig;
//! use redis_resp::connection::{Endpoint, Peer};
//! use tokio::sync::watch;
//!
//! # async fn example() -> Result<(), dfly_check::CheckError> {
//! let endpoint = |peer, port| Endpoint::new(peer, "127.0.0.1", port);
//! let engine = EngineConfig::new(endpoint(Peer::Source, 6379), endpoint(Peer::Target, 6380));
//! let store = Store::temporary()?;
//! let (progress, _shown) = watch::channel(Progress::default());
//! let (_stop, stopped) = watch::channel(false);
//! let summary = Rounds::new(CheckConfig::new(engine), &store, RunSignals { progress, stop: stopped }).run().await?;
//! assert_eq!(summary.outcome(), Outcome::Equal);
//! # Ok(())
//! # }
//! ```

mod by_commands;
mod compare;
mod comparer;
mod config;
mod continuous;
mod document;
mod elements;
mod error;
mod extra;
mod full_check;
mod held;
mod in_step;
mod key_sums;
mod link;
mod mode;
mod observe;
mod pace;
mod pieces;
mod plan;
mod policy;
mod progress;
mod repair;
mod report;
mod requests;
mod rounds;
mod sample;
mod scan;
mod step;
mod step_control;
mod step_run;
mod store;
mod stream_state;
mod stride;
mod summary;
mod tally;
mod throttle;
mod type_name;
mod verdict;
mod way;
mod workers;

pub use config::CheckConfig;
pub use continuous::{Continuous, Verified};
pub use error::CheckError;
pub use full_check::{FullCheck, tell_lines};
pub use in_step::{InStep, Mended};
pub use link::SideError;
pub use mode::Mode;
pub use progress::{Progress, RunSignals, Stage};
pub use repair::{Repair, Repaired};
pub use report::{About, Report, ReportError, line};
pub use rounds::Rounds;
pub use sample::{Sample, at_most};
pub use step::{MOST_WATCHED, Settled, Step, StepError, WatchId};
pub use step_run::StepRun;
pub use store::{Finding, Store, StoreError};
pub use summary::{Outcome, Summary};
pub use verdict::{Certainty, Different, ExactVerdict, Outline, Pair, Verdict, What};
pub use way::ReadLimits;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
