//! What the user of the source may not do. ACL DRYRUN tells it where the source knows it and the user may use it; elsewhere each
//! request is tried in a form that changes nothing.

use std::collections::BTreeMap;

use redis_resp::connection::{ConnectionError, Credentials};
use redis_resp::{ErrorCode, Reply};

use super::ask::{Asker, text_of};

/// A command of a run.
#[derive(Debug, Clone, Copy)]
struct Right {
    name: &'static str,
    /// How a run uses it.
    used: &'static [&'static str],
    /// A form that changes nothing.
    harmless: &'static [&'static str],
}

const fn same(name: &'static str, used: &'static [&'static str]) -> Right {
    Right { name, used, harmless: used }
}

/// A reserved name that no key has.
const KEY: &str = "df2redis:probe:nothing";

/// What a run, a comparison and a cutover use.
const RIGHTS: [Right; 14] = [
    same("INFO", &["INFO", "server"]),
    same("SELECT", &["SELECT", "0"]),
    same("DUMP", &["DUMP", KEY]),
    same("EXISTS", &["EXISTS", KEY]),
    same("PEXPIRETIME", &["PEXPIRETIME", KEY]),
    same("PTTL", &["PTTL", KEY]),
    same("TIME", &["TIME"]),
    same("SCAN", &["SCAN", "0", "COUNT", "1"]),
    same("TYPE", &["TYPE", KEY]),
    same("DFLY", &["DFLY", "REPLICAOFFSET"]),
    same("WATCH", &["WATCH", KEY]),
    same("MULTI", &["MULTI"]),
    // It ends what the two before have begun.
    same("EXEC", &["EXEC"]),
    Right { name: "CLIENT", used: &["CLIENT", "PAUSE", "2000", "WRITE"], harmless: &["CLIENT", "GETNAME"] },
];

/// Every Dragonfly knows these, so only a user lacks them.
const KNOWN_TO_ALL: [&str; 3] = ["WATCH", "MULTI", "EXEC"];

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
    let request = |right: &Right| [&["ACL", "DRYRUN", user], right.used].concat();
    // It is not found by a server that has it.
    let unknown = vec!["ACL", "DRYRUN", user, "DF2REDIS.NOTHING"];
    let requests: Vec<Vec<&str>> = [unknown].into_iter().chain(RIGHTS.iter().map(request)).collect();
    let replies = asker.ask_all(&requests).await?;
    let Some((Reply::Error(answer), replies)) = replies.split_first() else { return Ok(None) };
    if !answer.line.contains("DF2REDIS.NOTHING") {
        return Ok(None);
    }
    let refused = RIGHTS.iter().zip(replies).filter_map(|(right, reply)| match reply {
        Reply::Error(error) => Some((right.name, error.line.clone())),
        // It says OK, or in a bulk string why not.
        Reply::Bulk(_) => text_of(reply).map(|text| (right.name, text)),
        _ => None,
    });
    Ok(Some(refused.collect()))
}

async fn tried(asker: &mut Asker) -> Result<BTreeMap<&'static str, String>, ConnectionError> {
    let requests: Vec<Vec<&str>> = RIGHTS.iter().map(|right| right.harmless.to_vec()).collect();
    let replies = asker.ask_all(&requests).await?;
    let refused = RIGHTS.iter().zip(replies).filter_map(|(right, reply)| match reply {
        Reply::Error(error) => {
            let is_unknown = error.line.to_ascii_lowercase().contains("unknown command")
                && !KNOWN_TO_ALL.contains(&right.name);
            let lacks = error.code == ErrorCode::NoPermission || is_unknown;
            lacks.then_some((right.name, error.line))
        }
        _ => None,
    });
    Ok(refused.collect())
}
