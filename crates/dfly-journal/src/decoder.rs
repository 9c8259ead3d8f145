//! One record at a time, from a stream or from a blob of the snapshot.

use bytes::Bytes;
use dfly_wire::{DbIndex, Limits, ParseError, Parsed, Source, Step, fixed, need, packed};

use crate::args::Args;
use crate::error::{Error, ErrorKind};
use crate::opcode::Opcode;
use crate::record::{Command, Lsn, Record, TxId};

/// Decodes the journal of one flow.
#[derive(Debug, Clone)]
pub struct Decoder {
    db: DbIndex,
    /// `None` for journal blobs of a snapshot, whose records have no LSN.
    next_lsn: Option<Lsn>,
    offset: u64,
    limits: Limits,
}

/// One item of the journal, before its bytes are consumed.
enum Item {
    Select(u64),
    Marker(u64),
    Ping,
    Exec(TxId),
    Command(Layout),
}

/// The layout of a command in its frame.
struct Layout {
    txid: TxId,
    /// The number of arguments, including the name.
    count: usize,
    /// Size of the arguments with their lengths, at the end of the frame.
    body: usize,
}

impl Decoder {
    /// A decoder for the stable stream of a flow, whose first record is `next`.
    pub fn stream(next: Lsn) -> Self {
        Self { db: DbIndex(0), next_lsn: Some(next), offset: 0, limits: Limits::default() }
    }

    /// A decoder for the journal blobs inside the snapshot of a flow. Their records have no LSN (protocol section 3.4). The
    /// selected database carries over from one blob to the next.
    pub fn blobs() -> Self {
        Self { db: DbIndex(0), next_lsn: None, offset: 0, limits: Limits::default() }
    }

    /// Sets the limits. The arguments of a record may have `limits.string` bytes.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }

    /// The LSN of the next record; `None` for blobs.
    pub fn next_lsn(&self) -> Option<Lsn> {
        self.next_lsn
    }

    /// The database that the next command is carried out in, unless a SELECT comes first.
    pub fn db(&self) -> DbIndex {
        self.db
    }

    /// Bytes consumed so far.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Decodes the next record. SELECT and LSN markers before it are consumed.
    ///
    /// # Errors
    /// [`Error`]. The stream cannot be decoded any further.
    pub fn decode<S: Source>(&mut self, src: &mut S) -> Result<Step<Record>, Error> {
        loop {
            let available = src.unread().len();
            let (used, item) = match item(src.unread(), &self.limits) {
                Ok((rest, item)) => (available - rest.len(), item),
                Err(ParseError::Incomplete(n)) => return Ok(Step::Need(n)),
                Err(ParseError::Invalid(fault)) => return Err(self.error(fault.kind.into())),
            };
            let item = item.map_err(|kind| self.error(kind))?;
            if let Some(record) = self.commit(src, used, item)? {
                return Ok(Step::Ready(record));
            }
        }
    }

    /// Appends all records of one journal blob to `records`, in order.
    ///
    /// # Errors
    /// As [`Self::decode`], and [`ErrorKind::Truncated`] when the blob ends inside a record.
    pub fn decode_blob(&mut self, mut blob: Bytes, records: &mut Vec<Record>) -> Result<(), Error> {
        loop {
            match self.decode(&mut blob)? {
                Step::Ready(record) => records.push(record),
                Step::Need(_) if blob.is_empty() => return Ok(()),
                Step::Need(_) => return Err(self.error(ErrorKind::Truncated)),
            }
        }
    }

    /// Validates the item, consumes its `used` bytes and, if it is a record, advances the LSN.
    fn commit<S: Source>(&mut self, src: &mut S, used: usize, item: Item) -> Result<Option<Record>, Error> {
        let record = match item {
            Item::Select(db) => {
                self.db =
                    DbIndex(u32::try_from(db).map_err(|_too_large| self.error(ErrorKind::Database(db)))?);
                src.skip(used);
                None
            }
            Item::Marker(announced) => {
                self.check_marker(Lsn(announced))?;
                src.skip(used);
                None
            }
            Item::Ping => {
                src.skip(used);
                Some(Record::Ping)
            }
            Item::Exec(txid) => {
                src.skip(used);
                Some(Record::Exec(txid))
            }
            Item::Command(layout) => Some(self.command(src.take(used), &layout)),
        };
        self.offset += used as u64;
        if record.is_some() {
            self.next_lsn = self.next_lsn.map(Lsn::next);
        }
        Ok(record)
    }

    fn command(&self, mut frame: Bytes, layout: &Layout) -> Record {
        let body = frame.split_off(frame.len() - layout.body);
        Record::Command(Command { db: self.db, txid: layout.txid, args: Args::checked(layout.count, body) })
    }

    fn check_marker(&self, announced: Lsn) -> Result<(), Error> {
        match self.next_lsn {
            Some(next) if announced.next() != next => {
                let counted = Lsn(next.0.saturating_sub(1));
                Err(self.error(ErrorKind::Position { announced, counted }))
            }
            _ => Ok(()),
        }
    }

    fn error(&self, kind: ErrorKind) -> Error {
        Error { offset: self.offset, kind }
    }
}

type Checked<'a, T> = Parsed<'a, Result<T, ErrorKind>>;

