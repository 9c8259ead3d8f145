//! The command line of df2redis: it reads flags and files and ends with an exit code.

mod address;
mod cli;
mod commands;
mod config;
mod console;
mod exit;
mod hints;
mod settings;
mod stop;
mod tls;

use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> std::process::ExitCode {
    let cli = Cli::parse();
    let console = console::Console::on_stderr();
    console.install_logs(cli.log_format, cli.log_level);
    let done = match cli.command {
        Command::Replicate(flags) => commands::replicate::run(&flags, &console),
        Command::Check(flags) => commands::check::run(&flags, &console),
        Command::Cleanup(flags) => commands::cleanup::run(&flags),
        Command::Demo(flags) => commands::demo::run(&flags, &console),
        Command::Inspect(flags) => commands::inspect::run(&flags, &console),
    };
    exit::code(done, &console)
}
