//! Why a translation stops.

use dfly_rdb::{DumpError, ValueError};
use dfly_wire::DbIndex;
use thiserror::Error;

use crate::policy::Loss;

/// Why a value or record cannot be translated.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TranslateError {
    /// The target cannot hold it, and the policy is to stop.
    #[error("the target cannot hold {what} of key \"{key}\" in database {db} ({loss})")]
    Unsupported {
        /// The command's name, or `the value`.
        what: String,
        /// The key, escaped.
        key: String,
        /// The key's database.
        db: DbIndex,
        /// What would be lost.
        loss: Loss,
    },
    /// The target has no such database. A cluster has only database 0.
    #[error("{what} of key \"{key}\" is for database {db}, and {}", in_words(*databases))]
    Database {
        /// The command's name, or `the value`.
        what: String,
        /// The key, escaped.
        key: String,
        /// The database on the target.
        db: DbIndex,
        /// How many databases the target has.
        databases: u32,
    },
    /// The value's inner layout is damaged.
    #[error("the value of key \"{key}\" in database {db} cannot be read: {error}")]
    Value {
        /// The key, escaped.
        key: String,
        /// The key's database.
        db: DbIndex,
        /// What is wrong.
        #[source]
        error: ValueError,
    },
    /// The payload of a RESTORE record is damaged.
    #[error("the payload for key \"{key}\" in database {db} cannot be read: {error}")]
    Dump {
        /// The key, escaped.
        key: String,
        /// The key's database.
        db: DbIndex,
        /// What is wrong.
        #[source]
        error: DumpError,
    },
    /// The target already had a key of that name, and the policy for conflicts is to stop.
    #[error(
        "key \"{key}\" of database {db} is on the target too, and nothing of it was written; choose with --on-conflict overwrite or skip"
    )]
    Conflict {
        /// The key, escaped.
        key: String,
        /// The key's database on the source.
        db: DbIndex,
    },
    /// A value that must be held in memory until it is complete is too large.
    #[error(
        "the value of key \"{key}\" in database {db} is larger than the {limit} bytes that can be held in memory"
    )]
    TooLarge {
        /// The key, escaped.
        key: String,
        /// The key's database.
        db: DbIndex,
        /// The limit, in bytes.
        limit: usize,
    },
    /// A piece arrived for a value that was not opened.
    #[error("a piece arrived for a value that is not open")]
    NotOpen,
}

/// A key in the form for messages: escaped and truncated.
pub(crate) fn shown(key: &[u8]) -> String {
    let head = key.get(..key.len().min(200)).unwrap_or_default();
    let more = if key.len() > head.len() { "..." } else { "" };
    format!("{}{more}", head.escape_ascii())
}
fn in_words(databases: u32) -> String {
    match databases {
        1 => "a cluster has database 0 alone".to_owned(),
        count => format!("the target has databases 0 to {}", count.saturating_sub(1)),
    }
}
