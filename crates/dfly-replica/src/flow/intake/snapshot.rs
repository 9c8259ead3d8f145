//! What a flow's bytes are at which stage: a snapshot with journal records in it, the token behind it, the journal. Pure.

use std::collections::VecDeque;
use std::num::NonZeroUsize;

use bytes::{Buf, Bytes, BytesMut};
use dfly_client::FlowStart;
use dfly_journal::{Decoder, Lsn, Record};
use dfly_rdb::{Config, Event};
use dfly_wire::{Limits, Step};

use super::recent::Place;
use crate::error::FlowError;
use crate::memory_budget::{of_journal, of_snapshot};

/// Size of the token between snapshot and journal, in bytes.
const TOKEN: usize = 40;

/// What a flow's bytes are.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The snapshot, with journal blobs in it.
    Snapshot(Box<Snapshot>),
    /// The token that must follow, before the journal from `next` on.
    Token { next: Lsn, token: [u8; TOKEN] },
    /// The journal.
    Journal(Box<Decoder>),
}

/// The state of a snapshot.
#[derive(Debug)]
pub(crate) struct Snapshot {
    decoder: dfly_rdb::Decoder,
    /// Decodes the blobs, and keeps their database from one to the next. In a session that resumes, the blobs are the
    /// backlog and nothing else comes: then their records count.
    blobs: Decoder,
    /// Records of the last blob that were not given out, each with the position behind it if it counts.
    records: VecDeque<(Record, Option<Lsn>)>,
    /// Where the journal will go on, once the snapshot has said so.
    offset: Option<Lsn>,
    token: [u8; TOKEN],
}

/// One thing that a flow's bytes hold.
#[derive(Debug)]
pub(crate) enum Item {
    /// A part of the snapshot.
    Event(Event),
    /// A journal record, with the position behind it if it counts.
    Record(Record, Option<Lsn>),
    /// The journal follows, from this record on.
    JournalBegins(Lsn),
    /// It was for this part alone.
    Nothing,
}

impl Stage {
    /// A flow that starts with a snapshot.
    pub(crate) fn snapshot(start: &FlowStart, limits: Limits) -> Self {
        Self::in_form(start, Decoder::blobs(), limits)
    }

    /// A flow that goes on with the record `next`, in the form of a snapshot (protocol section 6.2, flow A).
    pub(crate) fn backlog(start: &FlowStart, next: Lsn, limits: Limits) -> Self {
        Self::in_form(start, Decoder::stream(next), limits)
    }

    fn in_form(start: &FlowStart, blobs: Decoder, limits: Limits) -> Self {
        let config = Config { limits, open_bytes: limits.string, ..Config::default() };
        Self::Snapshot(Box::new(Snapshot {
            decoder: dfly_rdb::Decoder::new(config),
            blobs: blobs.with_limits(limits),
            records: VecDeque::new(),
            offset: None,
            token: start.token,
        }))
    }

    /// A flow that goes on with the record `next`.
    pub(crate) fn journal(next: Lsn, limits: Limits) -> Self {
        Self::Journal(Box::new(Decoder::stream(next).with_limits(limits)))
    }

    /// The position behind the last decoded record, once the journal has begun.
    pub(crate) fn next_lsn(&self) -> Option<Lsn> {
        match self {
            Self::Snapshot(_) | Self::Token { .. } => None,
            Self::Journal(journal) => journal.next_lsn(),
        }
    }

    /// Where decoding stands, once the journal has begun.
    pub(crate) fn place(&self) -> Option<Place> {
        match self {
            Self::Snapshot(_) | Self::Token { .. } => None,
            Self::Journal(journal) => journal.next_lsn().map(|next| Place { next, db: journal.db() }),
        }
    }

    pub(crate) fn is_journal(&self) -> bool {
        matches!(self, Self::Journal(_))
    }

    pub(crate) fn is_snapshot(&self) -> bool {
        matches!(self, Self::Snapshot(_))
    }

