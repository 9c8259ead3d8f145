//! A TCP proxy that sends other commands to a server than the client has sent, so that a real server answers as another
//! kind of server would.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// What becomes of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rewritten {
    /// The server gets it as it is.
    AsItIs,
    /// The server gets this instead.
    To(Vec<Bytes>),
    /// The server never gets it, so it is never answered.
    Lost,
    /// The connection is closed before the server gets it.
    Closed,
}

impl Rewritten {
    /// A command whose answer is an error with this text. The server needs scripts for that.
    pub fn error(text: &str) -> Self {
        Self::script("return redis.error_reply(ARGV[1])", text)
    }

    /// A command whose answer is this text.
    pub fn text(text: &str) -> Self {
        Self::script("return ARGV[1]", text)
    }

    fn script(script: &str, argument: &str) -> Self {
        let words = ["EVAL", script, "0", argument];
        Self::To(words.map(|word| Bytes::copy_from_slice(word.as_bytes())).into())
    }
}

type Rewrite = dyn Fn(&[Bytes]) -> Rewritten + Send + Sync;

/// Forwards every connection to a server, each command as a function says.
///
/// It listens on 127.0.0.1, lives in the tokio runtime that started it, and ends when it is dropped.
#[derive(Debug)]
pub struct RewritingProxy {
    address: SocketAddr,
    accept: JoinHandle<()>,
}

impl RewritingProxy {
    /// Listens on a free port.
    ///
    /// # Errors
    /// No port is available.
    pub async fn start(
        server: SocketAddr,
        rewrite: impl Fn(&[Bytes]) -> Rewritten + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let accept = tokio::spawn(accept(listener, server, Arc::new(rewrite)));
        Ok(Self { address, accept })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for RewritingProxy {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, rewrite: Arc<Rewrite>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _peer)) = accepted {
                    connections.spawn(serve(client, server, Arc::clone(&rewrite)));
                }
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

/// Forwards until one side has ended. A connection that fails is closed, as it would be without a proxy.
async fn serve(client: TcpStream, server: SocketAddr, rewrite: Arc<Rewrite>) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let ((mut from_client, mut to_client), (mut from_server, mut to_server)) =
        (client.into_split(), server.into_split());
    let up = async {
        let mut buffer = BytesMut::new();
        loop {
            while let Some((words, wire)) = command(&mut buffer) {
                match rewrite(&words) {
                    Rewritten::AsItIs => to_server.write_all(&wire).await?,
                    Rewritten::To(words) => to_server.write_all(&encoded(&words)).await?,
                    Rewritten::Lost => {}
                    Rewritten::Closed => return Ok(()),
                }
            }
            if from_client.read_buf(&mut buffer).await? == 0 {
                return to_server.shutdown().await;
            }
        }
    };
    tokio::select! {
        up = up => up,
        down = copy(&mut from_server, &mut to_client) => down.map(drop),
    }
}

/// The next whole command, its words and its bytes.
fn command(buffer: &mut BytesMut) -> Option<(Vec<Bytes>, Bytes)> {
    let (count, mut at) = number(buffer, 0, b'*')?;
    let mut ranges = Vec::with_capacity(count);
    for _ in 0..count {
        let (len, start) = number(buffer, at, b'$')?;
        ranges.push(start..start + len);
        at = start + len + 2;
    }
    if buffer.len() < at {
        return None;
    }
    let wire = buffer.copy_to_bytes(at);
    Some((ranges.into_iter().map(|range| wire.slice(range)).collect(), wire))
}

/// The number behind the byte `mark` at `at`, and what follows its line.
fn number(buffer: &[u8], at: usize, mark: u8) -> Option<(usize, usize)> {
    let line = buffer.get(at..)?;
    let end = line.windows(2).position(|pair| pair == b"\r\n")?;
    let digits = line.get(..end)?.strip_prefix(&[mark])?;
    Some((std::str::from_utf8(digits).ok()?.parse().ok()?, at + end + 2))
}

fn encoded(words: &[Bytes]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        out.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        out.extend_from_slice(word);
        out.extend_from_slice(b"\r\n");
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_arrive_in_pieces() {
        let mut buffer = BytesMut::from(&b"*2\r\n$3\r\nGET\r\n$4\r\nk\r\n1\r\n*1\r\n$4\r\nPI"[..]);
        let (words, _) = command(&mut buffer).unwrap();
        assert_eq!(words, [&b"GET"[..], b"k\r\n1"]);
        assert!(command(&mut buffer).is_none());
        buffer.extend_from_slice(b"NG\r\n");
        let (words, wire) = command(&mut buffer).unwrap();
        assert_eq!((encoded(&words), buffer.len()), (wire.to_vec(), 0));
    }
}
