//! The bytes of a connection, in the clear or encrypted.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf, split};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, UnixStream, unix};
use tokio_rustls::client::TlsStream;

/// A TLS stream over TCP.
type Encrypted = Box<TlsStream<TcpStream>>;

/// A connection's stream.
///
/// An encrypted stream may buffer bytes that it has already read from its socket, and bytes that its socket has not
/// accepted yet. So read it until it is pending, and flush it after the last write.
#[derive(Debug)]
pub enum Stream {
    /// In the clear.
    Plain(TcpStream),
    /// A socket of this machine, in the clear.
    Unix(UnixStream),
    /// With TLS.
    Tls(Encrypted),
}

/// The receiving half of a [`Stream`].
#[derive(Debug)]
pub enum ReadHalf {
    /// In the clear.
    Plain(OwnedReadHalf),
    /// A socket of this machine, in the clear.
    Unix(unix::OwnedReadHalf),
    /// With TLS.
    Tls(tokio::io::ReadHalf<Encrypted>),
}

/// The sending half of a [`Stream`].
#[derive(Debug)]
pub enum WriteHalf {
    /// In the clear.
    Plain(OwnedWriteHalf),
    /// A socket of this machine, in the clear.
    Unix(unix::OwnedWriteHalf),
    /// With TLS.
    Tls(tokio::io::WriteHalf<Encrypted>),
}

impl Stream {
    /// Splits the stream into its two directions, which can have different owners.
    pub fn into_split(self) -> (ReadHalf, WriteHalf) {
        match self {
            Self::Plain(stream) => {
                let (reader, writer) = stream.into_split();
                (ReadHalf::Plain(reader), WriteHalf::Plain(writer))
            }
            Self::Unix(stream) => {
                let (reader, writer) = stream.into_split();
                (ReadHalf::Unix(reader), WriteHalf::Unix(writer))
            }
            Self::Tls(stream) => {
                let (reader, writer) = split(stream);
                (ReadHalf::Tls(reader), WriteHalf::Tls(writer))
            }
        }
    }

    /// The address of the server, if the system says.
    pub(super) fn peer_address(&self) -> Option<SocketAddr> {
        let socket = match self {
            Self::Plain(stream) => stream,
            Self::Unix(_) => return None,
            Self::Tls(stream) => stream.get_ref().0,
        };
        socket.peer_addr().ok()
    }

    /// Whether the stream is encrypted.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }
}

/// Calls the method of the stream inside, whichever it is.
macro_rules! either {
    ($stream:expr, $call:ident ( $($argument:expr),* )) => {
        match $stream.get_mut() {
            Self::Plain(stream) => Pin::new(stream).$call($($argument),*),
            Self::Unix(stream) => Pin::new(stream).$call($($argument),*),
            Self::Tls(stream) => Pin::new(stream).$call($($argument),*),
        }
    };
}

macro_rules! reads {
    ($stream:ty) => {
        impl AsyncRead for $stream {
            fn poll_read(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                buffer: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                either!(self, poll_read(context, buffer))
            }
        }
    };
}

macro_rules! writes {
    ($stream:ty) => {
        impl AsyncWrite for $stream {
            fn poll_write(
                self: Pin<&mut Self>,
                context: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                either!(self, poll_write(context, bytes))
            }

            fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                either!(self, poll_flush(context))
            }

            fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
                either!(self, poll_shutdown(context))
            }
        }
    };
}

reads!(Stream);
reads!(ReadHalf);
writes!(Stream);
writes!(WriteHalf);
