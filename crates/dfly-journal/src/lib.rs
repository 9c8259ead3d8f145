//! Incremental decoder for Dragonfly's replication journal (protocol section 3; Dragonfly `journal/serializer.cc`).
//!
//! [`Decoder`] turns bytes into [`Record`]s. It follows `SELECT`, counts LSNs, and compares them with the markers in the
//! stream. The arguments of a record are one slice of the input: decoding copies and allocates nothing.
//!
//! It opens no socket, does not interpret commands, and does not know whether a record was applied.
//!
//! Section numbers in the documentation refer to `docs/protocol.md` in the repository.
//!
//! # Features
//!
//! `encode`: the module `encode`, which writes records as a master does, for tools and tests.
//!
//! ```
//! use bytes::BytesMut;
//! use dfly_journal::{Decoder, Lsn, Record, Step};
//!
//! // SELECT 0, COMMAND txid 5: SET foo bar, LSN 65
//! let mut src = BytesMut::from(
//!     &b"\x06\x00\x0a\x05\x01\x03\x09\x03SET\x03foo\x03bar\x0f\x40\x41"[..],
//! );
//! let mut journal = Decoder::stream(Lsn(65));
//! let Step::Ready(Record::Command(set)) = journal.decode(&mut src).unwrap() else { panic!() };
//! assert_eq!(set.args.iter().collect::<Vec<_>>(), [b"SET", b"foo", b"bar"]);
//! assert_eq!(journal.next_lsn(), Some(Lsn(66)));
//! assert!(matches!(journal.decode(&mut src).unwrap(), Step::Need(_)));
//! ```

mod args;
mod decoder;
#[cfg(feature = "encode")]
pub mod encode;
mod error;
mod first_words;
mod opcode;
mod record;

pub use args::{ArgIter, Args};
#[doc(no_inline)]
pub use bytes;
pub use decoder::Decoder;
#[doc(inline)]
pub use dfly_wire::{DbIndex, FaultKind, Limits, Source, Step};
pub use error::{Error, ErrorKind};
pub use first_words::first_words;
pub use record::{Command, Lsn, Record, TxId};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
