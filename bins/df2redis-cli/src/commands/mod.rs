//! One file a command.

pub(crate) mod demo;
mod progress;
pub(crate) mod replicate;
