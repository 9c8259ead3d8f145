//! Level 3: one element of a value.

use dfly_wire::UnixMillis;

use super::sketch::{BloomHeader, CountMinHeader, CuckooHeader, TopKHeader};
use super::stream::{StreamEntry, StreamTail};
use crate::text::Text;
use crate::type_id::ModuleId;

/// One element of a value.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Element<'a> {
    /// A string, or its next part.
    String(Text<'a>),
    /// An item of a list, from head to tail.
    Item(Text<'a>),
    /// A member of a set.
    Member {
        /// The member.
        member: Text<'a>,
        /// Dragonfly: when it expires.
        expire_at: Option<UnixMillis>,
    },
    /// A field of a hash.
    Field {
        /// The field.
        field: Text<'a>,
        /// Its value.
        value: Text<'a>,
        /// When it expires.
        expire_at: Option<UnixMillis>,
    },
    /// A member of a sorted set.
    Scored {
        /// The member.
        member: Text<'a>,
        /// Its score; never NaN.
        score: f64,
    },
    /// An entry of a stream, in ascending order. Deleted ones are left out.
    StreamEntry(StreamEntry<'a>),
    /// Everything in a stream except its entries; always its last element.
    StreamTail(Box<StreamTail>),
    /// JSON text, or its next part.
    Json(Text<'a>),
    /// A part of a Bloom filter.
    Bloom(BloomPart<'a>),
    /// A part of a count-min sketch.
    CountMinSketch(CountMinPart<'a>),
    /// A part of a Top-K sketch.
    TopK(TopKPart<'a>),
    /// A part of a Cuckoo filter.
    Cuckoo(CuckooPart<'a>),
    /// A part of a module's value.
    Module(ModulePart<'a>),
}

/// A part of a Bloom filter (protocol section 7.6.8).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum BloomPart<'a> {
    /// The parameters; always first.
    Header(BloomHeader),
    /// The head of the next filter.
    Filter {
        /// Number of hash functions.
        hash_count: u64,
        /// Number of following bytes of bits, if they are stored in chunks.
        size: Option<u64>,
    },
    /// The next bits of that filter.
    Bits(Text<'a>),
}

/// A part of a count-min sketch (protocol section 7.6.9).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CountMinPart<'a> {
    /// The parameters; always first.
    Header(CountMinHeader),
    /// The next counters, eight bytes little endian each.
    Counters(&'a [u8]),
}

/// A part of a Top-K sketch (protocol section 7.6.10).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum TopKPart<'a> {
    /// The parameters; always first.
    Header(TopKHeader),
    /// One of the top items.
    Item {
        /// The item.
        item: Text<'a>,
        /// Its estimated count.
        count: u64,
    },
    /// The next counters, four bytes little endian each.
    Counters(&'a [u8]),
}

/// A part of a Cuckoo filter (protocol section 7.6.11).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum CuckooPart<'a> {
    /// The parameters; always first.
    Header(CuckooHeader),
    /// The head of the next filter.
    Filter {
        /// Number of following bytes of buckets.
        size: u64,
    },
    /// The next buckets of that filter.
    Buckets(&'a [u8]),
}

/// A part of a module's value (protocol section 7.8).
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum ModulePart<'a> {
    /// The module's data type; always first.
    Id(ModuleId),
    /// A signed integer.
    Signed(i64),
    /// An unsigned integer.
    Unsigned(u64),
    /// A 32-bit floating-point number.
    Float(f32),
    /// A 64-bit floating-point number.
    Double(f64),
    /// A byte string.
    String(Text<'a>),
}
