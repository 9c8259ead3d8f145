//! One session with the source: how it comes about ([`assemble`], [`flow_setup`], [`resume`]), and what goes on while it runs
//! ([`coordinator`], [`barriers`]).

pub(crate) mod assemble;
pub(crate) mod barriers;
pub(crate) mod coordinator;
pub(crate) mod ending;
mod flow_setup;
mod gone_slots;
pub(crate) mod progress;
mod promotion;
pub(crate) mod resume;
pub(crate) mod silence;
mod takeover;
mod vigilance;
