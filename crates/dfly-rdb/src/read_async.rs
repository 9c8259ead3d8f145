//! Reading events from an asynchronous source.

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};

use crate::decoder::Config;
use crate::event::Event;
use crate::read::{Intake, Pull, READ_SIZE, ReadError};

/// Reads events from an asynchronous source (feature `tokio`).
///
/// ```
/// use dfly_rdb::{AsyncReader, Config, Event, ReadError};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), ReadError> {
/// let file = b"REDIS0009\xfe\x00\x02\x01k\x01\x02hi\xff\0\0\0\0\0\0\0\0";
/// let mut reader = AsyncReader::new(&file[..], Config::default());
/// let mut keys = Vec::new();
/// while let Some(event) = reader.next_event().await? {
///     if let Event::Entry(entry) = event {
///         keys.push(entry.header.key);
///     }
/// }
/// assert_eq!(keys, ["k"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AsyncReader<R> {
    source: R,
    intake: Intake,
}

impl<R: AsyncRead + Unpin> AsyncReader<R> {
    /// A reader at the start of a stream.
    pub fn new(source: R, config: Config) -> Self {
        Self { source, intake: Intake::new(config) }
    }

    /// The next event; `None` after [`Event::End`]. It is safe to cancel: no bytes are lost.
    ///
    /// # Errors
    /// As [`Reader::next_event`](crate::Reader::next_event).
    pub async fn next_event(&mut self) -> Result<Option<Event>, ReadError> {
        loop {
            match self.intake.pull()? {
                Pull::Event(event) => return Ok(Some(event)),
                Pull::End => return Ok(None),
                Pull::Bytes => {
                    self.intake.buffer.reserve(READ_SIZE);
                    let read = self.source.read_buf(&mut self.intake.buffer).await;
                    self.intake.note(read)?;
                }
            }
        }
    }

    /// The source, and the bytes that were read from it and not used. After [`Event::End`] they belong to what follows the
    /// stream.
    pub fn into_parts(self) -> (R, BytesMut) {
        (self.source, self.intake.buffer)
    }
}
