//! How much of its journal a source keeps for those who come back, and which of its flags changes that (C5). Pure.

use std::fmt;

use dfly_client::Release;

/// The first release that bounds its backlog by time and bytes (dragonfly#8039).
const BY_TIME: Release = Release { major: 1, minor: 41, patch: 0 };

/// What bounds the backlog of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backlog {
    /// A number of records: releases up to v1.40.
    Records,
    /// Time and bytes: later releases.
    Time,
    /// One of the two: the source does not say its release.
    Unknown,
}

impl Backlog {
    /// Of a release as `INFO server` names it, such as `df-v1.40.1`.
    pub fn of_release(release: &str) -> Self {
        match Release::from_info(release) {
            Some(release) if release >= BY_TIME => Self::Time,
            Some(_) => Self::Records,
            None => Self::Unknown,
        }
    }
}

impl fmt::Display for Backlog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Records => {
                "it keeps --shard_repl_backlog_len of them on each shard (8192 unless set otherwise, 1024 before v1.34)"
            }
            Self::Time => {
                "it keeps those of the last --shard_repl_backlog_time_ms (5 s unless set otherwise), as far as --shard_repl_backlog_max_bytes allows (0.5 % of maxmemory)"
            }
            Self::Unknown => {
                "how many it keeps, its flag --shard_repl_backlog_len says up to v1.40, and --shard_repl_backlog_time_ms with --shard_repl_backlog_max_bytes in later releases"
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_that_of_the_release() {
        for (release, flag, other) in [
            ("df-v1.21.4", "shard_repl_backlog_len", "time_ms"),
            ("df-v1.40.1", "shard_repl_backlog_len", "time_ms"),
            ("df-v1.41.0", "shard_repl_backlog_time_ms", "_len"),
            ("df-v2.0.0", "shard_repl_backlog_time_ms", "_len"),
        ] {
            let advice = Backlog::of_release(release).to_string();
            assert!(advice.contains(flag) && !advice.contains(other), "{release}: {advice}");
        }
        let both = Backlog::of_release("df-dev").to_string();
        assert!(both.contains("backlog_len") && both.contains("time_ms"), "{both}");
    }
}
