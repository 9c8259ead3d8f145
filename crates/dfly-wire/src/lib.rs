//! Primitives that Dragonfly's snapshots and journal share with the dump format of Redis.
//!
//! - [`packed`]: packed unsigned integers, which are RDB lengths and every integer of the journal.
//! - [`fixed`]: fixed-width little-endian numbers, and runs of bytes.
//! - [`crc64`]: the CRC-64 of Redis and Dragonfly.
//! - [`Step`], [`commit`], [`Source`]: incremental decoding. A decoder returns an item, or the number of bytes that it still needs.
//! - [`Limits`]: upper bounds that a decoder checks before it allocates.
//!
//! Parsers are plain functions from `&[u8]` to [`Parsed`]. They report how many bytes are missing, and never panic.
//!
//! The crate knows no opcode and no value type. `dfly-rdb` and `dfly-journal` decode snapshots and journals.
//!
//! Section numbers in the documentation refer to `docs/protocol.md` in the repository.
//!
//! ```
//! use bytes::BytesMut;
//! use dfly_wire::{Step, commit, packed};
//!
//! let mut src = BytesMut::from(&[0x42, 0x8e, 0xff][..]);
//! let step = commit(&mut src, |input| packed::uint(input)).unwrap();
//! assert_eq!(step, Step::Ready(0x28e));
//! assert_eq!(&src[..], &[0xff]); // only the parsed bytes are consumed
//!
//! let mut short = BytesMut::from(&[0x42][..]);
//! assert!(matches!(commit(&mut short, |input| packed::uint(input)).unwrap(), Step::Need(n) if n.get() == 1));
//! assert_eq!(short.len(), 1); // nothing of an incomplete value is consumed
//! ```

pub mod crc64;
pub mod fixed;
mod limits;
pub mod packed;
mod position;
mod step;

pub use limits::Limits;
pub use position::{DbIndex, UnixMillis};
pub use step::{Fault, FaultKind, ParseError, Parsed, Source, Step, commit, need};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
