//! The source beside its flows: questions on an ordinary connection, and how it spreads its keys.

mod answers;
pub(crate) mod backlog;
pub(crate) mod candidates;
pub(crate) mod history;
pub(crate) mod identity;
pub(crate) mod quirks;
pub(crate) mod reader;
pub(crate) mod sharding;
