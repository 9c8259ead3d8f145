//! The replication engine: flows of a Dragonfly master in, writes to a Redis target out.
//!
//! What it is: [`Engine::run`] performs the handshake, reads the snapshot and the journal of every flow at once, and
//! writes them through one bounded pipeline a flow. Three positions are kept for each flow ([`Progress`]): received,
//! dispatched and durable; only durable ones are acknowledged. What it does is published as a [`Report`].
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
mod barrier;
mod budget;
mod checkpoint;
mod cleanup;
mod cluster;
mod config;
mod engine;
mod error;
mod expiries;
mod expiry_scan;
mod flow;
mod ghosts;
mod kept;
mod lasting;
mod look;
mod owner;
mod pace;
mod progress;
mod reader;
mod report;
mod reread;
mod session;
mod state_file;
mod stop;
mod sweep;
mod target;

pub use backoff::Backoff;
pub use barrier::{CutBarrier, FlushBarrier, Mismatch};
pub use checkpoint::{Checkpoint, KEY as CHECKPOINT_KEY, Others, Parties, Position, Stored};
pub use cleanup::{Cleanup, Found, Owned};
pub use config::{Clock, EngineConfig, OnConflict, OnStart, Reconnect, TargetMode};
pub use engine::Engine;
pub use error::{Blame, Error, FlowError};
pub use owner::{OwnerCheck, Sharding};
pub use progress::Progress;
pub use report::{FlowReport, Phase, Report};
pub use state_file::{SavedFlow, SavedState, StateFile, StateFileError};
pub use stop::Stop;
pub use target::TargetConnection;
