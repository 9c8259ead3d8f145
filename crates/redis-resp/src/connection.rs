//! A connection that sends one request at a time. It owns its stream and its buffer.

mod endpoint;
mod sentinel;
mod stream;
mod tls;
mod unverified;

use std::io;
use std::time::Duration;

use bytes::BytesMut;
use dfly_wire::Step;
use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use crate::command::CommandBatch;
use crate::reply::Reply;
use crate::reply_error::ReplyError;

pub use endpoint::{Credentials, Endpoint, Peer, Sentinels};
pub use stream::{ReadHalf, Stream, WriteHalf};
pub use tls::{Tls, TlsError, TlsSettings};

/// The delay between the attempts to connect to two addresses of a host. Earlier attempts continue.
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

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

/// A request-reply connection.
#[derive(Debug)]
pub struct Connection {
    peer: Peer,
    /// The server's address, as error messages show it.
    address: String,
    reply_timeout: Duration,
    stream: Stream,
    buffer: BytesMut,
    /// Whether the server has sent a reply.
    is_proven: bool,
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
        match connect(endpoint).await {
            Ok(stream) => {
                let buffer = BytesMut::new();
                Ok(Self { peer, address, reply_timeout, stream, buffer, is_proven: false })
            }
            Err(error) => Err(ConnectionError::Connect { peer, address, error }),
        }
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
        match timeout(self.reply_timeout, self.exchange(request)).await {
            Ok(reply) => reply,
            Err(_elapsed) => Err(ConnectionError::Silent {
                peer: self.peer,
                request: request
                    .first()
                    .map(|word| String::from_utf8_lossy(word.as_ref()).into_owned())
                    .unwrap_or_default(),
                waited: self.reply_timeout,
            }),
        }
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
                peer: self.peer,
                request: format!("{count} requests"),
                waited: self.reply_timeout,
            }),
        }
    }

    async fn exchange<A: AsRef<[u8]> + Sync>(&mut self, request: &[A]) -> Result<Reply, ConnectionError> {
        let mut batch = CommandBatch::default();
        batch.push(&request.iter().map(AsRef::as_ref).collect::<Vec<_>>());
        self.write(batch.take().wire()).await?;
        self.reply().await
    }

    async fn converse(&mut self, wire: &[u8], count: usize) -> Result<Vec<Reply>, ConnectionError> {
        self.write(wire).await?;
        let mut replies = Vec::with_capacity(count);
        while replies.len() < count {
            replies.push(self.reply().await?);
        }
        Ok(replies)
    }

    async fn write(&mut self, wire: &[u8]) -> Result<(), ConnectionError> {
        self.send(wire).await.map_err(|error| self.broken(error))
    }

    async fn reply(&mut self) -> Result<Reply, ConnectionError> {
        let peer = self.peer;
        loop {
            match Reply::decode(&mut self.buffer).map_err(|error| ConnectionError::Reply { peer, error })? {
                Step::Ready(reply) => {
                    self.is_proven = true;
                    return Ok(reply);
                }
                Step::Need(_) => {}
            }
            let read = self.stream.read_buf(&mut self.buffer).await;
            if read.map_err(|error| self.broken(error))? == 0 {
                return Err(self.broken(io::ErrorKind::UnexpectedEof.into()));
            }
        }
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

    fn broken(&self, error: io::Error) -> ConnectionError {
        let peer = self.peer;
        if !self.is_proven && tls::is_refusal(&error) {
            return ConnectionError::Connect {
                peer,
                address: self.address.clone(),
                error: tls::failed(error),
            };
        }
        ConnectionError::Broken { peer, error }
    }

    /// The stream, and the bytes that were received after the last reply.
    pub fn into_parts(self) -> (Stream, BytesMut) {
        (self.stream, self.buffer)
    }
}

async fn connect(endpoint: &Endpoint) -> io::Result<Stream> {
    let deadline = Instant::now() + endpoint.connect_timeout;
    let stream = timeout_at(deadline, dial(endpoint)).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))?;
    tune(&stream)?;
    let Some(tls) = &endpoint.tls else { return Ok(Stream::Plain(stream)) };
    match timeout_at(deadline, tls.connect(stream, &endpoint.host)).await {
        Ok(stream) => Ok(Stream::Tls(Box::new(stream?))),
        Err(_elapsed) => Err(tls::failed("the server does not answer; it may not speak TLS on this port")),
    }
}

/// Tries the addresses of the host one after the other, each a short time after the one before, until one accepts (like RFC
/// 8305). If none accepts, the result is the first failure.
async fn dial(endpoint: &Endpoint) -> io::Result<TcpStream> {
    if let Some(address) = endpoint.address {
        return TcpStream::connect(address).await;
    }
    let mut addresses = lookup_host((endpoint.host.as_str(), endpoint.port)).await?.peekable();
    let (mut attempts, mut failure) = (JoinSet::new(), None);
    loop {
        if let Some(address) = addresses.next() {
            attempts.spawn(TcpStream::connect(address));
        } else if attempts.is_empty() {
            return Err(failure.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()));
        }
        tokio::select! {
            ended = attempts.join_next() => match ended {
                Some(Ok(Ok(stream))) => return Ok(stream),
                Some(Ok(Err(error))) => failure = failure.or(Some(error)),
                Some(Err(_)) | None => {}
            },
            () = sleep(NEXT_ADDRESS), if addresses.peek().is_some() => {}
        }
    }
}

/// Turns off Nagle's algorithm and turns on keepalive. An idle connection is silent, so only keepalive detects a dead peer
/// (P27).
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
