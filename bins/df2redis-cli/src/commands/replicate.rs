//! `replicate`: copies a running Dragonfly and follows it until it is stopped.

use anyhow::Context;
use dfly_replica::{Engine, Report, Stop};
use redis_resp::connection::Tls;
use tokio::sync::watch;
use tracing::{info, warn};

use super::progress::{left, show, size};
use super::verify::Verification;
use crate::config::{self, Environment, Resolved};
use crate::console::Console;
use crate::control;
use crate::exit::Failure;
use crate::flags::ReplicateFlags;
use crate::logs::{self, LevelHandle, LogSettings};
use crate::reload::{self, Reload};
use crate::service::Service;
use crate::settings::engine_config;
use crate::stop;

pub(crate) fn run(
    flags: &ReplicateFlags,
    environment: &Environment,
    console: &Console,
) -> Result<(), Failure> {
    let resolved = config::resolve(flags, environment).map_err(Failure::Usage)?;
    let settings = &resolved.settings;
    let logs = LogSettings::new(&settings.log, settings.task_name.as_deref()).map_err(Failure::Usage)?;
    let level =
        logs::install(&logs.plain_if(config::is_plain(environment)), console).map_err(Failure::Usage)?;
    resolved.notices.iter().for_each(|notice| warn!("{notice}"));
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let start = Start { flags, environment, resolved: &resolved, level };
    let report = runtime.block_on(replicate(start, console))?;
    summarise(&report);
    Ok(())
}

/// What a run begins with.
struct Start<'a> {
    flags: &'a ReplicateFlags,
    environment: &'a Environment,
    resolved: &'a Resolved,
    level: LevelHandle,
}

async fn replicate(start: Start<'_>, console: &Console) -> Result<Report, Failure> {
    let Start { flags, environment, resolved, level } = start;
    let settings = &resolved.settings;
    let config = engine_config(settings, flags.force_resync).map_err(Failure::Usage)?;
    let (stop, stopped) = stop::on_signals()?;
    let hangups = reload::on_hangups()?;
    info!(source = %config.source, target = %config.target, on_unsupported = %config.rules.policies, "starting");
    warn_of_trust(&config);
    let about = control::about(&config, settings.task_name.as_deref());
    let (verified, in_effect) = (config.clone(), config.clone());
    let (engine, reports) = Engine::new(config);
    let verification = Verification::begin(settings, verified, &engine, &reports);
    let run = control::Run {
        control: engine.control(),
        reports: reports.clone(),
        stop,
        verified: verification.verified.clone(),
        engine: in_effect,
        about,
        config: config::shown_json(resolved),
    };
    let _serving = control::listen(settings, run).await?;
    let reload = Reload {
        flags: flags.clone(),
        environment: environment.clone(),
        in_effect: settings.clone(),
        level,
        control: engine.control(),
    };
    let reloading = tokio::spawn(reload.at_each(hangups));
    let farewell = tokio::spawn(say_what_is_left(stopped.clone(), reports.clone()));
    let progress = tokio::spawn(show(reports, console.clone(), Service::of_environment()));
    let done = engine.run(stopped.clone()).await;
    reloading.abort();
    drop(verification);
    if *stopped.borrow() == Stop::Running {
        farewell.abort();
    }
    // What it has to say is said, however soon the run has ended.
    drop(farewell.await);
    progress.await.context("the progress display failed")?;
    Ok(done?)
}

/// Once the run is told to stop.
async fn say_what_is_left(mut stopped: watch::Receiver<Stop>, reports: watch::Receiver<Report>) {
    if stopped.wait_for(|stop| *stop != Stop::Running).await.is_ok() {
        let left = left(&reports.borrow());
        info!("stopping: {left}; another signal ends the run at once");
        Service::stopping(&format!("stopping: {left}"));
    }
}

fn warn_of_trust(config: &dfly_replica::EngineConfig) {
    for endpoint in [&config.source, &config.target] {
        if endpoint.tls.as_ref().is_some_and(Tls::is_insecure) {
            warn!(
                "the {}'s certificate is not verified: anyone on the network path can read and change all data",
                endpoint.peer
            );
        }
    }
}

fn summarise(report: &Report) {
    let (keys, records) = (report.keys(), report.records());
    let whole = !report.flows.is_empty() && report.flows.iter().all(|flow| flow.positions.is_some());
    if whole {
        info!(keys, records, read = size(report.bytes()), "stopped; the target has everything that was read");
    } else {
        warn!(
            keys,
            "stopped before the snapshot was complete; the target holds only a part of the data; run it again"
        );
    }
    let (wanted, expiring) = report
        .flows
        .iter()
        .fold((0, 0), |(wanted, expiring), flow| (wanted + flow.refetching, expiring + flow.expiring));
    if wanted > 0 {
        warn!(
            keys = wanted,
            "some keys still have to be refetched from the source; the next run continues with them"
        );
    }
    if expiring > 0 {
        warn!(
            keys = expiring,
            "some sets and hashes have members or fields with an expiry that only df2redis removes, and only while it runs"
        );
    }
    if !report.losses.is_empty() {
        info!(left_out = %report.losses, "the target could not hold some of the data");
    }
}
