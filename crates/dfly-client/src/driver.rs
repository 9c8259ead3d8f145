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
        self.buffer.reserve(READ_ROOM);
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
