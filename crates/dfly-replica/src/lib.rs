//! The replication engine: flows of a Dragonfly master in, writes to a Redis target out.
//!
//! What it is: [`Engine::run`] performs the handshake, reads the snapshot and the journal of every flow at once, and
//! writes them through one bounded writer a flow. Each flow has three positions: received, sent and durable. Only durable
//! ones are acknowledged. [`Report`] says what a run is doing, and [`Control`] asks it for something; nothing else of the
//! engine is a door for what is built on it.
//!
//! What it is not: it parses no wire format itself (`dfly-rdb`, `dfly-journal`), decides nothing about what a record
//! becomes (`dfly-translate`), and reads no flag or file of the user.
//!
//! ```no_run
//! use dfly_replica::{Engine, EngineConfig, Stop};
//! use redis_resp::connection::{Endpoint, Peer};
//!
//! # async fn example() -> Result<(), dfly_replica::Error> {
//! let endpoint = |peer, port| Endpoint::new(peer, "127.0.0.1", port);
//! let config = EngineConfig::new(endpoint(Peer::Source, 6379), endpoint(Peer::Target, 6380));
//! let (engine, reports) = Engine::new(config);
//! let (stop, stopped) = tokio::sync::watch::channel(Stop::Running);
//! let summary = engine.run(stopped).await?;
//! println!("{} keys", summary.keys());
//! # drop((reports, stop));
//! # Ok(())
//! # }
//! ```

mod backoff;
mod blame;
mod checkpoint;
mod clock;
mod config;
mod error;
mod flow;
mod keys;
mod maintenance;
mod memory_budget;
mod notice;
mod rate_limiter;
mod run;
mod session;
mod slot_set;
mod source;
mod target;

pub use backoff::Backoff;
pub use blame::Blame;
pub use checkpoint::{Checkpoint, ExtraKeys, Position, Stored, WriterIdentity};
pub use clock::Clock;
pub use config::{EngineConfig, OnConflict, OnNewSource, OnRelayFull, OnStart, Reconnect, TargetMode};
pub use error::{Error, FlowError};
pub use flow::core::RefetchOutcome;
#[cfg(feature = "in-memory")]
pub use flow::core::in_memory::FlowInMemory;
pub use flow::watched_keys::{Settled, WatchId};
pub use keys::{SourceKey, TargetKey};
pub use maintenance::cleanup::{Cleanup, Found, Owned};
pub use maintenance::protected_keys::load as protected_keys;
pub use rate_limiter::RateLimiter;
pub use run::control::{Control, ControlError, MOST_WATCHED, RateLimits};
pub use run::engine::Engine;
pub use run::events::Event;
pub use run::latency::Latency;
pub use run::nodes::{NodeLink, NodeReport};
pub use run::rehearsal::{Begins, Rehearsal, Rehearsed, RehearsedSource, RehearsedTarget};
pub use run::report::{
    ExtraKeysProgress, FlowLsns, FlowReport, Lag, Milestones, Phase, Report, SourceLsn, TargetKind,
};
pub use run::state_file::{SavedFlow, SavedState, StateFile, StateFileError};
pub use run::stop::Stop;
pub use session::barriers::{CutBarrier, FlushBarrier, Mismatch};
pub use source::backlog::Backlog;
pub use source::history::NewSource;
pub use source::sharding::{OwnerCheck, Sharding};
pub use target::capacity::ScarceClients;
pub use target::connect::connect_target;
pub use target::databases::databases;
pub use target::keyspace_scan::KeyspaceScan;
pub use target::probe::list::target_commands;
pub use target::probe::needs::{Instead, Lack, TargetCommand};
pub use target::questions::{Question, TargetConnection};

pub use redis_sink::Tally;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
