//! RESP2 for pipelines.
//!
//! What it is: [`CommandBatch`] encodes many commands into one buffer and remembers where each ends; [`Reply::decode`]
//! takes one reply from a borrowed buffer; [`ServerError`] classifies an error reply once, where it is parsed.
//!
//! With the feature `tokio` there is also a [`connection`](connection::Connection) that asks one question at a time,
//! with TLS ([`Tls`](connection::Tls)) or without, to a server or to the primary that
//! [`Sentinels`](connection::Sentinels) name.
//!
//! What it is not: it keeps no window and retries nothing (that is `redis-sink`), and it speaks no RESP3:
//! connections never send `HELLO 3`.
//!
//! ```
//! use bytes::BytesMut;
//! use dfly_wire::Step;
//! use redis_resp::{CommandBatch, ErrorCode, Reply};
//!
//! let mut batch = CommandBatch::default();
//! batch.push(&[b"SET", b"k", b"v"]);
//! batch.push(&[b"INCR", b"k"]);
//! assert_eq!(batch.len(), 2);
//! assert_eq!(batch.command(1).unwrap(), b"*2\r\n$4\r\nINCR\r\n$1\r\nk\r\n");
//!
//! let mut replies = BytesMut::from("+OK\r\n-ERR value is not an integer or out of range\r\n+PO");
//! assert_eq!(Reply::decode(&mut replies).unwrap(), Step::Ready(Reply::Simple("OK".into())));
//! let Step::Ready(Reply::Error(error)) = Reply::decode(&mut replies).unwrap() else { panic!() };
//! assert_eq!(error.code, ErrorCode::Generic);
//! assert!(matches!(Reply::decode(&mut replies).unwrap(), Step::Need(_)));
//! ```

mod command;
#[cfg(feature = "tokio")]
pub mod connection;
mod extent;
mod reply;
mod server_error;

pub use command::{CommandBatch, CommandWriter, arguments, commands};
pub use reply::{MAX_LINE, Outcome, Reply, ReplyError};
pub use server_error::{ErrorCode, Redirect, ServerError};
