//! The commands, one file each.

pub(crate) mod about;
pub(crate) mod check;
pub(crate) mod cleanup;
pub(crate) mod config;
pub(crate) mod cutover;
pub(crate) mod dashboard;
pub(crate) mod demo;
pub(crate) mod inspect;
pub(crate) mod migrate;
pub(crate) mod prepare;
mod progress;
pub(crate) mod replicate;
mod replication;
pub(crate) mod status;
