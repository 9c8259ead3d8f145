//! The journal that the target is too slow for goes to disk, so that the source is never held up in stable sync (P26). While
//! the log is not empty, records are applied from it, in order; what was received last stands at its end.

use std::time::{Duration, Instant};

use bytes::BytesMut;
use dfly_client::FlowId;
use dfly_journal::{Command, Decoder, Lsn, Record, encode};
use dfly_wire::{DbIndex, Step, UnixMillis};
use relay_log::{Appended, Frame, LogError, RelayLog};
use tracing::{info, warn};

use super::{Flow, Stage, Want};
use crate::budget::of_journal;
use crate::config::EngineConfig;
use crate::error::FlowError;

/// How often what was written is made safe from a crash of the machine.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// Where the journal goes that the target is too slow for.
pub(crate) struct Spill {
    log: Option<RelayLog>,
    relaying: Option<Relaying>,
    /// A frame that the log did not take: it is full, or failed. Nothing more is read until it is applied or taken.
    pending: Option<Frame>,
    /// The log failed: no more is written to it.
    failed: bool,
    sync_at: Instant,
}

/// What is being applied from the log.
struct Relaying {
    decoder: Decoder,
    body: BytesMut,
    received_at: UnixMillis,
}

impl Spill {
    /// With an open log, or without one.
    pub(crate) fn new(log: Option<RelayLog>) -> Self {
        Self { log, relaying: None, pending: None, failed: false, sync_at: Instant::now() }
    }

    /// With what a run before, or a session before, has left in the log from `next` on.
    pub(crate) fn resumed(mut log: RelayLog, config: &EngineConfig) -> Result<Self, LogError> {
        let first = log.positions().map_or(0, |held| held.start);
        log.seek(first)?;
        let relaying = Relaying::at(Lsn(first), config);
        Ok(Self { relaying: Some(relaying), ..Self::new(Some(log)) })
    }

    /// Whether records come from the log.
    pub(super) fn is_active(&self) -> bool {
        self.relaying.is_some()
    }

    /// When the record that is applied next was received; `None` if it is not here yet.
    pub(super) fn time_of_next(&self) -> Option<UnixMillis> {
        self.relaying.as_ref().map(|relaying| relaying.received_at)
    }

    fn bytes(&self) -> u64 {
        self.log.as_ref().filter(|_| self.is_active()).map_or(0, RelayLog::size)
    }

    /// The next frame to be applied.
    fn next_frame(&mut self) -> Result<Option<Frame>, LogError> {
        let frame = match &mut self.log {
            Some(log) => log.next_frame()?,
            None => None,
        };
        Ok(frame.or_else(|| self.pending.take()))
    }

    fn append(&mut self, frame: Frame) {
        let Some(log) = self.log.as_mut().filter(|_| !self.failed) else {
            self.pending = Some(frame);
            return;
        };
        match log.append(&frame) {
            Ok(Appended::Yes) => {}
            Ok(Appended::Full) => self.pending = Some(frame),
            Err(error) => {
                warn!(%error, "the relay log cannot be written; the source is read only as fast as the target takes");
                self.failed = true;
                self.pending = Some(frame);
            }
        }
    }

    fn sync(&mut self) {
        self.sync_at = Instant::now() + SYNC_EVERY;
        if let Some(log) = self.log.as_mut().filter(|_| !self.failed)
            && let Err(error) = log.sync()
        {
            warn!(%error, "the relay log cannot be synced; the source is read only as fast as the target takes");
            self.failed = true;
        }
    }

    /// The run ends: what is in the log is there for the next one.
    pub(super) fn rest(&mut self) {
        if self.is_active() {
            self.sync();
        }
    }

    /// What the target holds is given up.
    fn release(&mut self, durable: Lsn) {
        if let Some(log) = &mut self.log
            && log.positions().is_some_and(|held| held.contains(&durable.0))
            && let Err(error) = log.release(durable.0)
        {
            warn!(%error, "the relay log cannot be shortened");
        }
    }
}

impl Relaying {
    fn at(next: Lsn, config: &EngineConfig) -> Self {
        let decoder = Decoder::stream(next).with_limits(config.limits);
        Self { decoder, body: BytesMut::new(), received_at: config.clock.now() }
    }
}

impl Flow {
    /// Moves what has arrived to the log, if the target is behind.
    pub(super) fn spill(&mut self, want: Want) -> Result<(), FlowError> {
        if !self.entered || self.spill.log.is_none() {
            return Ok(());
        }
        let behind = want == Want::Room || self.at_flush.is_waiting();
        let full = self.conn.buffer.len() >= self.config.read_ahead / 2;
        if !self.spill.is_active() && behind && full && !self.spill.failed {
            self.begin_spill()?;
        }
        if self.spill.is_active() {
            if let Some(frame) = self.spill.pending.take() {
                self.spill.append(frame);
            }
            while self.spill.pending.is_none()
                && let Some(frame) = self.next_frame_to_relay()?
            {
                self.spill.append(frame);
            }
            if self.spill.sync_at <= Instant::now() {
                self.spill.sync();
            }
            let durable = self.durable_progress().map(crate::progress::Progress::durable);
            self.spill.release(durable.unwrap_or_default());
        }
        if let Some(counters) = self.counters.flow(self.id) {
            counters.relayed.store(self.spill.bytes(), std::sync::atomic::Ordering::Relaxed);
        }
        Ok(())
    }

