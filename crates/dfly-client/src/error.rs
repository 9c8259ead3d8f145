//! What a handshake can come to, worded for the person who has to act on it.

use redis_resp::{Reply, ServerError};
use thiserror::Error;

/// The request that an unexpected reply answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Stage {
    /// `AUTH`.
    #[error("AUTH")]
    Auth,
    /// `PING`.
    #[error("PING")]
    Ping,
    /// `REPLCONF listening-port` or `REPLCONF capa eof capa psync2`.
    #[error("REPLCONF")]
    Replconf,
    /// `REPLCONF capa dragonfly`.
    #[error("REPLCONF capa dragonfly")]
    Capa,
    /// `REPLCONF CLIENT-ID` or `CLIENT-VERSION`.
    #[error("REPLCONF CLIENT-VERSION")]
    Client,
    /// `DFLY FLOW`.
    #[error("DFLY FLOW")]
    Flow,
    /// `DFLY SYNC`.
    #[error("DFLY SYNC")]
    Sync,
    /// `DFLY STARTSTABLE`.
    #[error("DFLY STARTSTABLE")]
    StartStable,
}

/// Why no replication session came about.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// A user or password is wrong, or is needed.
    #[error("the source refuses the login: {0}; give user and password in the source's address")]
    Login(ServerError),
    /// The user may not run REPLCONF or DFLY.
    #[error("the source's user lacks a permission: {0}; grant it +REPLCONF +DFLY +PING")]
    Permission(ServerError),
    /// The server answers as a Redis or Valkey does.
    #[error(
        "the source is not a Dragonfly: it takes REPLCONF capa dragonfly for an ordinary capability, as Redis and Valkey do"
    )]
    NotDragonfly,
    /// The Dragonfly is itself a replica.
    #[error("the source is a Dragonfly that is itself a replica ({0}); name its master instead")]
    IsReplica(ServerError),
    /// The master is older than v1.4.
    #[error(
        "the source is a Dragonfly before v1.4 (its handshake has {elements} elements, 4 are needed); upgrade it to v1.4 or later"
    )]
    TooOld {
        /// Elements in its capability reply.
        elements: usize,
    },
    /// The server is loading its data set; try again later.
    #[error("the source is still loading its data set")]
    Loading,
    /// The session is gone, or the master was restarted between two requests; start over.
    #[error("the source has dropped the replication session at {stage}: {error}")]
    SessionLost {
        /// What was asked.
        stage: Stage,
        /// What it answered.
        error: ServerError,
    },
    /// Some flows would be synchronised fully and some partially; start over without positions.
    #[error("the source would resume some flows and not others")]
    Mixed,
    /// Any other refusal.
    #[error("the source refuses {stage}: {error}")]
    Refused {
        /// What was asked.
        stage: Stage,
        /// What it answered.
        error: ServerError,
    },
    /// A reply of another shape than the protocol has.
    #[error("the source answers {stage} with something that no Dragonfly sends: {found}")]
    Unexpected {
        /// What was asked.
        stage: Stage,
        /// The reply.
        found: String,
    },
}

impl HandshakeError {
    pub(crate) fn unexpected(stage: Stage, reply: &Reply) -> Self {
        Self::Unexpected { stage, found: format!("{reply:?}").chars().take(200).collect() }
    }
}
