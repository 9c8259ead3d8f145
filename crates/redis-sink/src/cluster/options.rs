//! How a cluster is reached, what is kept in it, and why it may not be reached.

use std::time::Duration;

use redis_resp::connection::{ConnectionError, Endpoint};
use redis_resp::{ReplyError, ServerError};
use redis_slots::{Slot, TopologyError, tag_of};
use thiserror::Error;

use crate::cluster::unit::Memo;
use crate::cluster::window::Pauses;
use crate::window::WindowError;

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// One of its nodes. How to log in and how long to wait hold for every node.
    pub endpoint: Endpoint,
    /// The name that all connections go by (`CLIENT SETNAME`).
    pub name: String,
    /// What the names of the hashes begin with that hold positions of slots, as in [`position_key`]. It holds no braces.
    pub reserved_prefix: String,
    /// The field of [`position_key`] in which transactions write their position.
    pub field: String,
    /// Who may write. It is asked for after each connection for writing was named.
    pub claim: Option<Claim>,
    /// What the target keeps about a command that is given up.
    pub memo: Option<Memo>,
    /// Between attempts.
    pub pauses: Pauses,
    /// Added to pauses between attempts to reach a node, and to those between reads of the topology. It differs among
    /// those who write to the same cluster, so that they do not all come at once.
    pub jitter: Duration,
    /// How long a request is retried that is refused for a while only, or whose connection broke.
    pub patience: Duration,
    /// How often the topology is read although nothing hints at a change; the jitter is added.
    pub look_every: Duration,
}

/// A field of a hash that holds `value` for as long as this run may write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The hash.
    pub key: String,
    /// Its field.
    pub field: String,
    /// Its value.
    pub value: String,
}

/// Why a cluster is of no use.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A node is not reached, or does not answer.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A user or password is wrong, or is needed.
    #[error("the target refuses the login: {0}")]
    Login(#[source] ServerError),
    /// A node refuses what is needed.
    #[error("the target refuses {request}: {error}")]
    Refused {
        /// What was asked.
        request: &'static str,
        /// What it answered.
        #[source]
        error: ServerError,
    },
    /// An answer has another form than servers document.
    #[error("the target answers {0} in a way that is not understood")]
    Answer(&'static str),
    /// The topology cannot be relied on.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// What the node sent is not RESP.
    #[error("the target does not speak RESP: {0}")]
    Reply(#[from] ReplyError),
    /// A node refused a command for good, or answered one that was not sent.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// Nobody may write: what says who may is gone.
    #[error("the target has lost what it held of this run (was it restarted without an append-only file?)")]
    Unclaimed,
    /// Another run may write, this one may not.
    #[error("another run has claimed the target")]
    Overtaken,
}

impl ClusterError {
    /// Whether it may be otherwise later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Connection(error) => !matches!(error, ConnectionError::Reply { .. }),
            Self::Refused { .. } | Self::Topology(_) => true,
            Self::Login(_)
            | Self::Answer(_)
            | Self::Reply(_)
            | Self::Window(_)
            | Self::Unclaimed
            | Self::Overtaken => false,
        }
    }
}

/// The hash in `slot` that holds its positions: the prefix, and a tag of the slot in braces.
pub fn position_key(prefix: &str, slot: Slot) -> Vec<u8> {
    format!("{prefix}{{{}}}", tag_of(slot)).into_bytes()
}
