//! Arguments of `check`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use dfly_check::{Mode, Sample};

use crate::time_flag::time;

/// Heading of the flags that `check` has beside those of `replicate`.
const OF_CHECK: &str = "Options of the comparison";

/// The exit codes of `check`.
pub(crate) const CODES: &str = "Exit codes: 0 both sides are equal (what a policy leaves out is counted, and changes nothing); \
3 they differ; 8 not everything could be compared, and what was is equal.";

/// The flags that `check` has beside those of `replicate`.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = OF_CHECK)]
pub(crate) struct ComparedFlags {
    /// How much of each key is compared: outline (existence, type, expiry), length (also how many elements or bytes), full
    /// (everything) or smart (everything, but of large values the length and samples).
    #[arg(long, value_name = "MODE", default_value = "full")]
    pub mode: Mode,
    /// Expiries this close to each other are equal, such as 1s or 500ms.
    #[arg(long, value_name = "TIME", default_value = "1s", value_parser = time, hide_short_help = true)]
    pub expiry_tolerance: Duration,
    /// With --mode smart: strings of more bytes and collections of more elements are large.
    #[arg(long, value_name = "COUNT", default_value_t = 16384, hide_short_help = true)]
    pub big_key_threshold: u64,
    /// How many times what differs is compared: writes that were under way pass meanwhile.
    #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..), hide_short_help = true)]
    pub rounds: u32,
    /// The pause before what differs is compared again, such as 5s.
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time, hide_short_help = true)]
    pub round_pause: Duration,
    /// How many connections there are to each side.
    #[arg(long, value_name = "COUNT", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64), hide_short_help = true)]
    pub connections: u16,
    /// Compare only this share of the keys, such as 1%, and say what it tells about all [default: all keys].
    #[arg(long, value_name = "SHARE")]
    pub sample: Option<Sample>,
    /// Which keys a sample has: another number chooses others.
    #[arg(long, value_name = "NUMBER", default_value_t = 0, hide_short_help = true)]
    pub sample_seed: u64,
    /// Maximum requests in a second, over both sides [default: no limit].
    #[arg(long, value_name = "REQUESTS", hide_short_help = true)]
    pub qps: Option<u64>,
    /// Maximum size of all replies in a second, over both sides, in bytes or as 50MiB [default: no limit].
    #[arg(long, value_name = "SIZE", hide_short_help = true)]
    pub bandwidth: Option<String>,
    /// File for what was found, which `check report` opens later [default: none, nothing is kept].
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Go on with the comparison in the file of --report that was stopped.
    #[arg(long, requires = "report", hide_short_help = true)]
    pub resume: bool,
    /// Format of the results.
    #[arg(long, value_enum, default_value = "text")]
    pub format: ReportFormat,
    /// How many differences the text lists; JSON lists all.
    #[arg(long, value_name = "COUNT", default_value_t = 100, hide_short_help = true)]
    pub list: usize,
    #[command(flatten)]
    pub repairs: RepairFlags,
    /// Who compares: this tool, or redis-full-check if it is installed.
    #[arg(long, value_enum, default_value = "df2redis", hide_short_help = true)]
    pub engine: EngineKind,
    /// The program of --engine redis-full-check [default: redis-full-check, looked up in PATH].
    #[arg(long, value_name = "FILE", hide_short_help = true)]
    pub engine_binary: Option<PathBuf>,
}

/// The flags of a repair.
#[derive(Debug, Clone, Copy, Args)]
#[command(next_help_heading = OF_CHECK)]
pub(crate) struct RepairFlags {
    /// Make the target equal where it differs. It needs a running replication, or --offline.
    #[arg(long)]
    pub repair: bool,
    /// Nobody writes to the source, so that values can be copied without a replication.
    #[arg(long, requires = "repair")]
    pub offline: bool,
    /// Say what --repair would do, and change nothing.
    #[arg(long, requires = "repair")]
    pub dry_run: bool,
}

/// What `check` does instead of comparing.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum CheckAction {
    /// Show what an earlier comparison has found.
    Report(ReportFlags),
}

/// Flags of `check report`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ReportFlags {
    /// The file that --report named.
    pub file: PathBuf,
    /// Format of the results.
    #[arg(long, value_enum, default_value = "text")]
    pub format: ReportFormat,
    /// How many differences the text lists; JSON lists all.
    #[arg(long, value_name = "COUNT", default_value_t = 100)]
    pub list: usize,
}

/// Format of the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// Lines for people, and the result behind them.
    Text,
    /// One JSON object a line, the result last.
    Json,
}

/// Who compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineKind {
    /// This tool.
    Df2redis,
    /// redis-full-check, which must be installed.
    RedisFullCheck,
}
