//! Flags of commands that have no file of their own, and the settings that a configuration file can hold too.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::Shell;
use serde::{Deserialize, Serialize};

use crate::commands::check::flags as check;
use crate::control::flags::ControlFlags;
use crate::logs::flags::LogFlags;
use crate::tls::{TargetTlsFlags, TlsFlags};

/// Flags of `replicate`.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ReplicateFlags {
    #[command(flatten)]
    pub settings: Settings,
    /// File with the same settings, in TOML, or in YAML as the Go tool has it; a flag overrides the file [default: no file].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Synchronise fully, even if the target holds a checkpoint to resume from [default: resume].
    #[arg(long)]
    pub force_resync: bool,
}

/// Flags of `check`.
#[derive(Debug, Clone, Args)]
#[command(after_help = check::CODES, args_conflicts_with_subcommands = true)]
pub(crate) struct CheckFlags {
    /// What to do instead of comparing.
    #[command(subcommand)]
    pub action: Option<check::CheckAction>,
    #[command(flatten)]
    pub settings: Settings,
    /// TOML file with the settings of the replication; a flag overrides the file [default: no file].
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    #[command(flatten)]
    pub compared: check::ComparedFlags,
}

/// Flags of `cleanup`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CleanupFlags {
    /// URL of the Redis or Valkey, or of any node of the cluster, in the same form as for replicate.
    #[arg(long, value_name = "URL")]
    pub target: String,
    /// File with the password of the target, for its user or the default user [default: the password of the URL].
    #[arg(long, value_name = "FILE")]
    pub target_password_file: Option<PathBuf>,
    /// File with the password of the Sentinels [default: the sentinel-password of the URL].
    #[arg(long, value_name = "FILE")]
    pub sentinel_password_file: Option<PathBuf>,
    /// Kind of target: auto (ask the target), standalone or cluster [default: auto].
    #[arg(long, value_name = "MODE")]
    pub target_mode: Option<String>,
    /// Where a node of a cluster is reached that announces an address of no use from here, in the same form as for replicate;
    /// can be repeated [default: nodes are reached as announced].
    #[arg(long, value_name = "ANNOUNCED=REACHABLE")]
    pub target_address_map: Vec<String>,
    /// Name of the task whose keys are removed; other tasks' keys stay [default: none].
    #[arg(long, value_name = "NAME")]
    pub task_name: Option<String>,
    /// Count the keys, but remove none [default: remove them].
    #[arg(long)]
    pub dry_run: bool,
    /// Remove the keys even while a run writes to the target; that run then starts over [default: refuse].
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub tls: TargetTlsFlags,
}

