//! One session with the source: how it comes about ([`assemble`], [`resume`]), and what goes on while it runs
//! ([`coordinator`], [`barriers`]).

pub(crate) mod assemble;
pub(crate) mod barriers;
pub(crate) mod coordinator;
pub(crate) mod resume;
