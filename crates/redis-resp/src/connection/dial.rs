//! Opens connections: the addresses of a host, the options of a socket, and TLS.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::tls::Tls;
use super::tls_failure::{self, TlsFault};
use super::{Endpoint, Stream};

/// The delay between the attempts to connect to two addresses of a host. Earlier attempts continue.
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// The longest wait for a port to show that it speaks TLS. It only decides the words of an error.
const PROBE: Duration = Duration::from_secs(2);

/// Connects to the socket of `endpoint`, or to its host and port, with TLS if it says so.
pub(super) async fn connect(endpoint: &Endpoint) -> io::Result<Stream> {
    let deadline = Instant::now() + endpoint.connect_timeout;
    if let Some(path) = &endpoint.socket {
        let stream = timeout_at(deadline, UnixStream::connect(path)).await;
        return stream.unwrap_or(Err(io::ErrorKind::TimedOut.into())).map(Stream::Unix);
    }
    let stream = timeout_at(deadline, dial(endpoint)).await.unwrap_or(Err(io::ErrorKind::TimedOut.into()))?;
    tune(&stream)?;
    let Some(tls) = &endpoint.tls else { return Ok(Stream::Plain(stream.into())) };
    match timeout_at(deadline, tls.connect(stream, &endpoint.host)).await {
        Ok(stream) => Ok(Stream::Tls(Box::new(stream?))),
        Err(_elapsed) => {
            let why = "the server does not answer; it may not speak TLS on this port";
            Err(tls_failure::error(Some(TlsFault::NotSpoken), why))
        }
    }
}

async fn dial(endpoint: &Endpoint) -> io::Result<TcpStream> {
    match endpoint.address {
        Some(address) => TcpStream::connect(address).await,
        None => first_of(lookup_host((endpoint.host.as_str(), endpoint.port)).await?).await,
    }
}

/// Tries the addresses one after the other, each a short time after the one before, until one accepts (like RFC 8305). If
/// none accepts, the result is the first failure.
async fn first_of(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let mut addresses = addresses.peekable();
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

/// Whether a server at `address` answers a TLS handshake, whatever certificates it has and asks for.
pub(super) async fn speaks_tls(address: SocketAddr) -> bool {
    let answers = async {
        let Ok(stream) = TcpStream::connect(address).await else { return false };
        Tls::is_answered(stream, address.ip()).await
    };
    // It is large and rare, and a part of every future that waits for a reply.
    timeout(PROBE, Box::pin(answers)).await.unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use socket2::{Domain, Socket, Type};
    use tokio::net::TcpListener;

    use super::*;

    const SOON: Duration = Duration::from_secs(1);

    /// A socket that listens and does not accept, and what fills its queue: the packets of further connections are dropped.
    async fn swallowing() -> (SocketAddr, Socket, Vec<TcpStream>) {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).unwrap();
        socket.listen(0).unwrap();
        let address = socket.local_addr().unwrap().as_socket().unwrap();
        let mut queued = Vec::new();
        while let Ok(stream) = timeout(Duration::from_millis(200), TcpStream::connect(address)).await {
            queued.push(stream.unwrap());
        }
        (address, socket, queued)
    }

    async fn port(addresses: [SocketAddr; 2]) -> u16 {
        let stream = timeout(SOON, first_of(addresses.into_iter())).await.unwrap().unwrap();
        stream.peer_addr().unwrap().port()
    }

    /// C17: an address that swallows packets, or refuses, does not keep the next one waiting.
    #[tokio::test]
    async fn one_of_two_addresses_is_dead() {
        let (swallows, _socket, _queued) = swallowing().await;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let accepts = listener.local_addr().unwrap();
        let refuses = SocketAddr::from((Ipv4Addr::LOCALHOST, 1));
        for dead in [swallows, refuses] {
            assert_eq!(port([dead, accepts]).await, accepts.port());
            assert_eq!(port([accepts, dead]).await, accepts.port());
        }
        let error = timeout(SOON, first_of([refuses, refuses].into_iter())).await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    }
}
