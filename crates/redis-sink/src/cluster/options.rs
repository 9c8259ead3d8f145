//! How to reach a cluster, what is stored in it, and what can go wrong.

use std::time::Duration;

use redis_resp::connection::{ConnectionError, Endpoint};
use redis_resp::{ErrorCode, ReplyError, ServerError};
use redis_slots::{Address, Slot, TopologyError, tag_of};
use thiserror::Error;

use crate::cluster::address_map::AddressMap;
use crate::cluster::known_nodes::KnownNodes;
use crate::cluster::split::Split;
use crate::cluster::unit::Memo;
use crate::cluster::window::Pauses;
use crate::window::WindowError;

/// How to reach a cluster.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// One of its nodes. The login, TLS and timeouts apply to every node.
    pub endpoint: Endpoint,
    /// Other nodes, which are asked if that one does not answer.
    pub others: Vec<Endpoint>,
    /// The nodes that the cluster has named. They are asked if none of the others answers.
    pub known: KnownNodes,
    /// Where nodes are reached whose announced addresses cannot be used from here.
    pub addresses: AddressMap,
    /// The name of all connections (`CLIENT SETNAME`).
    pub name: String,
    /// The prefix of the names of the hashes that hold the positions of slots, as in [`position_key`]. It contains no
    /// braces.
    pub reserved_prefix: String,
    /// The field of [`position_key`] in which transactions write their position.
    pub field: String,
    /// Which run may write. It is checked on each connection for writing, after the connection has set its name.
    pub claim: Option<Claim>,
    /// What the target stores about a command that is given up.
    pub memo: Option<Memo>,
    /// How commands of several keys are taken apart if they are refused temporarily.
    pub split: Option<Split>,
    /// The pauses between attempts.
    pub pauses: Pauses,
    /// A duration that is added to the pauses between attempts to reach a node and between reads of the topology. It
    /// differs among the writers of a cluster, so that they do not all act at the same time.
    pub jitter: Duration,
    /// How long a request is retried if it is temporarily refused or its connection breaks.
    pub patience: Duration,
    /// The interval between reads of the topology when nothing suggests a change. The jitter is added.
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

/// Why a cluster cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// A node cannot be reached, or does not answer.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A node that the cluster has named cannot be reached.
    #[error("the cluster announces a node at {announced}: {error}")]
    Node {
        /// The address that the cluster announces.
        announced: Address,
        /// Why there is no connection to it.
        #[source]
        error: ConnectionError,
    },
    /// A user or password is wrong or missing.
    #[error("the target refuses the login: {0}")]
    Login(#[source] ServerError),
    /// A node refuses a request.
    #[error("the target refuses {request}: {error}")]
    Refused {
        /// The request.
        request: &'static str,
        /// The node's reply.
        #[source]
        error: ServerError,
    },
    /// The address of a node leads to another cluster now.
    #[error("{0} is a node of another cluster now")]
    OtherCluster(String),
    /// A reply does not have the documented form.
    #[error("the target's reply to {0} does not have the documented form")]
    Answer(&'static str),
    /// The topology cannot be relied on.
    #[error(transparent)]
    Topology(#[from] TopologyError),
    /// What the node sent is not RESP.
    #[error("the target does not speak RESP: {0}")]
    Reply(#[from] ReplyError),
    /// A node refused a command permanently, or sent a reply although nothing was in flight.
    #[error(transparent)]
    Window(#[from] WindowError),
    /// The claim is gone, so nobody may write.
    #[error("the target has lost its data about this run (was it restarted without an append-only file?)")]
    Unclaimed,
    /// Another run holds the claim, so this one may not write.
    #[error("another run has claimed the target")]
    Overtaken,
}

impl ClusterError {
    /// Whether no connection could be opened.
    pub fn is_unreachable(&self) -> bool {
        match self {
            Self::Connection(error) | Self::Node { error, .. } => {
                matches!(error, ConnectionError::Connect { .. } | ConnectionError::Password { .. })
            }
            _ => false,
        }
    }

    /// Whether a login was refused. It may succeed once the password is right again.
    pub fn is_login(&self) -> bool {
        matches!(self, Self::Login(_))
    }

    /// Whether a retry may succeed.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Connection(error) | Self::Node { error, .. } => {
                !matches!(error, ConnectionError::Reply { .. })
            }
            // A user gets no permission by waiting.
            Self::Refused { error, .. } => error.code != ErrorCode::NoPermission,
            Self::Topology(_) | Self::OtherCluster(_) => true,
            Self::Login(_)
            | Self::Answer(_)
            | Self::Reply(_)
            | Self::Window(_)
            | Self::Unclaimed
            | Self::Overtaken => false,
        }
    }
}

/// Whether a node has refused a command because nobody is logged in on its connection.
pub(super) fn is_logged_out(error: &ServerError) -> bool {
    matches!(error.code, ErrorCode::NoAuth | ErrorCode::WrongPass)
}

/// The hash in `slot` that holds its positions: the prefix, and a tag of the slot in braces.
pub fn position_key(prefix: &str, slot: Slot) -> Vec<u8> {
    format!("{prefix}{{{}}}", tag_of(slot)).into_bytes()
}
