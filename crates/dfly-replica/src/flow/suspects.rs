//! Keys that the source may have deleted without a word while its snapshot was read.
//!
//! A master that synchronises one replica leaves out the records of SET and DEL of keys that its snapshot has not reached
//! yet, because the snapshot will say it. MSET is journaled all the same, so a key that MSET makes and DEL takes away again
//! before the snapshot reaches it stays alive on every replica (Dragonfly `db_slice.cc`, `IsOmittableWrite`;
//! docs/source-quirks.md). Such keys are read again once the journal follows.

use std::collections::BTreeSet;

use dfly_journal::Command;
use tracing::{info, warn};

use super::{Flow, wanted};
use crate::reread::Place;

/// The most keys that are kept in mind.
const LIMIT: usize = 200_000;

/// Keys that MSET has written while the snapshot was read, and that have not come in the snapshot since.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    keys: BTreeSet<Place>,
    /// Some were not kept in mind.
    overflowed: bool,
}

impl Suspects {
    /// A record in the snapshot's stream.
    pub(super) fn on_record(&mut self, command: &Command) {
        match command.args.name() {
            b"MSET" => {
                for place in wanted::places(command) {
                    self.overflowed |= self.keys.len() >= LIMIT;
                    if !self.overflowed {
                        self.keys.insert(place);
                    }
                }
            }
            // It is gone, and the source has said so.
            b"DEL" | b"UNLINK" if !self.keys.is_empty() => {
                wanted::places(command).iter().for_each(|place| {
                    self.keys.remove(place);
                });
            }
            _ => {}
        }
    }

    /// The key has come in the snapshot: it is there.
    pub(super) fn on_entry(&mut self, place: impl FnOnce() -> Place) {
        if !self.keys.is_empty() {
            self.keys.remove(&place());
        }
    }
}

impl Flow {
    /// The snapshot is complete: who is still suspect is read again.
    pub(super) fn read_suspects_again(&mut self) {
        let Suspects { keys, overflowed } = std::mem::take(&mut self.suspects);
        if overflowed {
            warn!(
                flow = self.id.0,
                "MSET wrote more keys during the full synchronisation than are kept in mind: some that were deleted again may have stayed; --journal_omit_redundant_writes=false on the source avoids it"
            );
        }
        if !keys.is_empty() {
            info!(
                flow = self.id.0,
                keys = keys.len(),
                "keys that may have gone without a record are read again"
            );
        }
        keys.into_iter().for_each(|place| self.want(place));
    }
}