fn item<'a>(input: &'a [u8], limits: &Limits) -> Checked<'a, Item> {
    let (rest, opcode) = packed::uint(input)?;
    match Opcode::from_wire(opcode) {
        Some(Opcode::Select) => packed::uint(rest).map(|(rest, db)| (rest, Ok(Item::Select(db)))),
        Some(Opcode::Lsn) => packed::uint(rest).map(|(rest, lsn)| (rest, Ok(Item::Marker(lsn)))),
        Some(Opcode::Ping) => Ok((rest, Ok(Item::Ping))),
        Some(Opcode::Exec) => transaction(rest).map(|(rest, txid)| (rest, Ok(Item::Exec(txid)))),
        Some(Opcode::Command | Opcode::Expired | Opcode::MultiCommand) => {
            let (rest, layout) = layout(rest, limits)?;
            Ok((rest, layout.map(Item::Command)))
        }
        None => Ok((rest, Err(ErrorKind::Opcode(opcode)))),
    }
}

/// Transaction id and shard count. The count is always 1 since v1.38 and a hint before, so it is discarded.
fn transaction(input: &[u8]) -> Parsed<'_, TxId> {
    let (rest, txid) = packed::uint(input)?;
    let (rest, _shard_count) = packed::uint(rest)?;
    Ok((rest, TxId(txid)))
}

fn layout<'a>(input: &'a [u8], limits: &Limits) -> Checked<'a, Layout> {
    let (rest, txid) = transaction(input)?;
    let (rest, count) = packed::size(rest, limits.string)?;
    let (body, announced) = packed::size(rest, limits.string)?;
    if count == 0 {
        return Ok((body, Err(ErrorKind::NoName)));
    }
    // Every argument has a length of at least one byte.
    let least = announced.saturating_add(count);
    if body.len() < least {
        return need(least - body.len());
    }
    let (rest, found) = skip_strings(body, count, limits)?;
    let body = body.len() - rest.len();
    let layout = Layout { txid, count, body };
    let sizes = ErrorKind::Size { announced: announced as u64, found: found as u64 };
    Ok((rest, if found == announced { Ok(layout) } else { Err(sizes) }))
}

/// Skips `count` strings. Returns the sum of their sizes in bytes.
fn skip_strings<'a>(mut input: &'a [u8], count: usize, limits: &Limits) -> Parsed<'a, usize> {
    let mut sum: usize = 0;
    for _ in 0..count {
        let (rest, len) = packed::size(input, limits.string)?;
        let (rest, _) = fixed::bytes(rest, len)?;
        sum = sum.saturating_add(len);
        input = rest;
    }
    Ok((input, sum))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use bytes::BytesMut;

    use super::*;

    fn kind(input: &[u8]) -> ErrorKind {
        Decoder::stream(Lsn(1)).decode(&mut BytesMut::from(input)).unwrap_err().kind
    }

    #[test]
    fn malformed_input() {
        assert_eq!(kind(&[0]), ErrorKind::Opcode(0));
        assert_eq!(kind(&[14]), ErrorKind::Opcode(14));
        assert_eq!(kind(&[0x0a, 0, 1, 0, 0]), ErrorKind::NoName);
        assert_eq!(kind(b"\x0a\x00\x01\x02\x05\x03DEL\x01k\x0d"), ErrorKind::Size { announced: 5, found: 4 });
        assert_eq!(kind(&[15, 7]), ErrorKind::Position { announced: Lsn(7), counted: Lsn(0) });
        assert_eq!(kind(&[6, 0x81, 0, 0, 0, 1, 0, 0, 0, 0]), ErrorKind::Database(1 << 32));
        let hostile = [0x0a, 0, 1, 1, 0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff];
        assert!(matches!(kind(&hostile), ErrorKind::Malformed(_)));
    }

    #[test]
    fn errors_name_the_byte() {
        let mut src = BytesMut::from(&b"\x0d\x06\x03\x05"[..]);
        let mut journal = Decoder::stream(Lsn(1));
        assert_eq!(journal.decode(&mut src), Ok(Step::Ready(Record::Ping)));
        let error = journal.decode(&mut src).unwrap_err();
        assert_eq!(error.to_string(), "journal byte 3: unknown journal opcode 5");
    }

    #[test]
    fn a_command_says_how_much_is_missing() {
        let mut src = BytesMut::from(&b"\x0a\x00\x01\x02\x43\xf0"[..]);
        let step = Decoder::blobs().decode(&mut src).unwrap();
        assert_eq!(step, Step::Need(NonZeroUsize::new(1008 + 2).unwrap()));
        assert_eq!(src.len(), 6);
    }

    #[test]
    fn a_blob_holds_whole_records() {
        let mut records = Vec::new();
        let mut journal = Decoder::blobs();
        journal.decode_blob(Bytes::from_static(b"\x06\x03\x0a\x00\x01\x01\x01\x01X"), &mut records).unwrap();
        journal.decode_blob(Bytes::from_static(b"\x0a\x00\x01\x01\x01\x01Y"), &mut records).unwrap();
        let dbs: Vec<u32> =
            records.iter().map(|r| if let Record::Command(c) = r { c.db.0 } else { 99 }).collect();
        assert_eq!((dbs, journal.next_lsn()), (vec![3, 3], None));
        let cut = journal.decode_blob(Bytes::from_static(b"\x0a\x00"), &mut records).unwrap_err();
        assert_eq!(cut.kind, ErrorKind::Truncated);
    }
}
