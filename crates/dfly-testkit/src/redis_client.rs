//! A blocking RESP2 client, small enough for comparisons and tests to trust.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

/// The maximum number of commands of a pipeline that are written before their replies are read.
const PIPELINE: usize = 256;

/// The maximum number of bytes or elements that a reply may announce.
const REPLY_LIMIT: i64 = 1 << 31;

/// One reply. An error reply is a value, because the caller decides whether it is a failure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// `+text`
    Simple(String),
    /// `-text`
    Error(String),
    /// `:number`
    Int(i64),
    /// `$length`
    Bulk(Bytes),
    /// `$-1` or `*-1`
    Nil,
    /// `*count`
    Array(Vec<Self>),
}

impl Reply {
    /// The bytes of a bulk or simple string.
    pub fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Bulk(bytes) => Some(bytes.clone()),
            Self::Simple(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
            _ => None,
        }
    }

    /// The text of a bulk or simple string, with anything that is not UTF-8 replaced.
    pub fn text(&self) -> Option<String> {
        self.bytes().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The number of an integer reply.
    pub fn int(&self) -> Option<i64> {
        match self {
            Self::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// The elements of an array.
    pub fn array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(elements) => Some(elements),
            _ => None,
        }
    }

    /// The text of an error reply.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::Error(text) => Some(text),
            _ => None,
        }
    }
}

/// Why there is no reply.
#[derive(Debug, Error)]
pub enum RedisError {
    /// The connection failed, timed out or was closed.
    #[error("connection to {address} failed")]
    Connection {
        /// The server.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The server sent something that is not RESP2.
    #[error("not a RESP2 reply: {0:?}")]
    Malformed(String),
    /// A command that must succeed was refused.
    #[error("{command} was refused: {reply}")]
    Refused {
        /// The command's name.
        command: String,
        /// The error's text.
        reply: String,
    },
    /// A reply does not have the form that the command promises.
    #[error("{command} returned an unexpected reply")]
    Shape {
        /// The command's name.
        command: String,
    },
}

/// A connection to a Redis.
#[derive(Debug)]
pub struct RedisClient {
    address: SocketAddr,
    stream: BufReader<TcpStream>,
}

impl RedisClient {
    /// Connects. The timeout of every later read and write is 30 seconds.
    ///
    /// # Errors
    /// Nobody listens at `address`.
    pub fn connect(address: SocketAddr) -> Result<Self, RedisError> {
        Self::open(address).map_err(|source| RedisError::Connection { address, source })
    }

    fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, Duration::from_secs(5))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_write_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self { address, stream: BufReader::new(stream) })
    }

    /// Runs one command.
    ///
    /// # Errors
    /// The connection fails. An error reply is not an error here.
    pub fn command(&mut self, args: &[&[u8]]) -> Result<Reply, RedisError> {
        let mut out = Vec::new();
        encode(args, &mut out);
        self.send(&out)?;
        self.reply()
    }

    /// Runs one command that must not be refused.
    ///
    /// # Errors
    /// The connection fails, or the reply is an error.
    pub fn expect(&mut self, args: &[&[u8]]) -> Result<Reply, RedisError> {
        match self.command(args)? {
            Reply::Error(reply) => Err(RedisError::Refused { command: name_of(args), reply }),
            reply => Ok(reply),
        }
    }

    /// Runs many commands and returns their replies in order, including error replies.
    ///
    /// # Errors
    /// The connection fails.
    pub fn pipeline<A: AsRef<[u8]>>(&mut self, commands: &[Vec<A>]) -> Result<Vec<Reply>, RedisError> {
        let mut replies = Vec::with_capacity(commands.len());
        for part in commands.chunks(PIPELINE) {
            let mut out = Vec::new();
            for command in part {
                let args: Vec<&[u8]> = command.iter().map(AsRef::as_ref).collect();
                encode(&args, &mut out);
            }
            self.send(&out)?;
            for _ in part {
                replies.push(self.reply()?);
            }
        }
        Ok(replies)
    }

    /// Selects the database of this connection.
    ///
    /// # Errors
    /// The connection fails, or the server has no such database.
    pub fn select(&mut self, db: u32) -> Result<(), RedisError> {
        self.expect(&[b"SELECT", db.to_string().as_bytes()]).map(|_ok| ())
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), RedisError> {
        let address = self.address;
        let sent = self.stream.get_mut().write_all(bytes);
        sent.map_err(|source| RedisError::Connection { address, source })
    }

    fn reply(&mut self) -> Result<Reply, RedisError> {
        let line = self.line()?;
        let (kind, rest) = line.split_at_checked(1).unwrap_or_default();
        match kind {
            "+" => Ok(Reply::Simple(rest.to_owned())),
            "-" => Ok(Reply::Error(rest.to_owned())),
            ":" => rest.parse().map(Reply::Int).map_err(|_not_a_number| RedisError::Malformed(line.clone())),
            "$" => self.bulk(&line),
            "*" => self.array(&line),
            _ => Err(RedisError::Malformed(line)),
        }
    }

    fn bulk(&mut self, line: &str) -> Result<Reply, RedisError> {
        let Some(len) = announced(line)? else { return Ok(Reply::Nil) };
        let mut data = vec![0; len + 2];
        let address = self.address;
        let read = self.stream.read_exact(&mut data);
        read.map_err(|source| RedisError::Connection { address, source })?;
        data.truncate(len);
        Ok(Reply::Bulk(data.into()))
    }

    fn array(&mut self, line: &str) -> Result<Reply, RedisError> {
        let Some(len) = announced(line)? else { return Ok(Reply::Nil) };
        (0..len).map(|_| self.reply()).collect::<Result<_, _>>().map(Reply::Array)
    }

    fn line(&mut self) -> Result<String, RedisError> {
        let mut line = Vec::new();
        let address = self.address;
        let read = self.stream.read_until(b'\n', &mut line);
        read.and_then(|n| if n == 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(()) })
            .map_err(|source| RedisError::Connection { address, source })?;
        let line = String::from_utf8_lossy(&line).into_owned();
        Ok(line.trim_end_matches("\r\n").to_owned())
    }
}

fn announced(line: &str) -> Result<Option<usize>, RedisError> {
    let malformed = || RedisError::Malformed(line.to_owned());
    let number: i64 = line.get(1..).and_then(|text| text.parse().ok()).ok_or_else(malformed)?;
    match number {
        -1 => Ok(None),
        0..=REPLY_LIMIT => usize::try_from(number).map(Some).map_err(|_too_large| malformed()),
        _ => Err(malformed()),
    }
}

fn name_of(args: &[&[u8]]) -> String {
    args.first().map(|name| String::from_utf8_lossy(name).into_owned()).unwrap_or_default()
}

/// Appends `args` as a RESP array of bulk strings.
pub(crate) fn encode(args: &[&[u8]], out: &mut Vec<u8>) {
    out.extend_from_slice(format!("*{}\r\n", args.len()).as_bytes());
    for arg in args {
        out.extend_from_slice(format!("${}\r\n", arg.len()).as_bytes());
        out.extend_from_slice(arg);
        out.extend_from_slice(b"\r\n");
    }
}
