//! Keys that the source may have deleted without a record while its snapshot was read. Pure.
//!
//! A master that synchronises one replica leaves out the records of SET and DEL of keys that its snapshot has not reached
//! yet, because the snapshot will tell. MSET is journaled all the same, so a key that MSET makes and DEL takes away again
//! before the snapshot reaches it stays alive on every replica (Dragonfly `db_slice.cc`, `IsOmittableWrite`;
//! docs/source-quirks.md). Such keys are refetched once the journal follows.

use std::collections::BTreeSet;

use crate::keys::{RecordKeys, SourceKey};

/// The most keys that are remembered.
const LIMIT: usize = 200_000;

/// Keys that MSET has written while the snapshot was read, and that have not come in the snapshot since.
#[derive(Debug, Default)]
pub(crate) struct OmittedDeletes {
    keys: BTreeSet<SourceKey>,
    has_overflowed: bool,
}

/// What is left when the snapshot is complete.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Suspects {
    /// These may not exist any more.
    pub keys: BTreeSet<SourceKey>,
    /// There were more than are remembered.
    pub has_overflowed: bool,
}

impl OmittedDeletes {
    /// A record in the snapshot's stream.
    pub(crate) fn on_record(&mut self, record: &RecordKeys<'_>) {
        match record.command.args.name() {
            b"MSET" => record.all().iter().for_each(|key| self.remember(key)),
            // The key is gone, and the source has said so.
            b"DEL" | b"UNLINK" if !self.keys.is_empty() => self.forget(record),
            _ => {}
        }
    }

    fn remember(&mut self, key: &SourceKey) {
        self.has_overflowed |= self.keys.len() >= LIMIT;
        if !self.has_overflowed {
            self.keys.insert(key.clone());
        }
    }

    fn forget(&mut self, record: &RecordKeys<'_>) {
        for key in record.all() {
            self.keys.remove(key);
        }
    }

    /// The key has come in the snapshot: it exists.
    pub(crate) fn on_value(&mut self, key: impl FnOnce() -> SourceKey) {
        if !self.keys.is_empty() {
            self.keys.remove(&key());
        }
    }

    /// The snapshot is complete.
    pub(crate) fn take(&mut self) -> Suspects {
        let Self { keys, has_overflowed } = std::mem::take(self);
        Suspects { keys, has_overflowed }
    }
}

#[cfg(test)]
mod tests {
    use dfly_journal::{Args, Command, TxId};
    use dfly_wire::DbIndex;

    use super::*;

    fn see(omitted: &mut OmittedDeletes, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let command = Command { db: DbIndex(0), txid: TxId(0), args: Args::of(&words) };
        omitted.on_record(&RecordKeys::of(&command));
    }

    #[test]
    fn only_what_was_made_and_not_seen_since_is_suspect() {
        let mut omitted = OmittedDeletes::default();
        see(&mut omitted, "MSET a 1 b 2 c 3");
        see(&mut omitted, "SET d 1");
        see(&mut omitted, "DEL b");
        omitted.on_value(|| SourceKey::new(DbIndex(0), "c"));
        let suspects = omitted.take();
        assert_eq!(suspects.keys, BTreeSet::from([SourceKey::new(DbIndex(0), "a")]));
        assert!(!suspects.has_overflowed && omitted.take().keys.is_empty());
    }
}
