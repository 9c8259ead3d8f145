//! A single server as the target.

mod breaks;
pub(crate) mod flush;
pub(crate) mod guard;
pub(crate) mod reconnect;
mod relief;
pub(crate) mod writer;
