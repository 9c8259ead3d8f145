//! Redis Cluster slots, as pure data.
//!
//! What it is: [`Slot::of`] a key, [`KeySpec`] for the places of keys in a command, [`SlotOwners`] and [`SlotTable`] from
//! slots to nodes, [`Topology`] out of what a node replies, and what a refusal calls for ([`Retry`]).
//!
//! What it is not: it opens no connection, reads no socket, and decides no time: whoever holds the connections asks,
//! waits and asks again.
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
//! What a node of a cluster says:
//!
//! ```
//! use bytes::BytesMut;
//! use dfly_wire::Step;
//! use redis_resp::{Reply, ServerError};
//! use redis_slots::{Retry, Slot, Topology};
//!
//! let mut bytes = BytesMut::from(&b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$0\r\n\r\n:7001\r\n$4\r\nsome\r\n"[..]);
//! let Step::Ready(reply) = Reply::decode(&mut bytes)? else { panic!() };
//! let topology = Topology::from_slots(&reply, false)?;
//! // The node does not know its own address: it is where it was asked.
//! let address = topology.shards()[0].primary.address("10.0.0.1", false).unwrap();
//! assert_eq!(address.to_string(), "10.0.0.1:7001");
//! assert_eq!(topology.table()?.owner(Slot::of(b"key")), Some(0));
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
