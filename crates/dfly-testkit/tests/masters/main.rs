//! The masters, asked by a small client written by hand.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation must stop the test"
)]

mod client;
mod recorded;
mod refusals;
mod scripted;
