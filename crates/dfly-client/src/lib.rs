//! The replica side of Dragonfly's replication handshake (protocol sections 1, 2, 5 and 6).
//!
//! - [`Handshake`] runs on the control connection and results in a [`Session`].
//! - [`FlowRequest`] opens a flow. A master has one flow per shard, each on a connection of its own.
//! - [`Session::plan`] decides between full and partial synchronisation. Its plans are the only source of `DFLY SYNC` and
//!   `DFLY STARTSTABLE`.
//! - [`Session::claim`] decides whether positions of an earlier run can be used with this master.
//! - [`AckSchedule`] decides when a flow is acknowledged.
//! - [`exact_read`] reads a key so that the LSN is known before which the answers hold.
//!
//! All of this is free of I/O. The feature `tokio` adds connections, in the module `driver`.
//!
//! Two requests crash a master when they are sent too early (`CLIENT-VERSION` without a session, `STARTSTABLE` before
//! `SYNC`), and an ACK corrupts the stream of a master before v1.4. The types make such requests impossible.
//!
//! The crate does not decode snapshots or journals, and does not know which records were applied.
//!
//! Section numbers in the documentation refer to `docs/protocol.md` in the repository.
//!
//! ```
//! use dfly_client::{Handshake, Identity, Progress, Reply};
//!
//! let identity = Identity { login: None, announce_port: 0, replica_id: "f".repeat(40) };
//! let mut handshake = Handshake::new(identity);
//! let array = Reply::Array(vec![
//!     Reply::Simple("e7b99accbb75053ea7194ce0101b66ff5d0e7923".into()),
//!     Reply::Simple("SYNC1".into()),
//!     Reply::Integer(2),
//!     Reply::Integer(5),
//! ]);
//! let session = loop {
//!     let request = handshake.request();
//!     let reply = match request.last().unwrap().as_slice() {
//!         b"PING" => Reply::Simple("PONG".into()),
//!         b"dragonfly" => array.clone(),
//!         _ => Reply::Simple("OK".into()),
//!     };
//!     match handshake.on_reply(reply).unwrap() {
//!         Progress::Continue(next) => handshake = next,
//!         Progress::Done(session) => break session,
//!     }
//! };
//! assert_eq!((session.flows, session.version.0), (2, 5));
//! ```

mod ack;
mod answer;
#[cfg(feature = "tokio")]
pub mod driver;
mod error;
mod exact_read;
mod flow;
mod flow_start;
mod handshake;
mod session;
mod succession;

pub use ack::{AckSchedule, ack_request};
#[doc(inline)]
pub use dfly_journal::Lsn;
pub use error::{HandshakeError, Stage};
pub use exact_read::{EXACT_READ_TRIES, ExactRead, exact_read, exact_read_outcome, lsns_of};
pub use flow::{FlowId, FlowRequest, Resume};
pub use flow_start::{FlowStart, SyncKind};
pub use handshake::{Handshake, Identity, Progress};
#[doc(no_inline)]
pub use redis_resp;
#[doc(inline)]
pub use redis_resp::{Reply, ServerError};
pub use session::{
    FullPlan, MasterVersion, PartialPlan, PartialStart, Plan, ReplicationId, Session, StartStable,
};
pub use succession::{Claim, NoClaim, Release};

/// A request: the name of the command and its arguments.
pub type Request = Vec<Vec<u8>>;

pub(crate) fn request(words: &[&str]) -> Request {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
