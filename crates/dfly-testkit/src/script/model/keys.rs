//! Whole keys: deletion, expiry, renaming, flushing.

use bytes::Bytes;

use super::super::op::Op;
use super::{Applied, Model, OpError, integer};

impl Model {
    pub(super) fn keys(&mut self, op: &Op) -> Result<Applied, OpError> {
        match (op.name().as_slice(), op.rest()) {
            (b"DEL" | b"UNLINK", keys) => Ok(self.del(op.db, keys)),
            (b"RENAME", [from, to]) => self.rename(op.db, from, to),
            (b"PERSIST", [key]) => self.edit((op.db, key.clone()), None, |entry| {
                let had = entry.expire_at_ms >= 0;
                entry.expire_at_ms = -1;
                Ok(had)
            }),
            (b"PEXPIREAT", [key, ms]) => {
                let ms = integer(ms)?;
                self.edit((op.db, key.clone()), None, |entry| {
                    entry.expire_at_ms = ms;
                    Ok(true)
                })
            }
            (b"FLUSHDB", _) => {
                self.entries.retain(|(db, _), _| *db != op.db);
                Ok(Applied::Everywhere)
            }
            (b"FLUSHALL", _) => {
                self.entries.clear();
                Ok(Applied::Everywhere)
            }
            _ => Err(OpError::Unknown),
        }
    }

    /// Only keys that existed are logged.
    fn del(&mut self, db: u32, keys: &[Bytes]) -> Applied {
        let there: Vec<Vec<Bytes>> = keys
            .iter()
            .filter(|key| self.entries.remove(&(db, (*key).clone())).is_some())
            .map(|key| vec![key.clone()])
            .collect();
        if there.is_empty() { Applied::Nothing } else { Applied::Keys(there) }
    }

    fn rename(&mut self, db: u32, from: &Bytes, to: &Bytes) -> Result<Applied, OpError> {
        let entry = self.entries.remove(&(db, from.clone())).ok_or(OpError::NotFound)?;
        self.entries.insert((db, to.clone()), entry);
        Ok(Applied::Renamed { from: from.clone(), to: to.clone() })
    }
}
