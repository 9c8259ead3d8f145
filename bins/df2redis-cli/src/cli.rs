//! What can be typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use serde::Deserialize;

use crate::commands::inspect::flags::InspectFlags;
use crate::tls::{TargetTlsFlags, TlsFlags};

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
3 the comparison found differences; 4 cannot go on from where the run before stood: another source, other settings, or something was refused; --force-resync starts over; 5 the target refused or cannot hold something; 6 a key is on both sides, and --on-conflict is panic";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Copy a running Dragonfly into a Redis, and follow its writes until stopped.
    Replicate(Box<ReplicateFlags>),
    /// Remove what this tool keeps beside the keys on a target: positions, and what it has noted of keys. To be run when the
    /// replication has come to its end for good.
    Cleanup(CleanupFlags),
    /// Replicate a recorded Dragonfly into a throw-away Redis and compare every key.
    Demo(DemoFlags),
    /// Look into snapshot files of Dragonfly, Redis and Valkey, compare them, and turn them into others.
    Inspect(InspectFlags),
}

/// Flags of `replicate`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ReplicateFlags {
    #[command(flatten)]
    pub settings: Settings,
    /// A TOML file with the same settings.
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Synchronise fully, even if the target holds positions from which the source could resume.
    #[arg(long)]
    pub force_resync: bool,
}

/// Flags of `cleanup`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CleanupFlags {
    /// The Redis or Valkey, or a node of the cluster, as for replicate.
    #[arg(long, value_name = "URL")]
    pub target: String,
    /// As for replicate.
    #[arg(long, value_name = "MODE")]
    pub target_mode: Option<String>,
    /// The task whose keys are removed; those of other tasks are spared [default: none].
    #[arg(long, value_name = "NAME")]
    pub task_name: Option<String>,
    /// Only count.
    #[arg(long)]
    pub dry_run: bool,
    /// Also while a run writes to the target, which starts over then.
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub tls: TargetTlsFlags,
}

/// What can stand in the configuration file too, under the same names; a flag goes before the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Settings {
    /// The Dragonfly to follow.
    #[arg(
        long,
        value_name = "URL",
        help = "The Dragonfly to follow: dragonfly://[user:password@]host[:port], or dragonflys:// for TLS"
    )]
    pub source: Option<String>,
    /// The Redis or Valkey to write to.
    #[arg(
        long,
        value_name = "URL",
        help = "The Redis or Valkey to write to, or any node of a cluster: redis://[user:password@]host[:port], or rediss:// for TLS; behind Sentinel, redis+sentinel://[user:password@]host[:port][,host[:port]...]/service"
    )]
    pub target: Option<String>,
    /// What the target is: auto (as it says itself), standalone or cluster [default: auto].
    #[arg(long, value_name = "MODE")]
    pub target_mode: Option<String>,
    /// A name for this task, so that several runs can write to one target: reserved keys and connections carry it
    /// [default: none].
    #[arg(long, value_name = "NAME")]
    pub task_name: Option<String>,
    /// In a cluster, positions wait until so many replicas of each primary have what they stand behind, or all that it has.
    /// With 0, a replica that takes over may lack some, and everything is synchronised again then [default: 1].
    #[arg(long, value_name = "REPLICAS")]
    pub wait_replicas: Option<u16>,
    /// A directory for what is kept locally: the state of the run, and the journal while the target is slower than the
    /// source.
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// The most that is kept of each flow's journal in the state directory, such as 500MiB; 0 for none [default: 8GiB].
    #[arg(long, value_name = "SIZE")]
    pub relay_max_bytes: Option<String>,
    /// The most memory for what is on its way from the source to the target, over all flows. Three eighths of it are the
    /// largest record or element that can be copied [default: 256MiB].
    #[arg(long, value_name = "SIZE")]
    pub memory_limit: Option<String>,
    /// What to do with what the target cannot hold: fail, warn or skip [default: fail]; by kind: json=string,bloom=skip,
    /// member-ttl=emulate|drop|fail.
    #[arg(long, value_name = "POLICY")]
    pub on_unsupported: Option<String>,
    /// What a first start does with keys that the target holds: require-empty, merge, mirror or flush
    /// [default: require-empty].
    #[arg(long, value_name = "WHAT")]
    pub on_start: Option<String>,
    /// With --on-start merge, what becomes of keys that both hold: overwrite, skip (the target's key stays, whatever the
    /// source does with it) or panic (the run stops before it) [default: overwrite].
    #[arg(long, value_name = "WHAT")]
    pub on_conflict: Option<String>,
    /// Where databases go: 0=5,3=0,7=skip. Others stay where they are.
    #[arg(long, value_name = "MAP")]
    pub map_db: Option<String>,
    /// Take only keys that fit one of these patterns (*, ?, [a-z]).
    #[arg(long, value_name = "GLOB")]
    pub allow_keys: Vec<String>,
    /// Leave out keys that fit one of these patterns.
    #[arg(long, value_name = "GLOB")]
    pub block_keys: Vec<String>,
    /// Take only values of these types: string, list, set, hash, zset, stream, json, bloom, cuckoo, cms, topk.
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub allow_types: Vec<String>,
    /// Leave out values of these types.
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub block_types: Vec<String>,
    /// Take only these commands of the journal.
    #[arg(long, value_name = "COMMAND", value_delimiter = ',')]
    pub allow_commands: Vec<String>,
    /// Leave out these commands of the journal, such as FLUSHALL.
    #[arg(long, value_name = "COMMAND", value_delimiter = ',')]
    pub block_commands: Vec<String>,
    /// Keys that begin with OLD begin with NEW on the target.
    #[arg(long, value_name = "OLD=NEW")]
    pub rename_keys: Vec<String>,
    /// End the run when the source or the target stays away for this long; without it, it is tried for ever.
    #[arg(long, value_name = "SECONDS")]
    pub give_up_after: Option<u64>,
    /// Read the snapshot no faster than this, over all flows, such as 50MiB.
    #[arg(long, value_name = "SIZE")]
    pub snapshot_bytes_per_second: Option<String>,
    /// Send the target no more than this many commands a second, over all flows.
    #[arg(long, value_name = "COMMANDS")]
    pub target_ops_per_second: Option<u64>,
    #[command(flatten)]
    #[serde(flatten)]
    pub tls: TlsFlags,
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
