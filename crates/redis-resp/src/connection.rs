//! A connection that sends one request at a time. It owns its stream and its buffer.

mod dial;
mod endpoint;
mod pinned;
mod sentinel;
mod stream;
mod tcp;
mod tls;
mod tls_failure;
mod unverified;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use bytes::BytesMut;
use dfly_wire::Step;
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use crate::command::CommandBatch;
use crate::reply::Reply;
use crate::reply_error::ReplyError;

pub use endpoint::{Credentials, Endpoint, Password, Peer, Sentinels};
pub use stream::Stream;
pub use tcp::Tcp;
pub use tls::{Tls, TlsError, TlsSettings};
pub use tls_failure::TlsFault;

/// Why a connection cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// The connection could not be opened.
    #[error("cannot connect to the {peer} at {address}: {error}")]
    Connect {
        /// Which server.
        peer: Peer,
        /// The `host:port` that was tried, or the Sentinels that were asked for it.
        address: String,
        /// The error of the system, of TLS or of the Sentinels.
        #[source]
        error: io::Error,
    },
    /// The file of the password cannot be read.
    #[error("the password for the {peer} cannot be read from {}: {error}", path.display())]
    Password {
        /// Which server.
        peer: Peer,
        /// The file.
        path: PathBuf,
        /// The error of the system.
        #[source]
        error: io::Error,
    },
    /// The connection broke, or the server closed it.
    #[error("the connection to the {peer} broke: {error}")]
    Broken {
        /// Which server.
        peer: Peer,
        /// The error of the system.
        #[source]
        error: io::Error,
    },
    /// No reply arrived in time.
    #[error("the {peer} did not answer {request} within {} s", waited.as_secs())]
    Silent {
        /// Which server.
        peer: Peer,
        /// The request's first word.
        request: String,
        /// How long the client waited.
        waited: Duration,
    },
    /// The bytes that the server sent are not RESP.
    #[error("the {peer} does not speak RESP: {error}")]
    Reply {
        /// Which server.
        peer: Peer,
        /// What is wrong.
        #[source]
        error: ReplyError,
    },
}

impl ConnectionError {
    /// Which server it is about.
    pub fn peer(&self) -> Peer {
        match self {
            Self::Connect { peer, .. }
            | Self::Password { peer, .. }
            | Self::Broken { peer, .. }
            | Self::Silent { peer, .. }
            | Self::Reply { peer, .. } => *peer,
        }
    }

    /// What is wrong with TLS, if that is why there is no connection and a setting of the client can mend it.
    pub fn tls_fault(&self) -> Option<TlsFault> {
        match self {
            Self::Connect { error, .. } => tls_failure::fault(error),
            _ => None,
        }
    }
}

/// How much room a connection makes for replies, in bytes.
const ROOM: usize = 64 << 10;

/// With less room than this left, it makes more.
const LEAST_ROOM: usize = 4 << 10;

/// A request-reply connection.
#[derive(Debug)]
pub struct Connection {
    server: Box<Server>,
    reply_timeout: Duration,
    stream: Stream,
    buffer: BytesMut,
    /// Whether the server has sent a reply.
    is_proven: bool,
}

/// The server at the other end.
#[derive(Debug)]
struct Server {
    peer: Peer,
    /// Its address, as error messages show it.
    address: String,
    /// The address that the connection was opened to, if the system says.
    reached: Option<SocketAddr>,
}

impl Connection {
    /// Connects without logging in. If the endpoint has Sentinels, it connects to the primary that they currently name.
    ///
    /// # Errors
    /// [`ConnectionError::Connect`].
    pub async fn open(endpoint: &Endpoint) -> Result<Self, ConnectionError> {
        let Some(sentinels) = &endpoint.sentinels else {
            return Self::reach(endpoint, endpoint.to_string()).await;
        };
        let (host, port) = sentinel::primary(endpoint, sentinels).await.map_err(|error| {
            ConnectionError::Connect { peer: endpoint.peer, address: endpoint.to_string(), error }
        })?;
        let address = format!("{host}:{port}, the primary of {}", sentinels.service);
        Self::reach(&endpoint.at(host, port), address).await
    }

    /// Connects to the host and port of `endpoint`. Error messages show `address`.
    async fn reach(endpoint: &Endpoint, address: String) -> Result<Self, ConnectionError> {
        let (peer, reply_timeout) = (endpoint.peer, endpoint.reply_timeout);
        match dial::connect(endpoint).await {
            Ok(stream) => {
                let server = Box::new(Server { peer, address, reached: stream.peer_address() });
                let buffer = BytesMut::new();
                Ok(Self { server, reply_timeout, stream, buffer, is_proven: false })
            }
            Err(error) => Err(ConnectionError::Connect { peer, address, error }),
        }
    }

    /// The server's address, as error messages show it.
    pub fn address(&self) -> &str {
        &self.server.address
    }

    /// Whether the connection is encrypted.
    pub fn is_tls(&self) -> bool {
        self.stream.is_tls()
    }

    /// Sends a request and waits for the reply. The first argument is the command's name.
    ///
    /// # Errors
    /// [`ConnectionError`]. An error reply is a [`Reply`], not an error.
    pub async fn ask<A: AsRef<[u8]> + Sync>(&mut self, request: &[A]) -> Result<Reply, ConnectionError> {
        self.ask_for(request, usize::MAX).await
    }

