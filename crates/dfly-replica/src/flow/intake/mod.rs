//! Where a flow's records come from: the connection's bytes, or the relay log while the target is behind. Pure.

pub(crate) mod recent;
pub(crate) mod relay;
pub(crate) mod relay_level;
pub(crate) mod snapshot;

use std::time::Instant;

use bytes::BytesMut;
use dfly_journal::{Lsn, Record};
use dfly_rdb::Event;
use dfly_wire::{Limits, Step, UnixMillis};

use crate::error::FlowError;
use recent::RecentJournal;
use relay::{Relay, RelayDone, RelayWork, Relayed, frame_of};
use snapshot::{Item, Stage};

/// Sizes of the intake of one flow, in bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct IntakeLimits {
    /// What the decoders accept.
    pub limits: Limits,
    /// How much is read ahead while the target is behind.
    pub read_ahead: usize,
    /// The size from which a frame of the relay log is written.
    pub relay_frame: usize,
    /// The most that is kept of what was sent and not answered, for the relay log.
    pub recent: usize,
}

/// What comes next.
#[derive(Debug)]
pub(crate) enum Pulled {
    /// A part of the snapshot.
    Event(Event),
    /// A record, the position behind it if it counts, and when it was received if that was long ago.
    Record(Record, Option<Lsn>, Option<UnixMillis>),
    /// The journal follows, from this record on.
    JournalBegins(Lsn),
    /// Nothing of interest: go on.
    Nothing,
    /// More bytes of the source are needed.
    Bytes,
    /// The relay log's disk has to answer first.
    Disk,
}

/// Whether the target is behind what arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Behind {
    No,
    /// It has more to do than is sent at once.
    ByWork,
    /// It has not answered for a while.
    ByTime,
}

/// Where records come from.
#[derive(Debug)]
pub(crate) struct Intake {
    stage: Stage,
    relay: Relay,
    recent: RecentJournal,
    sizes: IntakeLimits,
    /// Decoding again is of no use before the buffer holds this many bytes.
    needed: usize,
}

impl Intake {
    pub(crate) fn new(stage: Stage, relay: Relay, sizes: IntakeLimits) -> Self {
        Self { stage, relay, recent: RecentJournal::new(sizes.recent), sizes, needed: 0 }
    }

    /// The buffer holds what has arrived. What the target may lack of it is kept for the relay log, but for what precedes
    /// `needless`; `None`: nothing counts yet.
    pub(crate) fn before_pulling(&mut self, buffer: &[u8], needless: Option<Lsn>) {
        match (self.stage.place(), needless) {
            (Some(place), Some(needless)) if self.relay.is_available() => {
                self.recent.before_decoding(buffer, place, needless);
            }
            _ => self.recent.clear(),
        }
    }

    /// So many bytes of the buffer are left.
    pub(crate) fn after_pulling(&mut self, left: usize) {
        self.recent.after_decoding(left);
    }

    /// Whether the snapshot is read.
    pub(crate) fn is_snapshot(&self) -> bool {
        self.stage.is_snapshot()
    }

    pub(crate) fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Takes the next item. What precedes `applied` in the relay log is passed over.
    ///
    /// # Errors
    /// [`FlowError`], when the bytes cannot be what they should be.
    pub(crate) fn pull(&mut self, buffer: &mut BytesMut, applied: Option<Lsn>) -> Result<Pulled, FlowError> {
        if self.relay.is_active() {
            return self.pull_relayed(buffer, applied);
        }
        if buffer.len() < self.needed {
            return Ok(Pulled::Bytes);
        }
        self.needed = 0;
        match self.stage.decode(buffer).map_err(|error| error_line(error, buffer))? {
            Step::Ready(Item::Event(event)) => Ok(Pulled::Event(event)),
            Step::Ready(Item::Record(record, next)) => Ok(Pulled::Record(record, next, None)),
            Step::Ready(Item::JournalBegins(next)) => Ok(Pulled::JournalBegins(next)),
            Step::Ready(Item::Nothing) => Ok(Pulled::Nothing),
            Step::Need(n) => {
                self.needed = buffer.len() + n.get();
                Ok(Pulled::Bytes)
            }
        }
    }

    fn pull_relayed(&mut self, buffer: &[u8], applied: Option<Lsn>) -> Result<Pulled, FlowError> {
        match self.relay.decode()? {
            Relayed::Record(_, next, _) if next <= applied => Ok(Pulled::Nothing),
            Relayed::Record(record, next, received) => Ok(Pulled::Record(record, next, Some(received))),
            Relayed::Frame => Ok(Pulled::Nothing),
            Relayed::Ended => {
                // From here on the log may lack what is sent.
                if let Some(place) = self.stage.place() {
                    self.recent.before_decoding(buffer, place, Lsn(0));
                }
                Ok(Pulled::Nothing)
            }
            Relayed::Waits => Ok(Pulled::Disk),
        }
    }

    /// Whether the relay log and the buffer are full: from here on the source is held up.
    pub(crate) fn is_full(&self, buffered: usize) -> bool {
        self.relay.is_full() && buffered >= self.sizes.read_ahead
    }

    /// The journal has begun.
    pub(crate) fn enter_journal(&mut self, next: Lsn) {
        self.stage = Stage::journal(next, self.sizes.limits);
        self.needed = 0;
    }

