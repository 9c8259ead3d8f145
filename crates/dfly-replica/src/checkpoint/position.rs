//! Where a flow stands on the target.

use std::fmt;

use dfly_journal::Lsn;

/// The position behind one transaction of a flow.
///
/// As text it is `next transaction`, with `heard` as a third number where that is another than `next`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The number of the transaction. Each has one more than the one before, so that transactions which move no record
    /// can be told apart too.
    pub transaction: u64,
    /// The next record wanted.
    pub next: Lsn,
    /// The target's answers to all records before this one were heard when the transaction was sent, and the keys of those
    /// that it had refused are noted with it. A flow that resumes reads the records from here to `next` again, and refetches
    /// their keys: the target may have refused them without anybody hearing it. Never larger than `next`.
    pub heard: Lsn,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.next, self.transaction)?;
        if self.is_heard() { Ok(()) } else { write!(f, " {}", self.heard) }
    }
}

impl Position {
    /// The position behind this transaction, with every answer heard.
    pub fn at(transaction: u64, next: Lsn) -> Self {
        Self { transaction, next, heard: next }
    }

    /// A flow's first position: no transaction precedes it.
    pub fn first(next: Lsn) -> Self {
        Self::at(0, next)
    }

    /// The position behind a transaction that moves the flow to `next`. No more answers are known to be heard.
    #[must_use]
    pub fn then(self, next: Lsn) -> Self {
        Self { transaction: self.transaction + 1, next, ..self }
    }

    /// The position behind a flush that comes before `next`. It waits until every answer was heard and noted.
    #[must_use]
    pub(crate) fn behind_flush(self, next: Lsn) -> Self {
        Self::at(self.transaction + 1, next)
    }

    /// The same position, with every answer before `heard` heard.
    #[must_use]
    pub(crate) fn heard_to(self, heard: Lsn) -> Self {
        Self { heard: heard.min(self.next), ..self }
    }

    /// Whether every answer was heard.
    pub fn is_heard(self) -> bool {
        self.heard == self.next
    }

    /// The position that [`Self`]'s text stands for.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.split(' ');
        let next = Lsn(words.next()?.parse().ok()?);
        let position = Self::at(words.next()?.parse().ok()?, next);
        let heard = words.next().map(|heard| heard.parse().map(Lsn)).transpose().ok()?;
        let is_whole = words.next().is_none() && heard.is_none_or(|heard| heard < next);
        is_whole.then(|| position.heard_to(heard.unwrap_or(next)))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_back() {
        for (position, text) in [
            (Position::at(5, Lsn(71)), "71 5"),
            (Position::at(5, Lsn(71)).heard_to(Lsn(60)), "71 5 60"),
            (Position::first(Lsn(1)), "1 0"),
        ] {
            assert_eq!(position.to_string(), text);
            assert_eq!(Position::parse(text), Some(position));
        }
        for foreign in ["", "71", "71 x", "71 5 y", "71 5 71", "71 5 72", "71 5 60 1", "71 5 "] {
            assert_eq!(Position::parse(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn a_transaction_that_was_sent_has_heard_no_more() {
        let at = Position::at(5, Lsn(71)).heard_to(Lsn(60));
        assert_eq!(at.then(Lsn(80)), Position::at(6, Lsn(80)).heard_to(Lsn(60)));
        assert_eq!(at.heard_to(Lsn(99)), Position::at(5, Lsn(71)));
    }
}
