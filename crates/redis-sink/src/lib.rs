//! Bounded, pipelined writing to a Redis target, a single server or a cluster.
//!
//! What it is: [`Pipeline`] takes batches of commands, each with a tag, and keeps a limited amount in flight. It returns
//! the tags in order, each once the target has carried out every command of the batch. [`Window`] makes its decisions,
//! without I/O. [`cluster`] does the same for a cluster, whose slots move and whose nodes fail:
//! [`ClusterPipeline`](cluster::ClusterPipeline) contains [`ClusterWindow`](cluster::ClusterWindow).
//!
//! What it is not: it knows nothing about Dragonfly or reserved names. It does not parse commands: they come with their
//! keys and tags. On a single server, it does not retry on its own. In a cluster, it retries commands that a node refused
//! temporarily or because a slot has moved.
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
//!
//! A slot that moves from one node to another:
//!
//! ```
//! use std::time::Instant;
//!
//! use bytes::BytesMut;
//! use dfly_wire::Step;
//! use redis_resp::{CommandBatch, Outcome, Reply, ServerError};
//! use redis_sink::WindowLimits;
//! use redis_sink::cluster::{ClusterMap, ClusterWindow, NodeId, Pauses, Unit};
//! use redis_slots::{Slot, Topology};
//!
//! // The reply to CLUSTER SLOTS: one node has all slots.
//! let mut told = BytesMut::from(&b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$1\r\nh\r\n:7000\r\n$4\r\nsome\r\n"[..]);
//! let Step::Ready(reply) = Reply::decode(&mut told)? else { panic!() };
//! let map = ClusterMap::new(&Topology::from_slots(&reply, false)?, "h")?;
//! let (first, second) = (NodeId(0), NodeId(1));
//!
//! let mut window = ClusterWindow::new(WindowLimits::default(), Pauses::default(), map);
//! window.on_open(first);
//! let mut batch = CommandBatch::default();
//! batch.push(&[b"SET", b"foo", b"1"]);
//! window.push([Unit::plain(Slot::of(b"foo"), &mut batch)], "first batch");
//! assert!(window.outgoing(first).starts_with(b"*3\r\n$3\r\nSET"));
//!
//! let asked = Outcome::Refused(ServerError::parse(b"ASK 12182 h:7001"));
//! window.on_outcome(first, asked, Instant::now())?;
//! assert_eq!(window.wanted().collect::<Vec<_>>(), [second]);
//! window.on_open(second);
//! assert!(window.outgoing(second).starts_with(b"*1\r\n$6\r\nASKING\r\n*3\r\n$3\r\nSET"));
//! window.on_outcome(second, Outcome::Done, Instant::now())?;
//! window.on_outcome(second, Outcome::Done, Instant::now())?;
//! assert_eq!(window.settled(), Some("first batch"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod cluster;
mod pipeline;
mod refusal;
mod sink_error;
mod socket;
mod tally;
mod target;
mod window;

pub use pipeline::Pipeline;
pub use refusal::Refusal;
pub use sink_error::SinkError;
pub use tally::Tally;
pub use target::{Eviction, Family, TargetError, TargetInfo};
pub use window::{Window, WindowError, WindowLimits};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
