//! `check`: compares the source with the target, and makes the target equal.

mod bar;
pub(crate) mod flags;
mod shown;

use std::path::PathBuf;

use anyhow::Context;
use dfly_check::{
    About, CheckConfig, CheckError, FullCheck, Outcome, Progress, Repair, Rounds, RunSignals, SideError,
    StepRun, Store, Summary,
};
use dfly_replica::{EngineConfig, Stop};
use replica_api::client::Client;
use tokio::sync::watch;
use tracing::{info, warn};

use crate::config::{self, Environment};
use crate::console::Console;
use crate::control::{self, Remote};
use crate::exit::Failure;
use crate::flags::{CheckFlags, ReplicateFlags};
use crate::logs::{self, LogSettings};
use crate::runtime;
use crate::settings::{engine_config, size};
use crate::stop;

use flags::{CheckAction, ComparedFlags, EngineKind, ReportFlags};
use shown::show;

pub(crate) fn run(flags: &CheckFlags, environment: &Environment, console: &Console) -> Result<(), Failure> {
    if let Some(CheckAction::Report(flags)) = &flags.action {
        return report(flags);
    }
    let of_replication = ReplicateFlags {
        settings: flags.settings.clone(),
        config: flags.config.clone(),
        ..ReplicateFlags::default()
    };
    let resolved = config::resolve(&of_replication, environment).map_err(Failure::Usage)?;
    let settings = &resolved.settings;
    let logs = LogSettings::new(&settings.log, settings.task_name.as_deref()).map_err(Failure::Usage)?;
    logs::install(&logs.plain_if(config::is_plain(environment)), console).map_err(Failure::Usage)?;
    resolved.notices.iter().for_each(|notice| warn!("{notice}"));
    let engine = engine_config(settings, false).map_err(Failure::Usage)?;
    let compared = &flags.compared;
    let running = control::find(settings)?;
    if compared.repairs.repair && !compared.repairs.offline && running.is_none() {
        return Err(Failure::Usage(
            "--repair refetches keys through a running replication, and none was found: start it, or give --offline if nobody writes to the source".to_owned(),
        ));
    }
    if compared.engine == EngineKind::RedisFullCheck && (compared.repairs.repair || compared.resume) {
        return Err(Failure::Usage("--repair and --resume are of this tool's own engine".to_owned()));
    }
    let config = comparison(engine, compared).map_err(Failure::Usage)?;
    let store = store(compared)?;
    let runtime = runtime::of_threads()?;
    // A comparison goes on in the way in which it was begun.
    let goes_on_in_step = match compared.resume {
        true => begun_in_step(&store)?,
        false => true,
    };
    let running = running.filter(|_| !compared.repairs.offline && goes_on_in_step);
    let summary = runtime.block_on(compare(config, (&store, compared), (running, console)))?;
    show(&store, (compared.format, compared.list))?;
    result(&summary)
}

fn store(flags: &ComparedFlags) -> Result<Store, Failure> {
    let store = match &flags.report {
        Some(path) => Store::create(path),
        None => Store::temporary(),
    };
    store.map_err(|error| Failure::Other(error.into()))
}

fn begun_in_step(store: &Store) -> Result<bool, Failure> {
    let about = About::in_file(store).map_err(|error| Failure::Other(error.into()))?;
    Ok(about.is_some_and(|about| about.in_step))
}

/// The settings of the comparison.
fn comparison(engine: EngineConfig, flags: &ComparedFlags) -> Result<CheckConfig, String> {
    let bandwidth = flags.bandwidth.as_deref().map(|text| size("--bandwidth", text)).transpose()?;
    if flags.qps == Some(0) || bandwidth == Some(0) {
        return Err("--qps and --bandwidth: the minimum is 1".to_owned());
    }
    Ok(CheckConfig {
        mode: flags.mode,
        expiry_tolerance: flags.expiry_tolerance,
        big_key_threshold: flags.big_key_threshold,
        rounds: flags.rounds,
        pause: flags.round_pause,
        connections: flags.connections,
        sample: flags.sample.map(|sample| dfly_check::Sample { seed: flags.sample_seed, ..sample }),
        requests_per_second: flags.qps,
        bytes_per_second: bandwidth,
        ..CheckConfig::new(engine)
    })
}

