//! Arguments of `inspect`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use dfly_rdb::payload::TargetFormat;
use dfly_translate::Policy;

use super::time::Moment;

/// Flags of `inspect`.
#[derive(Debug, Clone, Args)]
#[command(after_help = FILES)]
pub(crate) struct InspectFlags {
    /// The subcommand.
    #[command(subcommand)]
    pub what: What,
    /// Format of the results.
    #[arg(long, global = true, value_enum, default_value = "text", help_heading = OF_ALL)]
    pub format: Format,
    /// Write keys and values in base64 [default: escaped text].
    #[arg(long, global = true, help_heading = OF_ALL)]
    pub base64: bool,
    /// Process values that are larger than this in parts, in bytes or as 1MiB, to bound the memory.
    #[arg(long, global = true, value_name = "SIZE", default_value = "1MiB", value_parser = piece,
        help_heading = OF_ALL)]
    pub hold: usize,
}

/// Heading of the flags that all subcommands share.
const OF_ALL: &str = "Options of all inspect commands";

const FILES: &str = "FILE is an .rdb file of Dragonfly, Redis or Valkey, or any file of a Dragonfly set \
(NAME-summary.dfs, NAME-0000.dfs, ...), which stands for the whole set. Several files count as one data set.";

/// Format of the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Text for people.
    Text,
    /// JSON: one object, or one object per line.
    Json,
}

/// The subcommand.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum What {
    /// Count keys and bytes by type, encoding, database and expiry.
    Summary(SummaryFlags),
    /// List keys, one per line: database, type, encoding, bytes, elements, expiry, key.
    Keys(KeysFlags),
    /// Write keys with their values, one JSON object per line.
    Json(JsonFlags),
    /// Write commands that rebuild the data, for `redis-cli --pipe`.
    Resp(RespFlags),
    /// Show the biggest keys by bytes and by elements, over all types and for each type.
    Biggest(BiggestFlags),
    /// Show a tree of key prefixes with their keys and bytes.
    Prefixes(PrefixesFlags),
    /// List the keys in which two data sets differ; the exit code is 3 if there are any.
    Diff(DiffFlags),
    /// Write an RDB file that a given Redis or Valkey version loads.
    Convert(ConvertFlags),
}

/// Selects keys.
#[derive(Debug, Clone, Args)]
pub(crate) struct SelectFlags {
    /// Only keys that match this pattern: * is any text, ? any byte, [a-z] one of these, and \ makes the next character
    /// literal [default: all keys].
    #[arg(long = "match", value_name = "GLOB")]
    pub glob: Option<String>,
    /// Only keys of this type: string, list, set, hash, zset, stream, json, or a name as the TYPE command gives it; can be
    /// repeated [default: all types].
    #[arg(long = "type", value_name = "TYPE")]
    pub types: Vec<String>,
    /// Only keys of the database with this number; can be repeated [default: all databases].
    #[arg(long = "db", value_name = "N")]
    pub dbs: Vec<u32>,
    /// Only keys with an expiry [default: all keys].
    #[arg(long, conflicts_with = "persistent")]
    pub expires: bool,
    /// Only keys without an expiry [default: all keys].
    #[arg(long, conflicts_with_all = ["expires_before", "expires_after"])]
    pub persistent: bool,
    /// Only keys that expire before this time: 2030-01-31, 2030-01-31T12:00:00Z, or 7d from now (s, m, h, d) [default: no
    /// limit].
    #[arg(long, value_name = "TIME")]
    pub expires_before: Option<Moment>,
    /// Only keys that expire at this time or later, in the same form [default: no limit].
    #[arg(long, value_name = "TIME")]
    pub expires_after: Option<Moment>,
}

/// Flags of `inspect summary`.
#[derive(Debug, Clone, Args)]
pub(crate) struct SummaryFlags {
    /// The files to read.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
}

/// Flags of `inspect keys`.
#[derive(Debug, Clone, Args)]
pub(crate) struct KeysFlags {
    /// The files to read.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub select: SelectFlags,
    /// Only keys of at least this size (serialised key and value), in bytes or as 64KiB, 2MiB [default: no limit].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub min_size: Option<u64>,
    /// Only keys of at most this size, in the same form [default: no limit].
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub max_size: Option<u64>,
}

/// Flags of `inspect json`.
#[derive(Debug, Clone, Args)]
#[command(after_help = ROWS)]
pub(crate) struct JsonFlags {
    /// The files to read.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub select: SelectFlags,
}

