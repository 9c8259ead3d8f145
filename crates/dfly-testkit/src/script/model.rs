//! A model of a master's data: a keyspace in memory, and the effect of each operation on it.

mod collections;
pub(crate) mod keys;
pub(crate) mod streams;
mod strings;

use std::collections::BTreeMap;

use bytes::Bytes;
use thiserror::Error;

use super::op::Op;
use crate::recording::Row;
use crate::value::{CanonicalValue, Value};

/// A database and a key.
pub(crate) type At = (u32, Bytes);

/// A pure keyspace. There is no clock: a key exists until an operation removes it. So expiries must be in the future when
/// the script is replayed.
#[derive(Debug, Clone, Default)]
pub struct Model {
    entries: BTreeMap<At, Entry>,
}

/// A key's value and attributes.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The value.
    pub value: Value,
    /// When it expires, in Unix milliseconds; -1 for never.
    pub expire_at_ms: i64,
    /// When members of a set or fields of a hash expire, in Unix seconds.
    pub member_ttls: BTreeMap<Bytes, i64>,
    /// Dragonfly's mark against eviction, which Redis does not have.
    pub sticky: bool,
}

impl From<Value> for Entry {
    /// A value that never expires.
    fn from(value: Value) -> Self {
        Self { value, expire_at_ms: -1, member_ttls: BTreeMap::new(), sticky: false }
    }
}

/// Why an operation is refused. A refused operation changes nothing.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum OpError {
    /// The key holds another type.
    #[error("the key holds another type")]
    WrongType,
    /// The value or argument is not a number, or the result does not fit.
    #[error("not a number, or out of range")]
    NotANumber,
    /// There is no such key or element.
    #[error("no such key or element")]
    NotFound,
    /// A stream id is not valid, or is not larger than the last one.
    #[error("not a stream id that can be added")]
    StreamId,
    /// The model does not know this command or form.
    #[error("the model does not know this command or form")]
    Unknown,
}

/// The effect of an operation, as far as the journal is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Applied {
    /// Nothing is logged.
    Nothing,
    /// The shard of this key logs the whole command.
    Key(Bytes),
    /// Each group (a key and its arguments) is logged by the key's shard.
    Keys(Vec<Vec<Bytes>>),
    /// Every shard logs it.
    Everywhere,
    /// A key was renamed, perhaps to a name in another shard.
    Renamed {
        /// The old name.
        from: Bytes,
        /// The new name.
        to: Bytes,
    },
}

impl Model {
    /// How many keys there are in all databases.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no keys.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The entry of a key.
    pub fn get(&self, db: u32, key: &[u8]) -> Option<&Entry> {
        self.entries.get(&(db, Bytes::copy_from_slice(key)))
    }

    /// Every key and what it holds, sorted.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = (&(u32, Bytes), &Entry)> {
        self.entries.iter()
    }

    /// Stores an entry, and replaces any entry that was there before.
    pub fn plant(&mut self, db: u32, key: impl Into<Bytes>, entry: Entry) {
        self.entries.insert((db, key.into()), entry);
    }

    /// All keys in the form in which a Redis is read, for comparison.
    pub fn keyspace(&self) -> BTreeMap<(u32, Bytes), CanonicalValue> {
        let canonical =
            |entry: &Entry| CanonicalValue { value: entry.value.clone(), expire_at_ms: entry.expire_at_ms };
        self.entries.iter().map(|(at, entry)| (at.clone(), canonical(entry))).collect()
    }

    /// All keys as expected rows, for comparison with a Redis. Expiries of members count from the Unix epoch.
    pub fn rows(&self) -> Vec<Row> {
        let row = |((db, key), entry): (&At, &Entry)| Row {
            db: *db,
            key: key.clone(),
            value: entry.value.clone(),
            expire_at_ms: entry.expire_at_ms,
            member_ttls: entry.member_ttls.clone(),
            native_replica: None,
        };
        self.entries.iter().map(row).collect()
    }

    /// Runs an operation.
    ///
    /// # Errors
    /// The operation is refused, as a server would refuse it. It has changed nothing.
    pub fn apply(&mut self, op: &Op) -> Result<(), OpError> {
        self.run(op).map(|_applied| ())
    }

    pub(crate) fn run(&mut self, op: &Op) -> Result<Applied, OpError> {
        if op.raw {
            return Ok(op.rest().first().map_or(Applied::Nothing, |key| Applied::Key(key.clone())));
        }
        match op.name().as_slice() {
            b"SET" | b"MSET" | b"INCR" | b"DECR" | b"INCRBY" | b"APPEND" => self.strings(op),
            b"DEL" | b"UNLINK" | b"PEXPIREAT" | b"PERSIST" | b"RENAME" | b"FLUSHDB" | b"FLUSHALL"
            | b"DFLYCLUSTER" => self.keys(op),
            b"XADD" | b"XDEL" => self.streams(op),
            _ => self.collections(op),
        }
    }

    /// Calls `work` on a copy of the key's entry, or of `missing` if there is none, and stores the copy only if `work`
    /// succeeds. A collection that has become empty is removed.
    fn edit(
        &mut self,
        at: At,
        missing: Option<Value>,
        work: impl FnOnce(&mut Entry) -> Result<bool, OpError>,
    ) -> Result<Applied, OpError> {
        let held = self.entries.get(&at).cloned().or_else(|| missing.map(Entry::from));
        let Some(mut entry) = held else { return Ok(Applied::Nothing) };
        if !work(&mut entry)? {
            return Ok(Applied::Nothing);
        }
        let key = at.1.clone();
        match is_empty(&entry.value) {
            true => self.entries.remove(&at),
            false => self.entries.insert(at, entry),
        };
        Ok(Applied::Key(key))
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::List(list) => list.is_empty(),
        Value::Set(set) => set.is_empty(),
        Value::Hash(hash) => hash.is_empty(),
        Value::Zset(zset) => zset.is_empty(),
        _ => false,
    }
}

/// A decimal integer without sign `+`, spaces or leading zeros, as Redis accepts it.
fn integer(text: &[u8]) -> Result<i64, OpError> {
    let text = std::str::from_utf8(text).map_err(|_binary| OpError::NotANumber)?;
    let value: i64 = text.parse().map_err(|_none| OpError::NotANumber)?;
    if value.to_string() == text { Ok(value) } else { Err(OpError::NotANumber) }
}
