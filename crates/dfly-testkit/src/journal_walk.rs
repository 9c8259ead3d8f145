//! Finds where the records of a journal stream end, and the LSN after each of them (protocol sections 3.3 and 3.4).
//!
//! It is deliberately small and independent of the journal decoder. It finds boundaries and does not interpret commands.

use bytes::Bytes;
use dfly_wire::{Fault, Parsed, Step, commit, fixed, packed};
use thiserror::Error;

const SELECT: u64 = 6;
const EXPIRED: u64 = 9;
const COMMAND: u64 = 10;
const MULTI_COMMAND: u64 = 11;
const EXEC: u64 = 12;
const PING: u64 = 13;
const LSN: u64 = 15;

/// The maximum length of a recorded string, in bytes.
const STRING_LIMIT: usize = 64 << 20;

/// A record that advances the LSN, and where it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// Offset of the first byte after the record, from the start of the journal.
    pub end: usize,
    /// The LSN of the next record. A replica acknowledges it once this record is applied.
    pub next_lsn: u64,
}

/// The result of a walk through a journal.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Walk {
    /// One mark for each counting record, in order.
    pub marks: Vec<Mark>,
    /// The name and arguments of every command, in order.
    pub commands: Vec<Vec<Bytes>>,
    /// How many bytes follow the last whole record. More than 0 if the stream was cut inside a record.
    pub leftover: usize,
}

impl Walk {
    /// The LSN that a replica has reached after the last record, starting from `start`.
    pub fn final_lsn(&self, start: u64) -> u64 {
        self.marks.last().map_or(start, |mark| mark.next_lsn)
    }
}

/// Why a journal cannot be walked.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum WalkError {
    /// The opcode is not one of protocol section 3.3.
    #[error("unknown journal opcode {opcode} at offset {offset}")]
    Opcode {
        /// The opcode.
        opcode: u64,
        /// Its offset in bytes.
        offset: usize,
    },
    /// A length cannot be read.
    #[error("malformed journal record at offset {offset}")]
    Malformed {
        /// The record's offset in bytes.
        offset: usize,
        /// What is wrong there.
        source: Fault,
    },
    /// The announced total length of a record is not the sum of the lengths of its strings.
    #[error("record at offset {offset} announces {announced} bytes and holds {found}")]
    Total {
        /// The record's offset in bytes.
        offset: usize,
        /// The length on the wire.
        announced: u64,
        /// The sum of the strings' lengths.
        found: u64,
    },
    /// An LSN record disagrees with the count of the records before it.
    #[error("LSN record at offset {offset} says {found}, the count says {expected}")]
    Lsn {
        /// The record's offset in bytes.
        offset: usize,
        /// The LSN on the wire.
        found: u64,
        /// The LSN of the last counting record.
        expected: u64,
    },
}

enum Record {
    Select,
    Lsn(u64),
    Counts(Option<Payload>),
    Unknown(u64),
}

struct Payload {
    announced: u64,
    strings: Vec<Bytes>,
}

/// Walks `journal`, whose first counting record has the LSN `start`.
///
/// # Errors
/// An unknown opcode, a malformed length, or a count that disagrees with the stream's own LSN records.
pub fn walk(journal: &[u8], start: u64) -> Result<Walk, WalkError> {
    let mut walk = Walk::default();
    let (mut rest, mut next_lsn) = (Bytes::copy_from_slice(journal), start);
    while !rest.is_empty() {
        let offset = journal.len() - rest.len();
        let step = commit(&mut rest, parse_record);
        let Step::Ready(record) = step.map_err(|source| WalkError::Malformed { offset, source })? else {
            break;
        };
        match record {
            Record::Select => {}
            Record::Unknown(opcode) => return Err(WalkError::Opcode { opcode, offset }),
            Record::Lsn(found) if found.wrapping_add(1) == next_lsn => {}
            Record::Lsn(found) => {
                return Err(WalkError::Lsn { offset, found, expected: next_lsn.wrapping_sub(1) });
            }
            Record::Counts(payload) => {
                next_lsn += 1;
                walk.marks.push(Mark { end: journal.len() - rest.len(), next_lsn });
                walk.commands.extend(payload.map(|p| p.checked(offset)).transpose()?);
            }
        }
    }
    walk.leftover = rest.len();
    Ok(walk)
}