    /// Like [`Self::ask`], but it gives up as soon as it knows that the reply has more than `most` bytes on the wire. The
    /// connection cannot be used after that.
    ///
    /// # Errors
    /// [`ConnectionError::Reply`] with [`ReplyError::TooLong`], and as [`Self::ask`].
    pub async fn ask_for<A: AsRef<[u8]> + Sync>(
        &mut self,
        request: &[A],
        most: usize,
    ) -> Result<Reply, ConnectionError> {
        match timeout(self.reply_timeout, self.exchange(request, most)).await {
            Ok(reply) => reply,
            Err(_elapsed) => Err(ConnectionError::Silent {
                peer: self.server.peer,
                request: request
                    .first()
                    .map(|word| String::from_utf8_lossy(word.as_ref()).into_owned())
                    .unwrap_or_default(),
                waited: self.reply_timeout,
            }),
        }
    }

    /// Logs in, and returns what the server answers to that.
    ///
    /// # Errors
    /// [`ConnectionError::Password`], and as [`Self::ask`].
    pub async fn log_in(&mut self, credentials: &Credentials) -> Result<Reply, ConnectionError> {
        let request = credentials.request(self.server.peer).await?;
        self.ask(&request).await
    }

    /// Sends all commands of a batch at once, and waits for their replies, which have the order of the commands. The batch
    /// is empty afterwards. The replies must be small in total, because the server may stop reading until they are
    /// received.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn ask_all(&mut self, batch: &mut CommandBatch) -> Result<Vec<Reply>, ConnectionError> {
        let commands = batch.take();
        let count = commands.len();
        match timeout(self.reply_timeout, self.converse(commands.wire(), count)).await {
            Ok(replies) => replies,
            Err(_elapsed) => Err(ConnectionError::Silent {
                peer: self.server.peer,
                request: format!("{count} requests"),
                waited: self.reply_timeout,
            }),
        }
    }

    async fn exchange<A: AsRef<[u8]> + Sync>(
        &mut self,
        request: &[A],
        most: usize,
    ) -> Result<Reply, ConnectionError> {
        let mut batch = CommandBatch::default();
        batch.push_words(request.iter().map(AsRef::as_ref));
        self.write(batch.take().wire()).await?;
        self.reply(most).await
    }

    async fn converse(&mut self, wire: &[u8], count: usize) -> Result<Vec<Reply>, ConnectionError> {
        self.write(wire).await?;
        let mut replies = Vec::with_capacity(count);
        while replies.len() < count {
            replies.push(self.reply(usize::MAX).await?);
        }
        Ok(replies)
    }

    async fn write(&mut self, wire: &[u8]) -> Result<(), ConnectionError> {
        match self.send(wire).await {
            Ok(()) => Ok(()),
            Err(error) => Err(self.broken(error).await),
        }
    }

    /// The next reply, of at most so many bytes.
    async fn reply(&mut self, most: usize) -> Result<Reply, ConnectionError> {
        let peer = self.server.peer;
        loop {
            if self.is_told_of_tls() {
                return Err(self.refused(tls_failure::not_used()));
            }
            match Reply::decode(&mut self.buffer).map_err(|error| ConnectionError::Reply { peer, error })? {
                Step::Ready(reply) => {
                    self.is_proven = true;
                    return Ok(reply);
                }
                Step::Need(missing) if self.buffer.len().saturating_add(missing.get()) > most => {
                    return Err(ConnectionError::Reply { peer, error: ReplyError::TooLong(most) });
                }
                Step::Need(_) => {}
            }
            self.make_room();
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(0) => return Err(self.broken(io::ErrorKind::UnexpectedEof.into()).await),
                Ok(_) => {}
                Err(error) => return Err(self.broken(error).await),
            }
        }
    }

    /// Sees to it that a read can take many replies. Replies share the buffer's memory, and it grows by 64 bytes on its own while
    /// one of them is kept.
    fn make_room(&mut self) {
        if self.buffer.capacity() - self.buffer.len() < LEAST_ROOM {
            self.buffer.reserve(ROOM);
        }
    }

    /// Whether the server answers a connection without TLS by asking for it: with an alert, as TLS servers do, or with a
    /// line, as Dragonfly does.
    fn is_told_of_tls(&self) -> bool {
        let asks = self.buffer.first() == Some(&ALERT) || self.buffer.starts_with(BAD_HEADER);
        asks && !self.is_proven && !self.is_tls()
    }

    async fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        let sent = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        match sent.await {
            // A server that refuses the client sends the reason before it closes the connection.
            Err(error) if self.is_tls() => {
                let told = self.stream.read_buf(&mut self.buffer).await.err();
                Err(told.filter(tls::is_refusal).unwrap_or(error))
            }
            sent => sent,
        }
    }

    /// The error of a connection that broke. Before the first reply, it may show that client and server do not agree on TLS.
    async fn broken(&self, error: io::Error) -> ConnectionError {
        if !self.is_proven && tls::is_refusal(&error) {
            return self.refused(tls_failure::explain(&error));
        }
        match self.suspect() {
            Some(address) if dial::speaks_tls(address).await => self.refused(tls_failure::not_used()),
            _ => ConnectionError::Broken { peer: self.server.peer, error },
        }
    }

    /// The address of a server that may have closed the connection because it expected TLS: it has sent nothing.
    fn suspect(&self) -> Option<SocketAddr> {
        let is_possible = !self.is_proven && !self.is_tls() && self.buffer.is_empty();
        self.server.reached.filter(|_| is_possible)
    }

    fn refused(&self, error: io::Error) -> ConnectionError {
        ConnectionError::Connect { peer: self.server.peer, address: self.server.address.clone(), error }
    }

    /// The stream, and the bytes that were received after the last reply.
    pub fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.buffer)
    }
}

/// The first byte of a TLS alert.
const ALERT: u8 = 0x15;

/// How Dragonfly answers a client without TLS on a port with it (`dragonfly_connection.cc`).
const BAD_HEADER: &[u8] = b"-ERR Bad TLS header";
