//! Where a flow stands on the target.

use std::fmt;

use dfly_journal::Lsn;

/// The position behind one transaction of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The number of the transaction. Each has one more than the one before, so that transactions which move no record
    /// can be told apart too.
    pub transaction: u64,
    /// The next record wanted.
    pub next: Lsn,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.next, self.transaction)
    }
}

impl Position {
    /// A flow's first position: no transaction precedes it.
    pub fn first(next: Lsn) -> Self {
        Self { transaction: 0, next }
    }

    /// The position behind a transaction that moves the flow to `next`.
    #[must_use]
    pub fn then(self, next: Lsn) -> Self {
        Self { transaction: self.transaction + 1, next }
    }

    /// The position that [`Self`]'s text stands for.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (next, transaction) = text.split_once(' ')?;
        Some(Self { transaction: transaction.parse().ok()?, next: Lsn(next.parse().ok()?) })
    }
}

/// Who writes, and what it follows: positions hold between these two alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WriterIdentity {
    /// The master's replication id.
    pub source_id: String,
    /// The session that writes to the target.
    pub owner: String,
}
