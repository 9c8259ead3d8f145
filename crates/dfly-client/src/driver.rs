//! Connections to a master. Each owns its stream and its buffer. Decoders borrow the buffer.

use std::io;

use bytes::BytesMut;
use dfly_journal::Lsn;
use redis_resp::connection::{Connection, ConnectionError, Endpoint, Stream, Tcp};
use redis_resp::{CommandBatch, Reply};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::error::HandshakeError;
use crate::flow::FlowRequest;
use crate::flow_start::FlowStart;
use crate::handshake::{Handshake, Identity, Progress, login};
use crate::session::Session;
use crate::{Request, ack_request};

/// The smallest free space for a read, in bytes.
pub const READ_ROOM: usize = 256 << 10;

/// A read that fills the room tells of a backlog, so the connection must be able to fill it at once.
const _: () = assert!(READ_ROOM <= Tcp::AT_ONCE, "no read would tell of a backlog");

/// Why a session or a flow could not be opened.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The connection failed.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The handshake failed.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

/// The control connection: handshake, SYNC, STARTSTABLE, and ordinary commands while the session runs. Closing it ends
/// the session on the master.
#[derive(Debug)]
pub struct ControlConn(Connection);

impl ControlConn {
    /// Connects and runs the handshake.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(endpoint: &Endpoint, replica_id: &str) -> Result<(Self, Session), OpenError> {
        let login = match &endpoint.credentials {
            Some(credentials) => Some(credentials.request(endpoint.peer).await?),
            None => None,
        };
        let mut handshake =
            Handshake::new(Identity { login, announce_port: 0, replica_id: replica_id.to_owned() });
        let mut connection = Connection::open(endpoint).await?;
        loop {
            let reply = connection.ask(&handshake.request()).await?;
            match handshake.on_reply(reply)? {
                Progress::Continue(next) => handshake = next,
                Progress::Done(session) => return Ok((Self(connection), session)),
            }
        }
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// [`ConnectionError`].
    pub async fn ask(&mut self, request: &Request) -> Result<Reply, ConnectionError> {
        self.0.ask(request).await
    }
}

/// A flow's connection: snapshot and journal arrive in its buffer, and ACKs go back.
#[derive(Debug)]
pub struct FlowConn {
    /// `None`: closed from this side.
    stream: Option<Stream>,
    /// The bytes that have arrived and are not consumed, for the snapshot decoder and then the journal decoder.
    pub buffer: BytesMut,
}

/// Makes room for a read. A buffer without room moves to a new one, which holds twice its unread bytes and a read: growing it in
/// place would keep the room of the consumed bytes too, and double both.
fn make_room(buffer: &mut BytesMut) {
    if !buffer.try_reclaim(READ_ROOM) {
        let mut roomy = BytesMut::with_capacity(2 * buffer.len() + READ_ROOM);
        roomy.extend_from_slice(buffer);
        *buffer = roomy;
    }
}

impl FlowConn {
    /// Connects, logs in and asks for a flow.
    ///
    /// # Errors
    /// [`OpenError`].
    pub async fn open(
        endpoint: &Endpoint,
        request: &FlowRequest<'_>,
    ) -> Result<(Self, FlowStart), OpenError> {
        let mut connection = Connection::open(endpoint).await?;
        if let Some(credentials) = &endpoint.credentials {
            login(&connection.log_in(credentials).await?)?;
        }
        let reply = connection.ask(&request.request()).await?;
        let start = request.on_reply(&reply)?;
        let (stream, buffer) = connection.into_parts();
        Ok((Self { stream: Some(stream), buffer }, start))
    }

    /// Waits for more bytes and appends them to the buffer. It is safe to cancel: no bytes are lost.
    ///
    /// # Errors
    /// The error of the connection; `UnexpectedEof` if the master has closed it.
    pub async fn fill(&mut self) -> io::Result<usize> {
        let Some(stream) = &mut self.stream else { return Err(io::ErrorKind::NotConnected.into()) };
        make_room(&mut self.buffer);
        match stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }

    /// Lets bytes arrive without a wake-up, until [`fill`](Self::fill) or [`ack`](Self::ack) has to wait.
    pub fn unwatch(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.unwatch();
        }
    }

    /// Acknowledges everything before `applied`.
    ///
    /// # Errors
    /// The error of the connection.
    pub async fn ack(&mut self, applied: Lsn) -> io::Result<()> {
        let Some(stream) = &mut self.stream else { return Err(io::ErrorKind::NotConnected.into()) };
        let request = ack_request(applied);
        let mut batch = CommandBatch::default();
        batch.push(&request.iter().map(Vec::as_slice).collect::<Vec<_>>());
        stream.write_all(batch.take().wire()).await?;
        stream.flush().await
    }

    /// Closes the connection. What has arrived stays in the buffer.
    pub fn close(&mut self) {
        self.stream = None;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// The largest backlog of the test, in bytes.
    const BACKLOG: usize = 3 << 20;

    /// What arrives at this place of the stream.
    fn byte(at: usize) -> u8 {
        u8::try_from(at % 251).unwrap()
    }

    /// Bytes arrive faster than they are consumed, up to a backlog, then as fast, then slower. Meanwhile the last `held` values that
    /// were decoded share memory with the buffer.
    fn with_a_backlog(held: usize) -> BytesMut {
        let (mut buffer, mut arrived, mut consumed) = (BytesMut::new(), 0usize, 0usize);
        let mut values = VecDeque::new();
        for round in 0..400 {
            make_room(&mut buffer);
            assert!(buffer.capacity() - buffer.len() >= READ_ROOM);
            let read = READ_ROOM.min(BACKLOG - buffer.len());
            buffer.extend((arrived..arrived + read).map(byte));
            arrived += read;
            let taken = if round < 300 { READ_ROOM / 2 + round * 300 } else { buffer.len() / 4 * 3 };
            let value = buffer.split_to(taken.min(buffer.len())).freeze();
            assert!(value.iter().copied().eq((consumed..consumed + value.len()).map(byte)));
            consumed += value.len();
            values.push_back(value);
            values.drain(..values.len().saturating_sub(held));
        }
        assert_eq!(buffer.len(), arrived - consumed);
        buffer
    }

    #[test]
    fn a_buffer_with_a_backlog_is_no_larger_than_twice_that() {
        let most = 2 * BACKLOG + READ_ROOM;
        for held in 0..4 {
            let mut buffer = with_a_backlog(held);
            buffer.clear();
            assert!(!buffer.try_reclaim(most + 1), "held {held}: larger than {most}");
        }
    }
}
