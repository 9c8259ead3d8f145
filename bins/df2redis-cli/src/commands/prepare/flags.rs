//! Arguments of `prepare`.

use clap::{Args, ValueEnum};

use crate::flags::ReplicateFlags;

const OF_PREPARE: &str = "Options of the checks";

/// The exit codes of `prepare`.
const CODES: &str = "Exit codes: 0 nothing keeps a run from its end (there may be warnings); 13 something does; 2 wrong settings.";

/// Flags of `prepare`.
#[derive(Debug, Clone, Args)]
#[command(after_help = CODES)]
pub(crate) struct PrepareFlags {
    #[command(flatten)]
    pub run: ReplicateFlags,
    #[command(flatten)]
    pub told: ToldFlags,
}

/// What is looked at besides, and how it is told.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = OF_PREPARE)]
pub(crate) struct ToldFlags {
    /// Begin a snapshot, read it for three seconds, and leave it, to tell how long the whole takes.
    #[arg(long)]
    pub measure: bool,
    /// Format of the report.
    #[arg(long, value_enum, default_value = "text")]
    pub format: PrepareFormat,
}

/// Formats of the report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PrepareFormat {
    /// A table for people.
    Text,
    /// One JSON object, as docs/prepare.md describes it.
    Json,
}
