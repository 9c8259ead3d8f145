//! `inspect`: what stands in snapshot files. One file a subcommand; what they share is beside them.
//!
//! Memory is bounded whatever the size of the files: what is read at a time, one value of up to `--hold` bytes, parts of
//! that size of larger ones, and what cannot be cut (a listpack, a compressed block of Dragonfly, a stream's groups).

mod biggest;
mod convert;
mod diff;
mod facts;
mod files;
pub(crate) mod flags;
mod json;
mod keys;
mod losses;
mod out;
mod partial;
mod partition;
mod prefixes;
mod progress;
mod resp;
mod row;
mod select;
mod summary;
mod table;
mod text;
mod time;
mod tree;

use dfly_rdb::Config;

use crate::console::Console;
use crate::exit::Failure;
use flags::{Format, InspectFlags, What};
use text::ByteForm;

/// What all subcommands need.
pub(crate) struct Session<'a> {
    pub console: &'a Console,
    pub format: Format,
    pub form: ByteForm,
    pub config: Config,
}

pub(crate) fn run(flags: &InspectFlags, console: &Console) -> Result<(), Failure> {
    let mut config = Config::default();
    config.limits.piece = flags.hold;
    let form = if flags.base64 { ByteForm::Base64 } else { ByteForm::Escaped };
    let session = Session { console, format: flags.format, form, config };
    let done = match &flags.what {
        What::Summary(flags) => summary::run(flags, &session),
        What::Keys(flags) => keys::run(flags, &session),
        What::Json(flags) => json::run(flags, &session),
        What::Resp(flags) => resp::run(flags, &session),
        What::Biggest(flags) => biggest::run(flags, &session),
        What::Prefixes(flags) => prefixes::run(flags, &session),
        What::Diff(flags) => diff::run(flags, &session),
        What::Convert(flags) => convert::run(flags, &session),
    };
    console.clear_progress();
    done
}
