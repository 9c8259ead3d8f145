//! Command-line arguments.

use clap::{Parser, Subcommand};

use crate::commands::cutover::CutoverFlags;
use crate::commands::dashboard::DashboardFlags;
use crate::commands::inspect::flags::InspectFlags;
use crate::commands::migrate::flags::MigrateFlags;
use crate::commands::prepare::flags::PrepareFlags;
use crate::commands::status::StatusFlags;
use crate::flags::{
    CheckFlags, CleanupFlags, CompletionsFlags, ConfigFlags, DemoFlags, ReplicateFlags, VersionFlags,
};
use crate::logs::flags::LogFlags;

/// Leave Dragonfly for Redis: replicate a running Dragonfly into a Redis.
#[derive(Debug, Parser)]
#[command(name = "df2redis-cli", version)]
pub(crate) struct Cli {
    /// The subcommand.
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    pub log: LogFlags,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look at both servers before the first byte is copied, and say what will go wrong.
    Prepare(Box<PrepareFlags>),
    /// Copy a running Dragonfly into a Redis and follow its writes until you stop the run.
    Replicate(Box<ReplicateFlags>),
    /// Copy a running Dragonfly into a Redis, and end with a report once the Redis has everything.
    Migrate(Box<MigrateFlags>),
    /// Compare the Dragonfly with the Redis that it is replicated into, key by key.
    Check(Box<CheckFlags>),
    /// Switch from the source to the target of a running replication.
    Cutover(Box<CutoverFlags>),
    /// Serve the page of a run in another process.
    Dashboard(Box<DashboardFlags>),
    /// Show what a run is doing.
    Status(Box<StatusFlags>),
    /// Remove the keys that df2redis keeps beside the data on a target, once the replication has ended for good.
    Cleanup(CleanupFlags),
    /// Replicate a recorded Dragonfly session into a temporary Redis and compare every key.
    Demo(DemoFlags),
    /// Report on, compare and convert snapshot files of Dragonfly, Redis and Valkey.
    Inspect(InspectFlags),
    /// Show or check the settings of a run, without starting it.
    Config(ConfigFlags),
    /// Print a script that completes commands and flags in a shell.
    Completions(CompletionsFlags),
    /// Print the manual, in the format of man pages.
    Man,
    /// Print the version, the range of the protocol, and the servers that it was tried with.
    Version(VersionFlags),
}
