//! Every command of the table: from journal bytes to commands, and to what a real server then holds (P2, P15).
//!
//! The cases are in `cases.txt`. Those for servers with modules or field expiry run only if `DF2REDIS_TARGETS` names a
//! folder with such servers, as `crates/dfly-testkit/targets/fetch.sh` creates it. Their translation is always checked.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation must stop the test"
)]

mod cases;
mod cluster;
mod facts;
mod journal;
mod policies;
mod recorded;
mod selection;
mod servers;
mod snapshot;
mod streams;
