//! Primitives of the wire that Dragonfly's snapshots and journal share with Redis' dump format.
//!
//! What it is: packed unsigned integers, fixed-width readers that tell how much is missing, the commit point of an
//! incremental decoder, CRC-64 and the limits that no length on the wire may pass. It is the only crate that knows
//! how integers look on Dragonfly's wire.
//!
//! What it is not: it knows no opcode, no value type, and touches no socket or clock.
//!
//! ```
//! use bytes::BytesMut;
//! use dfly_wire::{Step, commit, packed};
//!
//! let mut src = BytesMut::from(&[0x42, 0x8e, 0xff][..]);
//! let step = commit(&mut src, |input| packed::uint(input)).unwrap();
//! assert_eq!(step, Step::Ready(0x28e));
//! assert_eq!(&src[..], &[0xff]); // only what was parsed is consumed
//!
//! let mut short = BytesMut::from(&[0x42][..]);
//! assert!(matches!(commit(&mut short, |input| packed::uint(input)).unwrap(), Step::Need(n) if n.get() == 1));
//! assert_eq!(short.len(), 1); // an incomplete value leaves no trace
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
