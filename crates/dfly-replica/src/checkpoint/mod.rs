//! The positions that the target itself keeps: written in the same transaction as the data, so that they are true
//! whatever is killed at whatever moment (P18).
//!
//! One hash under a reserved key in database 0: `source` the master's replication id, `flows` how many it has,
//! `flow:<i>` the next record wanted of each, the number of its last transaction and which answers were heard, `syncing` while a full synchronisation
//! is not complete, `owner` the session that writes, `refused` what the target refused for good, if anything; and the fields
//! of [`SyncMetadata`].

pub(crate) mod fields;
pub(crate) mod position;
mod stored;
mod sync_metadata;
pub(crate) mod written_keys;

pub(crate) use fields::SETS_FIELDS;
pub use position::{Position, WriterIdentity};
pub(crate) use stored::UNNAMED;
pub use stored::{Checkpoint, Stored};
pub use sync_metadata::ExtraKeys;
pub(crate) use sync_metadata::SyncMetadata;
