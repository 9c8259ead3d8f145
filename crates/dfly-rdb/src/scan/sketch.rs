//! Dragonfly's sketches (protocol sections 7.6.8 to 7.6.11; `rdb_save.cc`, `SaveSBFObject` and following).

use dfly_wire::{Fault, FaultKind, Parsed, fixed, packed};

use super::{Phase, Scanner, Unit, uints};
use crate::string::string;
use crate::type_id::{Class, TypeId};
use crate::value::sketch::{BloomHeader, CountMinHeader, CuckooHeader, TopKHeader};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SketchPhase {
    /// At the head of a filter; `left` counts it.
    Filter { left: u64 },
    /// At the one string of a filter.
    Bits { left: u64 },
    /// At the head of a chunk; `total` bytes of the filter remain.
    Chunk { left: u64, total: u64 },
    /// In a chunk; `run` bytes of it remain, and `total` of the filter.
    ChunkRun { left: u64, total: u64, run: u64 },
    /// At an item of a Top-K sketch.
    TopItem { left: u64 },
    /// At the length of the counters of a Top-K sketch.
    TopCounters,
    /// In the last raw bytes.
    Run { left: u64 },
}

/// Bytes of a counter of a count-min sketch.
const COUNTER: u64 = 8;

impl Scanner {
    pub(super) fn start_sketch<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        match self.type_id.class() {
            Class::Bloom => self.start_bloom(input),
            Class::CountMinSketch => self.start_count_min(input),
            Class::TopK => self.start_top_k(input),
            _ => self.start_cuckoo(input),
        }
    }

    fn start_bloom<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        let (rest, _options) = packed::uint(input)?;
        let (rest, growth) = fixed::f64_le(rest)?;
        let (rest, error_rate) = fixed::f64_le(rest)?;
        let (rest, [previous_size, size, capacity, filters]) = uints(rest)?;
        self.filters(filters);
        Ok((
            rest,
            Unit::BloomHeader(BloomHeader { growth, error_rate, previous_size, size, capacity, filters }),
        ))
    }

    fn start_count_min<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        let (rest, [width, depth, total]) = uints(input)?;
        let Some(left) = width.checked_mul(depth).and_then(|counters| counters.checked_mul(COUNTER)) else {
            return Fault::at(input, FaultKind::Invalid("a sketch has more counters than can be"));
        };
        self.last_run(left);
        Ok((rest, Unit::CountMinHeader(CountMinHeader { width, depth, total })))
    }

    fn start_top_k<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        let (rest, [_version, k, width, depth]) = uints(input)?;
        let (rest, decay) = fixed::f64_le(rest)?;
        let (rest, items) = packed::uint(rest)?;
        self.top_items(items);
        Ok((rest, Unit::TopKHeader(TopKHeader { k, width, depth, decay, items })))
    }

    fn start_cuckoo<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        let (rest, [bucket_size, max_iterations, expansion, buckets, items, deletes, filters]) =
            uints(input)?;
        self.filters(filters);
        let header =
            CuckooHeader { bucket_size, max_iterations, expansion, buckets, items, deletes, filters };
        Ok((rest, Unit::CuckooHeader(header)))
    }

    pub(super) fn sketch<'a>(&mut self, input: &'a [u8], phase: SketchPhase) -> Parsed<'a, Unit<'a>> {
        match phase {
            SketchPhase::Filter { left } => self.filter(input, left),
            SketchPhase::Bits { left } => {
                let (rest, bits) = string(input, self.limit)?;
                self.filters(left - 1);
                Ok((rest, Unit::FilterBits(bits)))
            }
            SketchPhase::Chunk { left, total } => self.chunk(input, left, total),
            SketchPhase::ChunkRun { left, total, run } => {
                let (rest, (bytes, remaining)) = self.run(input, run)?;
                self.chunks(left, total - (run - remaining), remaining);
                Ok((rest, Unit::Run(bytes)))
            }
            SketchPhase::TopItem { left } => {
                let (rest, item) = string(input, self.limit)?;
                let (rest, count) = packed::uint(rest)?;
                self.top_items(left - 1);
                Ok((rest, Unit::TopKItem { item, count }))
            }
            SketchPhase::TopCounters => {
                let (rest, left) = packed::uint(input)?;
                self.last_run(left);
                Ok((rest, Unit::Silent))
            }
            SketchPhase::Run { left } => {
                let (rest, (bytes, left)) = self.run(input, left)?;
                self.last_run(left);
                Ok((rest, Unit::Run(bytes)))
            }
        }
    }

    fn filter<'a>(&mut self, input: &'a [u8], left: u64) -> Parsed<'a, Unit<'a>> {
        if self.type_id == TypeId::Bloom {
            let (rest, hash_count) = packed::uint(input)?;
            self.phase = Phase::Sketch(SketchPhase::Bits { left });
            return Ok((rest, Unit::Filter { hash_count, size: None }));
        }
        let (rest, hash_count) =
            if self.type_id == TypeId::Bloom2 { packed::uint(input)? } else { (input, 0) };
        let (rest, size) = packed::uint(rest)?;
        self.chunks(left, size, 0);
        Ok((rest, Unit::Filter { hash_count, size: Some(size) }))
    }

    fn chunk<'a>(&mut self, input: &'a [u8], left: u64, total: u64) -> Parsed<'a, Unit<'a>> {
        let (rest, run) = packed::uint(input)?;
        if run == 0 || run > total {
            return Fault::at(input, FaultKind::Invalid("a filter's chunk does not fit the filter"));
        }
        self.chunks(left, total, run);
        Ok((rest, Unit::Silent))
    }

    fn filters(&mut self, left: u64) {
        self.phase = if left == 0 { Phase::Done } else { Phase::Sketch(SketchPhase::Filter { left }) };
    }

    fn chunks(&mut self, left: u64, total: u64, run: u64) {
        match (total, run) {
            (0, _) => self.filters(left - 1),
            (_, 0) => self.phase = Phase::Sketch(SketchPhase::Chunk { left, total }),
            _ => self.phase = Phase::Sketch(SketchPhase::ChunkRun { left, total, run }),
        }
    }

    fn top_items(&mut self, left: u64) {
        let next = if left == 0 { SketchPhase::TopCounters } else { SketchPhase::TopItem { left } };
        self.phase = Phase::Sketch(next);
    }

    fn last_run(&mut self, left: u64) {
        self.phase = if left == 0 { Phase::Done } else { Phase::Sketch(SketchPhase::Run { left }) };
    }
}
