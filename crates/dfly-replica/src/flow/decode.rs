//! What a flow decodes at which stage, and what becomes of each item.

use std::collections::VecDeque;
use std::time::Instant;

use bytes::{Buf, Bytes};
use dfly_client::FlowStart;
use dfly_journal::{Lsn, Record};
use dfly_rdb::{Config, Event};
use dfly_wire::Step;

use super::{BATCH_BYTES, BATCH_COMMANDS, Flow, Want};
use crate::budget::{of_journal, of_snapshot};
use crate::config::EngineConfig;
use crate::error::FlowError;

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
    /// Decodes the blobs; keeps their database from one to the next. It counts their records if they are the backlog of a
    /// session that resumes, which holds nothing else.
    blobs: dfly_journal::Decoder,
    /// Records of a blob that count and are not applied yet, each with the position behind it.
    counted: VecDeque<(Record, Lsn)>,
    /// Where the journal will go on, once the snapshot has said so.
    offset: Option<Lsn>,
    token: [u8; TOKEN],
}

impl Stage {
    /// A flow that starts with a snapshot.
    pub(crate) fn snapshot(start: &FlowStart, config: &EngineConfig) -> Self {
        Self::in_form((start, dfly_journal::Decoder::blobs()), config)
    }

    /// A flow that goes on with the record `next`, in the form of a snapshot (protocol section 6.2, flow A).
    pub(crate) fn backlog((start, next): (&FlowStart, Lsn), config: &EngineConfig) -> Self {
        Self::in_form((start, dfly_journal::Decoder::stream(next)), config)
    }

    fn in_form((start, blobs): (&FlowStart, dfly_journal::Decoder), config: &EngineConfig) -> Self {
        Self::Snapshot(Box::new(Snapshot {
            decoder: dfly_rdb::Decoder::new(Config {
                limits: config.limits,
                open_bytes: config.limits.string,
                ..Config::default()
            }),
            blobs: blobs.with_limits(config.limits),
            counted: VecDeque::new(),
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
        if self.at_flush.is_waiting() {
            return Ok(Want::Room);
        }
        if let Some(next) = self.next_to_apply() {
            self.serve_wanted(next)?;
        }
        if !self.spill.is_active() && self.conn.buffer.len() < self.needed {
            return Ok(Want::Bytes);
        }
        self.needed = 0;
        // The clocks are read once a batch: for every item they would be a tenth of the work.
        let mut now = Instant::now();
        self.arrived = self.config.clock.now();
        loop {
            if self.batch.len() >= BATCH_COMMANDS || self.batch.byte_len() >= BATCH_BYTES {
                self.hand_over();
                now = Instant::now();
                self.arrived = self.config.clock.now();
            }
            if !self.sink.has_room() || self.writing.wait_until(now).is_some() {
                return Ok(Want::Room);
            }
            if let Some(want) = self.step()? {
                return Ok(want);
            }
        }
    }

    /// The position behind the last record that was applied, in stable sync.
    fn next_to_apply(&self) -> Option<Lsn> {
        self.progress.as_ref().map(crate::progress::Progress::received)
    }

    /// Decodes one item; tells what is needed before the next.
    fn step(&mut self) -> Result<Option<Want>, FlowError> {
        if self.spill.is_active() {
            return self.step_relayed();
        }
        match &mut self.stage {
            Stage::Snapshot(snapshot) if !snapshot.counted.is_empty() => match snapshot.counted.pop_front() {
                Some((record, next)) => self.on_record(&record, Some(next), self.arrived),
                None => Ok(None),
            },
            Stage::Snapshot(snapshot) => {
                match snapshot.decoder.decode(&mut self.conn.buffer).map_err(of_snapshot)? {
                    Step::Ready(event) => self.on_event(event).map(|()| None),
                    Step::Need(n) => Ok(Some(self.need(n.get()))),
                }
            }
            Stage::Token { next, token } => {
                let next = *next;
                match self.conn.buffer.split_at_checked(TOKEN) {
                    Some((found, _)) if found == token => {
                        self.conn.buffer.advance(TOKEN);
                        self.enter_journal(next);
                        Ok(None)
                    }
                    Some(_) => Err(FlowError::Token),
                    None => Ok(Some(self.need(TOKEN - self.conn.buffer.len()))),
                }
            }
            Stage::Stable(journal) => match journal.decode(&mut self.conn.buffer).map_err(of_journal)? {
                Step::Ready(record) => {
                    let next = journal.next_lsn();
                    self.on_record(&record, next, self.arrived)
                }
                Step::Need(n) => Ok(Some(self.need(n.get()))),
            },
        }
    }

    fn need(&mut self, missing: usize) -> Want {
        self.needed = self.conn.buffer.len() + missing;
        Want::Bytes
    }

    /// Records inside the snapshot are applied in their place among its keys (P1).
    pub(super) fn on_blob(&mut self, blob: Bytes) -> Result<(), FlowError> {
        let Stage::Snapshot(snapshot) = &mut self.stage else { return Ok(()) };
        let mut records = Vec::new();
        let first = snapshot.blobs.next_lsn();
        snapshot.blobs.decode_blob(blob, &mut records)?;
        if let Some(first) = first {
            // One at a time: any of them may have to wait for the other flows.
            let behind = std::iter::successors(Some(first.next()), |lsn| Some(lsn.next()));
            snapshot.counted.extend(records.into_iter().zip(behind));
            return Ok(());
        }
        for record in &records {
            if let Some(Want::Flush(flush, _)) = self.on_record(record, None, self.arrived)? {
                return Err(FlowError::FlushedInSync(flush));
            }
        }
        Ok(())
    }

    pub(super) fn on_offset(&mut self, lsn: Lsn) {
        if let Stage::Snapshot(snapshot) = &mut self.stage {
            snapshot.offset = Some(lsn);
        }
    }

    pub(super) fn expect_token(&mut self) -> Result<(), FlowError> {
        if let Stage::Snapshot(snapshot) = &self.stage {
            let next = snapshot.offset.ok_or(FlowError::NoOffset)?;
            if let Some(counted) = snapshot.blobs.next_lsn().filter(|counted| *counted != next) {
                return Err(FlowError::Backlog { announced: next, counted });
            }
            self.stage = Stage::Token { next, token: snapshot.token };
        }
        Ok(())
    }

    /// Whether the flow resumes in the form of a snapshot, which holds no more than the backlog.
    pub(super) fn is_backlog(&self) -> bool {
        matches!(&self.stage, Stage::Snapshot(snapshot) if snapshot.blobs.next_lsn().is_some())
    }

    /// What is in the target is newer than any baseline could be.
    pub(super) fn check_backlog(&self, event: &Event) -> Result<(), FlowError> {
        let header = match event {
            Event::Entry(entry) => &entry.header,
            Event::Open { header, .. } => header,
            _ => return Ok(()),
        };
        Err(FlowError::EntryInBacklog { key: header.key.escape_ascii().to_string(), db: header.db.0 })
    }
}
