//! A non-blocking connection that writes commands and reads their outcomes.

use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use dfly_wire::Step;
use redis_resp::Outcome;
use redis_resp::connection::{Connection, Stream};
use tokio::io::{AsyncReadExt, AsyncWrite};
use tokio::net::TcpStream;

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

    /// Writes as much of `head` as the connection accepts without blocking, and removes it from `head`. Ready if anything
    /// was written. Otherwise pending; the task is woken when the connection may accept more, unless there is nothing to
    /// write. Safe to cancel.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        head: &mut impl Buf,
    ) -> Poll<Result<(), SinkError>> {
        match &mut self.stream {
            Stream::Plain(stream) => write_plain(stream, context, head),
            Stream::Unix(stream) => write_polled((Pin::new(stream), &mut self.is_unflushed), context, head),
            Stream::Tls(stream) => write_polled((Pin::new(stream), &mut self.is_unflushed), context, head),
        }
        .map_err(SinkError::Broken)
    }

    /// Reads everything that is available, and passes each outcome to `on_outcome`. Ready if there may have been something
    /// to read. Otherwise pending, and the task is woken when there may be. Safe to cancel.
    pub(crate) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        mut on_outcome: impl FnMut(Outcome) -> Result<(), WindowError>,
    ) -> Poll<Result<(), SinkError>> {
        if let Stream::Plain(stream) = &self.stream {
            ready!(stream.poll_read_ready(context)).map_err(SinkError::Broken)?;
        }
        let mut moved = Poll::Pending;
        loop {
            self.received.reserve(READ_ROOM);
            match self.poll_receive(context) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(SinkError::Broken(io::ErrorKind::UnexpectedEof.into())));
                }
                Poll::Ready(Ok(_)) => {
                    moved = Poll::Ready(Ok(()));
                    while let Step::Ready(outcome) = Outcome::decode(&mut self.received)? {
                        on_outcome(outcome)?;
                    }
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(SinkError::Broken(error))),
                Poll::Pending => return moved,
            }
        }
    }

    /// Reads once. Without TLS, it fails with `WouldBlock` if the socket is known to hold nothing. With TLS, it reads what
    /// TLS has buffered or what the socket gives.
    fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<io::Result<usize>> {
        match &mut self.stream {
            Stream::Plain(stream) => Poll::Ready(stream.try_read_buf(&mut self.received)),
            Stream::Unix(stream) => pin!(stream.read_buf(&mut self.received)).poll(context),
            Stream::Tls(stream) => pin!(stream.read_buf(&mut self.received)).poll(context),
        }
    }
}

fn write_plain(stream: &TcpStream, context: &mut Context<'_>, head: &mut impl Buf) -> Poll<io::Result<()>> {
    if !head.has_remaining() {
        return Poll::Pending;
    }
    ready!(stream.poll_write_ready(context))?;
    while head.has_remaining() {
        match stream.try_write(head.chunk()) {
            Ok(written) => head.advance(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Poll::Ready(Err(error)),
        }
    }
    Poll::Ready(Ok(()))
}

fn write_polled<S: AsyncWrite>(
    (mut stream, is_unflushed): (Pin<&mut S>, &mut bool),
    context: &mut Context<'_>,
    head: &mut impl Buf,
) -> Poll<io::Result<()>> {
    let mut moved = Poll::Pending;
    while head.has_remaining() {
        let Poll::Ready(written) = stream.as_mut().poll_write(context, head.chunk()) else { return moved };
        head.advance(written?);
        (moved, *is_unflushed) = (Poll::Ready(Ok(())), true);
    }
    if *is_unflushed && let Poll::Ready(flushed) = stream.poll_flush(context) {
        (moved, *is_unflushed) = (Poll::Ready(flushed), false);
    }
    moved
}
