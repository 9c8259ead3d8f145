//! The real binary over files that real servers wrote, into real servers, and over what is no snapshot.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed expectation must stop the test")]

mod bad;
mod command;
mod convert;
mod diff;
mod files;
mod json;
mod memory;
mod reports;
mod resp;
