//! A single server as the target.

mod breaks;
pub(crate) mod flush;
pub(crate) mod guard;
pub(crate) mod reconnect;
mod regaining;
mod relief;
pub(crate) mod writer;
