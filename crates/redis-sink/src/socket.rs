//! A non-blocking connection that writes commands and reads their outcomes.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use dfly_wire::Step;
use redis_resp::Outcome;
use redis_resp::connection::{Connection, Stream};
use tokio::io::{AsyncReadExt, AsyncWrite};

use crate::sink_error::SinkError;
use crate::window::WindowError;

/// The minimum buffer space for a read, in bytes.
const READ_ROOM: usize = 16 << 10;

/// A stream, and the received bytes that are not a complete reply yet.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: Stream,
    received: BytesMut,
    /// Whether TLS has accepted bytes that it has not yet written to the connection. Never true without TLS.
    is_unflushed: bool,
}

impl Socket {
    /// Takes over a connection on which every request has its reply.
    pub(crate) fn new(connection: Connection) -> Self {
        let (stream, received) = connection.into_parts();
        Self { stream, received, is_unflushed: false }
    }

    /// Whether something is left to be written although every `head` was taken completely.
    pub(crate) fn is_unflushed(&self) -> bool {
        self.is_unflushed
    }

    /// Lets replies arrive without a wake-up, until [`Self::poll_read`] or [`Self::poll_write`] has to wait.
    pub(crate) fn unwatch(&mut self) {
        self.stream.unwatch();
    }

    /// Writes as much of `head` as the connection accepts without blocking, and removes it from `head`. Ready if anything
    /// was written. Otherwise pending; the task is woken when the connection may accept more, unless there is nothing to
    /// write. Safe to cancel.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        head: &mut impl Buf,
    ) -> Poll<Result<(), SinkError>> {
        let mut moved = Poll::Pending;
        while head.has_remaining() {
            let written = Pin::new(&mut self.stream).poll_write(context, head.chunk());
            let Poll::Ready(written) = written.map_err(SinkError::Broken)? else { return moved };
            head.advance(written);
            (moved, self.is_unflushed) = (Poll::Ready(Ok(())), true);
        }
        if self.is_unflushed
            && let Poll::Ready(flushed) = Pin::new(&mut self.stream).poll_flush(context)
        {
            (moved, self.is_unflushed) = (Poll::Ready(flushed.map_err(SinkError::Broken)), false);
        }
        moved
    }

    /// Reads once, and passes each outcome to `on_outcome`. Ready if something was read, and there may be more. Otherwise
    /// pending, and the task is woken when there is. Safe to cancel.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        mut on_outcome: impl FnMut(Outcome) -> Result<(), WindowError>,
    ) -> Poll<Result<(), SinkError>> {
        self.received.reserve(READ_ROOM);
        let read = pin!(self.stream.read_buf(&mut self.received)).poll(context);
        if ready!(read).map_err(SinkError::Broken)? == 0 {
            return Poll::Ready(Err(SinkError::Broken(io::ErrorKind::UnexpectedEof.into())));
        }
        while let Step::Ready(outcome) = Outcome::decode(&mut self.received)? {
            on_outcome(outcome)?;
        }
        Poll::Ready(Ok(()))
    }
}
