//! Skips the bodies of search indexes (protocol section 4.6) without buffering them.

use dfly_wire::{Source, fixed, packed};

use crate::input::{Stop, read_part};
use crate::string::string;

/// What remains to be skipped; nothing if all fields are zero.
#[derive(Debug, Default)]
pub(crate) struct Skip {
    /// Nodes of a vector index.
    nodes: u64,
    /// Levels of the node that was begun.
    levels: u64,
    /// Raw bytes of the level that was begun.
    bytes: u64,
    /// Documents of a shard.
    documents: u64,
    /// The largest string, in bytes.
    limit: usize,
}

/// Bytes of a neighbour's id.
const NEIGHBOUR: u64 = 4;

impl Skip {
    pub(crate) fn nodes(nodes: u64) -> Self {
        Self { nodes, ..Self::default() }
    }

    pub(crate) fn documents(documents: u64, limit: usize) -> Self {
        Self { documents, limit, ..Self::default() }
    }

    /// Skips all of it, or as much as has arrived.
    pub(crate) fn step<S: Source>(&mut self, src: &mut S) -> Result<(), Stop> {
        loop {
            if self.bytes > 0 {
                self.skip_bytes(src)?;
            } else if self.levels > 0 {
                self.bytes = u64::from(read_part(src, fixed::u32_le)?) * NEIGHBOUR;
                self.levels -= 1;
            } else if self.nodes > 0 {
                self.levels = u64::from(read_part(src, node)?) + 1;
                self.nodes -= 1;
            } else if self.documents > 0 {
                let limit = self.limit;
                read_part(src, |input| document(input, limit))?;
                self.documents -= 1;
            } else {
                return Ok(());
            }
        }
    }

    fn skip_bytes<S: Source>(&mut self, src: &mut S) -> Result<(), Stop> {
        let wanted = usize::try_from(self.bytes).unwrap_or(usize::MAX);
        let there = wanted.min(src.unread().len());
        src.skip(there);
        self.bytes -= there as u64;
        if self.bytes == 0 { Ok(()) } else { Err(Stop::need(wanted - there)) }
    }
}

/// Parses the head of a node; returns its highest level.
fn node(input: &[u8]) -> dfly_wire::Parsed<'_, u32> {
    let (rest, _internal_id) = fixed::u32_le(input)?;
    let (rest, _global_id) = fixed::u64_le(rest)?;
    fixed::u32_le(rest)
}

fn document(input: &[u8], limit: usize) -> dfly_wire::Parsed<'_, ()> {
    let (rest, _key) = string(input, limit)?;
    let (rest, _id) = packed::uint(rest)?;
    Ok((rest, ()))
}