async fn compare(
    config: CheckConfig,
    (store, flags): (&Store, &ComparedFlags),
    (running, console): (Option<Client>, &Console),
) -> Result<Summary, Failure> {
    info!(source = %config.engine.source, target = %config.engine.target, mode = config.mode.name(), "comparing");
    if let EngineKind::RedisFullCheck = flags.engine {
        let program = flags.engine_binary.clone().unwrap_or_else(|| PathBuf::from("redis-full-check"));
        let full_check = FullCheck::new(program, config);
        return full_check.run(store, |line| console.line(line)).await.map_err(failure);
    }
    let (_handlers, mut signalled) = stop::on_signals()?;
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        if signalled.wait_for(|told| *told != Stop::Running).await.is_ok() {
            stop.send_replace(true);
        }
    });
    let (progress, shown) = watch::channel(Progress::default());
    let display = tokio::spawn(bar::show(shown, console.clone()));
    let signals = RunSignals { progress, stop: stopped };
    let done = match running {
        Some(client) => Box::pin(in_step(config, (store, flags), client, signals)).await,
        None => Box::pin(in_rounds(config, (store, flags), console, signals)).await,
    };
    display.await.context("the progress display failed")?;
    done.map_err(failure)
}

/// Compares in step with the running replication, which refetches what differs if that was asked for.
async fn in_step(
    config: CheckConfig,
    (store, flags): (&Store, &ComparedFlags),
    client: Client,
    signals: RunSignals,
) -> Result<Summary, CheckError> {
    info!("a replication runs: comparing in step with it");
    let run = StepRun::new(config, store, signals);
    let run = if flags.repairs.repair && !flags.repairs.dry_run { run.repairing() } else { run };
    if flags.resume { run.resume(Remote(client)).await } else { run.run(Remote(client)).await }
}

/// Compares in rounds, and repairs what differs if that was asked for.
async fn in_rounds(
    config: CheckConfig,
    (store, flags): (&Store, &ComparedFlags),
    console: &Console,
    signals: RunSignals,
) -> Result<Summary, CheckError> {
    let rounds = Rounds::new(config.clone(), store, signals);
    let done = if flags.resume { rounds.resume().await } else { rounds.run().await };
    match done {
        Ok(summary) if flags.repairs.repair && !summary.is_stopped => {
            repair(&config, (store, flags), (&rounds, console)).await
        }
        done => done,
    }
}

/// Makes the target equal where it differs, and compares that again.
async fn repair(
    config: &CheckConfig,
    (store, flags): (&Store, &ComparedFlags),
    (rounds, console): (&Rounds<'_>, &Console),
) -> Result<Summary, CheckError> {
    let done = Repair::begin(config, store, flags.repairs.dry_run).await?.run().await?;
    let (copied, removed) = (done.copied, done.removed);
    match flags.repairs.dry_run {
        true => info!(copied, removed, "would be repaired; nothing was changed"),
        false => info!(copied, removed, "repaired; comparing again"),
    }
    for failure in &done.failed {
        console.line(&format!("not repaired: {failure}"));
    }
    rounds.verify().await
}

/// A comparison that could not be made at all.
fn failure(error: CheckError) -> Failure {
    match error {
        CheckError::Side(SideError::Target(error)) => error.into(),
        CheckError::NothingToResume
        | CheckError::OtherSettings
        | CheckError::WasInStep
        | CheckError::WasInRounds
        | CheckError::Engine(_) => Failure::Usage(error.to_string()),
        error => Failure::Other(error.into()),
    }
}

fn report(flags: &ReportFlags) -> Result<(), Failure> {
    let store = Store::open(&flags.file).map_err(|error| Failure::Other(error.into()))?;
    let summary = show(&store, (flags.format, flags.list))?;
    result(&summary)
}

/// The exit code of a comparison.
pub(super) fn result(summary: &Summary) -> Result<(), Failure> {
    match summary.outcome() {
        Outcome::Equal => Ok(()),
        Outcome::Different => Err(Failure::Different(summary.sentence().to_owned())),
        Outcome::Incomplete => Err(Failure::Incomplete(summary.sentence().to_owned())),
    }
}
