//! Reading a master's answers.

use redis_resp::{ErrorCode, Reply};

use crate::error::{HandshakeError, Stage};

/// `+OK`, or why not.
pub(crate) fn accepted(stage: Stage, reply: &Reply) -> Result<(), HandshakeError> {
    match reply {
        Reply::Simple(text) if text == "OK" => Ok(()),
        Reply::Error(error) => Err(match error.code {
            ErrorCode::Loading => HandshakeError::Loading,
            ErrorCode::NoAuth | ErrorCode::WrongPass => HandshakeError::Login(error.clone()),
            ErrorCode::NoPermission => HandshakeError::Permission(error.clone()),
            _ if is_lost_session(&error.line) => HandshakeError::SessionLost { stage, error: error.clone() },
            _ => HandshakeError::Refused { stage, error: error.clone() },
        }),
        other => Err(HandshakeError::unexpected(stage, other)),
    }
}

/// The protocol gives these three refusals no code of their own (protocol section 2.1).
fn is_lost_session(line: &str) -> bool {
    ["syncid not found", "bad master id", "bad sync id"].iter().any(|text| line.ends_with(text))
}

/// A word: masters send simple strings; bulk ones are taken too.
pub(crate) fn text(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::Simple(text) => Some(text),
        Reply::Bulk(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}
