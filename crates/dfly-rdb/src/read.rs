//! Events pulled out of a source of bytes that blocks.

use std::io::{self, Read};

use bytes::BytesMut;
use dfly_wire::Step;
use thiserror::Error;

use crate::decoder::{Config, Decoder};
use crate::error::Error;
use crate::event::Event;

/// How many bytes are asked for at a time.
pub(crate) const READ_SIZE: usize = 64 << 10;

/// Why no event can be had from a source of bytes.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The source failed. It may be asked again: nothing that it gave is lost.
    #[error("cannot read on at byte {offset}")]
    Io {
        /// How many bytes were read before.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The source ended before the stream did.
    #[error("the stream is cut off at byte {offset}, {missing} or more bytes are missing")]
    Truncated {
        /// How many bytes there are.
        offset: u64,
        /// How many bytes the next event needs at least.
        missing: usize,
    },
    /// The bytes are no stream.
    #[error(transparent)]
    Decode(#[from] Error),
}

/// A decoder with the bytes that it has not taken yet: what both readers are made of.
#[derive(Debug)]
pub(crate) struct Intake {
    decoder: Decoder,
    pub(crate) buffer: BytesMut,
    /// How many bytes have to come before it is worth decoding.
    owed: usize,
}

/// What an intake wants.
#[derive(Debug)]
pub(crate) enum Pull {
    Event(Event),
    /// Further bytes.
    Bytes,
    /// Nothing any more.
    End,
}

impl Intake {
    pub(crate) fn new(config: Config) -> Self {
        Self { decoder: Decoder::new(config), buffer: BytesMut::new(), owed: 0 }
    }

    pub(crate) fn pull(&mut self) -> Result<Pull, Error> {
        if self.owed > 0 {
            return Ok(Pull::Bytes);
        }
        if self.decoder.is_finished() {
            return Ok(Pull::End);
        }
        Ok(match self.decoder.decode(&mut self.buffer)? {
            Step::Ready(event) => Pull::Event(event),
            Step::Need(n) => {
                self.owed = n.get();
                Pull::Bytes
            }
        })
    }

    /// Notes what came of a read whose bytes are in the buffer.
    pub(crate) fn note(&mut self, read: io::Result<usize>) -> Result<(), ReadError> {
        match read {
            Ok(0) => Err(ReadError::Truncated { offset: self.offset(), missing: self.owed }),
            Ok(n) => {
                self.owed = self.owed.saturating_sub(n);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(source) => Err(ReadError::Io { offset: self.offset(), source }),
        }
    }

    /// How many bytes were read.
    pub(crate) fn offset(&self) -> u64 {
        self.decoder.offset() + self.buffer.len() as u64
    }
}

/// Events of a file or socket that blocks.
///
/// ```
/// use dfly_rdb::{Config, Event, ReadError, Reader};
///
/// let file = b"REDIS0009\xfe\x00\x02\x01k\x01\x02hi\xff\0\0\0\0\0\0\0\0";
/// let mut reader = Reader::new(&file[..], Config::default());
/// let mut keys = Vec::new();
/// while let Some(event) = reader.next_event()? {
///     if let Event::Entry(entry) = event {
///         keys.push(entry.header.key);
///     }
/// }
/// assert_eq!(keys, ["k"]);
///
/// let mut cut = Reader::new(&file[..15], Config::default());
/// let error = loop {
///     match cut.next_event() {
///         Ok(_) => {}
///         Err(error) => break error,
///     }
/// };
/// assert!(matches!(error, ReadError::Truncated { offset: 15, .. }));
/// # Ok::<(), ReadError>(())
/// ```
#[derive(Debug)]
pub struct Reader<R> {
    source: R,
    intake: Intake,
    scratch: Box<[u8]>,
}

impl<R: Read> Reader<R> {
    /// A reader at the start of a stream. It reads 64 KiB at a time, so `source` needs no buffer of its own.
    pub fn new(source: R, config: Config) -> Self {
        Self { source, intake: Intake::new(config), scratch: vec![0; READ_SIZE].into() }
    }

    /// How many bytes of the source were read.
    pub fn offset(&self) -> u64 {
        self.intake.offset()
    }

    /// The next event; `None` behind [`Event::End`].
    ///
    /// # Errors
    /// If the source fails or ends too early, or its bytes are no stream. The last comes back on every further call;
    /// the other two are tried again.
    pub fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        loop {
            match self.intake.pull()? {
                Pull::Event(event) => return Ok(Some(event)),
                Pull::End => return Ok(None),
                Pull::Bytes => self.fill()?,
            }
        }
    }

    /// The source, and the bytes that were read from it and not used. Behind [`Event::End`] they belong to what follows
    /// the stream.
    pub fn into_parts(self) -> (R, BytesMut) {
        (self.source, self.intake.buffer)
    }

    fn fill(&mut self) -> Result<(), ReadError> {
        let read = self.source.read(&mut self.scratch);
        if let Some(bytes) = read.as_ref().ok().and_then(|n| self.scratch.get(..*n)) {
            self.intake.buffer.extend_from_slice(bytes);
        }
        self.intake.note(read)
    }
}
