//! A proxy before a real server that answers chosen commands itself: with an error, or with bytes that are no reply.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::OwnedReadHalf;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::front::command::parse_command;

/// What the proxy answers, and to which commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The command's name, in upper case.
    pub command: String,
    /// If there is one: only commands with an argument that begins so.
    pub argument: Option<String>,
    /// What is sent instead of the server's reply, with the line end. Text that begins with `-` is an error, and as one it also
    /// spoils the transaction that the command is queued in.
    pub reply: String,
}

impl Answer {
    /// An error for every command of this name.
    pub fn error(command: &str, line: &str) -> Self {
        Self { command: command.to_owned(), argument: None, reply: format!("-{line}\r\n") }
    }

    fn is_for(&self, command: &[Bytes]) -> bool {
        let (Some(name), arguments) = (command.first(), command.get(1..).unwrap_or_default()) else {
            return false;
        };
        let has = |argument: &String| arguments.iter().any(|given| given.starts_with(argument.as_bytes()));
        name.eq_ignore_ascii_case(self.command.as_bytes()) && self.argument.as_ref().is_none_or(has)
    }
}

/// Forwards commands to a server, one at a time, but for those that it answers itself.
///
/// It listens on 127.0.0.1, lives in the tokio runtime that started it, and ends when it is dropped.
#[derive(Debug)]
pub struct RefusingProxy {
    answers: Arc<Mutex<Vec<Answer>>>,
    address: SocketAddr,
    accept: JoinHandle<()>,
}

impl RefusingProxy {
    /// Listens on a free port. At first everything is forwarded.
    ///
    /// # Errors
    /// No port is available.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (address, answers) = (listener.local_addr()?, Arc::default());
        let accept = tokio::spawn(accept(listener, server, Arc::clone(&answers)));
        Ok(Self { answers, address, accept })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, these commands are answered so, on every connection. With none, everything is forwarded.
    pub fn answer(&self, answers: impl IntoIterator<Item = Answer>) {
        *lock(&self.answers) = answers.into_iter().collect();
    }
}

impl Drop for RefusingProxy {
    fn drop(&mut self) {
        self.accept.abort();
    }
}

fn lock(answers: &Mutex<Vec<Answer>>) -> MutexGuard<'_, Vec<Answer>> {
    answers.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, server: SocketAddr, answers: Arc<Mutex<Vec<Answer>>>) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let answers = Arc::clone(&answers);
        connections.spawn(async move {
            // A connection that fails is closed.
            drop(serve(client, server, &answers).await);
        });
    }
}

async fn serve(client: TcpStream, server: SocketAddr, answers: &Mutex<Vec<Answer>>) -> io::Result<()> {
    let (mut requests, mut out) = client.into_split();
    let (replies, mut forward) = TcpStream::connect(server).await?.into_split();
    let (mut replies, mut buffer, mut is_spoiled) = (BufReader::new(replies), BytesMut::new(), false);
    loop {
        let Some(command) = parse_command(&mut buffer).map_err(io::Error::other)? else {
            if requests.read_buf(&mut buffer).await? == 0 {
                return Ok(());
            }
            continue;
        };
        let own =
            lock(answers).iter().find(|answer| answer.is_for(&command)).map(|answer| answer.reply.clone());
        let is_exec = command.first().is_some_and(|name| name.eq_ignore_ascii_case(b"EXEC"));
        let reply = match own {
            Some(reply) => {
                is_spoiled |= reply.starts_with('-');
                reply.into_bytes()
            }
            None if is_exec && is_spoiled => {
                exchange(&mut forward, &mut replies, &[Bytes::from_static(b"DISCARD")]).await?;
                b"-EXECABORT Transaction discarded because of previous errors.\r\n".to_vec()
            }
            None => exchange(&mut forward, &mut replies, &command).await?,
        };
        let begins = command.first().is_some_and(|name| name.eq_ignore_ascii_case(b"MULTI"));
        is_spoiled &= !is_exec && !begins;
        out.write_all(&reply).await?;
    }
}

async fn exchange(
    forward: &mut (impl AsyncWriteExt + Unpin),
    replies: &mut BufReader<OwnedReadHalf>,
    command: &[Bytes],
) -> io::Result<Vec<u8>> {
    let mut request = Vec::new();
    crate::redis_client::encode(&command.iter().map(Bytes::as_ref).collect::<Vec<_>>(), &mut request);
    forward.write_all(&request).await?;
    let (mut reply, mut due) = (Vec::new(), 1i64);
    // Of nested arrays, as many replies are due as all of them together have elements.
    while due > 0 {
        due -= 1;
        let start = reply.len();
        if replies.read_until(b'\n', &mut reply).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let line = String::from_utf8_lossy(reply.get(start..).unwrap_or_default()).into_owned();
        let number = || line.get(1..).and_then(|text| text.trim().parse::<i64>().ok()).unwrap_or_default();
        match line.as_bytes().first() {
            Some(b'$') if number() >= 0 => {
                let mut data = vec![0; usize::try_from(number()).unwrap_or_default() + 2];
                replies.read_exact(&mut data).await?;
                reply.extend(data);
            }
            Some(b'*') => due += number().max(0),
            _ => {}
        }
    }
    Ok(reply)
}
