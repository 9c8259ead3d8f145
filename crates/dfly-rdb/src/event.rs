//! Events, in the order of the stream.

use bytes::Bytes;
use dfly_wire::{DbIndex, UnixMillis};

use crate::magic::Magic;
use crate::type_id::{ModuleId, TypeId};
use crate::value::{Piece, RawValue};

/// An item of a snapshot or replication stream.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// The first nine bytes: name and version of the format.
    Magic(Magic),
    /// A named property of the stream: `lua`, `search-index`, `df-ver` and all others (protocol section 4.2).
    Aux {
        /// The property's name.
        key: Bytes,
        /// Its value; integers as decimal text.
        value: Bytes,
    },
    /// The database of the following keys. Every key has it in its header too.
    SelectDb(DbIndex),
    /// The size of the database, as a hint.
    ResizeDb {
        /// Keys in the database.
        keys: u64,
        /// Keys with an expiry.
        expires: u64,
    },
    /// The size of a cluster slot, as a hint.
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
    /// Data that a module keeps outside of keys.
    ModuleAux(ModuleAux),
    /// A key with its whole value.
    Entry(Entry),
    /// A key whose value arrives in pieces.
    Open {
        /// The id of the value in the following events.
        id: ValueId,
        /// The key and its attributes.
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
    /// The end of the full synchronisation. Journal blobs may follow (protocol section 2.5).
    FullSyncEnd,
    /// The LSN at which the journal continues after the stream.
    JournalOffset(u64),
    /// A vector index. Its nodes are skipped (protocol section 4.6).
    VectorIndex {
        /// `index:field`.
        name: Bytes,
        /// Number of nodes.
        nodes: u64,
    },
    /// The document ids of a search index. They are skipped (protocol section 4.6).
    ShardDocIndex {
        /// The shard that the index belongs to.
        shard: u64,
        /// Name of the index.
        name: Bytes,
        /// Number of documents.
        documents: u64,
    },
    /// Valkey 9: slots that were being imported.
    SlotImport {
        /// Name of the import job.
        job: Bytes,
        /// First and last slot of each range.
        ranges: Vec<(u16, u16)>,
    },
    /// The end of the stream. The bytes after it are not read.
    End {
        /// The result of the verification.
        checksum: Checksum,
    },
}

/// The checksum of a stream, and whether it was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Checksum {
    /// The stream has no checksum: the field is zero (always from Dragonfly), or the version is below 5.
    None,
    /// The checksum is correct.
    Verified(u64),
    /// The checksum was not verified, because of [`Config::verify_checksum`](crate::Config::verify_checksum) or because
    /// Dragonfly wrote the stream.
    Unverified(u64),
}

/// The id of a value that arrives in pieces. A value in tagged chunks has their stream id; an untagged one has 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ValueId(pub u32);

/// A key and its attributes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeyHeader {
    /// The key's database.
    pub db: DbIndex,
    /// The key.
    pub key: Bytes,
    /// When the key expires. The time may be in the past.
    pub expire_at: Option<UnixMillis>,
    /// Dragonfly: the key is never evicted.
    pub sticky: bool,
    /// Dragonfly: the memcached flags.
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

/// Data that a module keeps outside of keys (opcode 247).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModuleAux {
    /// The module's data type.
    pub module: ModuleId,
    /// 1: saved before the keys. 2: saved after them.
    pub when: u64,
    /// The self-describing items with their terminator, as in the stream.
    pub body: Bytes,
}
