//! What the answers of the source mean to somebody who reads keys from it. Pure.

use dfly_client::HandshakeError;
use dfly_client::driver::OpenError;
use dfly_rdb::payload::parse_dump;
use dfly_wire::UnixMillis;
use redis_resp::connection::ConnectionError;
use redis_resp::{ErrorCode, Reply, ServerError};

use crate::error::Error;
use crate::flow::refetch::{Answer, Fetched, MemoryHold};
use crate::target::retry_policy::passes;

/// Every session logs in first, so a login that is refused here was not refused before: the password changes.
pub(super) const AUTH: &str = "AUTH";

/// Why the source has not answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("the source refuses {request}: {error}")]
    Refused { request: &'static str, error: ServerError },
    #[error("the source answers {request} with: {answer}")]
    Strange { request: &'static str, answer: String },
}

impl ReadError {
    pub(super) fn refused(request: &'static str, error: ServerError) -> Self {
        Self::Refused { request, error }
    }

    pub(super) fn strange(request: &'static str, answer: &Reply) -> Self {
        Self::Strange { request, answer: format!("{answer:?}").chars().take(200).collect() }
    }

    /// What it means for a key that was to be read.
    pub(super) fn answer(&self) -> Answer {
        match self {
            Self::Connection(_) => Answer::Later,
            Self::Refused { request: AUTH, .. } => Answer::Later,
            Self::Refused { error, .. } if passes(error) => Answer::Later,
            Self::Refused { .. } | Self::Strange { .. } => Answer::Refused(self.to_string()),
        }
    }
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Connection(error) => Self::Source(OpenError::Connection(error)),
            ReadError::Refused { request: AUTH, error } => {
                Self::Source(OpenError::Handshake(HandshakeError::Login(error)))
            }
            ReadError::Refused { request, error } => {
                Self::SourceAnswer { request, answer: error.to_string() }
            }
            ReadError::Strange { request, answer } => Self::SourceAnswer { request, answer },
        }
    }
}

/// A key that went between the two questions has a DEL record, so its value is not used.
pub(super) fn fetched(
    dump: Reply,
    expiry: Expiry,
    memory: &MemoryHold,
) -> Result<Option<Fetched>, ReadError> {
    let payload = match dump {
        Reply::Bulk(payload) => payload,
        Reply::Nil | Reply::Error(ServerError { code: ErrorCode::Moved(_), .. }) => return Ok(None),
        Reply::Error(error) => return Err(ReadError::refused("DUMP", error)),
        other => return Err(ReadError::strange("DUMP", &other)),
    };
    let value = parse_dump(payload)
        .map_err(|error| ReadError::Strange { request: "DUMP", answer: error.to_string() })?;
    Ok(Some(Fetched { value, expire_at: expiry?, memory: memory.clone() }))
}

/// When a key expires; `None`: never.
pub(super) type Expiry = Result<Option<UnixMillis>, ReadError>;

/// What the answer to `request` means, which counts from `start`.
pub(super) fn expiry(request: &'static str, reply: Reply, start: UnixMillis) -> Expiry {
    match reply {
        Reply::Integer(at) if at >= 0 => Ok(Some(UnixMillis(start.0.saturating_add(at)))),
        Reply::Integer(_) => Ok(None),
        Reply::Error(error) => Err(ReadError::refused(request, error)),
        other => Err(ReadError::strange(request, &other)),
    }
}

/// Whether the source, or the rights of its user, never allow what it has refused.
pub(super) fn is_for_good(error: &ServerError) -> bool {
    error.code == ErrorCode::NoPermission || is_unknown(error)
}

pub(super) fn is_unknown_command(reply: &Reply) -> bool {
    matches!(reply, Reply::Error(error) if is_unknown(error))
}

fn is_unknown(error: &ServerError) -> bool {
    error.line.to_ascii_lowercase().contains("unknown command")
}
