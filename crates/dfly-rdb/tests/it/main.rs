//! Tests at the crate's boundary: recorded inputs, built ones, hostile ones.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation must stop the test"
)]

mod build;
mod built;
mod digest;
mod driver;
mod every;
mod expected;
mod golden;
mod hostile;
mod inputs;
mod model;
mod pack;
mod payload;
mod reading;
mod split;
mod targets;
mod write;
