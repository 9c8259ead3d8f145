//! Parses a value unit by unit. The same state machine measures values in the stream and iterates over the elements of
//! measured values.
//!
//! A unit is a run of bytes that is consumed at once: a count, an item, a field with its value, a node, a run of raw
//! bytes. The scanner changes only when a unit is complete, so parsing can be retried after a truncated input.

use dfly_wire::{Fault, FaultKind, Parsed, UnixMillis, fixed, packed};

use crate::stream_id::StreamId;
use crate::string::{self, Head, Str};
use crate::type_id::{Class, ModuleId, TypeId};
use crate::value::sketch::{BloomHeader, CountMinHeader, CuckooHeader, TopKHeader};

mod collection;
mod module;
mod sketch;
mod stream;

use module::ModulePhase;
use sketch::SketchPhase;
use stream::StreamPhase;

/// The state of a scan within a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Scanner {
    type_id: TypeId,
    /// The largest string that is held in memory, in bytes.
    limit: usize,
    /// Raw runs are split into parts of this size, in bytes.
    part: usize,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Start,
    /// At the length of a long string.
    SplitStart,
    /// In the bytes of a long string.
    Split {
        left: u64,
    },
    /// Items of a collection; `base` is the time that field expiries count from, in milliseconds.
    Items {
        left: u64,
        base: u64,
    },
    /// At the listpack after a minimum expiry.
    ListpackBody,
    Module(ModulePhase),
    Sketch(SketchPhase),
    Stream(StreamPhase),
    Done,
}

