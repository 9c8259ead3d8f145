//! In which way a target does not take what it should, in words (C41). A key is never named.

use std::fmt;
use std::io;

use redis_resp::connection::ConnectionError;
use redis_resp::{ErrorCode, ServerError};
use redis_sink::cluster::ClusterError;
use redis_sink::{SinkError, TargetError, WindowError};

use crate::error::{Error, FlowError};

/// What is the matter with a target, and what it says itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetTrouble {
    kind: Kind,
    /// The words of the server, of the system or of the error; empty if there are none beside the kind's.
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unreachable,
    Broken,
    Silent,
    Login,
    Password,
    OutOfMemory,
    ReadOnly,
    MasterDown,
    Loading,
    Busy,
    CannotSave,
    TooFewReplicas,
    TooManyClients,
    ClusterDown,
    Aborted,
    LostData,
    Replaced,
    NotSafe,
    Unfit,
    Refuses,
    Other,
}

impl Kind {
    fn words(self) -> &'static str {
        match self {
            Self::Unreachable => "the target is not reached",
            Self::Broken => "the connection to the target broke",
            Self::Silent => "the target does not answer",
            Self::Login => "the target refuses the login",
            Self::Password => "the target's password cannot be read",
            Self::OutOfMemory => "the target is out of memory",
            Self::ReadOnly => "the target is a replica now, and takes no writes",
            Self::MasterDown => "the target is a replica that has lost its primary",
            Self::Loading => "the target is loading its data",
            Self::Busy => "a script or a module keeps the target busy",
            Self::CannotSave => "the target cannot save its data, and takes no writes until it can",
            Self::TooFewReplicas => "the target has too few replicas to take writes",
            Self::TooManyClients => "the target has too many clients",
            Self::ClusterDown => "the target's cluster is down",
            Self::Aborted => {
                "a transaction was not carried out, because an earlier connection or somebody else has moved this run's position on the target"
            }
            Self::LostData => {
                "the target has lost data that it had acknowledged (was it emptied, or restarted without an append-only file?)"
            }
            Self::Replaced => "a primary of the target is not what it was",
            Self::NotSafe => "what the target has carried out is not safe yet",
            Self::Unfit => "the target is none that can be written to",
            Self::Refuses => "the target refuses a request",
            Self::Other => "the target is gone",
        }
    }

    fn of_code(code: &ErrorCode) -> Self {
        match code {
            ErrorCode::OutOfMemory => Self::OutOfMemory,
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::MasterDown => Self::MasterDown,
            ErrorCode::Loading => Self::Loading,
            ErrorCode::Busy => Self::Busy,
            ErrorCode::MisConf => Self::CannotSave,
            ErrorCode::NoReplicas => Self::TooFewReplicas,
            ErrorCode::ClusterDown => Self::ClusterDown,
            ErrorCode::NoAuth | ErrorCode::WrongPass => Self::Login,
            ErrorCode::Generic
            | ErrorCode::WrongType
            | ErrorCode::Moved(_)
            | ErrorCode::Ask(_)
            | ErrorCode::TryAgain
            | ErrorCode::CrossSlot
            | ErrorCode::NoPermission
            | ErrorCode::BusyKey
            | ErrorCode::NoScript
            | ErrorCode::ExecAbort => Self::Refuses,
        }
    }
}

impl TargetTrouble {
    fn new(kind: Kind, detail: impl fmt::Display) -> Self {
        Self { kind, detail: detail.to_string() }
    }

    /// It has no room for what is written to it.
    pub(crate) fn is_out_of_memory(&self) -> bool {
        self.kind == Kind::OutOfMemory
    }

    /// It does not hold any more what it had answered.
    pub(crate) fn lost_data() -> Self {
        Self::bare(Kind::LostData)
    }

    fn bare(kind: Kind) -> Self {
        Self { kind, detail: String::new() }
    }

    /// What ended a flow.
    pub(crate) fn of_flow(error: &FlowError) -> Self {
        match error {
            FlowError::Sink(error) => Self::of_sink(error),
            FlowError::Cluster(error) => Self::of_cluster(error),
            FlowError::Target(error) => Self::of_error(error),
            FlowError::TargetForgot => Self::lost_data(),
            FlowError::DrainTimeout { .. } => Self::new(Kind::Silent, error),
            other => Self::new(Kind::Other, other),
        }
    }

    /// What stopped the writing on one connection.
    pub(crate) fn of_sink(error: &SinkError) -> Self {
        match error {
            SinkError::Broken(error) => Self::of_io(error),
            SinkError::Window(error) => Self::of_window(error),
            other => Self::new(Kind::Other, other),
        }
    }

    fn of_window(error: &WindowError) -> Self {
        match error {
            WindowError::Refused(refusal) => Self::of_refusal(&refusal.error),
            WindowError::Aborted => Self::bare(Kind::Aborted),
            WindowError::Unasked => Self::new(Kind::Other, error),
        }
    }

    fn of_refusal(error: &ServerError) -> Self {
        let kind = match error.line.contains("max number of clients") {
            true => Kind::TooManyClients,
            false => Kind::of_code(&error.code),
        };
        Self::new(kind, error)
    }

