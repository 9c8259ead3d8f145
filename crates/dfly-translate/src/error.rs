//! Why a translation stops.

use dfly_rdb::{DumpError, ValueError};
use dfly_wire::DbIndex;
use thiserror::Error;

use crate::policy::Loss;

/// Why a value or record has no commands.
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
    /// The target is a cluster, which has database 0 alone.
    #[error("{what} of key \"{key}\" is for database {db}, and a cluster has database 0 alone")]
    Database {
        /// The command's name, or `the value`.
        what: String,
        /// The key, escaped.
        key: String,
        /// The database on the target.
        db: DbIndex,
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
    /// The target had a key of that name first, and the user wants to decide.
    #[error(
        "key \"{key}\" of database {db} is on the target too, and nothing of it was written; --on-conflict overwrite or skip decides"
    )]
    Conflict {
        /// The key, escaped.
        key: String,
        /// The key's database on the source.
        db: DbIndex,
    },
    /// A value that has to be kept until it is whole is too large for that.
    #[error(
        "the value of key \"{key}\" in database {db} is larger than the {limit} bytes that can be held whole; --memory-limit sets that"
    )]
    TooLarge {
        /// The key, escaped.
        key: String,
        /// The key's database.
        db: DbIndex,
        /// What is held at most, in bytes.
        limit: usize,
    },
    /// A piece of a value that was not opened.
    #[error("a piece arrived for a value that is not open")]
    NotOpen,
}

/// A key as it may be shown: escaped and cut.
pub(crate) fn shown(key: &[u8]) -> String {
    let head = key.get(..key.len().min(200)).unwrap_or_default();
    let more = if key.len() > head.len() { "..." } else { "" };
    format!("{}{more}", head.escape_ascii())
}
