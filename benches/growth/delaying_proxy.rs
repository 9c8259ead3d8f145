//! A TCP proxy that adds a round trip: each byte arrives half of it later, in both directions. The establishment of a
//! connection is not delayed.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::delayed_line::Line;

/// Forwards every connection to a server. It listens on 127.0.0.1, and takes no more connections when it is dropped; those
/// that there are go on until a side ends them.
#[derive(Debug)]
pub(crate) struct DelayingProxy {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    accept: Option<JoinHandle<()>>,
}

impl DelayingProxy {
    /// Listens on a free port.
    pub(crate) fn start(server: SocketAddr, round_trip: Duration) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let (address, is_over) = (listener.local_addr()?, Arc::new(AtomicBool::new(false)));
        let ends = Arc::clone(&is_over);
        let accept = thread::spawn(move || accept(&listener, server, round_trip / 2, &ends));
        Ok(Self { address, is_over, accept: Some(accept) })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for DelayingProxy {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts. Without a connection it could not be joined.
        if TcpStream::connect(self.address).is_ok()
            && let Some(accept) = self.accept.take()
        {
            let _panicked = accept.join();
        }
    }
}

fn accept(listener: &TcpListener, server: SocketAddr, delay: Duration, is_over: &AtomicBool) {
    while let Ok((client, _peer)) = listener.accept() {
        if is_over.load(Ordering::SeqCst) {
            return;
        }
        // A client whose server is not there is dropped.
        thread::spawn(move || serve(&client, server, delay));
    }
}

fn serve(client: &TcpStream, server: SocketAddr, delay: Duration) -> io::Result<()> {
    let server = TcpStream::connect(server)?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (up, down) = (Line::default(), Line::default());
    thread::scope(|scope| {
        scope.spawn(|| up.forward(client, &server, delay));
        down.forward(&server, client, delay);
    });
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::time::Instant;

    use super::*;

    /// A server that sends back what it gets, until the client has no more.
    fn echo() -> SocketAddr {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            io::copy(&mut stream.try_clone().unwrap(), &mut stream).unwrap();
        });
        address
    }

    #[test]
    fn a_request_takes_a_round_trip_and_a_stream_takes_one_in_all() {
        let round_trip = Duration::from_millis(100);
        let proxy = DelayingProxy::start(echo(), round_trip).unwrap();
        let mut client = TcpStream::connect(proxy.address()).unwrap();
        let (began, mut reply) = (Instant::now(), [0; 4]);
        client.write_all(b"ping").unwrap();
        client.read_exact(&mut reply).unwrap();
        assert_eq!(&reply, b"ping");
        assert!(Instant::now() - began >= round_trip);

        // A proxy that sent one chunk for each round trip would need ten seconds for a hundred chunks.
        let sent: Vec<u8> = (0..=u8::MAX).cycle().take(25 << 20).collect();
        let (began, mut writer) = (Instant::now(), client.try_clone().unwrap());
        let received = thread::scope(|scope| {
            scope.spawn(|| {
                writer.write_all(&sent).unwrap();
                writer.shutdown(std::net::Shutdown::Write).unwrap();
            });
            let mut received = Vec::new();
            client.read_to_end(&mut received).unwrap();
            received
        });
        assert!(received == sent);
        let took = Instant::now() - began;
        assert!(took >= round_trip && took < Duration::from_secs(5), "{took:?}");
    }
}
