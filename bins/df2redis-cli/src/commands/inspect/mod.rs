//! `inspect`: shows the contents of snapshot files. Each subcommand is a file; the shared parts are beside them.
//!
//! Memory is bounded, whatever the size of the files. It holds one read buffer, one value of up to `--hold` bytes or one
//! part of that size, and what cannot be split (a listpack, a compressed block of Dragonfly, the groups of a stream).

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

/// The context of a subcommand.
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
