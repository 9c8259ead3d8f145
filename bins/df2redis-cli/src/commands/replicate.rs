//! `replicate`: copies a running Dragonfly and follows it until it is stopped.

use anyhow::Context;
use dfly_replica::{Engine, EngineConfig, Report};
use redis_resp::connection::Tls;
use tracing::{info, warn};

use super::progress::{show, size};
use crate::cli::ReplicateFlags;
use crate::console::Console;
use crate::exit::Failure;
use crate::settings::engine_config;
use crate::stop;

pub(crate) fn run(flags: &ReplicateFlags, console: &Console) -> Result<(), Failure> {
    let config = engine_config(flags).map_err(Failure::Usage)?;
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let report = runtime.block_on(replicate(config, console))?;
    summarise(&report);
    Ok(())
}

async fn replicate(config: EngineConfig, console: &Console) -> Result<Report, Failure> {
    let (_stop, stopped) = stop::on_signals()?;
    info!(source = %config.source, target = %config.target, on_unsupported = %config.rules.policies, "starting");
    warn_of_trust(&config);
    let (engine, reports) = Engine::new(config);
    let progress = tokio::spawn(show(reports, console.clone()));
    let done = engine.run(stopped).await;
    progress.await.context("the progress display failed")?;
    Ok(done?)
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
