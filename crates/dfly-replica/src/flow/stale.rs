//! A full synchronisation over what the target already holds: until every key has come in the snapshot or was looked for at
//! the source, a name may still stand for an older value, which no record may be applied to (P17).
//!
//! A key is fresh once its value has come: in the snapshot, by a record that replaces it, or because it was read again. A
//! record of a key that is not has that key read again.

use std::collections::HashSet;

use bytes::Bytes;
use dfly_journal::Command;
use dfly_wire::DbIndex;

use super::{Flow, wanted};
use crate::reread::{Place, digest};

/// The most keys that are kept in mind, by 8 bytes each. Of more, some are read again for nothing.
const LIMIT: usize = 2_000_000;

/// Which keys are fresh.
#[derive(Debug, Default)]
pub(crate) struct Stale {
    fresh: HashSet<u64>,
}

impl Stale {
    /// The value of a key has come.
    pub(super) fn see(&mut self, db: DbIndex, key: &Bytes) {
        if self.fresh.len() < LIMIT {
            self.fresh.insert(digest(db, key));
        }
    }

    fn is_fresh(&self, (db, key): &Place) -> bool {
        self.fresh.contains(&digest(*db, key))
    }
}

/// Whether nothing of the older value is left behind the record.
pub(super) fn replaces(command: &Command) -> bool {
    let args = &command.args;
    match args.name() {
        b"SET" => !args.iter().skip(3).any(|option| option == b"KEEPTTL"),
        b"DEL" | b"UNLINK" | b"MSET" | b"RESTORE" | b"SETEX" | b"PSETEX" => true,
        _ => false,
    }
}

impl Flow {
    /// A record of a key whose older value may still be there: the key is read again instead. Tells whether it was.
    pub(super) fn is_stale(&mut self, command: &Command) -> bool {
        let Some(stale) = &mut self.stale else { return false };
        let places = wanted::places(command);
        if replaces(command) {
            places.iter().for_each(|(db, key)| stale.see(*db, key));
            return false;
        }
        if places.iter().all(|place| stale.is_fresh(place)) {
            return false;
        }
        places.into_iter().for_each(|place| self.want(place));
        true
    }
}
