//! Arguments of `migrate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dfly_check::Mode;

use crate::flags::ReplicateFlags;

const OF_MIGRATE: &str = "Options of the migration";

/// The exit codes of `migrate`.
const CODES: &str = "Exit codes: 0 the target has everything, and is equal if --verify has compared it; 3 it differs; 8 not everything \
could be compared; 7 stopped before the target had everything; the others as those of replicate.";

/// Flags of `migrate`.
#[derive(Debug, Clone, Args)]
#[command(after_help = CODES)]
pub(crate) struct MigrateFlags {
    #[command(flatten)]
    pub run: ReplicateFlags,
    #[command(flatten)]
    pub goal: GoalFlags,
}

/// When a migration has come to its goal, and what it tells.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = OF_MIGRATE)]
pub(crate) struct GoalFlags {
    /// End when the target is at most this many records behind the source [default: when it has all that the source had when
    /// the snapshot ended].
    #[arg(long, value_name = "RECORDS")]
    pub until_lag: Option<u64>,
    /// Compare all keys in step with the replication before it ends: outline, length, full or smart [default: compare nothing].
    #[arg(long, value_name = "MODE")]
    pub verify: Option<Mode>,
    /// Check everything that a start checks, say how it would begin, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Who copies: this tool, or RedisShake 4 if it is installed, which follows no writes.
    #[arg(long, value_enum, default_value = "df2redis", hide_short_help = true)]
    pub engine: EngineKind,
    /// The program of --engine redis-shake [default: redis-shake, looked up in PATH].
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub engine_binary: Option<PathBuf>,
    /// With --engine redis-shake: the file that the source writes with SAVE RDB and RedisShake reads; the source must run on
    /// this host [default: no file, the keys are scanned].
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub engine_rdb: Option<PathBuf>,
    /// Format of the report.
    #[arg(long, value_enum, default_value = "text")]
    pub format: MigrateFormat,
}

/// Who copies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineKind {
    /// This tool.
    Df2redis,
    /// RedisShake, which must be installed.
    RedisShake,
}

/// Formats of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MigrateFormat {
    /// Lines for people.
    Text,
    /// One JSON object.
    Json,
}
