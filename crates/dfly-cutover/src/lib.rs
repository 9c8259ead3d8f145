//! Switches from a Dragonfly to the target of a running replication.
//!
//! What it is: [`Cutover`] stops writes at the source, waits until the target holds everything and the positions too, compares
//! in step what changed last, and gives [`Evidence`]. On any doubt it lets writes go on and says why. A pause of writes lasts
//! only as long as somebody renews it: if this process dies, the source's clients write again within [`pause::TERM`].
//!
//! What it is not: it moves no load balancer, runs no command, and does not end the replication, which goes on so that a write
//! that comes late is not lost.
//!
//! ```no_run
//! use dfly_cutover::{Cutover, Plan, Stage};
//! use dfly_replica::{Engine, EngineConfig};
//! use tokio::sync::watch;
//!
//! # async fn example(config: EngineConfig) {
//! let (engine, reports) = Engine::new(config.clone());
//! let (stage, mut shown) = watch::channel(Stage::default());
//! let (_release, released) = watch::channel(false);
//! let cutover = Cutover { config, plan: Plan::default(), control: engine.control(), reports, stage, released };
//! tokio::spawn(cutover.run());
//! if let Ok(stage) = shown.wait_for(Stage::is_decided).await {
//!     println!("{}", *stage);
//! }
//! # }
//! ```

mod cutover;
mod evidence;
pub mod pause;
mod plan;
mod source;
mod stage;

pub use cutover::Cutover;
pub use evidence::{Evidence, Verified};
pub use plan::{Method, Plan, Verify};
pub use stage::{Doubt, Stage, Withdrawal};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
