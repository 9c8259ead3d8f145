//! A connection that asks one question at a time. It owns its socket and its buffer.

use std::fmt;
use std::io;
use std::time::Duration;

use bytes::BytesMut;
use dfly_wire::Step;
use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::command::CommandBatch;
use crate::reply::{Reply, ReplyError};

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user; `None` for the default user.
    pub user: Option<String>,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).field("password", &"***").finish()
    }
}

impl Credentials {
    /// The arguments of `AUTH [user] password`.
    pub fn request(&self) -> Vec<Vec<u8>> {
        let words = ["AUTH"].into_iter().chain(self.user.as_deref()).chain([self.password.as_str()]);
        words.map(|word| word.as_bytes().to_vec()).collect()
    }
}

/// Which end of a replication a server is; the word that its errors use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Where data comes from.
    Source,
    /// Where data goes.
    Target,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// Where a server listens, how to log in, and how long to wait for it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// The server's part in all this.
    pub peer: Peer,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// How to log in, if at all.
    pub credentials: Option<Credentials>,
    /// The longest wait for a connection.
    pub connect_timeout: Duration,
    /// The longest wait for a reply.
    pub reply_timeout: Duration,
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

/// Why a connection is of no use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ConnectionError {
    /// No connection.
    #[error("cannot connect to the {peer} at {address}: {error}")]
    Connect {
        /// Which server.
        peer: Peer,
        /// `host:port` that was tried.
        address: String,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// The connection broke, or the server closed it.
    #[error("the connection to the {peer} broke: {error}")]
    Broken {
        /// Which server.
        peer: Peer,
        /// What the system said.
        #[source]
        error: io::Error,
    },
    /// No reply in time.
    #[error("the {peer} did not answer {request} within {} s", waited.as_secs())]
    Silent {
        /// Which server.
        peer: Peer,
        /// The request's first word.
        request: String,
        /// How long it was waited for.
        waited: Duration,
    },
    /// What came is no RESP.
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
    reply_timeout: Duration,
    stream: TcpStream,
    buffer: BytesMut,
}

impl Connection {
    /// Connects, without logging in.
    ///
    /// # Errors
    /// [`ConnectionError::Connect`].
    pub async fn open(endpoint: &Endpoint) -> Result<Self, ConnectionError> {
        let fail =
            |error| ConnectionError::Connect { peer: endpoint.peer, address: endpoint.to_string(), error };
        let connecting = TcpStream::connect((endpoint.host.as_str(), endpoint.port));
        let stream = match timeout(endpoint.connect_timeout, connecting).await {
            Ok(stream) => stream.map_err(fail)?,
            Err(_elapsed) => return Err(fail(io::ErrorKind::TimedOut.into())),
        };
        tune(&stream).map_err(fail)?;
        let (peer, reply_timeout) = (endpoint.peer, endpoint.reply_timeout);
        Ok(Self { peer, reply_timeout, stream, buffer: BytesMut::new() })
    }

    /// Sends a request, its name first, and waits for the reply.
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

    /// Sends all commands of a batch at once, and waits for their replies, which come in their order. The batch is empty then.
    /// Meant for replies that are small together: the server may stop reading until they are taken.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn ask_all(&mut self, batch: &mut CommandBatch) -> Result<Vec<Reply>, ConnectionError> {
        let (count, wire) = (batch.len(), batch.take().0);
        match timeout(self.reply_timeout, self.converse(&wire, count)).await {
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
        self.write(&batch.take().0).await?;
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
        let peer = self.peer;
        self.stream.write_all(wire).await.map_err(|error| ConnectionError::Broken { peer, error })
    }

    async fn reply(&mut self) -> Result<Reply, ConnectionError> {
        let peer = self.peer;
        let broken = |error| ConnectionError::Broken { peer, error };
        loop {
            match Reply::decode(&mut self.buffer).map_err(|error| ConnectionError::Reply { peer, error })? {
                Step::Ready(reply) => return Ok(reply),
                Step::Need(_) => {}
            }
            if self.stream.read_buf(&mut self.buffer).await.map_err(broken)? == 0 {
                return Err(broken(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    /// The socket, and what was received beyond the last reply.
    pub fn into_parts(self) -> (TcpStream, BytesMut) {
        (self.stream, self.buffer)
    }
}

/// No delay, and keepalive: an idle connection is silent, so a dead peer shows only here (P27).
fn tune(stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(Duration::from_secs(30))
        .with_interval(Duration::from_secs(10))
        .with_retries(3);
    SockRef::from(stream).set_tcp_keepalive(&keepalive)
}