const ROWS: &str = "Strings hold escaped text: \\\\, \\n, \\r, \\t, and \\xNN for bytes that are not text. \
Members and fields are sorted, unless the value is larger than --hold. expire_at_ms is -1 for keys that do not expire. \
The seconds in member_ttl and after fields count from the time when the file was written.";

/// Flags of `inspect resp`.
#[derive(Debug, Clone, Args)]
pub(crate) struct RespFlags {
    /// The files to read.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub select: SelectFlags,
    /// Server version that will receive the commands, such as redis-7.0 or valkey-9.1.
    #[arg(long, value_name = "SERVER", default_value = "redis-7.0")]
    pub target_version: TargetFormat,
    /// Write RESTORE commands where the server accepts them, except for values above --hold [default: ordinary commands].
    #[arg(long)]
    pub restore: bool,
    /// What to do with data that the server cannot hold: fail, warn or skip.
    #[arg(long, value_name = "POLICY", default_value = "fail")]
    pub on_unsupported: Policy,
}

/// Flags of `inspect biggest`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BiggestFlags {
    /// The files to read.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub select: SelectFlags,
    /// Number of keys to show in each list.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..))]
    pub top: u16,
}

/// Flags of `inspect prefixes`.
#[derive(Debug, Clone, Args)]
pub(crate) struct PrefixesFlags {
    /// The files to read.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub select: SelectFlags,
    /// Text that ends a prefix.
    #[arg(long, value_name = "TEXT", default_value = ":", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub separator: String,
    /// Number of levels to show, from 1 to 32.
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=32))]
    pub depth: u8,
    /// Only prefixes with at least this number of keys.
    #[arg(long, value_name = "KEYS", default_value_t = 1)]
    pub min: u64,
}

/// Flags of `inspect diff`.
#[derive(Debug, Clone, Args)]
pub(crate) struct DiffFlags {
    /// File of the first data set.
    #[arg(value_name = "A")]
    pub a: PathBuf,
    /// File of the second data set.
    #[arg(value_name = "B")]
    pub b: PathBuf,
    /// Milliseconds by which equal expiries may differ.
    #[arg(long, value_name = "MS", default_value_t = 0)]
    pub expiry_slack: u64,
}

/// Flags of `inspect convert`.
#[derive(Debug, Clone, Args)]
pub(crate) struct ConvertFlags {
    /// The files to read.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// The file to write.
    #[arg(required = true, value_name = "OUT")]
    pub out: PathBuf,
    #[command(flatten)]
    pub select: SelectFlags,
    /// Server version that will load the file, such as redis-7.0 or valkey-9.1.
    #[arg(long, value_name = "SERVER")]
    pub to: TargetFormat,
    /// What to do with data that the server cannot hold: fail, warn or skip.
    #[arg(long, value_name = "POLICY", default_value = "fail")]
    pub on_unsupported: Policy,
    /// Replace OUT if it exists [default: refuse].
    #[arg(long)]
    pub force: bool,
}

/// Minimum of `--hold`, in bytes. Smaller parts cost more than they hold.
const LEAST_PIECE: usize = 64;

fn piece(text: &str) -> Result<usize, String> {
    let size = usize::try_from(size(text)?).map_err(|error| error.to_string())?;
    if size < LEAST_PIECE { Err(format!("the minimum is {LEAST_PIECE} bytes")) } else { Ok(size) }
}

/// Parses a size such as `500`, `64KiB`, `64k`, `2MiB` or `1GiB`, into bytes.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let shift = match unit.to_ascii_lowercase().trim_end_matches("ib").trim_end_matches('b') {
        "" => 0,
        "k" => 10,
        "m" => 20,
        "g" => 30,
        _ => return Err(format!("\"{text}\" is not a size; write 500, 64KiB or 2MiB")),
    };
    let number: Option<u64> = number.parse().ok();
    let number = number.ok_or_else(|| format!("\"{text}\" does not start with a number"))?;
    number.checked_mul(1 << shift).ok_or_else(|| format!("\"{text}\" is too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in
            [("500", 500), ("64KiB", 65536), ("64k", 65536), ("2MB", 2 << 20), ("1GiB", 1 << 30), ("7b", 7)]
        {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "k", "12x", "-5", "99999999999g"] {
            assert!(size(text).is_err(), "{text}");
        }
        assert!(piece("10").unwrap_err().contains("the minimum is 64"));
    }
}
