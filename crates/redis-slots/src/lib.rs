//! Redis Cluster hash slots, without I/O.
//!
//! - [`Slot::of`]: the slot of a key, hash tags included.
//! - [`KeySpec`]: the keys of a command, and the slot that it has to be sent to ([`Route`]).
//! - [`SlotOwners`] and [`SlotTable`]: slot ownership, as ranges and as a table.
//! - [`Topology`]: the cluster topology in replies to CLUSTER SHARDS and CLUSTER SLOTS, strictly validated.
//! - [`Retry`]: what to do with a command after MOVED, ASK or another error.
//!
//! The crate opens no connection and reads no clock. The caller sends requests, waits and retries.
//!
//! ```
//! use redis_slots::{KeySpec, Slot, SlotOwners};
//!
//! assert_eq!(Slot::of(b"123456789").0, 12739);
//! assert_eq!(Slot::of(b"{user1000}.following"), Slot::of(b"user1000"));
//!
//! let mset = KeySpec::range(1, -1, 2);
//! assert_eq!(mset.keys(&["MSET", "a", "1", "b", "2"]).collect::<Vec<_>>(), [b"a", b"b"]);
//!
//! let owners: SlotOwners<&str> = [(0..=8191, "left"), (8192..=16383, "right")].into_iter().collect();
//! assert_eq!(owners.owner(Slot(12739)), Some(&"right"));
//! ```
//!
//! The topology of a cluster, and a redirection:
//!
//! ```
//! use redis_slots::{Reply, Retry, ServerError, Slot, Topology};
//!
//! // The reply to CLUSTER SLOTS of a cluster of one node, which does not know its own address.
//! let node = vec![Reply::Bulk("".into()), Reply::Integer(7001), Reply::Bulk("some-id".into())];
//! let range = vec![Reply::Integer(0), Reply::Integer(16383), Reply::Array(node)];
//! let topology = Topology::from_slots(&Reply::Array(vec![Reply::Array(range)]), false)?;
//! assert_eq!(topology.table()?.owner(Slot::of(b"key")), Some(0));
//!
//! // An unknown address means the host where the topology was requested.
//! let address = topology.shards()[0].primary.address("10.0.0.1", false).unwrap();
//! assert_eq!(address.to_string(), "10.0.0.1:7001");
//!
//! let moved = ServerError::parse(b"MOVED 12182 10.0.0.2:7002");
//! assert!(matches!(Retry::on_error(&moved), Retry::Moved(to) if to.slot == Slot(12182)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod address;
mod keys;
mod owners;
mod retry;
mod slot;
mod table;
mod topology;

pub use address::{Address, Host};
pub use keys::{KeySpec, Route};
pub use owners::{OwnersError, SlotOwners};
#[doc(inline)]
pub use redis_resp::{Reply, ServerError};
pub use retry::{Redirect, Retry};
pub use slot::{SLOTS, Slot, beside, hash_tag, tag_of};
pub use table::SlotTable;
pub use topology::{Health, Node, Shard, Topology, TopologyError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
