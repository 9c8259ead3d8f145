//! Errors of the handshake. Their texts name the cause and what the user can do.

use redis_resp::{Reply, ServerError};
use thiserror::Error;

/// A request of the handshake.
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

/// Why a replication session could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// The user or password is wrong or missing.
    #[error("the source refuses the login: {0}; give user and password in the source's address")]
    Login(ServerError),
    /// The user may not run REPLCONF or DFLY.
    #[error("the source's user lacks a permission: {0}; grant it +REPLCONF +DFLY +PING")]
    Permission(ServerError),
    /// The server is a Redis or Valkey.
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
        /// Number of elements in its reply to `REPLCONF capa dragonfly`.
        elements: usize,
    },
    /// The server is loading its data set. Try again later.
    #[error("the source is still loading its data set")]
    Loading,
    /// The session is gone, or the master was restarted between two requests. Start over.
    #[error("the source has dropped the replication session at {stage}: {error}")]
    SessionLost {
        /// The request.
        stage: Stage,
        /// The reply.
        error: ServerError,
    },
    /// Some flows would be synchronised fully and others partially. Start over without positions.
    #[error("the source would resume some flows and not others")]
    Mixed,
    /// Any other refusal.
    #[error("the source refuses {stage}: {error}")]
    Refused {
        /// The request.
        stage: Stage,
        /// The reply.
        error: ServerError,
    },
    /// The reply does not have the form that the protocol specifies.
    #[error("the source answers {stage} with something that no Dragonfly sends: {found}")]
    Unexpected {
        /// The request.
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
