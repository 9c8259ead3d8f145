//! What to do with a command that a node of a cluster refused.

use redis_resp::{ErrorCode, ServerError};
use redis_slots::{Redirect, Retry, Slot};

/// Comes before the reason in the reply to an EXEC that the server itself refuses (server `multi.c`, `execCommandAbort`).
const BECAUSE: &str = "because of: ";

/// How many redirects in a row are followed immediately. After that, a pause comes first, because nodes may disagree for a
/// while.
pub(super) const FREE_REDIRECTS: u32 = 4;

/// What a refusal calls for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The slot now belongs to another node.
    Moved(Redirect),
    /// Another node accepts the command this one time.
    Ask(Redirect),
    /// Retry after a pause.
    Later {
        /// Whether to read the topology again.
        is_stale: bool,
    },
    /// The command itself is refused.
    Refused,
    /// The user of the connection is refused, so all later commands would be refused too.
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
            // These depend on the state of the node and are temporary.
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

    /// The table in docs/cluster.md, including its row "anything else".
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

    /// The text that Redis 7.0 sends when EXEC arrives while it loads.
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
