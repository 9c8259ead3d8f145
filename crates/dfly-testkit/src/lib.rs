//! Recorded and scripted Dragonfly masters, real Redis servers and comparisons, for tests and the demo.
//!
//! What it is: the other side of every connection. [`RecordedMaster`] serves a recorded replication session over TCP, as a
//! master would. [`ScriptedMaster`] follows a [`Script`] with a known result. [`RedisServer`] is a real Redis on its own
//! port, [`RedisCluster`] is several of them that form a cluster, and [`RedisSentinels`] is two of them that Sentinels
//! monitor. [`CutProxy`] cuts connections after a chosen byte, [`RefusingProxy`] refuses chosen commands, and
//! [`RewritingProxy`] has a real server answer as another kind would. [`compare()`] reports where a Redis differs from what the
//! recorded master held.
//!
//! What it is not: it shares no decoder with the code under test (only the primitives of `dfly-wire`), and it is not
//! published.
//!
//! ```
//! use dfly_testkit::Recording;
//!
//! let recording = Recording::embedded().unwrap();
//! assert_eq!(recording.sessions.len(), 1);
//! assert_eq!(recording.sessions[0].flows.len(), 4);
//! assert_eq!(recording.sessions[0].flows[3].final_lsn, 79);
//! ```

#[cfg(feature = "tls")]
mod certificates;
mod compare;
mod cut_proxy;
mod executables;
#[macro_use]
mod front;
mod journal_walk;
mod recorded_master;
mod recording;
mod redis_client;
mod redis_cluster;
mod redis_sentinels;
mod redis_server;
mod refusing_proxy;
mod resharding;
mod rewriting_proxy;
mod script;
mod scripted_master;
#[cfg(feature = "tls")]
mod tls_proxy;
mod value;

#[cfg(feature = "tls")]
pub use certificates::{Certificates, CertificatesError};
pub use compare::{
    CompareOptions, Comparison, Difference, Dumps, MemberTtls, What, compare, dumps, keyspace,
};
pub use cut_proxy::{CutAt, CutProxy, Towards, Traffic};
pub use executables::{install_program, install_script};
pub use front::{Capa, Cut, Hold, Mangle, MasterOptions, PartialForm};
pub use journal_walk::{Mark, Walk, WalkError, walk};
pub use recorded_master::RecordedMaster;
pub use recording::{
    Chunk, Connection, Direction, FlowRecording, Meta, Recording, RecordingError, Row, SessionRecording,
};
pub use redis_client::{RedisClient, RedisError, Reply};
pub use redis_cluster::{ClusterError, ClusterOptions, Migration, RedisCluster};
pub use redis_sentinels::{RedisSentinels, SentinelError, SentinelOptions};
pub use redis_server::{RedisOptions, RedisServer, RedisServerError, ServerTls};
pub use refusing_proxy::{Answer, RefusingProxy};
pub use resharding::Resharding;
pub use rewriting_proxy::{RewritingProxy, Rewritten};
pub use script::{Blobs, Containers, Entry, Model, Op, OpError, Script, SnapshotStyle, Strings, shard_of};
pub use scripted_master::{ScriptError, ScriptedMaster, StaleReplica};
#[cfg(feature = "tls")]
pub use tls_proxy::TlsProxy;
pub use value::{CanonicalValue, Consumer, Group, Pending, Score, StreamInfo, StreamValue, Value};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeExamples;
