//! What becomes of a command that a node of a cluster refused.

use redis_resp::{ErrorCode, ServerError};
use redis_slots::{Redirect, Retry, Slot};

/// Introduces the reason in the reply to an EXEC that is refused for itself (server `multi.c`, `execCommandAbort`).
const BECAUSE: &str = "because of: ";

/// How often in a row something is sent elsewhere at once; from then on a pause comes first, for nodes may disagree for a while.
pub(super) const FREE_REDIRECTS: u32 = 4;

/// What a refusal calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The slot is another node's from now on.
    Moved(Redirect),
    /// Another node takes the command, this once.
    Ask(Redirect),
    /// Again after a pause.
    Later {
        /// Whether the topology is to be read anew.
        is_stale: bool,
    },
    /// The command itself is refused.
    Refused,
    /// The user of the connection is refused, and so will be what follows.
    Fatal,
}

impl Verdict {
    pub(super) fn of(error: &ServerError) -> Self {
        match Retry::on_error(error) {
            Retry::Moved(to) => Self::Moved(to),
            Retry::Ask(to) => Self::Ask(to),
            Retry::Never => Self::of_code(&error.code),
            retry => Self::Later { is_stale: retry.is_topology_stale() },
        }
    }

    /// The slot that a redirect names.
    pub(super) fn slot(&self) -> Option<Slot> {
        match self {
            Self::Moved(to) | Self::Ask(to) => Some(to.slot),
            Self::Later { .. } | Self::Refused | Self::Fatal => None,
        }
    }

    fn of_code(code: &ErrorCode) -> Self {
        match code {
            // The node's state, which passes.
            ErrorCode::OutOfMemory | ErrorCode::MisConf | ErrorCode::NoReplicas => {
                Self::Later { is_stale: false }
            }
            ErrorCode::NoAuth | ErrorCode::WrongPass | ErrorCode::NoPermission => Self::Fatal,
            _ => Self::Refused,
        }
    }
}

/// The reason that an `EXECABORT` names, if it names one.
pub(super) fn reason(abort: &ServerError) -> Option<ServerError> {
    let (_, reason) = abort.line.split_once(BECAUSE)?;
    Some(ServerError::parse(reason.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of docs/cluster.md, and what it calls anything else.
    #[test]
    fn every_row() {
        let verdict = |line: &str| Verdict::of(&ServerError::parse(line.as_bytes()));
        assert!(matches!(verdict("MOVED 5 a:1"), Verdict::Moved(to) if to.port == 1));
        assert!(matches!(verdict("ASK 5 a:1"), Verdict::Ask(to) if to.port == 1));
        for line in ["TRYAGAIN x", "LOADING x", "BUSY x", "OOM x", "MISCONF x", "NOREPLICAS x"] {
            assert_eq!(verdict(line), Verdict::Later { is_stale: false }, "{line}");
        }
        for line in ["CLUSTERDOWN x", "READONLY x", "MASTERDOWN x"] {
            assert_eq!(verdict(line), Verdict::Later { is_stale: true }, "{line}");
        }
        for line in ["WRONGTYPE x", "ERR x", "BUSYKEY x", "CROSSSLOT x", "MOVED nonsense", "NOSCRIPT x"] {
            assert_eq!(verdict(line), Verdict::Refused, "{line}");
        }
        for line in ["NOAUTH x", "NOPERM x", "WRONGPASS x"] {
            assert_eq!(verdict(line), Verdict::Fatal, "{line}");
        }
    }

    /// As a Redis 7.0 writes it when EXEC comes while it loads.
    #[test]
    fn reasons_of_an_abort() {
        let abort =
            "EXECABORT Transaction discarded because of: LOADING Redis is loading the dataset in memory";
        let found = reason(&ServerError::parse(abort.as_bytes())).unwrap();
        assert_eq!(found.code, ErrorCode::Loading);
        let errors = "EXECABORT Transaction discarded because of previous errors.";
        assert_eq!(reason(&ServerError::parse(errors.as_bytes())), None);
    }
}
