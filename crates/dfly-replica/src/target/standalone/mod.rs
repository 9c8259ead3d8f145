//! A single server as the target.

pub(crate) mod flush;
pub(crate) mod guard;
pub(crate) mod reconnect;
pub(crate) mod writer;