    /// Takes the next item from the buffer.
    ///
    /// # Errors
    /// [`FlowError`], when the bytes cannot be what they should be.
    pub(crate) fn decode(&mut self, buffer: &mut BytesMut) -> Result<Step<Item>, FlowError> {
        match self {
            Self::Snapshot(snapshot) => match snapshot.decode(buffer)? {
                Step::Ready(Found::Item(item)) => Ok(Step::Ready(item)),
                Step::Ready(Found::End(next)) => {
                    *self = Self::Token { next, token: snapshot.token };
                    Ok(Step::Ready(Item::Nothing))
                }
                Step::Need(n) => Ok(Step::Need(n)),
            },
            Self::Token { next, token } => {
                let next = *next;
                match buffer.split_at_checked(TOKEN) {
                    Some((found, _)) if found == token => {
                        buffer.advance(TOKEN);
                        Ok(Step::Ready(Item::JournalBegins(next)))
                    }
                    Some(_) => Err(FlowError::Token),
                    None => Ok(missing(TOKEN - buffer.len())),
                }
            }
            Self::Journal(journal) => {
                match journal.decode(buffer).map_err(|error| of_journal(error, buffer))? {
                    Step::Ready(record) => Ok(Step::Ready(Item::Record(record, journal.next_lsn()))),
                    Step::Need(n) => Ok(Step::Need(n)),
                }
            }
        }
    }
}

/// More bytes are needed; one at the least.
fn missing<T>(bytes: usize) -> Step<T> {
    Step::Need(NonZeroUsize::new(bytes).unwrap_or(NonZeroUsize::MIN))
}

/// What a snapshot gives.
enum Found {
    Item(Item),
    /// The token follows, and then the journal from here on.
    End(Lsn),
}

impl Snapshot {
    fn decode(&mut self, buffer: &mut BytesMut) -> Result<Step<Found>, FlowError> {
        if let Some((record, next)) = self.records.pop_front() {
            return Ok(Step::Ready(Found::Item(Item::Record(record, next))));
        }
        match self.decoder.decode(buffer).map_err(|error| of_snapshot(error, buffer))? {
            Step::Ready(event) => self.on_event(event).map(Step::Ready),
            Step::Need(n) => Ok(Step::Need(n)),
        }
    }

    fn on_event(&mut self, event: Event) -> Result<Found, FlowError> {
        match event {
            Event::JournalBlob(blob) => self.on_blob(blob)?,
            Event::JournalOffset(lsn) => self.offset = Some(Lsn(lsn)),
            Event::End { .. } => return self.end().map(Found::End),
            other => {
                self.check_backlog(&other)?;
                return Ok(Found::Item(Item::Event(other)));
            }
        }
        Ok(Found::Item(Item::Nothing))
    }

    /// Records inside the snapshot are applied in their place among its keys (P1).
    fn on_blob(&mut self, blob: Bytes) -> Result<(), FlowError> {
        let first = self.blobs.next_lsn();
        let mut records = Vec::new();
        self.blobs.decode_blob(blob, &mut records)?;
        let behind = std::iter::successors(first.map(Lsn::next), |lsn| Some(lsn.next()));
        let behind = behind.map(Some).chain(std::iter::repeat(None));
        self.records.extend(records.into_iter().zip(behind));
        Ok(())
    }

    fn end(&self) -> Result<Lsn, FlowError> {
        let announced = self.offset.ok_or(FlowError::NoOffset)?;
        match self.blobs.next_lsn().filter(|counted| *counted != announced) {
            Some(counted) => Err(FlowError::Backlog { announced, counted }),
            None => Ok(announced),
        }
    }

    /// A session that resumes holds records alone: what the target has is newer than any baseline could be.
    fn check_backlog(&self, event: &Event) -> Result<(), FlowError> {
        if self.blobs.next_lsn().is_none() {
            return Ok(());
        }
        let header = match event {
            Event::Entry(entry) => &entry.header,
            Event::Open { header, .. } => header,
            _ => return Ok(()),
        };
        Err(FlowError::EntryInBacklog { key: header.key.escape_ascii().to_string(), db: header.db.0 })
    }
}