impl Payload {
    fn checked(self, offset: usize) -> Result<Vec<Bytes>, WalkError> {
        let found = self.strings.iter().map(|s| s.len() as u64).sum();
        match self.announced == found {
            true => Ok(self.strings),
            false => Err(WalkError::Total { offset, announced: self.announced, found }),
        }
    }
}

fn parse_record(input: &[u8]) -> Parsed<'_, Record> {
    let (rest, opcode) = packed::uint(input)?;
    match opcode {
        SELECT => packed::uint(rest).map(|(rest, _db)| (rest, Record::Select)),
        LSN => packed::uint(rest).map(|(rest, lsn)| (rest, Record::Lsn(lsn))),
        PING => Ok((rest, Record::Counts(None))),
        EXEC => transaction(rest).map(|(rest, ())| (rest, Record::Counts(None))),
        EXPIRED | COMMAND | MULTI_COMMAND => {
            let (rest, ()) = transaction(rest)?;
            let (rest, payload) = parse_payload(rest)?;
            Ok((rest, Record::Counts(Some(payload))))
        }
        other => Ok((rest, Record::Unknown(other))),
    }
}

fn transaction(input: &[u8]) -> Parsed<'_, ()> {
    let (rest, _txid) = packed::uint(input)?;
    let (rest, _shard_count) = packed::uint(rest)?;
    Ok((rest, ()))
}

fn parse_payload(input: &[u8]) -> Parsed<'_, Payload> {
    let (rest, count) = packed::size(input, STRING_LIMIT)?;
    let (mut rest, announced) = packed::uint(rest)?;
    let mut strings = Vec::new();
    for _ in 0..count {
        let (after, len) = packed::size(rest, STRING_LIMIT)?;
        let (after, text) = fixed::bytes(after, len)?;
        strings.push(Bytes::copy_from_slice(text));
        rest = after;
    }
    Ok((rest, Payload { announced, strings }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The journal at the end of protocol Annex A.
    const ANNEX_A: &[u8] = b"\x06\x00\x0a\x00\x01\x03\x09\x03SET\x05after\x01y\x0f\x03\
        \x06\x01\x0a\x00\x01\x02\x07\x04INCR\x03ctr\x06\x01\x0a\x00\x01\x05\x08\x04MSET\x01a\x011\x01b\x012";

    #[test]
    fn annex_a_counts_three_records() {
        let walk = walk(ANNEX_A, 3).unwrap();
        assert_eq!(walk.final_lsn(3), 6);
        assert_eq!(walk.leftover, 0);
        assert_eq!(walk.commands[1], ["INCR", "ctr"]);
        assert_eq!(walk.marks[0], Mark { end: 19, next_lsn: 4 });
    }

    #[test]
    fn every_truncation_leaves_whole_records_only() {
        let whole = walk(ANNEX_A, 3).unwrap();
        for cut in 0..ANNEX_A.len() {
            let part = walk(&ANNEX_A[..cut], 3).unwrap();
            assert!(whole.marks.starts_with(&part.marks));
            assert!(part.marks.iter().all(|mark| mark.end <= cut));
        }
    }

    #[test]
    fn what_is_no_journal() {
        assert_eq!(walk(&[8], 1), Err(WalkError::Opcode { opcode: 8, offset: 0 }));
        assert_eq!(walk(&[13, 15, 7], 1), Err(WalkError::Lsn { offset: 1, found: 7, expected: 1 }));
        assert_eq!(
            walk(&[10, 0, 1, 1, 9, 1, b'x'], 1),
            Err(WalkError::Total { offset: 0, announced: 9, found: 1 })
        );
        assert!(matches!(walk(&[6, 0x82], 1), Err(WalkError::Malformed { offset: 0, .. })));
    }
}
