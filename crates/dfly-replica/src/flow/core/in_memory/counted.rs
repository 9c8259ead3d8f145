//! A flow whose target counts: what is left is what a record costs the engine.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::BytesMut;
use dfly_journal::Lsn;
use dfly_wire::{Limits, UnixMillis};

use super::super::{Course, FlowCore};
use super::parts;
use crate::checkpoint::Position;
use crate::clock::Now;
use crate::error::FlowError;
use crate::flow::intake::relay::Relay;
use crate::flow::intake::snapshot::Stage;
use crate::flow::intake::{Intake, IntakeLimits};
use crate::flow::positions::FlowPositions;
use crate::target::in_memory::{CommandCounter, InMemoryWriter};
use crate::target::writer::TargetWriter;

/// How much is read ahead, in bytes.
const READ_AHEAD: usize = 4 << 20;

/// A flow in stable sync, for benches. Its target counts commands and carries none out.
///
/// ```
/// use std::time::Instant;
///
/// use dfly_journal::{Lsn, TxId, encode};
/// use dfly_replica::FlowInMemory;
///
/// let mut flow = FlowInMemory::new(Lsn(1), Instant::now());
/// let mut records = Vec::new();
/// encode::command(TxId(0), &[b"SET", b"k", b"v"], &mut records);
/// assert_eq!(flow.apply(&records).unwrap(), Some(Lsn(2)));
/// assert_eq!(flow.commands(), 1);
/// ```
#[derive(Debug)]
pub struct FlowInMemory {
    core: FlowCore,
    writer: InMemoryWriter<CommandCounter>,
    counter: Arc<Mutex<CommandCounter>>,
    buffer: BytesMut,
    now: Now,
}

impl FlowInMemory {
    /// A flow that has received every record before `next`.
    #[must_use]
    pub fn new(next: Lsn, now: Instant) -> Self {
        let limits = Limits::default();
        let sizes = IntakeLimits { limits, read_ahead: READ_AHEAD, relay_frame: 64 << 10, recent: 0 };
        let intake = Intake::new(Stage::journal(next, limits), Relay::new(false), sizes);
        let at = Position::first(next);
        let counter = Arc::new(Mutex::new(CommandCounter::default()));
        Self {
            core: FlowCore::new(parts(intake, FlowPositions::resumed(at, Some(next)), now), now),
            writer: InMemoryWriter::new(Arc::clone(&counter), Some(at)),
            counter,
            buffer: BytesMut::new(),
            now: Now { instant: now, wall: UnixMillis(0) },
        }
    }

    /// Applies whole records of the journal, and hears of all of them. Gives the position that is durable then.
    ///
    /// # Errors
    /// [`FlowError`], if the bytes are no records.
    pub fn apply(&mut self, records: &[u8]) -> Result<Option<Lsn>, FlowError> {
        self.buffer.extend_from_slice(records);
        loop {
            self.core.advance(&mut self.buffer, &mut self.writer, self.now)?;
            while self.core.next_action().is_some() {}
            if self.writer.is_idle() {
                return Ok(self.core.durable());
            }
            while self.writer.carry_out() {}
            while self.writer.answer() {}
            self.hear()?;
        }
    }

    fn hear(&mut self) -> Result<(), FlowError> {
        while let Some(event) = self.writer.next_event(self.now.instant) {
            if let Course::TargetLost(error) = self.core.on_target(event, &mut self.writer, self.now)? {
                return Err(error);
            }
        }
        Ok(())
    }

    /// How many commands the target has counted.
    #[must_use]
    pub fn commands(&self) -> u64 {
        self.counter.lock().unwrap_or_else(PoisonError::into_inner).0
    }
}