/// The settings that the configuration file can hold too, under the same names. A flag overrides the file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Settings {
    /// URL of the Dragonfly to replicate.
    #[arg(
        long,
        value_name = "URL",
        help = "URL of the Dragonfly to replicate: dragonfly://[user:password@]host[:port][,host[:port]...], or dragonflys:// for TLS; of several addresses, the one that is the master is followed"
    )]
    pub source: Option<String>,
    /// URL of the Redis or Valkey to write to.
    #[arg(
        long,
        value_name = "URL",
        help = "URL of the Redis or Valkey to write to, or of any nodes of a cluster: redis://[user:password@]host[:port][,host[:port]...], or rediss:// for TLS; behind Sentinel, redis+sentinel://[user:password@]host[:port][,host[:port]...]/service"
    )]
    pub target: Option<String>,
    /// File with the password of the source, for the user of its URL or the default user. It is read for every new connection,
    /// so the password may change while the run goes on [default: the password of the URL].
    #[arg(long, value_name = "FILE")]
    pub source_password_file: Option<PathBuf>,
    /// The same for the target.
    #[arg(
        long,
        value_name = "FILE",
        help = "The same for the target, and for every node of a cluster [default: the password of the URL]"
    )]
    pub target_password_file: Option<PathBuf>,
    /// The same for the Sentinels [default: the sentinel-password of the URL].
    #[arg(long, value_name = "FILE")]
    pub sentinel_password_file: Option<PathBuf>,
    /// Kind of target: auto (ask the target), standalone or cluster [default: auto].
    #[arg(long, value_name = "MODE")]
    pub target_mode: Option<String>,
    /// Where a node of a cluster is reached that announces an address of no use from here: HOST:PORT=HOST:PORT, or
    /// HOST=HOST for all ports, announced first; can be repeated [default: nodes are reached as announced].
    #[arg(long, value_name = "ANNOUNCED=REACHABLE")]
    pub target_address_map: Vec<String>,
    /// Name of this task, carried by its reserved keys and connections, so that several runs can write to one target
    /// [default: none].
    #[arg(long, value_name = "NAME")]
    pub task_name: Option<String>,
    /// In a cluster: replicas per primary that must acknowledge before a checkpoint is stored (all, if a primary has fewer);
    /// with 0, a fail-over of a primary may cost a full synchronisation [default: 1].
    #[arg(long, value_name = "REPLICAS")]
    pub wait_replicas: Option<u16>,
    /// What to do with a target that evicts keys when its memory is full (maxmemory-policy other than noeviction): refuse, or
    /// warn (write to it, and count what it evicts) [default: refuse].
    #[arg(long, value_name = "WHAT")]
    pub on_eviction: Option<String>,
    /// Directory for the state file and for the relay log, which keeps the journal while the target is slower than the
    /// source [default: none, nothing is kept on disk].
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Maximum size of the relay log of each flow, in bytes or as 500MiB; 0 disables the relay log [default: 8GiB].
    #[arg(long, value_name = "SIZE")]
    pub relay_max_bytes: Option<String>,
    /// What to do when the relay log is full: close (leave the source, so that its clients do not wait, and ask it for the rest
    /// when the target is back), throttle (slow the source down) or stop [default: close].
    #[arg(long, value_name = "WHAT")]
    pub on_relay_full: Option<String>,
    /// Maximum memory for data in transit, over all flows, in bytes or as 500MiB, at least 16MiB; a fourth of it
    /// bounds the largest record or element that can be copied [default: 256MiB].
    #[arg(long, value_name = "SIZE")]
    pub memory_limit: Option<String>,
    /// What to do with data that the target cannot hold: fail, warn or skip, or by kind: json=string, bloom=skip,
    /// member-ttl=emulate|drop|fail [default: fail].
    #[arg(long, value_name = "POLICY")]
    pub on_unsupported: Option<String>,
    /// Whether to read keys again where the source's journal may not say what the source did: faithful, or cheap, which leaves
    /// out what costs the source much (docs/source-quirks.md) [default: faithful].
    #[arg(long, value_name = "WHAT")]
    pub quirks: Option<String>,
    /// What a first start does with a target that holds keys: require-empty, merge, mirror or flush
    /// [default: require-empty].
    #[arg(long, value_name = "WHAT")]
    pub on_start: Option<String>,
    /// What to do when another source answers than the one that was followed, such as one that was restarted: resync, wait
    /// (synchronise fully if it holds enough of the keys, otherwise leave the target as it is until the data is back) or stop
    /// [default: wait].
    #[arg(long, value_name = "WHAT")]
    pub on_new_source: Option<String>,
    /// With --on-new-source wait, the share of its keys that the source must still hold, in percent [default: 50].
    #[arg(long, value_name = "PERCENT")]
    pub new_source_share: Option<u8>,
    /// Maximum share of the target's keys that a full synchronisation may remove because the source does not have them, in
    /// percent; beyond it none is removed [default: 50].
    #[arg(long, value_name = "PERCENT")]
    pub max_removals: Option<u8>,
    /// With --on-start merge, what to do with a key that both sides hold: overwrite, skip (the target's key stays, whatever
    /// the source does with it) or panic (the run stops before the key is written) [default: overwrite].
    #[arg(long, value_name = "WHAT")]
    pub on_conflict: Option<String>,
    /// Where each database goes, such as 0=5,3=0,7=skip [default: to the same database].
    #[arg(long, value_name = "MAP")]
    pub map_db: Option<String>,
    /// Copy only keys that match this pattern (*, ?, [a-z]); can be repeated [default: all keys].
    #[arg(long, value_name = "GLOB")]
    pub allow_keys: Vec<String>,
    /// Leave out keys that match this pattern; can be repeated [default: no keys].
    #[arg(long, value_name = "GLOB")]
    pub block_keys: Vec<String>,
    /// Copy only values of these types: string, list, set, hash, zset, stream, json, bloom, cuckoo, cms, topk [default: all
    /// types].
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub allow_types: Vec<String>,
    /// Leave out values of these types [default: no types].
    #[arg(long, value_name = "TYPE", value_delimiter = ',')]
    pub block_types: Vec<String>,
    /// Apply only these commands of the journal [default: all commands].
    #[arg(long, value_name = "COMMAND", value_delimiter = ',')]
    pub allow_commands: Vec<String>,
    /// Leave out these commands of the journal, such as FLUSHALL [default: no commands].
    #[arg(long, value_name = "COMMAND", value_delimiter = ',')]
    pub block_commands: Vec<String>,
    /// Command that another name in the journal stands for, if the source has --command_alias or --rename_command; can be
    /// repeated [default: no aliases].
    #[arg(long, value_name = "ALIAS=COMMAND", value_delimiter = ',')]
    pub command_alias: Vec<String>,
    /// Replace the key prefix OLD with NEW on the target; can be repeated [default: names stay].
    #[arg(long, value_name = "OLD=NEW")]
    pub rename_keys: Vec<String>,
    /// Seconds between two checkpoints of a cluster, and between two acknowledgements to the source, from 1 to 10. A single
    /// server holds the positions of every transaction [default: 1].
    #[arg(long, value_name = "SECONDS")]
    pub checkpoint_interval: Option<u64>,
    /// Seconds between two writes of the state file, at least 1 [default: 5].
    #[arg(long, value_name = "SECONDS")]
    pub state_interval: Option<u64>,
    /// Seconds that the source or the target may be unreachable before the run ends [default: retry for ever].
    #[arg(long, value_name = "SECONDS")]
    pub give_up_after: Option<u64>,
    /// Checks that are not made before a first start, by their names (df2redis-cli prepare shows them); can be repeated
    /// [default: all checks are made].
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub skip_checks: Vec<String>,
    /// Maximum read rate of the snapshot, over all flows, in bytes per second or as 50MiB [default: no limit].
    #[arg(long, value_name = "SIZE")]
    pub snapshot_bytes_per_second: Option<String>,
    /// Maximum rate of commands to the target, over all flows, in commands per second [default: no limit].
    #[arg(long, value_name = "COMMANDS")]
    pub target_ops_per_second: Option<u64>,
    #[command(flatten)]
    #[serde(flatten)]
    pub control: ControlFlags,
    #[command(flatten)]
    #[serde(flatten)]
    pub tls: TlsFlags,
    /// They are flags of every command.
    #[arg(skip)]
    #[serde(flatten)]
    pub log: LogFlags,
}

