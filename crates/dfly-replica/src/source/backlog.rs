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

/// The first release that keeps 8192 records; earlier ones keep 1024 (protocol section 6.1).
const LONGER: Release = Release { major: 1, minor: 34, patch: 0 };

impl Backlog {
    /// How many records of each shard a release keeps, unless it is told otherwise; `None` if it does not count them, or its
    /// release is not known.
    pub fn usual_records(release: &str) -> Option<u64> {
        match (Self::of_release(release), Release::from_info(release)) {
            (Self::Records, Some(release)) if release >= LONGER => Some(8192),
            (Self::Records, _) => Some(1024),
            (Self::Time | Self::Unknown, _) => None,
        }
    }

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
        let usual = ["df-v1.21.4", "df-v1.40.1", "df-v1.41.0", ""].map(Backlog::usual_records);
        assert_eq!(usual, [Some(1024), Some(8192), None, None]);
        let both = Backlog::of_release("df-dev").to_string();
        assert!(both.contains("backlog_len") && both.contains("time_ms"), "{both}");
    }
}
