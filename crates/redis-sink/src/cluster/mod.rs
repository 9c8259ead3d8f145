//! Writes to a cluster: each batch has one unit of commands for each slot. Units of a slot are carried out in order, even
//! while slots move and nodes fail.
//!
//! [`ClusterWindow`] decides, [`ClusterPipeline`] moves bytes, and [`ClusterConnection`] sends single requests.

mod address_map;
mod candidates;
mod connection;
mod known_nodes;
mod ledger;
mod map;
mod node_lane;
mod options;
mod peer;
mod piece;
mod pipeline;
mod shape;
mod slot_queue;
mod split;
mod unit;
mod verdict;
mod window;

pub use address_map::{AddressMap, AddressMapError};
pub use candidates::Candidate;
pub use connection::{ClusterConnection, Request};
pub use known_nodes::KnownNodes;
pub use map::{ClusterMap, NodeId};
pub use options::{Claim, ClusterError, ClusterOptions, position_key};
pub use pipeline::{ClusterPipeline, GoneNode, NodeState};
pub use shape::Shape;
pub use split::Split;
pub use unit::{Cut, Lost, Memo, Unit};
pub use window::{ClusterWindow, OpenBatch, Pauses};
