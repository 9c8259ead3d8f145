//! Journal records.

use std::fmt;

use dfly_wire::DbIndex;

use crate::args::Args;

/// A journal position: the number of a record within its flow, counted from 1.
///
/// The position of a replica is the LSN of the *next* record that it needs (protocol section 3.4).
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

/// A transaction id. 0 is common and identifies no transaction (protocol section 3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct TxId(pub u64);

/// One record, which has an LSN in the stable stream.
///
/// The enum is exhaustive: a consumer that ignored a kind of record would silently diverge from the master.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A command to apply.
    Command(Command),
    /// The master asks for an ACK.
    Ping,
    /// The end of a MULTI, from masters up to v1.20. There is nothing to apply.
    Exec(TxId),
}

/// A command, its database and its transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The database it runs in.
    pub db: DbIndex,
    /// The transaction it belongs to.
    pub txid: TxId,
    /// Name and arguments.
    pub args: Args,
}
