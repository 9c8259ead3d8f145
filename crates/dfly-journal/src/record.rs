//! Journal records as the rest of the workspace sees them.

use std::fmt;

use dfly_wire::DbIndex;

use crate::args::Args;

/// A journal position: the number of a record within its flow, counted from 1.
///
/// As a replica's position it is the LSN of the *next* record wanted (protocol section 3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Lsn(pub u64);

impl Lsn {
    /// The position after this one.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A transaction id. 0 is common and identifies nothing (protocol section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TxId(pub u64);

/// One record that counts as a position.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A command to apply.
    Command(Command),
    /// The master wants an ACK now.
    Ping,
    /// The end of a MULTI of a master up to v1.20; nothing to apply.
    Exec(TxId),
}

/// A command with its database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The database it runs in.
    pub db: DbIndex,
    /// The transaction it belongs to.
    pub txid: TxId,
    /// Name and arguments; at least the name is there.
    pub args: Args,
}
