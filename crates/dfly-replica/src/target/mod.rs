//! The target: [`writer`] is the one seam that flows write through, with a single server ([`standalone`]) and a cluster
//! ([`cluster`]) behind it. Everything that differs between the two is decided in this folder.

pub(crate) mod capacity;
pub(crate) mod clock;
pub(crate) mod cluster;
pub(crate) mod connect;
pub(crate) mod databases;
pub(crate) mod emptying;
pub(crate) mod eviction;
pub(crate) mod handover;
#[cfg(any(test, feature = "in-memory"))]
pub(crate) mod in_memory;
pub(crate) mod keyspace_scan;
pub(crate) mod opening;
pub(crate) mod plain_sets;
pub(crate) mod probe;
pub(crate) mod questions;
pub(crate) mod replies;
pub(crate) mod retry_policy;
pub(crate) mod standalone;
pub(crate) mod tasks;
pub(crate) mod trouble;
pub(crate) mod writer;
