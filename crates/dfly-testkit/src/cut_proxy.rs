//! A TCP proxy that counts bytes, cuts a connection after a chosen byte, or falls silent.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// The maximum number of bytes that are forwarded at once.
const PIECE: usize = 16 << 10;

/// The direction of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Towards {
    /// From the client to the server.
    Server,
    /// From the server to the client.
    Client,
}

/// Where a connection is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutAt {
    /// The number of the connection, from 0, in the order of acceptance.
    pub connection: usize,
    /// The direction whose bytes are counted.
    pub towards: Towards,
    /// How many bytes are forwarded in that direction before the cut.
    pub bytes: u64,
}

/// How many bytes one connection has carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Traffic {
    /// From the client to the server.
    pub to_server: u64,
    /// From the server to the client.
    pub to_client: u64,
}

impl Traffic {
    /// The bytes of one direction.
    pub fn towards(&self, towards: Towards) -> u64 {
        match towards {
            Towards::Server => self.to_server,
            Towards::Client => self.to_client,
        }
    }
}

/// Forwards every connection to a server, and cuts one of them: exactly [`CutAt::bytes`] bytes arrive in the counted
/// direction. Then both sides see the end of the connection, and nothing more is forwarded in either direction. Later
/// connections are not cut.
///
/// It listens on 127.0.0.1, lives in the tokio runtime that started it, and ends when it is dropped.
#[derive(Debug)]
pub struct CutProxy {
    shared: Arc<Shared>,
    address: SocketAddr,
    accept: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    cut: Option<CutAt>,
    traffic: Mutex<Vec<Traffic>>,
    silent: watch::Sender<bool>,
}

impl CutProxy {
    /// Listens on a free port.
    ///
    /// # Errors
    /// No port is available.
    pub async fn start(server: SocketAddr, cut: Option<CutAt>) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { server, cut, traffic: Mutex::default(), silent: watch::channel(false).0 });
        let accept = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Ok(Self { shared, address, accept })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// While `silent`, forwards nothing in either direction on any connection, but keeps all connections open, like a host
    /// that hangs. Bytes that arrive in the meantime are forwarded afterwards.
    pub fn set_silent(&self, silent: bool) {
        self.shared.silent.send_replace(silent);
    }

    /// What each connection has carried so far, in the order of acceptance.
    pub fn traffic(&self) -> Vec<Traffic> {
        self.shared.traffic().clone()
    }
}

impl Drop for CutProxy {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

impl Shared {
    fn traffic(&self) -> MutexGuard<'_, Vec<Traffic>> {
        self.traffic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many bytes a direction of a connection may carry.
    fn limit(&self, connection: usize, towards: Towards) -> u64 {
        let here = self.cut.filter(|cut| (cut.connection, cut.towards) == (connection, towards));
        here.map_or(u64::MAX, |cut| cut.bytes)
    }

    fn count(&self, connection: usize, (towards, bytes): (Towards, u64)) {
        if let Some(traffic) = self.traffic().get_mut(connection) {
            match towards {
                Towards::Server => traffic.to_server += bytes,
                Towards::Client => traffic.to_client += bytes,
            }
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _peer)) = accepted {
                    let connection = {
                        let mut traffic = shared.traffic();
                        traffic.push(Traffic::default());
                        traffic.len() - 1
                    };
                    connections.spawn(serve(client, connection, Arc::clone(&shared)));
                }
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

/// Forwards both directions until both have ended or one is cut. A connection that fails is closed, as it would be without
/// a proxy.
async fn serve(client: TcpStream, connection: usize, shared: Arc<Shared>) -> std::io::Result<()> {
    let server = TcpStream::connect(shared.server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    let (cut, _) = watch::channel(false);
    let line = |towards| Line { shared: &shared, connection, towards, cut: &cut };
    let (up, down) = (line(Towards::Server), line(Towards::Client));
    let (up, down) = tokio::join!(up.forward(from_client, to_server), down.forward(from_server, to_client));
    up.and(down)
}

/// One direction of a connection.
struct Line<'a> {
    shared: &'a Shared,
    connection: usize,
    towards: Towards,
    /// Tells both directions that the connection is cut.
    cut: &'a watch::Sender<bool>,
}

impl Line<'_> {
    async fn forward(&self, mut from: OwnedReadHalf, mut to: OwnedWriteHalf) -> std::io::Result<()> {
        let mut left = self.shared.limit(self.connection, self.towards);
        let mut is_cut = self.cut.subscribe();
        let mut silent = self.shared.silent.subscribe();
        let mut piece = vec![0; PIECE];
        while left > 0 {
            let read = tokio::select! {
                biased;
                // The sender outlives this, so the wait cannot fail.
                _told = is_cut.wait_for(|cut| *cut) => break,
                read = from.read(&mut piece) => read?,
            };
            tokio::select! {
                _told = is_cut.wait_for(|cut| *cut) => break,
                // The sender lives as long as the proxy, so the wait cannot fail.
                _told = silent.wait_for(|silent| !*silent) => {}
            }
            if read == 0 {
                return to.shutdown().await;
            }
            let taken = usize::try_from(left).unwrap_or(usize::MAX).min(read);
            to.write_all(piece.get(..taken).unwrap_or_default()).await?;
            self.shared.count(self.connection, (self.towards, taken as u64));
            left -= taken as u64;
        }
        self.cut.send_replace(true);
        // Reads until the other side closes. An unread byte would turn the close into a reset, which discards bytes that
        // were already forwarded.
        to.shutdown().await?;
        while from.read(&mut piece).await? > 0 {}
        Ok(())
    }
}