    fn of_io(error: &io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::TimedOut => Kind::Silent,
            io::ErrorKind::ConnectionRefused => Kind::Unreachable,
            _ => Kind::Broken,
        };
        match error.kind() {
            io::ErrorKind::UnexpectedEof => Self::new(kind, "the target has closed it"),
            _ => Self::new(kind, error),
        }
    }

    fn of_connection(error: &ConnectionError) -> Self {
        match error {
            ConnectionError::Connect { .. } => Self::new(Kind::Unreachable, error),
            ConnectionError::Password { .. } => Self::new(Kind::Password, error),
            ConnectionError::Broken { error, .. } => Self::of_io(error),
            ConnectionError::Silent { .. } => Self::new(Kind::Silent, error),
            other => Self::new(Kind::Other, other),
        }
    }

    fn of_error(error: &Error) -> Self {
        match error {
            Error::Target(TargetError::Connection(error)) => Self::of_connection(error),
            Error::Target(TargetError::Login(error)) => Self::new(Kind::Login, error),
            Error::Target(TargetError::Refused { error, .. }) => Self::of_refusal(error),
            Error::Cluster(error) => Self::of_cluster(error),
            Error::Replaced(why) => Self::new(Kind::Replaced, why),
            Error::NotSafe(why) => Self::new(Kind::NotSafe, why),
            Error::Unfit { .. } => Self::new(Kind::Unfit, error),
            other => Self::new(Kind::Other, other),
        }
    }

    fn of_cluster(error: &ClusterError) -> Self {
        match error {
            ClusterError::Connection(error) => Self::of_connection(error),
            ClusterError::Node { .. } => Self::new(Kind::Unreachable, error),
            ClusterError::Login(error) => Self::new(Kind::Login, error),
            ClusterError::Refused { error, .. } => Self::of_refusal(error),
            ClusterError::Window(error) => Self::of_window(error),
            ClusterError::Unclaimed => Self::lost_data(),
            other => Self::new(Kind::Other, other),
        }
    }
}

impl fmt::Display for TargetTrouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.kind.words();
        // An error that says it all by itself is not introduced.
        match self.detail.as_str() {
            "" => f.write_str(words),
            detail if detail.starts_with(words) => f.write_str(detail),
            detail => write!(f, "{words}: {detail}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use redis_resp::CommandBatch;
    use redis_resp::connection::Peer;
    use redis_sink::Refusal;

    use super::*;

    fn refused(line: &str) -> SinkError {
        let mut batch = CommandBatch::default();
        batch.push_keyed(&[b"SET", b"secret", b"v"], 1..2, 0);
        let refusal = Refusal::new(batch.take(), ServerError::parse(line.as_bytes()));
        WindowError::Refused(Box::new(refusal)).into()
    }

    /// C41: each way has its own words, and none of them names a key.
    #[test]
    fn words_for_each_refusal() {
        for (line, words) in [
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                "the target is out of memory: OOM command",
            ),
            (
                "READONLY You can't write against a read only replica.",
                "the target is a replica now, and takes no writes",
            ),
            ("MASTERDOWN Link with MASTER is down", "a replica that has lost its primary"),
            ("LOADING Redis is loading the dataset in memory", "the target is loading its data"),
            ("BUSY Redis is busy running a script.", "keeps the target busy"),
            ("MISCONF Redis is configured to save RDB snapshots", "the target cannot save its data"),
            ("NOREPLICAS Not enough good replicas to write.", "too few replicas"),
            ("ERR max number of clients reached", "the target has too many clients"),
            ("CLUSTERDOWN The cluster is down", "the target's cluster is down"),
            ("NOAUTH Authentication required.", "the target refuses the login: NOAUTH"),
            ("ERR no", "the target refuses a request: ERR no"),
        ] {
            let said = TargetTrouble::of_sink(&refused(line)).to_string();
            assert!(said.contains(words) && said.contains(line), "{said}");
            assert!(!said.contains("secret"), "{said}");
        }
    }

    #[test]
    fn words_for_each_loss() {
        let io = |kind: io::ErrorKind| SinkError::Broken(kind.into());
        let connect = ConnectionError::Connect {
            peer: Peer::Target,
            address: "h:1".to_owned(),
            error: io::ErrorKind::ConnectionRefused.into(),
        };
        let told = |error: Error| TargetTrouble::of_flow(&FlowError::Target(Box::new(error))).to_string();
        for (said, words) in [
            (
                TargetTrouble::of_sink(&io(io::ErrorKind::UnexpectedEof)).to_string(),
                "broke: the target has closed it",
            ),
            (TargetTrouble::of_sink(&io(io::ErrorKind::TimedOut)).to_string(), "the target does not answer"),
            (
                TargetTrouble::of_sink(&WindowError::Aborted.into()).to_string(),
                "somebody else has moved this run's position",
            ),
            (TargetTrouble::of_flow(&FlowError::TargetForgot).to_string(), "the target has lost data"),
            (
                told(Error::Target(connect.into())),
                "the target is not reached: cannot connect to the target at h:1",
            ),
            (told(Error::Replaced("a:1 was restarted".to_owned())), "not what it was: a:1 was restarted"),
            (told(Error::NotSafe("no".to_owned())), "not safe yet: no"),
        ] {
            assert!(said.contains(words), "{said}");
        }
    }
}
