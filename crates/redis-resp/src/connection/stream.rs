//! The bytes of a connection, in the clear or encrypted.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;
use tokio_rustls::client::TlsStream;

use super::tcp::Tcp;

/// A connection's stream.
///
/// An encrypted stream may buffer bytes that it has already read from its socket, and bytes that its socket has not
/// accepted yet. So read it until it is pending, and flush it after the last write.
#[derive(Debug)]
pub enum Stream {
    /// In the clear.
    Plain(Tcp),
    /// A socket of this machine, in the clear.
    Unix(UnixStream),
    /// With TLS over TCP.
    Tls(Box<TlsStream<Tcp>>),
}

impl Stream {
    /// Lets bytes arrive without a wake-up until a read or a write has to wait ([`Tcp::unwatch`]). It does nothing to a socket
    /// of this machine.
    pub fn unwatch(&mut self) {
        match self {
            Self::Plain(stream) => stream.unwatch(),
            Self::Unix(_) => {}
            Self::Tls(stream) => stream.get_mut().0.unwatch(),
        }
    }

    /// The address of the server, if the system says.
    pub(super) fn peer_address(&self) -> Option<SocketAddr> {
        match self {
            Self::Plain(stream) => stream.peer_address(),
            Self::Unix(_) => None,
            Self::Tls(stream) => stream.get_ref().0.peer_address(),
        }
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

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        either!(self, poll_read(context, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        either!(self, poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write_vectored(context, parts))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Plain(stream) => stream.is_write_vectored(),
            Self::Unix(stream) => stream.is_write_vectored(),
            Self::Tls(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush(context))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_shutdown(context))
    }
}
