//! Bounded, pipelined writing to a Redis target.
//!
//! What it is: [`Pipeline`] takes batches of commands with a tag each, keeps at most a stated amount in flight, and
//! gives the tags back in order once the target has carried out every command of the batch. [`Window`] is the
//! decision in it, without I/O.
//!
//! What it is not: it knows nothing of Dragonfly, retries nothing by itself, and does not look into commands.
//!
//! ```
//! use redis_resp::{CommandBatch, Outcome};
//! use redis_sink::{Window, WindowLimits};
//!
//! let mut window = Window::new(WindowLimits::default());
//! let mut batch = CommandBatch::default();
//! batch.push(&[b"SET", b"k", b"v"]);
//! batch.push(&[b"INCR", b"n"]);
//! let wire = window.push(&mut batch, "first batch");
//! assert!(wire.starts_with(b"*3\r\n"));
//! window.on_outcome(Outcome::Done).unwrap();
//! assert_eq!(window.settled(), None);
//! window.on_outcome(Outcome::Done).unwrap();
//! assert_eq!(window.settled(), Some("first batch"));
//! ```

pub mod cluster;
mod pipeline;
mod refusal;
mod socket;
mod target;
mod window;

pub use pipeline::{Pipeline, SinkError};
pub use refusal::Refusal;
pub use target::{Family, TargetError, TargetInfo};
pub use window::{Window, WindowError, WindowLimits};
