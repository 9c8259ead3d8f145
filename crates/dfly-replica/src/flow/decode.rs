//! What a flow decodes at which stage, and what becomes of each item.

use bytes::{Buf, Bytes};
use dfly_client::FlowStart;
use dfly_journal::{Lsn, Record};
use dfly_rdb::{Config, Event};
use dfly_translate::{Effect, Output};
use dfly_wire::{DbIndex, Step};
use tracing::debug;

use super::{BATCH_BYTES, BATCH_COMMANDS, Flow, Mark, Signal, Want};
use crate::checkpoint;
use crate::config::EngineConfig;
use crate::error::FlowError;
use crate::progress::Progress;
use crate::report::FlowCounters;

/// Size of the token between snapshot and journal.
const TOKEN: usize = 40;

/// What a flow's bytes are.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The snapshot, with journal blobs in it.
    Snapshot(Box<Snapshot>),
    /// The token that must follow, before the journal from `next` on.
    Token { next: Lsn, token: [u8; TOKEN] },
    /// The journal.
    Stable(dfly_journal::Decoder),
}

/// The state of a snapshot.
#[derive(Debug)]
pub(crate) struct Snapshot {
    decoder: dfly_rdb::Decoder,
    /// Decodes the blobs; keeps their database from one to the next.
    blobs: dfly_journal::Decoder,
    /// Where the journal will go on, once the snapshot has said so.
    offset: Option<Lsn>,
    token: [u8; TOKEN],
}

impl Stage {
    /// A flow that starts with a snapshot.
    pub(crate) fn snapshot(start: &FlowStart, config: &EngineConfig) -> Self {
        Self::Snapshot(Box::new(Snapshot {
            decoder: dfly_rdb::Decoder::new(Config { limits: config.limits, ..Config::default() }),
            blobs: dfly_journal::Decoder::blobs().with_limits(config.limits),
            offset: None,
            token: start.token,
        }))
    }

    /// A flow that goes on with the record `next`.
    pub(crate) fn stable(next: Lsn, config: &EngineConfig) -> Self {
        Self::Stable(dfly_journal::Decoder::stream(next).with_limits(config.limits))
    }

    /// The position behind the last decoded record, in stable sync.
    pub(crate) fn next_lsn(&self) -> Option<Lsn> {
        match self {
            Self::Snapshot(_) | Self::Token { .. } => None,
            Self::Stable(journal) => journal.next_lsn(),
        }
    }
}

impl Flow {
    /// Decodes as much as has arrived and as the target's window takes.
    pub(super) fn decode(&mut self) -> Result<Want, FlowError> {
        if self.conn.buffer.len() < self.needed {
            return Ok(Want::Bytes);
        }
        self.needed = 0;
        loop {
            if self.batch.len() >= BATCH_COMMANDS || self.batch.byte_len() >= BATCH_BYTES {
                self.hand_over();
            }
            if !self.sink.has_room() {
                return Ok(Want::Room);
            }
            if let Some(want) = self.step()? {
                return Ok(want);
            }
        }
    }

    /// Decodes one item; tells what is needed before the next.
    fn step(&mut self) -> Result<Option<Want>, FlowError> {
        match &mut self.stage {
            Stage::Snapshot(snapshot) => match snapshot.decoder.decode(&mut self.conn.buffer)? {
                Step::Ready(event) => self.on_event(event).map(|()| None),
                Step::Need(n) => Ok(Some(self.need(n.get()))),
            },
            Stage::Token { next, token } => {
                let next = *next;
                match self.conn.buffer.split_at_checked(TOKEN) {
                    Some((found, _)) if found == token => {
                        self.enter_journal(next);
                        Ok(None)
                    }
                    Some(_) => Err(FlowError::Token),
                    None => Ok(Some(self.need(TOKEN - self.conn.buffer.len()))),
                }
            }
            Stage::Stable(journal) => match journal.decode(&mut self.conn.buffer)? {
                Step::Ready(record) => {
                    let next = journal.next_lsn();
                    self.on_record(&record, next)
                }
                Step::Need(n) => Ok(Some(self.need(n.get()))),
            },
        }
    }

