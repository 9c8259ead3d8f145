//! What the failures of a target call for.

use redis_resp::connection::ConnectionError;
use redis_resp::{ErrorCode, ServerError};
use redis_sink::cluster::ClusterError;
use redis_sink::{SinkError, TargetError, WindowError};

use crate::error::Error;

/// What a broken or refusing target calls for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Remedy {
    /// Connect again, find out where it stands, and send what it has not carried out.
    Again,
    /// The same; but it is not worth beginning a full synchronisation anew for it.
    Wait,
    /// Nobody but a person can mend it.
    Stop,
}

/// One decision for each way in which writing can fail. A transaction that is refused when it is queued, or aborted, was
/// not carried out, nor was any behind it (the guard of each sees to that), so it can be sent again.
pub(crate) fn remedy(error: &SinkError) -> Remedy {
    match error {
        SinkError::Broken(_) | SinkError::Window(WindowError::Aborted) => Remedy::Again,
        SinkError::Reply(_) | SinkError::Window(WindowError::Unasked) => Remedy::Stop,
        SinkError::Window(WindowError::Refused(refusal)) => remedy_of(&refusal.error.code),
        // A kind of failure that this version does not know.
        _ => Remedy::Stop,
    }
}

fn remedy_of(code: &ErrorCode) -> Remedy {
    match code {
        ErrorCode::Loading
        | ErrorCode::ReadOnly
        | ErrorCode::MasterDown
        | ErrorCode::Busy
        | ErrorCode::ClusterDown
        | ErrorCode::TryAgain => Remedy::Again,
        ErrorCode::OutOfMemory | ErrorCode::MisConf | ErrorCode::NoReplicas => Remedy::Wait,
        ErrorCode::Generic
        | ErrorCode::WrongType
        | ErrorCode::Moved(_)
        | ErrorCode::Ask(_)
        | ErrorCode::CrossSlot
        | ErrorCode::NoAuth
        | ErrorCode::WrongPass
        | ErrorCode::NoPermission
        | ErrorCode::BusyKey
        | ErrorCode::NoScript
        | ErrorCode::ExecAbort => Remedy::Stop,
    }
}

/// Whether a question that is refused so may be answered later.
pub(crate) fn passes(error: &ServerError) -> bool {
    remedy_of(&error.code) != Remedy::Stop
}

/// Whether another attempt to connect to the target can go better.
pub(crate) fn is_passing(error: &Error) -> bool {
    match error {
        Error::Target(TargetError::Connection(error)) => !matches!(error, ConnectionError::Reply { .. }),
        Error::Target(TargetError::Refused { error, .. }) => passes(error),
        Error::Cluster(error) => error.is_passing(),
        Error::Replaced(_) | Error::NotSafe(_) => true,
        // A primary that was demoted may be the primary again, or an address may lead to the new one.
        Error::Unfit { .. } => true,
        _ => false,
    }
}

/// Whether there was no connection at all, or one to a server that is no target.
pub(crate) fn is_unreachable(error: &Error) -> bool {
    matches!(
        error,
        Error::Target(TargetError::Connection(ConnectionError::Connect { .. }))
            | Error::Cluster(ClusterError::Connection(ConnectionError::Connect { .. }))
            | Error::Unfit { .. }
    )
}
