//! What a target receives, byte by byte, for recorded and scripted sources: each connection's commands are compared with files
//! beside this test. `FREEZE_UPDATE=1` writes them anew.
//!
//! The order of things is pinned: everything runs on one thread with a clock that stands still, and the source sends its next
//! record only when the target has answered the last and the engine has acknowledged it, so each record is a batch of its own.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation must stop the test"
)]

mod recordings;
mod resp;
mod run;
mod scenarios;
mod shown;
mod target;