    fn need(&mut self, missing: usize) -> Want {
        self.needed = self.conn.buffer.len() + missing;
        Want::Bytes
    }

    fn on_event(&mut self, event: Event) -> Result<(), FlowError> {
        let mut out = Output { now: self.config.clock.now(), commands: &mut self.batch };
        match event {
            Event::Aux { key, value } => {
                let effect = self.translator.aux(&key, &value)?;
                self.note(effect, &value);
            }
            Event::Entry(entry) => {
                let effect = self.translator.entry(&entry, &mut out)?;
                self.count_key();
                self.note(effect, &entry.header.key);
            }
            Event::Open { id, header, type_id } => {
                let effect = self.translator.open((id, type_id), &header, &mut out)?;
                self.note(effect, &header.key);
            }
            Event::Piece { id, piece } => {
                let effect = self.translator.piece(id, &piece, &mut out)?;
                self.note(effect, b"");
            }
            Event::Close { id } => {
                self.translator.close(id, &mut out)?;
                self.count_key();
            }
            Event::JournalBlob(blob) => self.on_blob(blob)?,
            Event::FullSyncEnd => self.signal(Signal::Cut)?,
            Event::JournalOffset(lsn) => self.on_offset(Lsn(lsn)),
            Event::End { .. } => self.expect_token()?,
            other => debug!(flow = self.id.0, ?other, "passed over"),
        }
        Ok(())
    }

    /// Records inside the snapshot are applied in their place among its keys (P1).
    fn on_blob(&mut self, blob: Bytes) -> Result<(), FlowError> {
        let Stage::Snapshot(snapshot) = &mut self.stage else { return Ok(()) };
        let mut records = Vec::new();
        snapshot.blobs.decode_blob(blob, &mut records)?;
        for record in &records {
            if let Some(Want::Flush(flush)) = self.on_record(record, None)? {
                return Err(FlowError::FlushedInSync(flush));
            }
        }
        Ok(())
    }

    fn on_offset(&mut self, lsn: Lsn) {
        if let Stage::Snapshot(snapshot) = &mut self.stage {
            snapshot.offset = Some(lsn);
        }
    }

    fn expect_token(&mut self) -> Result<(), FlowError> {
        if let Stage::Snapshot(snapshot) = &self.stage {
            let next = snapshot.offset.ok_or(FlowError::NoOffset)?;
            self.stage = Stage::Token { next, token: snapshot.token };
        }
        Ok(())
    }

    /// The first position is stored behind the snapshot on the same connection, so a stored position implies a durable
    /// snapshot.
    fn enter_journal(&mut self, next: Lsn) {
        self.conn.buffer.advance(TOKEN);
        self.hand_over();
        self.stage = Stage::stable(next, &self.config);
        self.progress = Some(Progress::at(next));
        self.translator.select(DbIndex(0), &mut self.batch);
        checkpoint::write_entry((&self.source.0, self.source.1), (self.id, next), &mut self.batch);
        self.sink.submit(&mut self.batch, Mark::Entry);
        self.settle();
    }

    /// Applies one record; `next` is the position behind it, if it counts.
    fn on_record(&mut self, record: &Record, next: Option<Lsn>) -> Result<Option<Want>, FlowError> {
        match record {
            Record::Command(command) => {
                if next.is_some() {
                    self.open_transaction();
                }
                let mut out = Output { now: self.config.clock.now(), commands: &mut self.batch };
                let effect = self.translator.record(command, &mut out)?;
                self.count_record();
                if let Effect::Flush(flush) = effect {
                    return Ok(Some(Want::Flush(flush)));
                }
                self.note(effect, command.args.get(1).unwrap_or_default());
            }
            Record::Ping => self.ack_schedule.on_ping(next.unwrap_or_default()),
            Record::Exec(_) => {}
        }
        if let (Some(progress), Some(next)) = (&mut self.progress, next) {
            progress.receive(next);
        }
        Ok(None)
    }

    fn count_key(&self) {
        if let Some(counters) = self.counters.flow(self.id) {
            FlowCounters::add(&counters.keys, 1);
        }
    }

    fn count_record(&self) {
        if let Some(counters) = self.counters.flow(self.id) {
            FlowCounters::add(&counters.records, 1);
        }
    }
}
