//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::commands::inspect::flags::InspectFlags;

/// Leave Dragonfly for Redis: follow a running Dragonfly and keep an equal Redis.
#[derive(Debug, Parser)]
#[command(name = "df2redis-cli", version, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// How log lines are written.
    #[arg(long, global = true, value_enum, default_value = "text")]
    pub log_format: LogFormat,
    /// The least important log lines that are shown. Keys appear from debug on, values never.
    #[arg(long, global = true, value_enum, default_value = "info")]
    pub log_level: LogLevel,
}

const EXIT_CODES: &str = "Exit codes: 0 done, or stopped and drained; 1 failed; 2 wrong flags or configuration; \
3 the comparison found differences; 4 cannot resume, run again; 5 the target refused or cannot hold something";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy a running Dragonfly into a Redis, and follow its writes until stopped.
    Replicate(ReplicateFlags),
    /// Replicate a recorded Dragonfly into a throw-away Redis and compare every key.
    Demo(DemoFlags),
    /// Look into snapshot files of Dragonfly, Redis and Valkey, compare them, and turn them into others.
    Inspect(InspectFlags),
}

/// Flags of `replicate`. Each can stand in the configuration file too; a flag goes before the file.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ReplicateFlags {
    /// The Dragonfly to follow.
    #[arg(
        long,
        value_name = "URL",
        help = "The Dragonfly to follow: dragonfly://[user:password@]host[:port]"
    )]
    pub source: Option<String>,
    /// The Redis or Valkey to write to.
    #[arg(
        long,
        value_name = "URL",
        help = "The Redis or Valkey to write to: redis://[user:password@]host[:port]"
    )]
    pub target: Option<String>,
    /// A TOML file with the same settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// A directory for what is kept locally: the state of the run.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// What to do with what the target cannot hold: fail, warn or skip [default: fail].
    #[arg(long, value_name = "POLICY")]
    pub on_unsupported: Option<String>,
    /// Synchronise fully, even if the target holds positions from which the source could resume.
    #[arg(long)]
    pub force_resync: bool,
    /// End the run when the source stays away for this long; without it, it is tried for ever.
    #[arg(long, value_name = "SECONDS")]
    pub give_up_after: Option<u64>,
}

/// Flags of `demo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoFlags {
    /// The redis-server to start.
    #[arg(long, value_name = "FILE", default_value = "redis-server")]
    pub redis_server: PathBuf,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The least important log lines that are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    /// Only what stops the run.
    Error,
    /// What is degraded too.
    Warn,
    /// Changes of phase too.
    Info,
    /// Odd but handled things too; keys may appear.
    Debug,
    /// Everything.
    Trace,
}