/// Flags of `demo`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DemoFlags {
    /// The redis-server program to start.
    #[arg(long, value_name = "FILE", default_value = "redis-server")]
    pub redis_server: PathBuf,
    /// Replicate a master that keeps writing for so many seconds, so that status, check and cutover can be tried meanwhile
    /// [default: a recorded session].
    #[arg(long, value_name = "SECONDS")]
    pub live: Option<u64>,
    /// With --live, directory for the state and the socket [default: a temporary one].
    #[arg(long, value_name = "DIR", requires = "live")]
    pub state_dir: Option<PathBuf>,
    /// With --live, address of the page that shows the run; empty for none. If the default is taken by another run, there is a
    /// warning and no page [default: 127.0.0.1:9379].
    #[arg(long, value_name = "ADDRESS", requires = "live")]
    pub dashboard_addr: Option<String>,
}

/// Flags of `config`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConfigFlags {
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// What is done with the settings.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Print the settings that are in effect, as a configuration file; passwords are not shown.
    Print(Box<PrintFlags>),
    /// Check the settings and say what is wrong with them, or what has no meaning.
    Check(Box<ReplicateFlags>),
}

/// Flags of `config print`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PrintFlags {
    #[command(flatten)]
    pub run: ReplicateFlags,
    /// Show which file, variable or flag each value is from [default: values alone].
    #[arg(long)]
    pub origin: bool,
    /// Show the settings that have their default too [default: only those that are given].
    #[arg(long)]
    pub all: bool,
    /// Format of the output: toml or json [default: toml].
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<String>,
}

/// Flags of `version`.
#[derive(Debug, Clone, Args)]
pub(crate) struct VersionFlags {
    /// Format of the output.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub format: VersionFormat,
}

/// Formats of `version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum VersionFormat {
    /// Lines for people.
    Text,
    /// One JSON object.
    Json,
}

/// Flags of `completions`.
#[derive(Debug, Clone, Args)]
pub(crate) struct CompletionsFlags {
    /// The shell that they are for.
    pub shell: Shell,
}
