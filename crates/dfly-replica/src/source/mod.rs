//! The source beside its flows: questions on an ordinary connection, and how it spreads its keys.

pub(crate) mod reader;
pub(crate) mod sharding;
