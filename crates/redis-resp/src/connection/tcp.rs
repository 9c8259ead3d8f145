//! A TCP connection that can be left unwatched.

use std::io::{self, IoSlice, Read, Write};
use std::net::{self, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::io::ioctl_fionread;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::coop::poll_proceed;

/// A TCP connection.
///
/// A connection that the runtime watches wakes its thread for each packet, even if nobody waits for one. Each wake-up costs
/// this process, and the sender too if it is on the same machine. [`unwatch`](Self::unwatch) ends that. The next read or
/// write tries the socket without the runtime. Only if it has to wait does the runtime watch again.
///
/// A server that refuses a client in a TLS handshake says why and closes the connection, while the client may still be writing.
/// Its reason is in the socket, but a write only tells that the connection is closed. So during a handshake such a write counts
/// as done, and the next read tells of the reason or of the end.
#[derive(Debug)]
pub struct Tcp {
    state: State,
    reads_first: bool,
}

/// To zero so many bytes costs less than to ask how many have arrived.
const LITTLE: usize = 4096;

#[derive(Debug)]
enum State {
    /// The runtime is told when bytes arrive, and when there is room for more.
    Watched(TcpStream),
    /// The runtime knows nothing of the socket, which is still non-blocking.
    Unwatched(net::TcpStream),
    /// The system refused to change between the two, for this reason, and the connection is closed.
    Closed(io::ErrorKind),
}

impl Tcp {
    /// The most that one read gives while the runtime does not watch, in bytes. Memory for what has arrived is zeroed before each
    /// such read.
    pub const AT_ONCE: usize = 256 << 10;

    /// Lets bytes arrive without a wake-up until a read or a write has to wait. One that waits now is not woken any more, and
    /// must be polled again. If the system refuses, the connection is closed, and the next read or write fails.
    pub fn unwatch(&mut self) {
        self.change(|state| match state {
            State::Watched(stream) => stream.into_std().map(State::Unwatched),
            other => Ok(other),
        });
    }

    /// Whether a write to a connection that the server has closed counts as done, because the next read tells of it.
    pub(super) fn read_first(&mut self, is_asked: bool) {
        self.reads_first = is_asked;
    }

    /// What a write came to that was of `length` bytes.
    fn written(&self, length: usize, result: io::Result<usize>) -> io::Result<usize> {
        match result {
            Err(error) if self.reads_first && is_closed(&error) => Ok(length),
            result => result,
        }
    }

    /// The opposite of [`Self::unwatch`].
    fn watch(&mut self) {
        self.change(|state| match state {
            State::Unwatched(stream) => TcpStream::from_std(stream).map(State::Watched),
            other => Ok(other),
        });
    }

    /// The stream, watched.
    fn watched(&mut self) -> io::Result<Pin<&mut TcpStream>> {
        if let State::Unwatched(_) = self.state {
            self.watch();
        }
        match &mut self.state {
            State::Watched(stream) => Ok(Pin::new(stream)),
            State::Unwatched(_) => Err(io::ErrorKind::NotConnected.into()),
            State::Closed(why) => Err((*why).into()),
        }
    }

    fn change(&mut self, next: impl FnOnce(State) -> io::Result<State>) {
        let state = std::mem::replace(&mut self.state, State::Closed(io::ErrorKind::NotConnected));
        self.state = next(state).unwrap_or_else(|error| State::Closed(error.kind()));
    }

    /// The address of the server, if the system says.
    pub(super) fn peer_address(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Watched(stream) => stream.peer_addr().ok(),
            State::Unwatched(stream) => stream.peer_addr().ok(),
            State::Closed(_) => None,
        }
    }
}

/// What a read or write without waiting came to; `None`: it would have to wait. Pending if the task has had its turn.
fn at_once(
    context: &mut Context<'_>,
    attempt: impl FnOnce() -> io::Result<usize>,
) -> Poll<Option<io::Result<usize>>> {
    let turn = ready!(poll_proceed(context));
    match attempt() {
        Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
            Poll::Ready(None)
        }
        moved => {
            turn.made_progress();
            Poll::Ready(Some(moved))
        }
    }
}

