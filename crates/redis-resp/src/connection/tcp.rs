//! A TCP connection that can be left unwatched.

use std::io;
use std::net::{self, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A TCP connection.
///
/// A connection that the runtime watches wakes its thread for each packet, even if nobody waits for one. Each wake-up costs
/// this process, and the sender too if it is on the same machine. [`unwatch`](Self::unwatch) ends that until the next read or
/// write.
#[derive(Debug)]
pub struct Tcp(State);

#[derive(Debug)]
enum State {
    /// The runtime is told when bytes arrive, and when there is room for more.
    Watched(TcpStream),
    /// The runtime knows nothing of the socket, which is still non-blocking.
    Unwatched(net::TcpStream),
    /// The system refused to change between the two, and the connection is closed.
    Closed,
}

impl Tcp {
    /// Lets bytes arrive without a wake-up, until the next read or write. A read or a write that waits is not woken any more,
    /// and must be polled again.
    ///
    /// # Errors
    /// The error of the system. The connection is closed.
    pub fn unwatch(&mut self) -> io::Result<()> {
        if let State::Watched(_) = self.0
            && let State::Watched(stream) = std::mem::replace(&mut self.0, State::Closed)
        {
            self.0 = State::Unwatched(stream.into_std()?);
        }
        Ok(())
    }

    /// The stream, watched.
    fn watched(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if let State::Unwatched(_) = self.0
            && let State::Unwatched(stream) = std::mem::replace(&mut self.0, State::Closed)
        {
            self.0 = State::Watched(TcpStream::from_std(stream)?);
        }
        match &mut self.0 {
            State::Watched(stream) => Ok(Pin::new(stream)),
            State::Unwatched(_) | State::Closed => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The address of the server, if the system says.
    pub(super) fn peer_address(&self) -> Option<SocketAddr> {
        match &self.0 {
            State::Watched(stream) => stream.peer_addr().ok(),
            State::Unwatched(stream) => stream.peer_addr().ok(),
            State::Closed => None,
        }
    }
}

impl From<TcpStream> for Tcp {
    fn from(stream: TcpStream) -> Self {
        Self(State::Watched(stream))
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().watched()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.get_mut().watched()?.poll_write(context, bytes)
    }

    /// TCP has no buffer of its own, so there is no reason to watch the socket.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().watched()?.poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(5);

    async fn pair() -> (Tcp, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (here.into(), listener.accept().await.unwrap().0)
    }

    #[tokio::test]
    async fn bytes_that_arrive_while_nobody_watches_are_read_afterwards() {
        let (mut tcp, mut server) = pair().await;
        for serial in 0..100_u8 {
            tcp.unwatch().unwrap();
            server.write_all(&[serial]).await.unwrap();
            let read = timeout(SOON, tcp.read_u8()).await.unwrap().unwrap();
            assert_eq!(read, serial);
        }
        tcp.unwatch().unwrap();
        tcp.unwatch().unwrap();
        tcp.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        timeout(SOON, server.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"answer");
    }

    #[tokio::test]
    async fn a_read_waits_for_bytes_that_arrive_after_it_was_unwatched() {
        let (mut tcp, mut server) = pair().await;
        tcp.unwatch().unwrap();
        let reader = tokio::spawn(async move { tcp.read_u8().await });
        tokio::task::yield_now().await;
        server.write_all(b"x").await.unwrap();
        assert_eq!(timeout(SOON, reader).await.unwrap().unwrap().unwrap(), b'x');
    }

    #[tokio::test]
    async fn a_server_that_closes_meanwhile_is_noticed_by_the_next_read() {
        let (mut tcp, server) = pair().await;
        tcp.unwatch().unwrap();
        assert_eq!(tcp.peer_address(), Some(server.local_addr().unwrap()));
        drop(server);
        let ended = timeout(SOON, tcp.read_u8()).await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