    /// From here on records go through the log. What it held before was read by now.
    fn begin_spill(&mut self) -> Result<(), FlowError> {
        let Some(next) = self.stage.next_lsn() else { return Ok(()) };
        if let Some(log) = &mut self.spill.log {
            log.clear()?;
        }
        info!(
            flow = self.id.0,
            "the target is slower than the source: the journal is kept on disk meanwhile"
        );
        self.spill.relaying = Some(Relaying::at(next, &self.config));
        self.needed = 0;
        Ok(())
    }

    /// Whole records that have arrived, up to the size of a frame.
    fn next_frame_to_relay(&mut self) -> Result<Option<Frame>, FlowError> {
        let Stage::Stable(journal) = &mut self.stage else { return Ok(None) };
        if self.conn.buffer.len() < self.needed {
            return Ok(None);
        }
        self.needed = 0;
        let first = journal.next_lsn().unwrap_or_default();
        let (mut body, mut db) = (Vec::new(), None);
        while body.len() < self.config.relay_frame {
            match journal.decode(&mut self.conn.buffer).map_err(of_journal)? {
                Step::Ready(record) => encode_record(&record, &mut db, &mut body),
                Step::Need(n) => {
                    self.needed = self.conn.buffer.len() + n.get();
                    break;
                }
            }
        }
        let next = journal.next_lsn().unwrap_or_default();
        let frame = Frame {
            first: first.0,
            next: next.0,
            db: DbIndex(0),
            received_at: self.config.clock.now(),
            body: body.into(),
        };
        Ok((next > first).then_some(frame))
    }

    /// Applies one record of the log, or goes over to what arrives once all are applied.
    pub(super) fn step_relayed(&mut self) -> Result<Option<Want>, FlowError> {
        let Some(relaying) = &mut self.spill.relaying else { return Ok(Some(Want::Bytes)) };
        match relaying.decoder.decode(&mut relaying.body)? {
            Step::Ready(record) => {
                let (next, now) = (relaying.decoder.next_lsn(), relaying.received_at);
                let applied = self.progress.as_ref().map(crate::progress::Progress::received);
                // What a frame holds that was applied before.
                if next <= applied { Ok(None) } else { self.on_record(&record, next, now) }
            }
            Step::Need(_) => match self.spill.next_frame()? {
                Some(frame) => {
                    if let Some(relaying) = &mut self.spill.relaying {
                        relaying.body = BytesMut::from(frame.body);
                        relaying.received_at = frame.received_at;
                    }
                    Ok(None)
                }
                None => Ok(self.end_spill()),
            },
        }
    }

    fn end_spill(&mut self) -> Option<Want> {
        self.spill.relaying = None;
        info!(flow = self.id.0, "the target has caught up");
        (self.conn.buffer.len() < self.needed).then_some(Want::Bytes)
    }

    /// The source is gone: what has arrived is kept in the log, if it is in use.
    pub(super) fn keep_rest(&mut self) -> Result<bool, FlowError> {
        if !self.spill.is_active() || self.spill.failed {
            return Ok(false);
        }
        self.needed = 0;
        while self.spill.pending.is_none()
            && let Some(frame) = self.next_frame_to_relay()?
        {
            self.spill.append(frame);
        }
        self.spill.sync();
        Ok(true)
    }

    /// Whether more may be read from the source: what the log did not take stays where it is.
    pub(super) fn may_read(&self, want: Want) -> bool {
        let room = self.conn.buffer.len() < self.config.read_ahead;
        // While records go to the log, what is in the buffer is a part of one, of any size.
        let relays = self.spill.is_active() && matches!(self.stage, Stage::Stable(_));
        (self.spill.pending.is_none() && (want == Want::Bytes || relays)) || room
    }
}

/// A record in the journal's own form, behind a SELECT if its database is another than that before it.
fn encode_record(record: &Record, db: &mut Option<DbIndex>, body: &mut Vec<u8>) {
    match record {
        Record::Command(Command { db: selected, txid, args }) => {
            if *db != Some(*selected) {
                encode::select(*selected, body);
                *db = Some(*selected);
            }
            let words: Vec<&[u8]> = args.iter().collect();
            encode::command(*txid, &words, body);
        }
        // The end of an old master's transaction changes nothing, but counts as a record, as a PING does.
        Record::Ping | Record::Exec(_) => encode::ping(body),
    }
}

/// The folder of a flow's log.
pub(crate) fn folder(config: &EngineConfig, flow: FlowId) -> Option<std::path::PathBuf> {
    let dir = config.state_dir.as_ref().filter(|_| config.relay_max_bytes > 0)?;
    Some(dir.join("relay").join(flow.to_string()))
}
