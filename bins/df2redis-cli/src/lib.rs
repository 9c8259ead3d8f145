//! The command line of df2redis.
//!
//! What it is: [`main`] reads flags, variables and files, runs a command and ends with an exit code. Beside it, a configuration file
//! can be read alone.
//!
//! What it is not: it decides nothing about a replication. Others use the crates below it.
//!
//! ```
//! use df2redis_cli::{FileForm, shown_configuration};
//!
//! let shown = shown_configuration("source = 'dragonfly://:secret@db'\n[state]\ndir = 's'\n", FileForm::Toml);
//! assert_eq!(shown.unwrap(), "source = \"dragonfly://:***@db\"\nstate-dir = \"s\"\n");
//! ```

mod address;
mod cause;
mod cli;
mod commands;
mod config;
mod console;
mod control;
mod exit;
mod flags;
mod help;
mod hints;
mod logs;
mod reload;
mod runtime;
#[cfg(test)]
mod screens;
mod service;
mod settings;
mod stop;
mod time_flag;
mod tls;

use clap::FromArgMatches;

use crate::cli::{Cli, Command};
use crate::config::Environment;
use crate::console::Console;
use crate::exit::Failure;
use crate::logs::LogSettings;
use crate::logs::flags::LogFlags;

pub use config::{FileForm, shown_configuration};

/// Runs the command of this process's arguments.
pub fn main() -> std::process::ExitCode {
    let console = Console::on_stderr();
    let matches = help::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let variables = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    exit::code(run(cli, &variables.collect(), &console), &console)
}

fn run(cli: Cli, environment: &Environment, console: &Console) -> Result<(), Failure> {
    let Cli { command, log } = cli;
    let with_logs = || begin_logs(&log, environment, console);
    match command {
        Command::Replicate(mut flags) => {
            flags.settings.log = log;
            commands::replicate::run(&flags, environment, console)
        }
        Command::Prepare(mut flags) => {
            flags.run.settings.log = log;
            commands::prepare::run(&flags, environment, console)
        }
        Command::Migrate(mut flags) => {
            flags.run.settings.log = log;
            commands::migrate::run(&flags, environment, console)
        }
        Command::Check(mut flags) => {
            flags.settings.log = log;
            commands::check::run(&flags, environment, console)
        }
        Command::Cutover(flags) => with_logs().and_then(|()| commands::cutover::run(&flags, environment)),
        Command::Dashboard(flags) => with_logs().and_then(|()| commands::dashboard::run(&flags, environment)),
        Command::Status(flags) => with_logs().and_then(|()| commands::status::run(&flags, environment)),
        Command::Cleanup(flags) => with_logs().and_then(|()| commands::cleanup::run(&flags)),
        Command::Demo(flags) if flags.live.is_some() => commands::demo::run_live(&flags, &log, console),
        Command::Demo(flags) => with_logs().and_then(|()| commands::demo::run(&flags, console)),
        Command::Inspect(flags) => with_logs().and_then(|()| commands::inspect::run(&flags, console)),
        Command::Config(flags) => commands::config::run(&flags, &log, environment),
        Command::Completions(flags) => commands::about::completions(&flags),
        Command::Man => commands::about::man(),
        Command::Version(flags) => commands::about::show_version(&flags),
    }
}

/// Begins the logs of a command that has no configuration file.
fn begin_logs(flags: &LogFlags, environment: &Environment, console: &Console) -> Result<(), Failure> {
    let flags = config::log_flags(flags, environment).map_err(Failure::Usage)?;
    let settings = LogSettings::new(&flags, None).map_err(Failure::Usage)?;
    logs::install(&settings.plain_if(config::is_plain(environment)), console)
        .map(drop)
        .map_err(Failure::Usage)
}
