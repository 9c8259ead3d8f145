//! A live Dragonfly under concurrent writes, replicated into a real Redis. Needs `DF2REDIS_DRAGONFLY`, the path of a
//! Dragonfly binary; without it each test says in one line that it was skipped.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed expectation must stop the test")]

mod cluster_source;
mod follower;
mod large_stream;
mod memcached;
mod quirks;
mod rebuilt;
mod slow_target;
mod source;
mod switchover;
mod sync;
mod writers;
