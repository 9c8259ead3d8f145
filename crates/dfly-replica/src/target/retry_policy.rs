//! What each failure of a target calls for.

use redis_resp::connection::ConnectionError;
use redis_resp::{ErrorCode, ServerError};
use redis_sink::cluster::ClusterError;
use redis_sink::{SinkError, TargetError, WindowError};

use crate::error::{Error, FlowError};

/// What to do about a target that broke off or refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryPolicy {
    /// Connect again, find out where it stands, and send what it has not carried out.
    Reconnect,
    /// The same; but it is not worth beginning a full synchronisation anew for it.
    Wait,
    /// Nobody but a person can mend it.
    Stop,
}

/// One decision for each way in which writing can fail. A transaction that is refused when it is queued, or aborted, was
/// not carried out, nor was any behind it (the guard of each sees to that), so it can be sent again.
pub(crate) fn retry_policy(error: &SinkError) -> RetryPolicy {
    match error {
        SinkError::Broken(_) | SinkError::Window(WindowError::Aborted) => RetryPolicy::Reconnect,
        SinkError::Reply(_) | SinkError::Window(WindowError::Unasked) => RetryPolicy::Stop,
        SinkError::Window(WindowError::Refused(refusal)) => policy_of_error(&refusal.error),
        // A kind of failure that this version does not know.
        _ => RetryPolicy::Stop,
    }
}

fn policy_of(code: &ErrorCode) -> RetryPolicy {
    match code {
        ErrorCode::Loading
        | ErrorCode::ReadOnly
        | ErrorCode::MasterDown
        | ErrorCode::Busy
        | ErrorCode::ClusterDown
        | ErrorCode::TryAgain => RetryPolicy::Reconnect,
        // A password that has changed is in its file a moment later.
        ErrorCode::NoAuth | ErrorCode::WrongPass => RetryPolicy::Wait,
        ErrorCode::OutOfMemory | ErrorCode::MisConf | ErrorCode::NoReplicas => RetryPolicy::Wait,
        ErrorCode::Generic
        | ErrorCode::WrongType
        | ErrorCode::Moved(_)
        | ErrorCode::Ask(_)
        | ErrorCode::CrossSlot
        | ErrorCode::NoPermission
        | ErrorCode::BusyKey
        | ErrorCode::NoScript
        | ErrorCode::ExecAbort => RetryPolicy::Stop,
    }
}

/// Whether a question that is refused so may be answered later.
pub(crate) fn passes(error: &ServerError) -> bool {
    policy_of_error(error) != RetryPolicy::Stop
}

/// A server with too many clients has no code for that.
fn policy_of_error(error: &ServerError) -> RetryPolicy {
    match error.line.contains("max number of clients") {
        true => RetryPolicy::Wait,
        false => policy_of(&error.code),
    }
}

/// Whether a flow ended because the target is gone in a way that passes: another session can go on from what it holds.
pub(crate) fn is_target_lost(error: &FlowError) -> bool {
    match error {
        FlowError::Sink(error) => retry_policy(error) == RetryPolicy::Reconnect,
        FlowError::TargetForgot => true,
        FlowError::Cluster(error) => error.is_passing() || error.is_login(),
        FlowError::Target(error) => is_passing(error),
        _ => false,
    }
}

/// Whether another attempt to connect to the target can go better.
pub(crate) fn is_passing(error: &Error) -> bool {
    match error {
        Error::Target(TargetError::Connection(error)) => !matches!(error, ConnectionError::Reply { .. }),
        Error::Target(TargetError::Refused { error, .. }) => passes(error),
        Error::Cluster(error) => error.is_passing() || error.is_login(),
        Error::Target(TargetError::Login(_)) => true,
        Error::Replaced(_) | Error::NotSafe(_) => true,
        // A primary that was demoted may be the primary again, or an address may lead to the new one.
        Error::Unfit { .. } => true,
        _ => false,
    }
}

/// Whether there was no connection at all, or one to a server that is no target.
pub(crate) fn is_unreachable(error: &Error) -> bool {
    match error {
        Error::Target(TargetError::Connection(error))
        | Error::Cluster(ClusterError::Connection(error) | ClusterError::Node { error, .. }) => {
            is_unopened(error)
        }
        Error::Unfit { .. } => true,
        _ => false,
    }
}

/// Whether a connection could not be opened, or nobody can log in on it.
pub(crate) fn is_unopened(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::Connect { .. } | ConnectionError::Password { .. })
}

/// Whether the target refuses the login.
pub(crate) fn is_login(error: &Error) -> bool {
    match error {
        Error::Target(TargetError::Login(_)) => true,
        Error::Cluster(error) => error.is_login(),
        _ => false,
    }
}
