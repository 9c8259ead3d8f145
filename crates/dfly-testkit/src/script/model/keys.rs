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
            (b"DFLYCLUSTER", [_flushslots, bounds @ ..]) => {
                let bounds: Vec<i64> = bounds.iter().map(|slot| integer(slot)).collect::<Result<_, _>>()?;
                let (ranges, _) = bounds.as_chunks::<2>();
                let goes =
                    |key: &[u8]| ranges.iter().any(|[first, last]| (*first..=*last).contains(&slot_of(key)));
                self.entries.retain(|(_, key), _| !goes(key));
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

/// The hash slot of a key, as clusters compute it: CRC-16 (XMODEM) of the key, or of its hash tag.
pub(crate) fn slot_of(key: &[u8]) -> i64 {
    let open = key.iter().position(|byte| *byte == b'{').map(|at| at + 1);
    let tag = open.and_then(|open| {
        let rest = key.get(open..)?;
        let end = rest.iter().position(|byte| *byte == b'}').filter(|end| *end > 0)?;
        rest.get(..end)
    });
    let crc = tag.unwrap_or(key).iter().fold(0u16, |crc, byte| {
        (0..8).fold(crc ^ (u16::from(*byte) << 8), |crc, _| {
            (crc << 1) ^ if crc & 0x8000 == 0 { 0 } else { 0x1021 }
        })
    });
    i64::from(crc % 16384)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots() {
        for (key, slot) in [("k1", 12706), ("k2", 449), ("k3", 4576), ("{k2}x", 449), ("123456789", 12739)] {
            assert_eq!(slot_of(key.as_bytes()), slot, "{key}");
        }
    }
}
