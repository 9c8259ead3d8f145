//! Type ids: the encoding of a value, resolved by the family and version of the stream (protocol section 7.5).

use std::fmt;

use crate::magic::{Family, Magic};

macro_rules! type_ids {
    ($($(#[$doc:meta])* $name:ident = $wire:literal, $kind:ident, $encoding:literal;)*) => {
        /// The encoding of a value. Ids whose meaning depends on the server (20, 22) have one variant for each meaning (protocol section 7.5, Redis and Valkey `rdb.h`).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum TypeId { $($(#[$doc])* $name,)* }

        impl TypeId {
            /// The type id of this encoding in current streams and payloads.
            pub const fn wire(self) -> u8 {
                match self { $(Self::$name => $wire,)* }
            }

            /// The kind of the value.
            pub(crate) const fn class(self) -> Class {
                match self { $(Self::$name => Class::$kind,)* }
            }

            /// The name in `OBJECT ENCODING`, such as `listpack`, `hashtable` or `quicklist`; a name of the same style for
            /// encodings that no server reports.
            pub const fn encoding_name(self) -> &'static str {
                match self { $(Self::$name => $encoding,)* }
            }
        }
    };
}

/// The kind of a value, without the name of a module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Class {
    String,
    List,
    Set,
    Hash,
    SortedSet,
    Stream,
    Json,
    Bloom,
    CountMinSketch,
    TopK,
    Cuckoo,
    Module,
}

type_ids! {
    /// A string.
    String = 0, String, "raw";
    /// A list, item by item.
    List = 1, List, "linkedlist";
    /// A set, member by member.
    Set = 2, Set, "hashtable";
    /// A sorted set with scores as text.
    SortedSet = 3, SortedSet, "skiplist";
    /// A hash, field by field.
    Hash = 4, Hash, "hashtable";
    /// A sorted set with binary scores.
    SortedSet2 = 5, SortedSet, "skiplist";
    /// A module's value, made of self-describing items.
    Module = 7, Module, "module";
    /// A hash in one zipmap.
    HashZipmap = 9, Hash, "zipmap";
    /// A list in one ziplist.
    ListZiplist = 10, List, "ziplist";
    /// A set of integers.
    SetIntset = 11, Set, "intset";
    /// A sorted set in one ziplist.
    SortedSetZiplist = 12, SortedSet, "ziplist";
    /// A hash in one ziplist.
    HashZiplist = 13, Hash, "ziplist";
    /// A list of ziplists.
    ListQuicklist = 14, List, "quicklist";
    /// A stream as Redis 5.0 to 6.2 write it.
    Stream = 15, Stream, "stream";
    /// A hash in one listpack.
    HashListpack = 16, Hash, "listpack";
    /// A sorted set in one listpack.
    SortedSetListpack = 17, SortedSet, "listpack";
    /// A list of listpacks and of plain items.
    ListQuicklist2 = 18, List, "quicklist";
    /// A stream as Redis 7.0 writes it.
    Stream2 = 19, Stream, "stream";
    /// A set in one listpack.
    SetListpack = 20, Set, "listpack";
    /// A stream as Redis 7.2 to 8.4, Valkey and Dragonfly write it.
    Stream3 = 21, Stream, "stream";
    /// Redis 7.4 release candidates: a hash with field expiries.
    HashMetadataPreGa = 22, Hash, "hashtable";
    /// Redis 7.4 release candidates: a hash with field expiries in one listpack.
    HashListpackExPreGa = 23, Hash, "listpackex";
    /// Redis 7.4 and later: a hash with field expiries.
    HashMetadata = 24, Hash, "hashtable";
    /// Redis 7.4 and later: a hash with field expiries in one listpack.
    HashListpackEx = 25, Hash, "listpackex";
    /// Valkey 9 and later: a hash with field expiries.
    HashValkey = 22, Hash, "hashtable";
    /// A stream as Redis 8.6 writes it, with the ids of idempotent producers.
    Stream4 = 26, Stream, "stream";
    /// Dragonfly: a JSON document as text. Written as 20 before Dragonfly 1.15.
    Json = 30, Json, "json";
    /// Dragonfly: a hash with field expiries.
    HashWithExpiry = 31, Hash, "hashtable";
    /// Dragonfly: a set with member expiries.
    SetWithExpiry = 32, Set, "hashtable";
    /// Dragonfly: a scalable Bloom filter.
    Bloom = 33, Bloom, "sbf";
    /// Dragonfly: a scalable Bloom filter with its bits in chunks.
    Bloom2 = 34, Bloom, "sbf";
    /// Dragonfly: a count-min sketch.
    CountMinSketch = 35, CountMinSketch, "cms";
    /// Dragonfly: a Top-K sketch.
    TopK = 36, TopK, "topk";
    /// Dragonfly: a Cuckoo filter.
    Cuckoo = 37, Cuckoo, "cuckoo";
}

