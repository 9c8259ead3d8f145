//! A non-blocking connection on which commands are written and their outcomes read.

use std::io;

use bytes::{Buf, BytesMut};
use dfly_wire::Step;
use redis_resp::Outcome;
use redis_resp::connection::Connection;
use tokio::net::TcpStream;

use crate::pipeline::SinkError;
use crate::window::WindowError;

/// The least room that a read is given, in bytes.
const READ_ROOM: usize = 16 << 10;

/// A stream, and what was received of it and is no whole reply yet.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    received: BytesMut,
}

impl Socket {
    /// Takes over a connection on which every request was answered.
    pub(crate) fn new(connection: Connection) -> Self {
        let (stream, received) = connection.into_parts();
        Self { stream, received }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Writes as much of `head` as the connection takes at once, and takes it from it. What remains waits for the
    /// connection to be writable.
    pub(crate) fn write(&self, head: &mut impl Buf) -> Result<(), SinkError> {
        while head.has_remaining() {
            match self.stream.try_write(head.chunk()) {
                Ok(written) => head.advance(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(SinkError::Broken(error)),
            }
        }
        Ok(())
    }

    /// Reads all that is there, and gives each outcome to `on_outcome`.
    pub(crate) fn read(
        &mut self,
        mut on_outcome: impl FnMut(Outcome) -> Result<(), WindowError>,
    ) -> Result<(), SinkError> {
        loop {
            self.received.reserve(READ_ROOM);
            match self.stream.try_read_buf(&mut self.received) {
                Ok(0) => return Err(SinkError::Broken(io::ErrorKind::UnexpectedEof.into())),
                Ok(_) => {
                    while let Step::Ready(outcome) = Outcome::decode(&mut self.received)? {
                        on_outcome(outcome)?;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(SinkError::Broken(error)),
            }
        }
    }
}
