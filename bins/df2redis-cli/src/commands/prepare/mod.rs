//! `prepare`: looks at both ends before the first byte. The same checks are made before a first start.

pub(crate) mod flags;
pub(super) mod start;
mod table;

use std::io::Write;

use dfly_prepare::Report;

use super::replication;
use crate::config::Environment;
use crate::console::Console;
use crate::exit::Failure;
use crate::runtime;
use flags::{PrepareFlags, PrepareFormat};
use start::{blocked, checks};

pub(crate) fn run(flags: &PrepareFlags, environment: &Environment, console: &Console) -> Result<(), Failure> {
    let start = replication::Start::new(&flags.run, environment, console)?;
    let mut prepare = checks(start.engine_config()?, start.settings())?;
    prepare.measures = flags.told.measure;
    let runtime = runtime::of_threads()?;
    let report = runtime.block_on(prepare.run());
    print(&report, flags.told.format).map_err(Failure::of_output)?;
    blocked(report.blocking())
}

fn print(report: &Report, format: PrepareFormat) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        PrepareFormat::Json => writeln!(out, "{}", serde_json::to_string(report)?)?,
        PrepareFormat::Text => out.write_all(table::text(report, table::width()).as_bytes())?,
    }
    out.flush()
}
