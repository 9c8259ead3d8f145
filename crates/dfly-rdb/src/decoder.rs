//! The decoder: where bytes come from at the moment, and one event for each call.

use std::num::NonZeroUsize;

use bytes::{Bytes, BytesMut};
use dfly_wire::crc64::Running;
use dfly_wire::{Limits, Step};

use crate::chunk::ChunkTable;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::input::{Fail, Meter, Outer, Stop};
use crate::item::Items;
use crate::opcode;
use crate::reader::Progress;

/// What a decoder accepts and checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Sizes that nothing may pass.
    pub limits: Limits,
    /// The most bytes that all unfinished chunked values together may hold.
    pub open_bytes: usize,
    /// Whether the checksum at the end of Redis and Valkey files is compared. It costs a pass over all bytes; streams
    /// of Dragonfly have none and do not pay, from their `df-ver` or first own opcode on.
    pub verify_checksum: bool,
}

impl Default for Config {
    /// The limits of [`Limits::default`], 1 GiB in unfinished chunked values, and checksums compared.
    fn default() -> Self {
        Self { limits: Limits::default(), open_bytes: 1 << 30, verify_checksum: true }
    }
}

/// Turns the bytes of a snapshot into events. It reads nothing by itself: bytes are given, events come out, and they
/// are the same however the bytes were cut.
#[derive(Debug)]
pub struct Decoder {
    items: Items,
    meter: Meter,
    chunks: ChunkTable,
    /// The blob whose items come next.
    blob: Option<Blob>,
    /// The chunked value whose bytes come next.
    chunk: Option<u32>,
    finished: bool,
    failed: Option<Error>,
}

#[derive(Debug)]
struct Blob {
    rest: Bytes,
    size: usize,
}

impl Decoder {
    /// A decoder at the start of a stream.
    pub fn new(config: Config) -> Self {
        Self {
            items: Items::new(config.limits),
            meter: Meter { offset: 0, crc: config.verify_checksum.then(Running::new) },
            chunks: ChunkTable::new(config.open_bytes),
            blob: None,
            chunk: None,
            finished: false,
            failed: None,
        }
    }

    /// The next event, or how many bytes it needs at least.
    ///
    /// `src` holds the bytes that arrived; what is used is taken off its front. A `Need` may have taken attributes and
    /// the key of a value that is not complete. After [`Event::End`] nothing is taken any more: what is left in `src`
    /// belongs to whatever follows the stream, and the answer is always `Need`.
    ///
    /// # Errors
    /// If the bytes can never become a valid stream, or pass a limit. The same error comes back on every further call.
    pub fn decode(&mut self, src: &mut BytesMut) -> Result<Step<Event>, Error> {
        if self.finished {
            return Ok(Step::Need(NonZeroUsize::MIN));
        }
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        match self.advance(src) {
            Ok(Some(event)) => Ok(Step::Ready(event)),
            Ok(None) => Ok(self.items.reader.take_ready().map_or(Step::Need(NonZeroUsize::MIN), Step::Ready)),
            Err(Stop::Need(n)) => Ok(Step::Need(n)),
            Err(Stop::Fail(fail)) => Err(self.fail(*fail)),
        }
    }

    /// How many bytes of the outer stream were taken so far.
    pub fn offset(&self) -> u64 {
        self.meter.offset
    }

    /// Whether [`Event::End`] was returned.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The next event; none if the reader has it ready.
    #[inline]
    fn advance(&mut self, src: &mut BytesMut) -> Result<Option<Event>, Stop> {
        loop {
            let progress = if self.chunk.is_none() && self.blob.is_none() {
                self.items.step(&mut Outer { src, meter: &mut self.meter })?
            } else {
                self.inner()?
            };
            match progress {
                Progress::Entry => return Ok(None),
                Progress::Event(event) => return self.deliver(event).map(Some),
                Progress::Quiet => {}
                Progress::Blob(rest) => self.blob = Some(Blob { size: rest.len(), rest }),
                Progress::Chunk(id, payload) => {
                    self.chunks.add(id, &payload, &self.items.context)?;
                    self.chunk = Some(id);
                }
            }
            if self.items.dragonfly {
                self.meter.crc = None;
            }
        }
    }

    #[inline]
    fn deliver(&mut self, event: Event) -> Result<Event, Stop> {
        match event {
            Event::End { .. } => {
                self.finished = true;
                self.chunks.unfinished().map_or(Ok(event), Err)
            }
            Event::Aux { .. } if self.items.dragonfly => {
                self.meter.crc = None;
                Ok(event)
            }
            event => Ok(event),
        }
    }

    /// A step inside a chunk or blob.
    fn inner(&mut self) -> Result<Progress, Stop> {
        if let Some(id) = self.chunk {
            let event = self.chunks.step(id, &self.items.context)?;
            if event.is_none() {
                self.chunk = None;
            }
            return Ok(event.map_or(Progress::Quiet, Progress::Event));
        }
        let Some(blob) = &mut self.blob else { return Ok(Progress::Quiet) };
        if blob.rest.is_empty() && !self.items.reader.is_queued() {
            if !self.items.is_between_items() {
                return Err(Stop::fail(opcode::LZ4_BLOB, ErrorKind::BlobTruncated));
            }
            self.blob = None;
            return Ok(Progress::Quiet);
        }
        self.items.step(&mut blob.rest).map_err(|stop| match stop {
            Stop::Need(_) => Stop::fail(opcode::LZ4_BLOB, ErrorKind::BlobTruncated),
            fail @ Stop::Fail(_) => fail,
        })
    }

    /// Places a fault in the outer stream.
    fn fail(&mut self, fail: Fail) -> Error {
        let at = fail.at as u64;
        let (offset, in_blob) = match (&self.blob, self.chunk) {
            (Some(blob), chunk) => {
                let inner = (blob.size - blob.rest.len()) as u64;
                (self.meter.offset, Some(if chunk.is_some() { inner } else { inner + at }))
            }
            (None, Some(_)) => (self.meter.offset, None),
            (None, None) => (self.meter.offset + at, None),
        };
        let error = Error { offset, in_blob, opcode: fail.opcode, key: fail.key, kind: fail.kind };
        self.finished = false;
        self.failed = Some(error.clone());
        error
    }
}
