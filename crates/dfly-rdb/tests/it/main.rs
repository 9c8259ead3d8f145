//! Tests at the crate's boundary: recorded inputs, built ones, hostile ones.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failed expectation must stop the test"
)]

mod driver;
mod expected;
mod golden;
mod inputs;
mod model;