impl TypeId {
    /// The encoding that `id` denotes in a stream or payload of `magic`. `None` for an unknown id, and for module values of
    /// the release candidates of Redis 4.0 (6), which only the module can read.
    ///
    /// Id 20 is JSON text below version 10 and a set from 10 on. Id 22 depends on the family. Ids 30 to 37 are Dragonfly's,
    /// which writes version 9 and reads up to 12 (protocol section 7.5).
    #[inline]
    pub fn resolve(id: u8, magic: Magic) -> Option<Self> {
        let valkey = magic.family == Family::Valkey;
        Some(match id {
            0 => Self::String,
            1 => Self::List,
            2 => Self::Set,
            3 => Self::SortedSet,
            4 => Self::Hash,
            5 => Self::SortedSet2,
            7 => Self::Module,
            9 => Self::HashZipmap,
            10 => Self::ListZiplist,
            11 => Self::SetIntset,
            12 => Self::SortedSetZiplist,
            13 => Self::HashZiplist,
            14 => Self::ListQuicklist,
            15 => Self::Stream,
            16 => Self::HashListpack,
            17 => Self::SortedSetListpack,
            18 => Self::ListQuicklist2,
            19 => Self::Stream2,
            20 if !valkey && magic.version < 10 => Self::Json,
            20 => Self::SetListpack,
            21 => Self::Stream3,
            22 if valkey => Self::HashValkey,
            22..=26 if !valkey => Self::redis(id)?,
            30..=37 if !valkey && magic.version <= 12 => Self::dragonfly(id)?,
            _ => return None,
        })
    }

    fn redis(id: u8) -> Option<Self> {
        Some(match id {
            22 => Self::HashMetadataPreGa,
            23 => Self::HashListpackExPreGa,
            24 => Self::HashMetadata,
            25 => Self::HashListpackEx,
            26 => Self::Stream4,
            _ => return None,
        })
    }

    fn dragonfly(id: u8) -> Option<Self> {
        Some(match id {
            30 => Self::Json,
            31 => Self::HashWithExpiry,
            32 => Self::SetWithExpiry,
            33 => Self::Bloom,
            34 => Self::Bloom2,
            35 => Self::CountMinSketch,
            36 => Self::TopK,
            37 => Self::Cuckoo,
            _ => return None,
        })
    }

    /// Whether the whole value is one string, so that the length of the string is the length of the value.
    #[inline]
    pub(crate) const fn is_one_string(self) -> bool {
        matches!(
            self,
            Self::String
                | Self::Json
                | Self::HashZipmap
                | Self::ListZiplist
                | Self::SetIntset
                | Self::SortedSetZiplist
                | Self::HashZiplist
                | Self::HashListpack
                | Self::SortedSetListpack
                | Self::SetListpack
                | Self::HashListpackExPreGa
        )
    }

    /// Whether a long value may be split inside its one string.
    #[inline]
    pub(crate) const fn is_text(self) -> bool {
        matches!(self, Self::String | Self::Json)
    }
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.wire().fmt(f)
    }
}

/// The kind of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ValueKind {
    /// A string.
    String,
    /// A list.
    List,
    /// A set.
    Set,
    /// A hash.
    Hash,
    /// A sorted set.
    SortedSet,
    /// A stream.
    Stream,
    /// Dragonfly's JSON document.
    Json,
    /// Dragonfly's scalable Bloom filter.
    Bloom,
    /// Dragonfly's count-min sketch.
    CountMinSketch,
    /// Dragonfly's Top-K sketch.
    TopK,
    /// Dragonfly's Cuckoo filter.
    Cuckoo,
    /// A value of a module; `None` if its id is unknown.
    Module(Option<ModuleId>),
}

impl ValueKind {
    /// Whether a Redis without modules supports the kind.
    pub fn is_core(self) -> bool {
        self.is_collection() || self == Self::String
    }

    /// Whether the value is a collection of elements.
    pub fn is_collection(self) -> bool {
        matches!(self, Self::List | Self::Set | Self::Hash | Self::SortedSet | Self::Stream)
    }
}

impl fmt::Display for ValueKind {
    /// The name in `TYPE`; `module` for a module whose id is unknown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "string",
            Self::List => "list",
            Self::Set => "set",
            Self::Hash => "hash",
            Self::SortedSet => "zset",
            Self::Stream => "stream",
            Self::Json => "ReJSON-RL",
            Self::Bloom => "MBbloom--",
            Self::CountMinSketch => "CMSk-TYPE",
            Self::TopK => "TopK-TYPE",
            Self::Cuckoo => "MBbloomCF",
            Self::Module(Some(id)) => return id.fmt(f),
            Self::Module(None) => "module",
        })
    }
}

/// A module data type: nine characters of a name and a version of the encoding, in 64 bits (protocol section 7.8).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ModuleId(pub u64);

impl ModuleId {
    /// The nine characters, for example `ReJSON-RL`.
    pub fn name(self) -> [u8; 9] {
        const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        std::array::from_fn(|i| {
            let shift = 10 + 6 * (8 - i);
            let [.., low] = (self.0 >> shift).to_be_bytes();
            CHARACTERS.get(usize::from(low & 0x3f)).copied().unwrap_or(b'?')
        })
    }

    /// The version of the module's encoding, 0 to 1023.
    pub fn encoding_version(self) -> u16 {
        let [.., high, low] = self.0.to_be_bytes();
        u16::from_be_bytes([high & 0x03, low])
    }
}

impl fmt::Display for ModuleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name().iter().try_for_each(|&c| fmt::Write::write_char(f, char::from(c)))
    }
}
