//! Comparisons of real servers, standalone and cluster. A Redis plays the source where Dragonfly's own answers do not matter.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a failed expectation must stop the test"
)]

mod full_check;
mod huge;
mod in_step;
mod kept;
mod large;
mod planted;
mod repair;
mod selected;
mod sides;
mod texts;
mod unreadable;
