//! What the user of the source may not do. ACL DRYRUN tells it where the source knows it and the user may use it; elsewhere each
//! request is tried in a form that changes nothing.

use std::collections::BTreeMap;

use redis_resp::connection::{ConnectionError, Credentials};
use redis_resp::{ErrorCode, Reply};

use super::ask::{Asker, text_of};
use crate::source_commands::{Known, SOURCE_COMMANDS, SourceCommand};

/// A command that no server has.
const NOTHING: &str = "DF2REDIS.NOTHING";

/// The user of whoever names none.
const DEFAULT_USER: &str = "default";

/// Commands that are refused: unknown, or forbidden. Each with the answer.
pub(super) async fn refused(
    asker: &mut Asker,
    credentials: Option<&Credentials>,
) -> Result<BTreeMap<&'static str, String>, ConnectionError> {
    let user = credentials.and_then(|credentials| credentials.user.as_deref()).unwrap_or(DEFAULT_USER);
    match dry_run(asker, user).await? {
        Some(refused) => Ok(refused),
        None => tried(asker).await,
    }
}

/// `None`: the source does not know ACL DRYRUN, or the user may not use it.
async fn dry_run(
    asker: &mut Asker,
    user: &str,
) -> Result<Option<BTreeMap<&'static str, String>>, ConnectionError> {
    let request = |command: &SourceCommand| [&["ACL", "DRYRUN", user], command.used].concat();
    // It is not found by a server that has it.
    let unknown = vec!["ACL", "DRYRUN", user, NOTHING];
    let requests: Vec<Vec<&str>> = [unknown].into_iter().chain(SOURCE_COMMANDS.iter().map(request)).collect();
    let replies = asker.ask_all(&requests).await?;
    let Some((Reply::Error(answer), replies)) = replies.split_first() else { return Ok(None) };
    if !answer.line.contains(NOTHING) {
        return Ok(None);
    }
    let refused = SOURCE_COMMANDS.iter().zip(replies).filter_map(|(command, reply)| match reply {
        // It does not know the command.
        Reply::Error(_) if command.known == Known::BySome => None,
        Reply::Error(error) => Some((command.name, error.line.clone())),
        // It says OK, or in a bulk string why not.
        Reply::Bulk(_) => text_of(reply).map(|text| (command.name, text)),
        _ => None,
    });
    Ok(Some(refused.collect()))
}

async fn tried(asker: &mut Asker) -> Result<BTreeMap<&'static str, String>, ConnectionError> {
    let requests: Vec<Vec<&str>> = SOURCE_COMMANDS.iter().map(|command| command.harmless.to_vec()).collect();
    let replies = asker.ask_all(&requests).await?;
    let refused = SOURCE_COMMANDS.iter().zip(replies).filter_map(|(command, reply)| match reply {
        Reply::Error(error) => {
            let is_unknown = error.line.to_ascii_lowercase().contains("unknown command")
                && command.known == Known::Usually;
            let lacks = error.code == ErrorCode::NoPermission || is_unknown;
            lacks.then_some((command.name, error.line))
        }
        _ => None,
    });
    Ok(refused.collect())
}
