//! What callers see, in the order of the stream.

use std::fmt;

use bytes::Bytes;
use dfly_wire::{DbIndex, UnixMillis};

use crate::type_id::{ModuleId, TypeId};
use crate::value::{Piece, RawValue};

/// What stands in a snapshot or replication stream, in its order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The first nine bytes.
    Magic(Magic),
    /// A named property of the stream: `lua`, `search-index`, `df-ver` and all others (protocol section 4.2).
    Aux {
        /// The property's name.
        key: Bytes,
        /// Its value; integers as decimal text.
        value: Bytes,
    },
    /// The database of the following keys. Every key also carries its own.
    SelectDb(DbIndex),
    /// How many keys the database has, as a hint.
    ResizeDb {
        /// Keys in the database.
        keys: u64,
        /// Keys with an expiry.
        expires: u64,
    },
    /// How many keys a cluster slot has, as a hint.
    SlotInfo {
        /// The slot.
        slot: u64,
        /// Keys in it.
        keys: u64,
        /// Keys with an expiry.
        expires: u64,
    },
    /// The source text of a function library.
    Function(Bytes),
    /// What a module keeps beside the keys.
    ModuleAux(ModuleAux),
    /// A key with its whole value.
    Entry(Entry),
    /// A key whose value arrives in pieces.
    Open {
        /// Names the value in the following events.
        id: ValueId,
        /// The key and what belongs to it.
        header: KeyHeader,
        /// The value's encoding.
        type_id: TypeId,
    },
    /// The next part of an open value.
    Piece {
        /// The value it belongs to.
        id: ValueId,
        /// The part.
        piece: Piece,
    },
    /// An open value is complete.
    Close {
        /// The value.
        id: ValueId,
    },
    /// Journal bytes, decompressed (protocol section 4.5).
    JournalBlob(Bytes),
    /// The full synchronisation is over; blobs of the journal may follow (protocol section 2.5).
    FullSyncEnd,
    /// The LSN at which the journal goes on after the stream.
    JournalOffset(u64),
    /// A vector index; its nodes are skipped (protocol section 4.6).
    VectorIndex {
        /// `index:field`.
        name: Bytes,
        /// How many nodes are skipped.
        nodes: u64,
    },
    /// The document ids of a search index; they are skipped (protocol section 4.6).
    ShardDocIndex {
        /// The shard that wrote it.
        shard: u64,
        /// The index.
        name: Bytes,
        /// How many documents are skipped.
        documents: u64,
    },
    /// Valkey 9: slots that the server was importing.
    SlotImport {
        /// Name of the import.
        job: Bytes,
        /// First and last slot of each range.
        ranges: Vec<(u16, u16)>,
    },
    /// The end of the stream. Nothing behind it is looked at.
    End {
        /// What came of the checksum.
        checksum: Checksum,
    },
}

/// The name and version at the start of a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Magic {
    /// Who defined the format.
    pub family: Family,
    /// The format's version: Dragonfly writes 9, Redis 1 to 13, Valkey 80 and more.
    pub version: u16,
}

impl fmt::Display for Magic {
    /// As the stream starts: `REDIS0012`, `VALKEY080`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.family {
            Family::Redis => write!(f, "REDIS{:04}", self.version),
            Family::Valkey => write!(f, "VALKEY{:03}", self.version),
        }
    }
}

/// Who defined a format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Family {
    /// Redis, Dragonfly and Valkey up to 8: `REDIS` and four digits.
    Redis,
    /// Valkey from 9: `VALKEY` and three digits.
    Valkey,
}

/// What came of the stream's checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checksum {
    /// The stream has none: zero (Dragonfly always), or a version below 5.
    None,
    /// It is right.
    Verified(u64),
    /// It stands there and was not compared, as the configuration asks or because Dragonfly wrote the stream.
    Unverified(u64),
}

/// Names a value that arrives in pieces. Tagged chunks keep their stream id; 0 is the one untagged value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// A key and what belongs to it besides the value.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyHeader {
    /// The key's database.
    pub db: DbIndex,
    /// The key.
    pub key: Bytes,
    /// When it expires. The past is possible, and is left to the caller.
    pub expire_at: Option<UnixMillis>,
    /// Dragonfly: the key is never evicted.
    pub sticky: bool,
    /// Dragonfly: the flags that memcached clients set.
    pub memcache_flags: Option<u32>,
    /// Seconds since the last access.
    pub idle_seconds: Option<u64>,
    /// Logarithmic access counter.
    pub frequency: Option<u8>,
}

/// A key with its whole value.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The key.
    pub header: KeyHeader,
    /// Its value.
    pub value: RawValue,
}

/// What a module keeps beside the keys (opcode 247).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleAux {
    /// The module's data type.
    pub module: ModuleId,
    /// 1: before the keys, 2: after them.
    pub when: u64,
    /// The self-describing items with their terminator, as they stand in the stream.
    pub body: Bytes,
}
