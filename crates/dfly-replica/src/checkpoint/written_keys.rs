//! The keys that an unfinished first synchronisation has written, so that the next start can tell them from the keys of others.
//!
//! The target was empty, so what lies there and was not written by this tool is somebody else's. A list for each flow, under a
//! reserved key in database 0, holds four bytes of the digest of each key, in the order in which they were written. A flow
//! appends them ahead of the keys on the same connection: whatever is killed, a single server that holds a key holds its
//! digest. (Nodes of a cluster answer by themselves: there the keys of the last moment may be missing.)
//!
//! With its first position a flow removes its list, unless keys of the target are in question: then the lists go when these
//! are removed. A run that is killed while some flows have come so far and others have not leaves it unknown what was
//! written.
//!
//! Of `n` keys that were written, a key of somebody else is taken for one of them with a chance of `n` in 2^32.

use dfly_wire::DbIndex;
use redis_resp::Reply;
use roaring::RoaringBitmap;

use crate::error::Error;
use crate::keys::digest;
use crate::target::questions::{TargetConnection, demand};
use crate::target::replies::strange;

/// How many entries of a list are read at a time. An entry has as many digests as a batch has keys.
const ENTRIES_AT_ONCE: usize = 512;

/// Digests of keys that were written.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct WrittenKeys(RoaringBitmap);

impl WrittenKeys {
    /// Begins the lists of the first `lists` flows: a list that is not there is not known to be empty.
    ///
    /// # Errors
    /// The connection's, or the target's refusal.
    pub(crate) async fn begin(target: &mut TargetConnection, lists: u16) -> Result<(), Error> {
        for flow in 0..lists {
            let list = target.names().written(flow);
            demand(target, "RPUSH", &["RPUSH", &list, ""]).await?;
        }
        Ok(())
    }

    /// What the first `lists` flows have written; `None` if one of the lists is gone.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub(crate) async fn load(target: &mut TargetConnection, lists: u16) -> Result<Option<Self>, Error> {
        let mut written = Self::default();
        for flow in 0..lists {
            let list = target.names().written(flow);
            if !exists(target, &list).await? {
                return Ok(None);
            }
            for first in (0..).step_by(ENTRIES_AT_ONCE) {
                let range = [first, first + ENTRIES_AT_ONCE - 1].map(|at| at.to_string());
                let request = ["LRANGE", &list, &range[0], &range[1]];
                let entries = match demand(target, "LRANGE", &request).await? {
                    Reply::Array(entries) => entries,
                    other => return Err(strange("LRANGE", &other)),
                };
                entries.iter().for_each(|entry| written.read(entry));
                if entries.len() < ENTRIES_AT_ONCE {
                    break;
                }
            }
        }
        Ok(Some(written))
    }

    /// Removes the lists of the first `lists` flows.
    ///
    /// # Errors
    /// As [`Self::begin`].
    pub(crate) async fn remove(target: &mut TargetConnection, lists: u16) -> Result<(), Error> {
        for flow in 0..lists {
            let list = target.names().written(flow);
            demand(target, "UNLINK", &["UNLINK", &list]).await?;
        }
        Ok(())
    }

    fn read(&mut self, entry: &Reply) {
        let Reply::Bulk(entry) = entry else { return };
        let (digests, _) = entry.as_chunks::<4>();
        self.0.extend(digests.iter().map(|digest| u32::from_le_bytes(*digest)));
    }

    /// Whether a key of the target with this name was written.
    pub(crate) fn has(&self, db: DbIndex, name: &[u8]) -> bool {
        self.0.contains(short(db, name))
    }

    /// The bytes that stand for a key in a list; `None` if they are there.
    pub(crate) fn entry_of(&self, db: DbIndex, name: &[u8]) -> Option<[u8; 4]> {
        let short = short(db, name);
        (!self.0.contains(short)).then(|| short.to_le_bytes())
    }
}

async fn exists(target: &mut TargetConnection, list: &str) -> Result<bool, Error> {
    Ok(demand(target, "EXISTS", &["EXISTS", list]).await? != Reply::Integer(0))
}

/// The upper half of the digest.
fn short(db: DbIndex, name: &[u8]) -> u32 {
    u32::try_from(digest(db, name) >> 32).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// C33: what lies in lists tells keys apart, and nothing is noted twice.
    #[test]
    fn what_was_written_is_known_again() {
        let mut written = WrittenKeys::default();
        let entry = ["a", "b"].map(|name| written.entry_of(DbIndex(0), name.as_bytes()).unwrap());
        written.read(&Reply::Bulk(Bytes::from(entry.concat())));
        let known = ["a", "b", "c"].map(|name| written.has(DbIndex(0), name.as_bytes()));
        assert_eq!(known, [true, true, false]);
        assert!(!written.has(DbIndex(1), b"a"), "a key of another database");
        assert_eq!(written.entry_of(DbIndex(0), b"a"), None);
    }
}
