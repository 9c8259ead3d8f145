//! A replication in this process, with everything around it: logs, signals, the API, SIGHUP, progress. `replicate` runs one
//! until it is stopped, `migrate` until it has come to its goal.

use std::future::Future;

use anyhow::Context;
use dfly_replica::{Control, Engine, EngineConfig, Report, Stop};
use redis_resp::connection::Tls;
use tokio::sync::watch;
use tracing::{info, warn};

use super::prepare::start as checked_start;
use super::progress::{left, show, size};
use crate::config::{self, Environment, Resolved};
use crate::console::Console;
use crate::control;
use crate::exit::Failure;
use crate::flags::{ReplicateFlags, Settings};
use crate::logs::{self, LevelHandle, LogSettings};
use crate::reload::{self, Reload};
use crate::service::Service;
use crate::settings::engine_config;
use crate::stop;

/// What a replication begins with.
pub(super) struct Start<'a> {
    pub flags: &'a ReplicateFlags,
    pub environment: &'a Environment,
    pub console: &'a Console,
    resolved: Resolved,
    level: LevelHandle,
}

/// A replication that has begun, for whoever waits until it has come to a goal.
pub(super) struct Begun {
    pub config: EngineConfig,
    pub control: Control,
    pub reports: watch::Receiver<Report>,
    pub stopped: watch::Receiver<Stop>,
    /// Where the page of the run is, if it has one.
    pub page: Option<String>,
}

impl<'a> Start<'a> {
    /// Finds the settings, and begins the logs.
    pub(super) fn new(
        flags: &'a ReplicateFlags,
        environment: &'a Environment,
        console: &'a Console,
    ) -> Result<Self, Failure> {
        let resolved = config::resolve(flags, environment).map_err(Failure::Usage)?;
        let settings = &resolved.settings;
        let logs = LogSettings::new(&settings.log, settings.task_name.as_deref()).map_err(Failure::Usage)?;
        let level =
            logs::install(&logs.plain_if(config::is_plain(environment)), console).map_err(Failure::Usage)?;
        resolved.notices.iter().for_each(|notice| warn!("{notice}"));
        Ok(Self { flags, environment, console, resolved, level })
    }

    /// The settings of the engine.
    pub(super) fn engine_config(&self) -> Result<EngineConfig, Failure> {
        engine_config(&self.resolved.settings, self.flags.force_resync).map_err(Failure::Usage)
    }

    /// The settings that were found.
    pub(super) fn settings(&self) -> &Settings {
        &self.resolved.settings
    }

    /// Replicates until a signal, a request or `goal` ends the run. Gives the last report, and what became of the goal: nothing,
    /// if the run was stopped before.
    pub(super) async fn run<T, F>(self, goal: impl FnOnce(Begun) -> F) -> Result<(Report, Option<T>), Failure>
    where
        F: Future<Output = T>,
    {
        let config = self.engine_config()?;
        let (stop, mut stopped) = stop::on_signals()?;
        let hangups = reload::on_hangups()?;
        info!(source = %config.source, target = %config.target, on_unsupported = %config.rules.policies, "starting");
        warn_of_trust(&config);
        let checks = checked_start::checks(config.clone(), self.settings())?;
        tokio::select! {
            checked = checked_start::before_start(checks) => checked?,
            // The engine ends at once, with what is to be said then.
            _told = stopped.wait_for(|stop| *stop != Stop::Running) => {}
        }
        let (engine, reports) = Engine::new(config.clone());
        let settings = &self.resolved.settings;
        let run = control::Run {
            control: engine.control(),
            reports: reports.clone(),
            stop: stop.clone(),
            about: control::about(&config, settings.task_name.as_deref()),
            engine: config.clone(),
            config: config::shown_json(&self.resolved),
        };
        let serving = control::listen(settings, run)?;
        let begun = Begun {
            config,
            control: engine.control(),
            reports: reports.clone(),
            stopped: stopped.clone(),
            page: serving.page(),
        };
        let reload = Reload {
            flags: self.flags.clone(),
            environment: self.environment.clone(),
            in_effect: settings.clone(),
            level: self.level,
            control: engine.control(),
        };
        let reloading = tokio::spawn(reload.at_each(hangups));
        let farewell = tokio::spawn(say_what_is_left(stopped.clone(), reports.clone()));
        let progress = tokio::spawn(show(reports, self.console.clone(), Service::of_environment()));
        let ended = until(engine.run(stopped.clone()), goal(begun), &stop).await;
        reloading.abort();
        if *stopped.borrow() == Stop::Running {
            farewell.abort();
        }
        // What it has to say is said, however soon the run has ended.
        drop(farewell.await);
        progress.await.context("the progress display failed")?;
        ended
    }
}

/// Runs the engine until it ends, and ends it when the goal is reached.
async fn until<T>(
    engine: impl Future<Output = Result<Report, dfly_replica::Error>>,
    goal: impl Future<Output = T>,
    stop: &watch::Sender<Stop>,
) -> Result<(Report, Option<T>), Failure> {
    let (mut engine, goal) = (Box::pin(engine), Box::pin(goal));
    let reached = tokio::select! {
        ended = &mut engine => return Ok((ended?, None)),
        reached = goal => reached,
    };
    stop.send_replace(Stop::Drain);
    Ok((engine.await?, Some(reached)))
}

/// Once the run is told to stop.
async fn say_what_is_left(mut stopped: watch::Receiver<Stop>, reports: watch::Receiver<Report>) {
    if stopped.wait_for(|stop| *stop != Stop::Running).await.is_ok() {
        let left = left(&reports.borrow());
        info!("stopping: {left}; another signal ends the run at once");
        Service::stopping(&format!("stopping: {left}"));
    }
}

fn warn_of_trust(config: &EngineConfig) {
    for endpoint in [&config.source, &config.target] {
        if endpoint.tls.as_ref().is_some_and(Tls::is_insecure) {
            warn!(
                "the {}'s certificate is not verified: anyone on the network path can read and change all data",
                endpoint.peer
            );
        }
    }
}

/// Says what a run has left behind.
pub(super) fn summarise(report: &Report) {
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
