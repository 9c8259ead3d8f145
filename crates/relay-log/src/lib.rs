//! A bounded log on disk that holds what a flow has received while its target is slower.
//!
//! What it is: [`RelayLog`] owns both ends. [`append`](RelayLog::append) takes [`Frame`]s of journal bytes,
//! [`next_frame`](RelayLog::next_frame) gives them back in order, [`release`](RelayLog::release) gives up what the
//! target holds durably, and [`sync`](RelayLog::sync) makes everything that was appended safe from a crash of the
//! machine. [`segment`] is the format: pure code that both ends and the checks of arbitrary bytes share.
//!
//! What it is not: it does not look into a frame, counts no records, knows no source and no target, and reads no clock:
//! positions and times are arguments. It blocks: whoever must not wait for a disk calls it where waiting is allowed.
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
//! // After a crash: what is there is read again, and the source is asked to go on from 68.
//! let (mut log, recovered) = RelayLog::open(dir.path(), identity, Options::default())?;
//! assert_eq!(recovered.positions, Some(65..68));
//! assert_eq!(log.next_frame()?.unwrap().body, "three records");
//! assert_eq!(log.next_frame()?, None);
//! log.release(68)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

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
