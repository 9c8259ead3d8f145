//! `demo`: replicates a recorded Dragonfly session into a real Redis and compares every key.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use dfly_replica::{Engine, EngineConfig, Report, Stop};
use dfly_testkit::{
    CompareOptions, Comparison, MasterOptions, RecordedMaster, Recording, RedisOptions, RedisServer, compare,
};
use dfly_translate::{Policy, Rules};
use redis_resp::connection::{Endpoint, Peer};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::info;

use crate::console::Console;
use crate::exit::Failure;
use crate::flags::DemoFlags;

/// Time limit of the replay. It normally takes a second; the rest is for machines under load.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn run(flags: &DemoFlags, console: &Console) -> Result<(), Failure> {
    let recording = Recording::embedded().context("the bundled recording is damaged")?;
    let options = RedisOptions { program: flags.redis_server.clone().into(), ..RedisOptions::default() };
    let redis = RedisServer::start(options)
        .context("the demo needs a redis-server (Debian: apt-get install redis-server)")?;
    info!(
        keys = recording.meta.keys,
        flows = recording.sessions.iter().map(|s| s.flows.len()).sum::<usize>(),
        "the source is a recorded Dragonfly v1.40.1"
    );
    info!(port = redis.address().port(), "the target is a temporary Redis");
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let report = runtime.block_on(replicate(recording.clone(), &redis))?;
    let mut client = redis.client().context("cannot connect to the target")?;
    let options = CompareOptions {
        replayed: recording.journal_arguments(),
        entries_read_may_be_unknown: true,
        reserved_prefix: Some("df2redis:".into()),
        ..CompareOptions::default()
    };
    let comparison =
        compare(&mut client, recording.expected(), &options).context("cannot read the target")?;
    show(&report, &comparison, &recording).context("cannot write the result")?;
    console.end_progress();
    if comparison.is_equal() {
        Ok(())
    } else {
        Err(Failure::Different(format!(
            "{} keys differ from those of the master",
            comparison.differences.len()
        )))
    }
}

async fn replicate(recording: Recording, redis: &RedisServer) -> Result<Report, Failure> {
    let master = RecordedMaster::start(recording, MasterOptions::default())
        .await
        .context("cannot serve the recording")?;
    let mut config =
        EngineConfig::new(endpoint(Peer::Source, master.address()), endpoint(Peer::Target, redis.address()));
    config.rules = Rules::from(Policy::Skip).into();
    let (engine, _reports) = Engine::new(config);
    let (stop, stopped) = watch::channel(Stop::Running);
    let mut run = std::pin::pin!(engine.run(stopped));
    tokio::select! {
        done = &mut run => return Ok(done?),
        finished = timeout(LIMIT, master.finished()) => finished.context("the replay of the recording did not finish in time")?,
    }
    stop.send_replace(Stop::Drain);
    Ok(run.await?)
}

fn endpoint(peer: Peer, at: std::net::SocketAddr) -> Endpoint {
    Endpoint::new(peer, at.ip().to_string(), at.port())
}

/// Prints a table by type: the keys that the master held, and how many of them are equal, left out and different.
fn show(report: &Report, comparison: &Comparison, recording: &Recording) -> std::io::Result<()> {
    let different = different_by_type(comparison, recording);
    let kinds: BTreeSet<&String> = comparison.compared.keys().chain(comparison.skipped.keys()).collect();
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{:<12} {:>8} {:>8} {:>10} {:>10}", "type", "held", "equal", "left out", "different")?;
    let mut total = [0; 4];
    for kind in kinds {
        let count = |counts: &BTreeMap<String, usize>| counts.get(kind).copied().unwrap_or(0);
        let (compared, left_out, differ) =
            (count(&comparison.compared), count(&comparison.skipped), count(&different));
        let row = [compared + left_out, compared - differ, left_out, differ];
        table_row(&mut out, kind, row)?;
        total = std::array::from_fn(|i| total.get(i).unwrap_or(&0) + row.get(i).unwrap_or(&0));
    }
    table_row(&mut out, "all", total)?;
    let (keys, records, flows) = (report.keys(), report.records(), report.flows.len());
    writeln!(out, "\n{flows} flows delivered {keys} keys of the snapshot and {records} journal records.")?;
    if !report.losses.is_empty() {
        writeln!(out, "Left out, because a Redis without modules cannot hold it: {}.", report.losses)?;
    }
    for difference in &comparison.differences {
        writeln!(out, "different: {difference}")?;
    }
    let verdict = if comparison.is_equal() { "holds" } else { "does not hold" };
    writeln!(out, "The Redis {verdict} what the Dragonfly held.")
}

fn table_row(
    out: &mut impl Write,
    name: &str,
    [held, equal, left_out, different]: [usize; 4],
) -> std::io::Result<()> {
    writeln!(out, "{name:<12} {held:>8} {equal:>8} {left_out:>10} {different:>10}")
}

/// Counts different keys by their type on the master. Keys that the master did not hold count as `none`.
fn different_by_type(comparison: &Comparison, recording: &Recording) -> BTreeMap<String, usize> {
    let rows: BTreeMap<_, _> =
        recording.expected().iter().map(|row| ((row.db, &row.key), row.value.type_name())).collect();
    let keys: BTreeSet<_> = comparison.differences.iter().map(|d| (d.db, &d.key)).collect();
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(rows.get(&key).copied().unwrap_or("none").to_owned()).or_default() += 1;
    }
    counts
}