impl From<TcpStream> for Tcp {
    fn from(stream: TcpStream) -> Self {
        Self { state: State::Watched(stream), reads_first: false }
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let tcp = self.get_mut();
        if let State::Unwatched(stream) = &tcp.state {
            let room = worth_zeroing(stream, buffer.remaining());
            let read = at_once(context, || (&*stream).read(buffer.initialize_unfilled_to(room)));
            if let Some(read) = ready!(read) {
                let read = read?;
                buffer.advance(read);
                // There is more than is worth zeroing memory for.
                if read == Self::AT_ONCE {
                    tcp.watch();
                }
                return Poll::Ready(Ok(()));
            }
        }
        tcp.watched()?.poll_read(context, buffer)
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let tcp = self.get_mut();
        let mut written = None;
        if let State::Unwatched(stream) = &tcp.state {
            written = ready!(at_once(context, || (&*stream).write_vectored(parts)));
        }
        let written = match written {
            Some(written) => written,
            None => ready!(tcp.watched()?.poll_write_vectored(context, parts)),
        };
        Poll::Ready(tcp.written(parts.iter().map(|part| part.len()).sum(), written))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    /// TCP has no buffer of its own, so there is no reason to watch the socket.
    fn poll_flush(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().watched()?.poll_shutdown(context)
    }
}

/// How much of `room` a read of an unwatched socket needs, in bytes: enough for what has arrived.
fn worth_zeroing(stream: &net::TcpStream, room: usize) -> usize {
    if room <= LITTLE {
        return room;
    }
    let arrived = ioctl_fionread(stream).ok().and_then(|bytes| usize::try_from(bytes).ok());
    room.min(arrived.unwrap_or(Tcp::AT_ONCE).clamp(LITTLE, Tcp::AT_ONCE))
}

/// Whether it is the error of a write to a connection that the server has closed.
fn is_closed(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use socket2::SockRef;
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

    /// Waits until bytes lie in the socket.
    async fn arrived(tcp: &Tcp) {
        let State::Unwatched(stream) = &tcp.state else { panic!("watched: {tcp:?}") };
        let seen = async {
            while stream.peek(&mut [0]).is_err() {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, seen).await.unwrap();
    }

    #[tokio::test]
    async fn bytes_that_arrive_while_nobody_watches_are_read_afterwards() {
        let (mut tcp, mut server) = pair().await;
        for serial in 0..100_u8 {
            tcp.unwatch();
            server.write_all(&[serial]).await.unwrap();
            arrived(&tcp).await;
            let read = timeout(SOON, tcp.read_u8()).await.unwrap().unwrap();
            assert_eq!(read, serial);
            assert!(matches!(tcp.state, State::Unwatched(_)), "what is there needs no runtime");
        }
        tcp.unwatch();
        tcp.unwatch();
        tcp.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        timeout(SOON, server.read_exact(&mut answer)).await.unwrap().unwrap();
        assert_eq!(&answer, b"answer");
    }

    /// Only memory that a read needs is zeroed.
    #[tokio::test]
    async fn a_read_takes_room_for_what_has_arrived() {
        let (mut tcp, mut server) = pair().await;
        tcp.unwatch();
        let room = |tcp: &Tcp, room| match &tcp.state {
            State::Unwatched(stream) => worth_zeroing(stream, room),
            state => panic!("watched: {state:?}"),
        };
        assert_eq!([room(&tcp, 1 << 20), room(&tcp, 100)], [LITTLE, 100]);
        server.write_all(&[7; 20_000]).await.unwrap();
        let whole = async {
            while room(&tcp, 1 << 20) < 20_000 {
                tokio::task::yield_now().await;
            }
        };
        timeout(SOON, whole).await.unwrap();
        assert_eq!([room(&tcp, 1 << 20), room(&tcp, 10_000)], [20_000, 10_000]);
    }

    #[tokio::test]
    async fn a_read_waits_for_bytes_that_arrive_after_it_was_unwatched() {
        let (mut tcp, mut server) = pair().await;
        tcp.unwatch();
        let reader = tokio::spawn(async move { tcp.read_u8().await });
        tokio::task::yield_now().await;
        server.write_all(b"x").await.unwrap();
        assert_eq!(timeout(SOON, reader).await.unwrap().unwrap().unwrap(), b'x');
    }

    /// A reader with other things to do looks at the socket only now and then, each time for the first time.
    #[tokio::test]
    async fn a_reader_that_never_waits_gets_what_has_arrived() {
        let (mut tcp, mut server) = pair().await;
        tcp.unwatch();
        server.write_all(b"x").await.unwrap();
        arrived(&tcp).await;
        let mut byte = [0];
        let polled = Pin::new(&mut tcp)
            .poll_read(&mut Context::from_waker(std::task::Waker::noop()), &mut ReadBuf::new(&mut byte));
        assert!(matches!(polled, Poll::Ready(Ok(()))) && byte == *b"x");
    }

    #[tokio::test]
    async fn much_is_read_and_written_whole_in_both_ways() {
        let (mut tcp, mut server) = pair().await;
        let sent: Vec<u8> = (0..4_000_000_u32).map(|at| at.to_le_bytes()[at as usize % 3]).collect();
        let expected = sent.clone();
        let peer = tokio::spawn(async move {
            server.write_all(&sent).await.unwrap();
            let mut back = vec![0; sent.len()];
            server.read_exact(&mut back).await.unwrap();
            back
        });
        let mut got = Vec::new();
        while got.len() < expected.len() {
            tcp.unwatch();
            assert_ne!(tcp.read_buf(&mut got).await.unwrap(), 0);
        }
        for part in got.chunks(300_000) {
            tcp.unwatch();
            tcp.write_all(part).await.unwrap();
        }
        assert!(got == expected && timeout(SOON, peer).await.unwrap().unwrap() == expected);
    }

    /// A server that refuses a client in the middle of a handshake.
    #[tokio::test]
    async fn what_a_server_said_before_it_closed_is_read() {
        for unwatched in [false, true] {
            let (mut tcp, mut server) = pair().await;
            server.write_all(b"because").await.unwrap();
            SockRef::from(&server).set_linger(Some(Duration::ZERO)).unwrap();
            drop(server);
            let written = async { while tcp.write(b"x").await.is_ok() {} };
            timeout(SOON, written).await.unwrap();
            tcp.read_first(true);
            if unwatched {
                tcp.unwatch();
            }
            assert_eq!(tcp.write(b"more").await.unwrap(), 4);
            let parts = [IoSlice::new(b"and"), IoSlice::new(b"more")];
            assert_eq!(tcp.write_vectored(&parts).await.unwrap(), 7);
            let mut said = [0; 7];
            tcp.read_exact(&mut said).await.unwrap();
            assert_eq!(&said, b"because");
            tcp.read_first(false);
            assert_eq!(tcp.write(b"x").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        }
    }

    #[tokio::test]
    async fn a_server_that_closes_meanwhile_is_noticed_by_the_next_read() {
        let (mut tcp, server) = pair().await;
        tcp.unwatch();
        assert_eq!(tcp.peer_address(), Some(server.local_addr().unwrap()));
        drop(server);
        let ended = timeout(SOON, tcp.read_u8()).await.unwrap();
        assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
