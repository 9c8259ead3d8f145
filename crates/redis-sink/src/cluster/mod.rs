//! Writing to a cluster: units of commands, one for each slot, in order while slots move and nodes fail.
//!
//! [`ClusterWindow`] decides, [`ClusterPipeline`] moves bytes, and [`ClusterConnection`] asks questions.

mod connection;
mod ledger;
mod map;
mod node_lane;
mod options;
mod peer;
mod piece;
mod pipeline;
mod shape;
mod slot_queue;
mod unit;
mod verdict;
mod window;

pub use connection::{ClusterConnection, Request};
pub use map::{ClusterMap, NodeId};
pub use options::{Claim, ClusterError, ClusterOptions, position_key};
pub use pipeline::ClusterPipeline;
pub use shape::Shape;
pub use unit::{Cut, Lost, Memo, Unit};
pub use window::{ClusterWindow, Pauses};
