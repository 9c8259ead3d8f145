//! Streams (protocol section 7.6.6; Redis `rdb.c`, `rdbSaveStreamPEL` and following; type 26 as Redis 8.6 writes it).

use dfly_wire::{Fault, FaultKind, Parsed, UnixMillis, fixed, packed};

use super::{Phase, Scanner, TailUnit, TotalsSince7, Unit, uints};
use crate::stream_id::StreamId;
use crate::string::{Str, string};
use crate::type_id::TypeId;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StreamPhase {
    /// At a node; `left` counts it.
    Nodes {
        left: u64,
    },
    Totals,
    /// At a group; `groups` counts it.
    Group {
        groups: u64,
    },
    Pending {
        groups: u64,
        left: u64,
    },
    ConsumerCount {
        groups: u64,
    },
    Consumer {
        groups: u64,
        left: u64,
    },
    Owned {
        groups: u64,
        consumers: u64,
        left: u64,
    },
    ProducerCount,
    Producer {
        left: u64,
    },
    ProducerId {
        producers: u64,
        left: u64,
    },
    ProducerTotals,
}

/// The entries that a group has read, if unknown.
const UNKNOWN_READ: u64 = u64::MAX;

impl Scanner {
    pub(super) fn start_stream<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        let (rest, left) = packed::uint(input)?;
        self.phase = Phase::Stream(if left == 0 { StreamPhase::Totals } else { StreamPhase::Nodes { left } });
        Ok((rest, Unit::Silent))
    }

    pub(super) fn stream<'a>(&mut self, input: &'a [u8], phase: StreamPhase) -> Parsed<'a, Unit<'a>> {
        match phase {
            StreamPhase::Nodes { left } => self.stream_node(input, left),
            StreamPhase::Totals => self.totals(input),
            StreamPhase::Group { groups } => self.group(input, groups),
            StreamPhase::Pending { groups, left } => self.pending(input, groups, left),
            StreamPhase::ConsumerCount { groups } => {
                let (rest, consumers) = packed::uint(input)?;
                self.consumers(groups, consumers);
                Ok((rest, Unit::Tail(TailUnit::Silent)))
            }
            StreamPhase::Consumer { groups, left } => self.consumer(input, groups, left),
            StreamPhase::Owned { groups, consumers, left } => {
                let (rest, id) = raw_id(input)?;
                self.owned(groups, consumers, left - 1);
                Ok((rest, Unit::Tail(TailUnit::Owned(id))))
            }
            _ => self.producers(input, phase),
        }
    }

    fn stream_node<'a>(&mut self, input: &'a [u8], left: u64) -> Parsed<'a, Unit<'a>> {
        let (rest, key) = string(input, self.limit)?;
        let Str::Raw(key) = key else {
            return Fault::at(input, FaultKind::Invalid("a stream node's id is not raw"));
        };
        let Ok(([], first)) = raw_id(key) else {
            return Fault::at(input, FaultKind::Invalid("a stream node's id has not 16 bytes"));
        };
        let (rest, listpack) = string(rest, self.limit)?;
        let next = if left == 1 { StreamPhase::Totals } else { StreamPhase::Nodes { left: left - 1 } };
        self.phase = Phase::Stream(next);
        Ok((rest, Unit::StreamNode { first, listpack }))
    }

    fn totals<'a>(&mut self, input: &'a [u8]) -> Parsed<'a, Unit<'a>> {
        let (rest, [length, ms, seq]) = uints(input)?;
        let (rest, since7) =
            if self.type_id == TypeId::Stream { (rest, None) } else { totals_since_7(rest)? };
        let (rest, groups) = packed::uint(rest)?;
        self.groups(groups);
        Ok((rest, Unit::Tail(TailUnit::Totals { length, last: StreamId { ms, seq }, since7 })))
    }

    fn group<'a>(&mut self, input: &'a [u8], groups: u64) -> Parsed<'a, Unit<'a>> {
        let (rest, name) = string(input, self.limit)?;
        let (rest, [ms, seq]) = uints(rest)?;
        let (rest, read) =
            if self.type_id == TypeId::Stream { (rest, UNKNOWN_READ) } else { packed::uint(rest)? };
        let (rest, left) = packed::uint(rest)?;
        self.pendings(groups, left);
        let entries_read = (read != UNKNOWN_READ).then_some(read);
        Ok((rest, Unit::Tail(TailUnit::Group { name, last: StreamId { ms, seq }, entries_read })))
    }

    fn pending<'a>(&mut self, input: &'a [u8], groups: u64, left: u64) -> Parsed<'a, Unit<'a>> {
        let (rest, id) = raw_id(input)?;
        let (rest, delivered_at) = fixed::i64_le(rest)?;
        let (rest, deliveries) = packed::uint(rest)?;
        self.pendings(groups, left - 1);
        let delivered_at = UnixMillis(delivered_at);
        Ok((rest, Unit::Tail(TailUnit::Pending { id, delivered_at, deliveries })))
    }

    fn consumer<'a>(&mut self, input: &'a [u8], groups: u64, left: u64) -> Parsed<'a, Unit<'a>> {
        let (rest, name) = string(input, self.limit)?;
        let (rest, seen_at) = fixed::i64_le(rest)?;
        let has_active = matches!(self.type_id, TypeId::Stream3 | TypeId::Stream4);
        let (rest, active) = if has_active { fixed::i64_le(rest)? } else { (rest, -1) };
        let (rest, owned) = packed::uint(rest)?;
        self.owned(groups, left - 1, owned);
        let active_at = (active != -1).then_some(UnixMillis(active));
        Ok((rest, Unit::Tail(TailUnit::Consumer { name, seen_at: UnixMillis(seen_at), active_at })))
    }

    fn producers<'a>(&mut self, input: &'a [u8], phase: StreamPhase) -> Parsed<'a, Unit<'a>> {
        match phase {
            StreamPhase::Producer { left } => {
                let (rest, _name) = string(input, self.limit)?;
                let (rest, ids) = packed::uint(rest)?;
                self.producer_ids(left - 1, ids);
                Ok((rest, Unit::Tail(TailUnit::Silent)))
            }
            StreamPhase::ProducerId { producers, left } => {
                let (rest, _id) = string(input, self.limit)?;
                let (rest, [_ms, _seq]) = uints(rest)?;
                self.producer_ids(producers, left - 1);
                Ok((rest, Unit::Tail(TailUnit::Silent)))
            }
            StreamPhase::ProducerTotals => {
                let (rest, [_added, _duplicates]) = uints(input)?;
                self.phase = Phase::Done;
                Ok((rest, Unit::Tail(TailUnit::Silent)))
            }
            _ => {
                let (rest, [duration_seconds, max_entries, producers]) = uints(input)?;
                self.producer_ids(producers, 0);
                Ok((rest, Unit::Tail(TailUnit::Producers { duration_seconds, max_entries })))
            }
        }
    }

    fn groups(&mut self, groups: u64) {
        self.phase = match groups {
            0 if self.type_id == TypeId::Stream4 => Phase::Stream(StreamPhase::ProducerCount),
            0 => Phase::Done,
            groups => Phase::Stream(StreamPhase::Group { groups }),
        };
    }

    fn pendings(&mut self, groups: u64, left: u64) {
        self.phase = Phase::Stream(match left {
            0 => StreamPhase::ConsumerCount { groups },
            left => StreamPhase::Pending { groups, left },
        });
    }

    fn consumers(&mut self, groups: u64, left: u64) {
        match left {
            0 => self.groups(groups - 1),
            left => self.phase = Phase::Stream(StreamPhase::Consumer { groups, left }),
        }
    }

    fn owned(&mut self, groups: u64, consumers: u64, left: u64) {
        match left {
            0 => self.consumers(groups, consumers),
            left => self.phase = Phase::Stream(StreamPhase::Owned { groups, consumers, left }),
        }
    }

    fn producer_ids(&mut self, producers: u64, left: u64) {
        self.phase = Phase::Stream(match (producers, left) {
            (0, 0) => StreamPhase::ProducerTotals,
            (left, 0) => StreamPhase::Producer { left },
            (producers, left) => StreamPhase::ProducerId { producers, left },
        });
    }
}

fn totals_since_7(input: &[u8]) -> Parsed<'_, Option<TotalsSince7>> {
    let (rest, [first_ms, first_seq, deleted_ms, deleted_seq, entries_added]) = uints(input)?;
    let first = StreamId { ms: first_ms, seq: first_seq };
    let max_deleted = StreamId { ms: deleted_ms, seq: deleted_seq };
    Ok((rest, Some(TotalsSince7 { first, max_deleted, entries_added })))
}

/// An id as 16 bytes, big endian.
fn raw_id(input: &[u8]) -> Parsed<'_, StreamId> {
    let (rest, ms) = fixed::array(input)?;
    let (rest, seq) = fixed::array(rest)?;
    Ok((rest, StreamId { ms: u64::from_be_bytes(ms), seq: u64::from_be_bytes(seq) }))
}
