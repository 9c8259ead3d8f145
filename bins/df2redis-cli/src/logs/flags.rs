//! Flags of the logs.

use std::path::PathBuf;

use clap::Args;
use serde::{Deserialize, Serialize};

/// Where log lines go, and how they look. They are settings of the configuration file too.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct LogFlags {
    /// Format of the log lines: text, or json (one object per line) [default: text].
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<String>,
    /// Lowest level of the log lines to show: error (only errors that stop the run), warn (also problems that the run survives),
    /// info (also changes of phase), debug (also unusual events that are handled) or trace (everything); keys appear only at
    /// debug and trace, values never [default: info].
    #[arg(long, global = true, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Directory for log files, beside standard error [default: none].
    #[arg(long, global = true, value_name = "DIR")]
    pub log_dir: Option<PathBuf>,
    /// Name of the log file, to which .log is added [default: the task's name, or df2redis].
    #[arg(long, global = true, value_name = "NAME")]
    pub log_name: Option<String>,
    /// Size at which another log file is begun, in bytes or as 50MiB [default: 50MiB].
    #[arg(long, global = true, value_name = "SIZE")]
    pub log_max_size: Option<String>,
    /// How many log files are kept, the one that is written among them [default: 5].
    #[arg(long, global = true, value_name = "FILES")]
    pub log_files: Option<u16>,
    /// Show no emoji on a terminal; the variable NO_COLOR does the same [default: emoji on a terminal].
    #[arg(long, global = true)]
    pub no_emoji: bool,
}
