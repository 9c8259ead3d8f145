//! `migrate`: copies a running Dragonfly, follows its writes until the target has everything, and ends with a report.

pub(crate) mod flags;
mod goal;
mod redis_shake;
mod rehearsal;
mod report;

use std::io::Write;

use dfly_check::{CheckError, SideError};

use crate::commands::check;
use crate::commands::prepare::start as checked_start;
use crate::commands::replication::Start;
use crate::config::Environment;
use crate::console::Console;
use crate::exit::Failure;
use crate::runtime;
use flags::{EngineKind, MigrateFlags, MigrateFormat};
use goal::{Missed, Reached, reach};
use report::{MigrationReport, Sides};

/// How many keys that differ are listed.
const LISTED: usize = 100;

pub(crate) fn run(flags: &MigrateFlags, environment: &Environment, console: &Console) -> Result<(), Failure> {
    let start = Start::new(&flags.run, environment, console)?;
    let runtime = runtime::of_threads()?;
    let config = start.engine_config()?;
    if flags.goal.engine == EngineKind::RedisShake {
        return runtime.block_on(redis_shake::migrate(&config, &flags.goal, console));
    }
    if flags.goal.dry_run {
        runtime.block_on(checked_start::before_start(checked_start::checks(
            config.clone(),
            start.settings(),
        )?))?;
        return runtime.block_on(rehearsal::show(&config, flags.goal.format));
    }
    let sides = Sides::of(&config);
    let (report, reached) = runtime.block_on(start.run(|begun| reach(begun, &flags.goal)))?;
    match reached {
        Some(Ok(reached)) => {
            let told = MigrationReport::new(sides, &report, &reached);
            print(&told, &reached, flags.goal.format).map_err(Failure::of_output)?;
            verdict(&reached)
        }
        Some(Err(Missed::NotCompared(CheckError::Side(SideError::Target(error))))) => Err(error.into()),
        Some(Err(Missed::NotCompared(error))) => Err(Failure::Incomplete(format!(
            "the target has everything, but it could not be compared: {error}"
        ))),
        Some(Err(Missed::Ended)) | None => Err(Failure::Unfinished(
            "stopped before the target had everything; run it again, and it goes on".to_owned(),
        )),
    }
}

fn print(report: &MigrationReport, reached: &Reached, format: MigrateFormat) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match format {
        MigrateFormat::Json => writeln!(out, "{}", serde_json::to_string(report)?)?,
        MigrateFormat::Text => {
            let found = reached.verdict.as_ref().map(|(_, store)| store.findings(None, LISTED));
            for (pair, finding) in found.transpose().map_err(std::io::Error::other)?.unwrap_or_default() {
                writeln!(out, "{}", dfly_check::line(&pair, &finding))?;
            }
            write!(out, "{}", report.text())?;
        }
    }
    out.flush()
}

fn verdict(reached: &Reached) -> Result<(), Failure> {
    match &reached.verdict {
        Some((summary, _)) => check::result(summary),
        None => Ok(()),
    }
}
