//! A full synchronisation over what the target already holds. Until every key has come in the snapshot or was looked for at
//! the source, a name of the target may still stand for an older value, to which no record may be applied (P17). Pure.
//!
//! A key is synced once its value has come: in the snapshot, by a record that replaces it, or because it was refetched. A
//! record of any other key has that key refetched.

use std::collections::HashSet;

use crate::keys::{SourceKey, digest};
use dfly_wire::DbIndex;

/// The most keys that are remembered, by 8 bytes each. Some of those beyond are refetched for nothing.
const LIMIT: usize = 2_000_000;

/// Which keys are synced.
#[derive(Debug, Default)]
pub(crate) struct UnsyncedKeys {
    synced: HashSet<u64>,
}

impl UnsyncedKeys {
    /// The value of a key has come.
    pub(crate) fn see(&mut self, db: DbIndex, name: &[u8]) {
        if self.synced.len() < LIMIT {
            self.synced.insert(digest(db, name));
        }
    }

    /// Whether the target may hold an older value of one of these keys.
    pub(crate) fn has_any(&self, keys: &[SourceKey]) -> bool {
        !keys.iter().all(|key| self.synced.contains(&key.digest()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_unsynced_until_its_value_has_come() {
        let mut unsynced = UnsyncedKeys::default();
        let keys = ["a", "b"].map(|name| SourceKey::new(DbIndex(0), name));
        unsynced.see(DbIndex(0), b"a");
        unsynced.see(DbIndex(1), b"b");
        assert!(!unsynced.has_any(&keys[..1]) && unsynced.has_any(&keys) && !unsynced.has_any(&[]));
    }
}
