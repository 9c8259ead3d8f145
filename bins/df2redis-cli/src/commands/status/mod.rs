//! `status`: what a run is doing, on one screen.

mod health;
mod saved;
mod screen;

use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use dfly_replica::StateFile;
use replica_api::client::{Client, ClientError};
use tokio::time::sleep;

use crate::config::{self, Environment};
use crate::control;
use crate::exit::Failure;
use crate::flags::{ReplicateFlags, Settings};
use crate::runtime;
use health::Health;
use screen::{Seen, screen};

/// Interval of `--watch`.
const REDRAW: Duration = Duration::from_secs(1);

const CODES: &str = "Exit codes: 0 the run is in order; 1 it is not, or there is none; 9 it is behind by more than ten seconds, or waits \
for the target.";

/// Flags of `status`.
#[derive(Debug, Clone, Args)]
#[command(after_help = CODES)]
pub(crate) struct StatusFlags {
    #[command(flatten)]
    pub run: ReplicateFlags,
    /// Show it again every second, until a signal arrives.
    #[arg(long)]
    pub watch: bool,
    /// Format of the output.
    #[arg(long, value_enum, default_value = "text")]
    pub format: StatusFormat,
}

/// Formats of `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusFormat {
    /// A screen for people.
    Text,
    /// One JSON object.
    Json,
}

pub(crate) fn run(flags: &StatusFlags, environment: &Environment) -> Result<(), Failure> {
    let resolved = config::resolve(&flags.run, environment).map_err(Failure::Usage)?;
    let settings = &resolved.settings;
    let runtime = runtime::of_one_thread()?;
    let Some(client) = control::find(settings)? else { return saved(settings) };
    runtime.block_on(async {
        match live(&client, flags).await {
            Err(Asked::Client(ClientError::Unreachable { .. })) if settings.control.control.is_none() => {
                saved(settings)
            }
            Err(Asked::Client(error)) => Err(Failure::Other(error.into())),
            Err(Asked::Output(failure)) => Err(failure),
            Ok(health) => health.code(),
        }
    })
}

/// Why nothing was shown.
enum Asked {
    Client(ClientError),
    Output(Failure),
}

async fn live(client: &Client, flags: &StatusFlags) -> Result<Health, Asked> {
    loop {
        let status = client.status().await.map_err(Asked::Client)?;
        let samples = client.history().await.map_err(Asked::Client)?;
        let checks = client.checks().await.map_err(Asked::Client)?;
        let health = Health::of(&status);
        let text = match flags.format {
            StatusFormat::Json => serde_json::to_string(&status).unwrap_or_default() + "\n",
            StatusFormat::Text => {
                screen(&Seen { status: &status, samples: &samples, checks: &checks }, &health)
            }
        };
        let is_drawn = flags.watch && flags.format == StatusFormat::Text;
        print(&text, is_drawn).map_err(Asked::Output)?;
        if !flags.watch {
            return Ok(health);
        }
        sleep(REDRAW).await;
    }
}

/// Writes it, over what was there before if it is drawn again.
fn print(text: &str, is_drawn: bool) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let clear = if is_drawn && out.is_terminal() { "\x1b[H\x1b[2J" } else { "" };
    write!(out, "{clear}{text}").and_then(|()| out.flush()).map_err(Failure::of_output)
}

/// What the state file says, when no run answers.
fn saved(settings: &Settings) -> Result<(), Failure> {
    let Some(dir) = &settings.state_dir else {
        return Err(Failure::Usage(
            "name the run: --state-dir as it was given to replicate, or --control".to_owned(),
        ));
    };
    let state = match dir.is_dir() {
        true => StateFile::in_dir(dir).and_then(|file| file.load()).context("no run answers")?,
        false => None,
    };
    let Some(state) = state else {
        return Err(Failure::Other(anyhow::anyhow!("no run has used the state directory {}", dir.display())));
    };
    print(&saved::screen(&state, dfly_replica::Clock::system().host().0), false)?;
    Err(Failure::Other(anyhow::anyhow!("no run answers; this is what the last one has saved")))
}