    /// Moves what has arrived towards the log, if it is in use, or if the target is behind so far that it is to be used.
    ///
    /// # Errors
    /// [`FlowError`], when the bytes cannot be what they should be.
    pub(crate) fn relay_arrivals(
        &mut self,
        buffer: &mut BytesMut,
        behind: Behind,
        now: UnixMillis,
    ) -> Result<(), FlowError> {
        match behind {
            Behind::No => {}
            Behind::ByTime => self.relay_recent(now),
            Behind::ByWork if buffer.len() >= self.sizes.read_ahead => self.begin_relay(now),
            Behind::ByWork => {}
        }
        if self.relay.is_active() && self.relay.has_room() && buffer.len() >= self.needed {
            self.push_frame(buffer, now)?;
        }
        Ok(())
    }

    /// What was sent and not answered goes to the log, and what arrives behind it, if the log lacks any of it.
    fn relay_recent(&mut self, now: UnixMillis) {
        let Some(next) = self.stage.next_lsn().filter(|_| self.relay.is_available()) else { return };
        if let Some(frame) = self.recent.take_frame(next, now) {
            self.relay.begin(Lsn(frame.first), self.sizes.limits, now);
            self.relay.push(frame);
            self.needed = 0;
        }
    }

    /// From here on the log is used.
    pub(crate) fn begin_relay(&mut self, now: UnixMillis) {
        self.relay_recent(now);
        // Without a position there is nothing to relay: the snapshot goes on.
        if let Some(next) = self.stage.next_lsn().filter(|_| self.relay.is_available()) {
            self.relay.begin(next, self.sizes.limits, now);
            self.needed = 0;
        }
        if self.relay.is_active() {
            self.relay.tell();
        }
    }

    /// Whether something was sent that the log lacks.
    pub(crate) fn has_recent(&self) -> bool {
        self.stage.next_lsn().is_some_and(|next| self.recent.has_any(next))
    }

    /// How many records from `next` on the log holds, or is about to.
    pub(crate) fn relayed_from(&self, next: Lsn) -> u64 {
        let end = if self.relay.is_active() { self.stage.next_lsn() } else { self.relay.end() };
        end.map_or(0, |end| end.0.saturating_sub(next.0))
    }

    fn push_frame(&mut self, buffer: &mut BytesMut, now: UnixMillis) -> Result<bool, FlowError> {
        let (frame, missing) = frame_of(&mut self.stage, buffer, self.sizes.relay_frame, now)?;
        self.needed = missing.map_or(0, |missing| buffer.len() + missing.get());
        let has_frame = frame.is_some();
        if let Some(frame) = frame {
            self.relay.push(frame);
        }
        Ok(has_frame)
    }

    /// Nothing more arrives: what is in the buffer goes to the log, if it is in use. True once all of it is there, and safe.
    ///
    /// # Errors
    /// [`FlowError`], when the bytes cannot be what they should be.
    pub(crate) fn relay_rest(
        &mut self,
        buffer: &mut BytesMut,
        wall: UnixMillis,
        now: Instant,
    ) -> Result<bool, FlowError> {
        if !self.relay.takes_arrivals() {
            return Ok(true);
        }
        if self.relay.has_room() && self.push_frame(buffer, wall)? {
            self.relay.sync_now(now);
            return Ok(false);
        }
        self.relay.hurry(now);
        Ok(self.relay.is_at_rest())
    }

    /// What is received is to be safe from a crash.
    pub(crate) fn sync_relay(&mut self, now: Instant) {
        self.relay.sync_now(now);
    }

    /// What is to be done on disk. What precedes `needless` may be given up.
    pub(crate) fn relay_work(&mut self, needless: Option<Lsn>, now: Instant) -> Option<RelayWork> {
        self.relay.work(needless, now)
    }

    /// It was done.
    pub(crate) fn on_relay(&mut self, done: RelayDone) {
        self.relay.done(done);
    }

    /// Whether more may be read from the source. While records go to the log, the buffer holds a part of one, of any size.
    pub(crate) fn may_read(&self, buffered: usize, wants_bytes: bool) -> bool {
        let has_room = buffered < self.sizes.read_ahead;
        let relays = self.relay.is_active() && self.stage.is_journal();
        (self.relay.has_room() && (wants_bytes || relays)) || has_room
    }
}

/// The most of an error line that is shown, in bytes.
const LINE: usize = 200;

/// What begins with a minus where the stream should go on is an error line of the source, in words.
fn error_line(error: FlowError, buffer: &mut BytesMut) -> FlowError {
    let is_line = match &error {
        FlowError::Journal(error) => {
            matches!(error.kind, dfly_journal::ErrorKind::Opcode(opcode) if opcode == u64::from(b'-'))
        }
        FlowError::Snapshot(error) => matches!(error.kind, dfly_rdb::ErrorKind::UnknownOpcode(b'-')),
        _ => false,
    };
    match (is_line, buffer.first()) {
        (true, Some(b'-')) => {
            let line = buffer.split_off(1);
            buffer.clear();
            let end = memchr::memchr2(b'\r', b'\n', &line).unwrap_or(line.len()).min(LINE);
            FlowError::SourceLine(line.get(..end).unwrap_or_default().escape_ascii().to_string())
        }
        _ => error,
    }
}