/// The result of one step. Strings are in their stored form.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Unit<'a> {
    /// Counts and other bytes without an element.
    Silent,
    /// The whole value in one string: a text or a container.
    Whole(Str<'a>),
    /// The next part of a long string.
    Part(&'a [u8]),
    Item(Str<'a>),
    Field {
        field: Str<'a>,
        value: Str<'a>,
        expire_at: Option<UnixMillis>,
    },
    Member {
        member: Str<'a>,
        expire_at: Option<UnixMillis>,
    },
    Scored {
        member: Str<'a>,
        score: f64,
    },
    /// A list node that is one item.
    PlainNode(Str<'a>),
    /// A list node that is a listpack or ziplist.
    PackedNode(Str<'a>),
    StreamNode {
        first: StreamId,
        listpack: Str<'a>,
    },
    Tail(TailUnit<'a>),
    ModuleId(ModuleId),
    ModuleSigned(i64),
    ModuleUnsigned(u64),
    ModuleFloat(f32),
    ModuleDouble(f64),
    ModuleString(Str<'a>),
    BloomHeader(BloomHeader),
    CountMinHeader(CountMinHeader),
    TopKHeader(TopKHeader),
    CuckooHeader(CuckooHeader),
    Filter {
        hash_count: u64,
        size: Option<u64>,
    },
    FilterBits(Str<'a>),
    TopKItem {
        item: Str<'a>,
        count: u64,
    },
    /// Raw bytes of a sketch.
    Run(&'a [u8]),
}

/// A part of what follows the nodes of a stream. All parts are one element, so a piece never ends between them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum TailUnit<'a> {
    Totals { length: u64, last: StreamId, since7: Option<TotalsSince7> },
    Group { name: Str<'a>, last: StreamId, entries_read: Option<u64> },
    Pending { id: StreamId, delivered_at: UnixMillis, deliveries: u64 },
    Consumer { name: Str<'a>, seen_at: UnixMillis, active_at: Option<UnixMillis> },
    Owned(StreamId),
    Producers { duration_seconds: u64, max_entries: u64 },
    Silent,
}

/// Fields of the end of a stream since Redis 7.0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TotalsSince7 {
    pub(crate) first: StreamId,
    pub(crate) max_deleted: StreamId,
    pub(crate) entries_added: u64,
}

impl Unit<'_> {
    /// Whether a piece may end after this unit.
    pub(crate) fn ends_piece(&self) -> bool {
        !matches!(self, Self::Silent | Self::Tail(_))
    }
}

impl Scanner {
    /// A scan of a value with strings of at most `limit` bytes, which splits raw runs into parts of `part` bytes.
    pub(crate) fn new(type_id: TypeId, limit: usize, part: usize) -> Self {
        Self { type_id, limit, part: part.max(8), phase: Phase::Start }
    }

    /// A scan that splits a long raw string into parts.
    pub(crate) fn split(type_id: TypeId, limit: usize, part: usize) -> Self {
        Self { phase: Phase::SplitStart, ..Self::new(type_id, limit, part) }
    }

    /// A scan of a payload in memory: its size bounds every length.
    pub(crate) fn in_memory(type_id: TypeId) -> Self {
        Self::new(type_id, usize::MAX >> 1, DEFAULT_PART)
    }

    #[inline]
    pub(crate) fn type_id(&self) -> TypeId {
        self.type_id
    }

    /// Whether the value is complete.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        self.phase == Phase::Done
    }

    /// The next unit. Must not be called when the value is complete.
    #[inline]
    pub(crate) fn next<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        match self.phase {
            Phase::Items { left, base } => self.item(input, left, base),
            Phase::Stream(phase) => self.stream(input, phase),
            Phase::Start => self.start(input),
            _ => self.rare(input),
        }
    }

    fn rare<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        match self.phase {
            Phase::SplitStart => self.split_start(input),
            Phase::Split { left } => self.split_part(input, left),
            Phase::ListpackBody => {
                let (rest, body) = string::string(input, self.limit)?;
                self.phase = Phase::Done;
                Ok((rest, Unit::Whole(body)))
            }
            Phase::Module(phase) => self.module(input, phase),
            Phase::Sketch(phase) => self.sketch(input, phase),
            Phase::Items { .. } | Phase::Stream(_) | Phase::Start | Phase::Done => {
                Fault::at(input, FaultKind::Invalid("bytes follow a complete value"))
            }
        }
    }

    fn start<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        if self.type_id.is_one_string() {
            let (rest, whole) = string::string(input, self.limit)?;
            self.phase = Phase::Done;
            return Ok((rest, Unit::Whole(whole)));
        }
        match self.type_id {
            TypeId::HashListpackEx => {
                let (rest, _min_expire) = fixed::u64_le(input)?;
                self.phase = Phase::ListpackBody;
                Ok((rest, Unit::Silent))
            }
            TypeId::HashMetadata => {
                let (rest, base) = fixed::u64_le(input)?;
                self.start_items(rest, base)
            }
            _ => self.start_class(input),
        }
    }

    fn start_class<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        match self.type_id.class() {
            Class::Stream => self.start_stream(input),
            Class::Module => self.start_module(input),
            Class::Bloom | Class::CountMinSketch | Class::TopK | Class::Cuckoo => self.start_sketch(input),
            Class::String | Class::Json | Class::List | Class::Set | Class::Hash | Class::SortedSet => {
                self.start_items(input, 0)
            }
        }
    }

    fn start_items<'a>(&mut self, input: &'a [u8], base: u64) -> Parsed<'a, Unit<'a>> {
        let (rest, left) = packed::uint(input)?;
        self.phase = if left == 0 { Phase::Done } else { Phase::Items { left, base } };
        Ok((rest, Unit::Silent))
    }

    fn split_start<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        let (rest, head) = string::head(input, usize::MAX)?;
        let Head::Raw(size) = head else {
            return Fault::at(input, FaultKind::Invalid("only a raw string is cut into parts"));
        };
        self.phase = if size == 0 { Phase::Done } else { Phase::Split { left: size as u64 } };
        Ok((rest, Unit::Silent))
    }

    fn split_part<'a>(&mut self, input: &'a [u8], left: u64) -> Parsed<'a, Unit<'a>> {
        let (rest, (part, left)) = self.run(input, left)?;
        self.phase = if left == 0 { Phase::Done } else { Phase::Split { left } };
        Ok((rest, Unit::Part(part)))
    }

    /// The next part of a run of `left` raw bytes, and the number of bytes left after it.
    fn run<'a>(&self, input: &'a [u8], left: u64) -> Parsed<'a, (&'a [u8], u64)> {
        let size = usize::try_from(left).map_or(self.part, |left| left.min(self.part));
        let (rest, part) = fixed::bytes(input, size)?;
        Ok((rest, (part, left - size as u64)))
    }
}

/// The size of the parts into which raw runs of a payload in memory are split, in bytes. A multiple of eight.
const DEFAULT_PART: usize = 64 << 10;

/// A packed integer that counts groups of `n` units.
fn uints<const N: usize>(input: &[u8]) -> Parsed<'_, [u64; N]> {
    let mut values = [0; N];
    let mut rest = input;
    for value in &mut values {
        (rest, *value) = packed::uint(rest)?;
    }
    Ok((rest, values))
}
