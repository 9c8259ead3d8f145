//! Connections to a master. Each owns its socket and its buffer; decoders borrow the buffer.

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use dfly_wire::Step;
use redis_resp::{CommandBatch, Reply, ReplyError};
use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::timeout;

use crate::error::HandshakeError;
use crate::flow::{FlowRequest, FlowStart};
use crate::handshake::{Credentials, Handshake, Identity, Progress, login};
use crate::session::Session;
use crate::{Request, ack_request};

/// The least room that a read is given, in bytes.
const READ_ROOM: usize = 64 << 10;

/// Where a master listens, and how long to wait for it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for a reply.
    pub reply_timeout: Duration,
}

/// Why a connection to the master is of no use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// No connection.
    #[error("cannot connect to the source at {host}:{port}: {error}")]
    Connect {
        /// The host that was tried.
        host: String,
        /// The port that was tried.
        port: u16,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The connection broke, or the source closed it.
    #[error("the connection to the source broke: {0}")]
    Broken(#[source] io::Error),
    /// No reply in time.
    #[error("the source did not answer {request} within {} s", waited.as_secs())]
    Silent {
        /// The request's first word.
        request: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// What came is no RESP.
    #[error("the source does not speak RESP: {0}")]
    Reply(#[from] ReplyError),
    /// The handshake came to nothing.
    #[error(transparent)]
    Handshake(#[from] HandshakeError),
}

impl Endpoint {
    async fn connect(&self) -> Result<TcpStream, ConnectError> {
        let fail = |error| ConnectError::Connect { host: self.host.clone(), port: self.port, error };
        let connecting = TcpStream::connect((self.host.as_str(), self.port));
        let stream = match timeout(self.connect_timeout, connecting).await {
            Ok(stream) => stream.map_err(fail)?,
            Err(_elapsed) => return Err(fail(io::ErrorKind::TimedOut.into())),
        };
        tune(&stream).map_err(fail)?;
        Ok(stream)
    }
}

/// No delay, and keepalive: an idle journal is silent, so a dead master shows only here (P27).
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}

/// A request-reply connection.
#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    buffer: BytesMut,
    reply_timeout: Duration,
}

impl Connection {
    async fn open(endpoint: &Endpoint) -> Result<Self, ConnectError> {
        let stream = endpoint.connect().await?;
        Ok(Self { stream, buffer: BytesMut::new(), reply_timeout: endpoint.reply_timeout })
    }

    async fn ask(&mut self, request: &Request) -> Result<Reply, ConnectError> {
        match timeout(self.reply_timeout, self.exchange(request)).await {
            Ok(reply) => reply,
            Err(_elapsed) => Err(ConnectError::Silent {
                request: request
                    .first()
                    .map(|word| String::from_utf8_lossy(word).into_owned())
                    .unwrap_or_default(),
                waited: self.reply_timeout,
            }),
        }
    }

    async fn exchange(&mut self, request: &Request) -> Result<Reply, ConnectError> {
        self.stream.write_all(&encode(request)).await.map_err(ConnectError::Broken)?;
        loop {
            if let Step::Ready(reply) = Reply::decode(&mut self.buffer)? {
                return Ok(reply);
            }
            let read = self.stream.read_buf(&mut self.buffer).await.map_err(ConnectError::Broken)?;
            if read == 0 {
                return Err(ConnectError::Broken(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }
}

fn encode(request: &Request) -> bytes::Bytes {
    let mut batch = CommandBatch::default();
    batch.push(&request.iter().map(Vec::as_slice).collect::<Vec<_>>());
    batch.take().0
}

/// The control connection: handshake, SYNC, STARTSTABLE, and ordinary commands while the session runs. Closing it ends
/// the session on the master.
#[derive(Debug)]
pub struct ControlConn(Connection);

impl ControlConn {
    /// Connects and runs the handshake.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn open(endpoint: &Endpoint, identity: Identity) -> Result<(Self, Session), ConnectError> {
        let mut connection = Connection::open(endpoint).await?;
        let mut handshake = Handshake::new(identity);
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
    /// [`ConnectError`].
    pub async fn ask(&mut self, request: &Request) -> Result<Reply, ConnectError> {
        self.0.ask(request).await
    }
}

/// The reading half of a flow: snapshot and journal arrive in its buffer.
#[derive(Debug)]
pub struct FlowConn {
    reader: OwnedReadHalf,
    /// What has arrived and is not consumed. Lent to the snapshot decoder, then to the journal decoder.
    pub buffer: BytesMut,
}

/// The writing half of a flow, which carries nothing but ACKs.
#[derive(Debug)]
pub struct AckConn(OwnedWriteHalf);

impl FlowConn {
    /// Connects, logs in and asks for a flow.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn open(
        endpoint: &Endpoint,
        credentials: Option<&Credentials>,
        request: &FlowRequest<'_>,
    ) -> Result<(Self, AckConn, FlowStart), ConnectError> {
        let mut connection = Connection::open(endpoint).await?;
        if let Some(credentials) = credentials {
            login(&connection.ask(&credentials.request()).await?)?;
        }
        let reply = connection.ask(&request.request()).await?;
        let start = request.on_reply(&reply)?;
        let (reader, writer) = connection.stream.into_split();
        Ok((Self { reader, buffer: connection.buffer }, AckConn(writer), start))
    }

    /// Waits for more bytes and appends them to the buffer. Safe to cancel: nothing is lost then.
    ///
    /// # Errors
    /// The connection's error; `UnexpectedEof` when the master has closed it.
    pub async fn fill(&mut self) -> io::Result<usize> {
        self.buffer.reserve(READ_ROOM);
        match self.reader.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            read => Ok(read),
        }
    }
}

impl AckConn {
    /// Acknowledges everything before `applied`.
    ///
    /// # Errors
    /// The connection's error.
    pub async fn ack(&mut self, applied: dfly_journal::Lsn) -> io::Result<()> {
        self.0.write_all(&encode(&ack_request(applied))).await
    }
}
