//! Reading events from a blocking source.

use std::io::{self, Read};

use bytes::BytesMut;
use dfly_wire::Step;
use thiserror::Error;

use crate::decoder::{Config, Decoder};
use crate::error::Error;
use crate::event::Event;

/// The number of bytes that one read asks for.
pub(crate) const READ_SIZE: usize = 64 << 10;

/// Why the next event cannot be read.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReadError {
    /// The source failed. No bytes are lost: the call may be repeated.
    #[error("cannot read at byte {offset}")]
    Io {
        /// The number of bytes that were read before.
        offset: u64,
        /// Why.
        source: io::Error,
    },
    /// The source ended before the stream did.
    #[error("the stream is cut off at byte {offset}, {missing} or more bytes are missing")]
    Truncated {
        /// The length of the source, in bytes.
        offset: u64,
        /// The number of further bytes that the next event needs at least.
        missing: usize,
    },
    /// The bytes are not a valid stream.
    #[error(transparent)]
    Decode(#[from] Error),
}

/// A decoder with its unread bytes, shared by both readers.
#[derive(Debug)]
pub(crate) struct Intake {
    decoder: Decoder,
    pub(crate) buffer: BytesMut,
    /// The number of bytes that have to arrive before decoding can continue.
    owed: usize,
}

/// The next step of an intake.
#[derive(Debug)]
pub(crate) enum Pull {
    Event(Event),
    /// More bytes are needed.
    Bytes,
    /// The stream has ended.
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

    /// Accounts for a read whose bytes are in the buffer.
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

    /// The number of bytes that were read.
    pub(crate) fn offset(&self) -> u64 {
        self.decoder.offset() + self.buffer.len() as u64
    }
}

/// Reads events from a blocking source, such as a file.
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

    /// The number of bytes that were read from the source.
    pub fn offset(&self) -> u64 {
        self.intake.offset()
    }

    /// The next event; `None` after [`Event::End`].
    ///
    /// # Errors
    /// If the source fails or ends too early, or the bytes are not a valid stream. Every further call returns the last of
    /// these again; the first two are retried.
    pub fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        loop {
            match self.intake.pull()? {
                Pull::Event(event) => return Ok(Some(event)),
                Pull::End => return Ok(None),
                Pull::Bytes => self.fill()?,
            }
        }
    }

    /// The source, and the bytes that were read from it and not used. After [`Event::End`] they belong to what follows the
    /// stream.
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
