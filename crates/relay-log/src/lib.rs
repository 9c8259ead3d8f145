//! A bounded log on disk between a fast reader and a slower writer: it holds what a replication flow has received while the
//! target is slower than the source.
//!
//! [`RelayLog::append`] adds a [`Frame`], which is bytes with a range of positions. [`RelayLog::next_frame`] returns the
//! frames in order. [`RelayLog::release`] discards frames that the target has stored durably. [`RelayLog::sync`] makes all
//! appended frames survive a crash of the machine. The module [`segment`] is the format of the files, without I/O.
//!
//! The log does not interpret the body of a frame, and reads no clock: positions and times are arguments. Its calls block:
//! call it where blocking is allowed. It needs a Unix, for positioned reads and writes.
//!
//! ```
//! use relay_log::{Appended, DbIndex, Frame, Identity, Options, RelayLog, UnixMillis};
//!
//! let dir = tempfile::tempdir()?;
//! let identity = Identity::new("6b1f0e7c9d4a3b2586f0d1c2e3a4b5968778695a", 0, 4)?;
//! let (mut log, recovered) = RelayLog::open(dir.path(), identity.clone(), Options::default())?;
//! assert_eq!(recovered.positions, None);
//!
//! let frame = Frame { first: 65, next: 68, db: DbIndex(0), received_at: UnixMillis(1), body: &b"three records"[..] };
//! assert_eq!(log.append(&frame)?, Appended::Yes);
//! log.sync()?;
//! assert_eq!(log.synced(), Some(68));
//! drop(log);
//!
//! // After a crash, the frames are read again, and the source is asked to continue at 68.
//! let (mut log, recovered) = RelayLog::open(dir.path(), identity, Options::default())?;
//! assert_eq!(recovered.positions, Some(65..68));
//! assert_eq!(log.next_frame()?.unwrap().body, "three records");
//! assert_eq!(log.next_frame()?, None);
//! log.release(68)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod damage;
mod directory;
mod error;
mod frame;
mod identity;
mod log;
mod read;
mod recover;
pub mod segment;
mod write;

#[doc(no_inline)]
pub use bytes;
#[doc(inline)]
pub use dfly_wire::{DbIndex, Step, UnixMillis};
pub use error::LogError;
pub use frame::Frame;
pub use identity::{Identity, IdentityError};
pub use log::{Appended, Options, RelayLog};
pub use recover::Recovered;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
