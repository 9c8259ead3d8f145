//! Redis Cluster slots, as pure data.
//!
//! What it is: [`Slot::of`] a key, [`KeySpec`] for the places of keys in a command, [`SlotOwners`] from slots to nodes.
//!
//! What it is not: it opens no connection and parses no reply.
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

mod keys;
mod owners;
mod slot;

pub use keys::KeySpec;
pub use owners::{OwnersError, SlotOwners};
pub use slot::{SLOTS, Slot, beside, hash_tag, tag_of};
