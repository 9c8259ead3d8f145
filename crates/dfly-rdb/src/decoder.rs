//! The decoder. Its current input is the outer stream, a decompressed blob or a tagged chunk.

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

/// What a decoder accepts and verifies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// Upper bounds of sizes.
    pub limits: Limits,
    /// The number of bytes that all incomplete chunked values together may occupy.
    pub open_bytes: usize,
    /// Whether the checksum at the end of Redis and Valkey files is verified. It costs a pass over all bytes. Streams of
    /// Dragonfly have no checksum: their bytes are not summed after `df-ver` or the first opcode of Dragonfly's own.
    pub verify_checksum: bool,
}

impl Default for Config {
    /// The limits of [`Limits::default`], 1 GiB of incomplete chunked values, and checksums verified.
    fn default() -> Self {
        Self { limits: Limits::default(), open_bytes: 1 << 30, verify_checksum: true }
    }
}

/// Decodes the bytes of a snapshot into events. The caller supplies the bytes, and the events do not depend on how they
/// are split.
#[derive(Debug)]
pub struct Decoder {
    items: Items,
    meter: Meter,
    chunks: ChunkTable,
    /// The blob that is being decoded.
    blob: Option<Blob>,
    /// The chunked value that is being decoded.
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

    /// The next event, or the number of further bytes that it needs at least.
    ///
    /// `src` holds the bytes that have arrived; used bytes are removed from its front. Before `Need`, attributes and the
    /// key of an incomplete value may be removed too. After [`Event::End`] no bytes are removed and the result is always
    /// `Need`: the rest of `src` belongs to what follows the stream.
    ///
    /// # Errors
    /// If no continuation of the bytes is a valid stream, or a limit is exceeded. Every further call returns the same
    /// error.
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

    /// The number of consumed bytes of the outer stream.
    pub fn offset(&self) -> u64 {
        self.meter.offset
    }

    /// Whether [`Event::End`] was returned.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The next event; `None` if it is the entry that the reader holds ready.
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

    /// The error for a fault, with its offset in the outer stream.
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
