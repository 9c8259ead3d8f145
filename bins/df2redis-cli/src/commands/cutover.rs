//! `cutover`: switches from the source to the target of a running replication.

use std::io::Write;
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use dfly_cutover::{Method, Stage, Verify};
use replica_api::client::{Client, ClientError};
use replica_api::wire::{CutoverRequest, CutoverState};
use tokio::process::Command;
use tokio::time::sleep;

use crate::config::{self, Environment};
use crate::control;
use crate::exit::Failure;
use crate::flags::ReplicateFlags;
use crate::runtime;

/// How often it is asked how far it has come.
const LOOK: Duration = Duration::from_millis(20);

const CODES: &str = "\
Exit codes: 0 safe to switch, or released with nothing written since; 1 the run does not answer; 2 wrong flags; 10 writes go on at the \
source, because something was in doubt; 11 safe, but the hook behind it failed, and writes stay stopped; 12 the source was written to \
since it was safe.

After \"safe to switch\" writes stay stopped, and the replication goes on, until cutover --release. Move your clients, then release: \
what they still sent to the source comes to the target too, and is told.";

/// Flags of `cutover`.
#[derive(Debug, Clone, Args)]
#[command(after_help = CODES)]
pub(crate) struct CutoverFlags {
    #[command(flatten)]
    pub run: ReplicateFlags,
    #[command(flatten)]
    pub cutover: StepFlags,
}

/// What a cutover is to do.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options of the cutover")]
pub(crate) struct StepFlags {
    /// How writes are stopped at the source: pause (CLIENT PAUSE WRITE, until --release), takeover (the source shuts down; it
    /// needs --shut-down-source) or none (you have stopped them).
    #[arg(long, value_name = "METHOD", default_value = "pause")]
    pub method: Method,
    /// With --method takeover: the source may be shut down, which cannot be undone.
    #[arg(long)]
    pub shut_down_source: bool,
    /// What is compared first: recent (keys that changed last), full (all keys, before writes are stopped, and then those) or
    /// none.
    #[arg(long, value_name = "WHAT", default_value = "recent")]
    pub verify: Verify,
    /// Seconds for which writes may be stopped before it is safe; beyond them they go on.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub timeout: u64,
    /// Seconds for which a small lag is waited for before writes are stopped.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    pub patience: u64,
    /// Command that is run before writes are stopped; if it fails, nothing is done.
    #[arg(long, value_name = "COMMAND")]
    pub hook_before: Option<String>,
    /// Command that is run once it is safe, such as one that moves a load balancer; if it fails, writes stay stopped.
    #[arg(long, value_name = "COMMAND")]
    pub hook_after: Option<String>,
    /// Stop nothing, and say how far the target is.
    #[arg(long)]
    pub dry_run: bool,
    /// End a cutover: writes go on at the source.
    #[arg(long)]
    pub release: bool,
}

pub(crate) fn run(flags: &CutoverFlags, environment: &Environment) -> Result<(), Failure> {
    let steps = &flags.cutover;
    if steps.method == Method::Takeover && !steps.shut_down_source && !steps.release && !steps.dry_run {
        return Err(Failure::Usage(
            "--method takeover shuts the source down, and cannot be undone: give --shut-down-source too"
                .to_owned(),
        ));
    }
    let resolved = config::resolve(&flags.run, environment).map_err(Failure::Usage)?;
    let client = control::find(&resolved.settings)?.ok_or_else(|| {
        Failure::Usage("no run was found to cut over: name its --state-dir, or its --control".to_owned())
    })?;
    let runtime = runtime::of_one_thread()?;
    runtime.block_on(async {
        match steps.release {
            true => release(&client).await,
            false => cut_over(&client, steps).await,
        }
    })
}

fn failed(error: ClientError) -> Failure {
    Failure::Other(error.into())
}

fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(Failure::of_output)
}

async fn release(client: &Client) -> Result<(), Failure> {
    let ended = client.end_cutover().await.map_err(failed)?;
    print(&ended.text)?;
    match ended.stage {
        Stage::Released { withdrawn: Some(_), evidence: Some(_) } => Err(Failure::Withdrawn(ended.text)),
        _ => Ok(()),
    }
}

async fn cut_over(client: &Client, steps: &StepFlags) -> Result<(), Failure> {
    if let Some(command) = steps.hook_before.as_deref().filter(|_| !steps.dry_run) {
        hook(command).await.map_err(|why| Failure::Undone(format!("nothing was stopped: {why}")))?;
    }
    let word = |text: &str| Some(text.to_owned());
    let asked = CutoverRequest {
        method: word(method(steps.method)),
        verify: word(verify(steps.verify)),
        timeout: Some(steps.timeout.saturating_mul(1000)),
        patience: Some(steps.patience.saturating_mul(1000)),
        dry_run: steps.dry_run,
    };
    client.cut_over(&asked).await.map_err(failed)?;
    let decided = follow(client).await?;
    match decided.stage {
        Stage::Safe { .. } => after(client, steps).await,
        Stage::TakenOver { .. } => {
            // There is nothing left to follow.
            client.order("stop").await.map_err(failed)?;
            after(client, steps).await
        }
        Stage::DryRun { .. } => Ok(()),
        Stage::Withdrawn { .. } => Err(Failure::Withdrawn(decided.text)),
        _ => Err(Failure::Undone(decided.text)),
    }
}

/// Prints each stage once, until it is known how it comes out.
async fn follow(client: &Client) -> Result<CutoverState, Failure> {
    let mut shown = String::new();
    loop {
        let state = client.cutover().await.map_err(failed)?;
        if state.text != shown {
            print(&state.text)?;
            shown.clone_from(&state.text);
        }
        if state.is_decided {
            return Ok(state);
        }
        sleep(LOOK).await;
    }
}

/// It is safe: the hook moves whoever writes.
async fn after(client: &Client, steps: &StepFlags) -> Result<(), Failure> {
    if let Some(command) = &steps.hook_after {
        hook(command).await.map_err(|why| {
            Failure::HookFailed(format!("it is safe to switch, and writes stay stopped, but {why}; mend it, or let them go on with cutover --release"))
        })?;
        if steps.method == Method::Takeover {
            return Ok(());
        }
        let state = client.cutover().await.map_err(failed)?;
        if let Stage::Withdrawn { .. } = state.stage {
            return Err(Failure::Withdrawn(state.text));
        }
    }
    if steps.method == Method::Pause {
        print(
            "writes stay stopped until you run cutover --release; df2redis-cli cleanup removes what is left beside the data, once the run has been stopped",
        )?;
    }
    Ok(())
}

async fn hook(command: &str) -> Result<(), String> {
    let run = Command::new("/bin/sh").arg("-c").arg(command).stdin(Stdio::null()).status().await;
    match run {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the hook `{command}` failed: {status}")),
        Err(error) => Err(format!("the hook `{command}` could not be run: {error}")),
    }
}

fn method(method: Method) -> &'static str {
    match method {
        Method::Pause => "pause",
        Method::Takeover => "takeover",
        Method::None => "none",
    }
}

fn verify(verify: Verify) -> &'static str {
    match verify {
        Verify::Recent => "recent",
        Verify::Full => "full",
        Verify::None => "none",
    }
}
