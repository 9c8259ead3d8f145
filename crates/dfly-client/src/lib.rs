//! Dragonfly's replication handshake (protocol sections 1, 2, 5 and 6).
//!
//! What it is: [`Handshake`] on the control connection ends in a [`Session`]; [`FlowRequest`] opens each flow;
//! [`Session::plan`] says whether the flows are to be synchronised fully or partially, and gives the only values from
//! which `DFLY SYNC` and `DFLY STARTSTABLE` can be asked for. [`Session::claim`] says what positions of a run before are worth
//! to this master. [`AckSchedule`] decides when a flow is acknowledged.
//! All of that is pure; the feature `tokio` adds [`ControlConn`](driver::ControlConn) and
//! [`FlowConn`](driver::FlowConn).
//!
//! What it is not: it does not read snapshots or journals, and it does not know what was applied.
//!
//! Two requests crash a real master when they come at the wrong time (`CLIENT-VERSION` without a session,
//! `STARTSTABLE` before `SYNC`), and an ACK corrupts the stream of a master before v1.4. None of them can be built
//! from outside the state in which it is safe.
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
mod flow;
mod handshake;
mod session;
mod succession;

pub use ack::{AckSchedule, ack_request};
#[doc(inline)]
pub use dfly_journal::Lsn;
pub use error::{HandshakeError, Stage};
pub use flow::{FlowId, FlowRequest, FlowStart, Resume, SyncKind};
pub use handshake::{Handshake, Identity, Progress};
#[doc(no_inline)]
pub use redis_resp;
#[doc(inline)]
pub use redis_resp::{Reply, ServerError};
pub use session::{
    FullPlan, MasterVersion, PartialPlan, PartialStart, Plan, ReplicationId, Session, StartStable,
};
pub use succession::{Claim, NoClaim, Release};

/// A request: the command's name and its arguments.
pub type Request = Vec<Vec<u8>>;

pub(crate) fn request(words: &[&str]) -> Request {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}
