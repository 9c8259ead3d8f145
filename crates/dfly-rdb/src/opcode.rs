//! Opcodes (protocol section 4.1; Dragonfly `rdb_extensions.h`, Redis `rdb.h`).

/// End of the full synchronisation, followed by eight zero bytes.
pub(crate) const FULL_SYNC_END: u8 = 200;
/// A zstd frame that holds items.
pub(crate) const ZSTD_BLOB: u8 = 201;
/// An LZ4 frame that holds items.
pub(crate) const LZ4_BLOB: u8 = 202;
/// Journal bytes among the snapshot's items.
pub(crate) const JOURNAL_BLOB: u8 = 210;
/// The LSN at which the journal continues.
pub(crate) const JOURNAL_OFFSET: u8 = 211;
/// Dragonfly's attributes of the next key.
pub(crate) const DF_MASK: u8 = 220;
/// A serialised HNSW index.
pub(crate) const VECTOR_INDEX: u8 = 222;
/// Keys and document ids of a search index.
pub(crate) const SHARD_DOC_INDEX: u8 = 223;
/// A part of an interleaved value.
pub(crate) const TAGGED_CHUNK: u8 = 224;
/// Redis 8.6: metadata that modules attach to the next key. Valkey 9: slots that are being imported.
pub(crate) const KEY_META: u8 = 243;
/// Sizes of a cluster slot.
pub(crate) const SLOT_INFO: u8 = 244;
/// A function library.
pub(crate) const FUNCTION2: u8 = 245;
/// A function library as the release candidates of Redis 7.0 wrote it.
pub(crate) const FUNCTION_PRE_GA: u8 = 246;
/// Data that a module keeps outside of keys.
pub(crate) const MODULE_AUX: u8 = 247;
/// Idle time of the next key, in seconds.
pub(crate) const IDLE: u8 = 248;
/// Access frequency of the next key.
pub(crate) const FREQ: u8 = 249;
/// A named property of the stream.
pub(crate) const AUX: u8 = 250;
/// How many keys the database has.
pub(crate) const RESIZE_DB: u8 = 251;
/// Expiry of the next key, absolute, in milliseconds.
pub(crate) const EXPIRE_TIME_MS: u8 = 252;
/// Expiry of the next key, absolute, in seconds.
pub(crate) const EXPIRE_TIME: u8 = 253;
/// The database of the following keys.
pub(crate) const SELECT_DB: u8 = 254;
/// End of the stream.
pub(crate) const EOF: u8 = 255;
