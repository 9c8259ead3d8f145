//! Parsing the replies of a master.

use redis_resp::{ErrorCode, Reply};

use crate::error::{HandshakeError, Stage};

/// Checks for `+OK`.
pub(crate) fn accepted(stage: Stage, reply: &Reply) -> Result<(), HandshakeError> {
    match reply {
        Reply::Simple(text) if text == "OK" => Ok(()),
        Reply::Error(error) => Err(match error.code {
            ErrorCode::Loading => HandshakeError::Loading,
            ErrorCode::NoAuth | ErrorCode::WrongPass => HandshakeError::Login(error.clone()),
            ErrorCode::NoPermission => HandshakeError::Permission(error.clone()),
            // A replica refuses the first REPLCONF, whatever it is about.
            _ if error.line.contains("Replicating a replica") => HandshakeError::IsReplica(error.clone()),
            _ if is_lost_session(&error.line) => HandshakeError::SessionLost { stage, error: error.clone() },
            _ => HandshakeError::Refused { stage, error: error.clone() },
        }),
        other => Err(HandshakeError::unexpected(stage, other)),
    }
}

/// These three errors have no code of their own (protocol section 2.1).
fn is_lost_session(line: &str) -> bool {
    ["syncid not found", "bad master id", "bad sync id"].iter().any(|text| line.ends_with(text))
}

/// The text of a simple or bulk string. Masters send simple strings.
pub(crate) fn text(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::Simple(text) => Some(text),
        Reply::Bulk(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}
