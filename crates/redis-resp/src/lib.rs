//! RESP2 for pipelines.
//!
//! What it is: [`CommandBatch`] encodes many commands into one buffer and records the end, the keys and a tag for each;
//! [`Reply::decode`] takes one reply from a borrowed buffer; [`ServerError`] classifies an error reply once, where it is
//! parsed.
//!
//! With the feature `tokio` there is also a [`connection`](connection::Connection) that sends one request at a time,
//! with TLS ([`Tls`](connection::Tls)) or without, to a server or to the primary that
//! [`Sentinels`](connection::Sentinels) name.
//!
//! What it is not: it does not limit what is in flight and does not retry (`redis-sink` does both), and it does not speak
//! RESP3. Connections never send `HELLO 3`.
//!
//! ```
//! use bytes::BytesMut;
//! use dfly_wire::Step;
//! use redis_resp::{CommandBatch, ErrorCode, Reply};
//!
//! let mut batch = CommandBatch::default();
//! batch.start(3).arg(b"SET").key(b"k").arg(b"v").finish_with(7);
//! batch.push_keyed(&[b"RENAME", b"k", b"l"], 1..3, 8);
//! let rename = batch.command(1).unwrap();
//! assert_eq!(rename.wire(), b"*3\r\n$6\r\nRENAME\r\n$1\r\nk\r\n$1\r\nl\r\n");
//! assert_eq!((rename.keys().collect::<Vec<_>>(), rename.tag()), (vec![&b"k"[..], b"l"], 8));
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
mod reply_error;
mod server_error;

pub use command::{
    CommandBatch, CommandWriter, EncodedCommand, EncodedCommands, MergeRule, SpareBatch, arguments, commands,
};
pub use reply::{Outcome, Reply};
pub use reply_error::{MAX_LINE, ReplyError};
pub use server_error::{ErrorCode, Redirect, ServerError};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
