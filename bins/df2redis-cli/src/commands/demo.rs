//! `demo`: a recorded Dragonfly into a real Redis, and every key compared.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use anyhow::Context;
use dfly_replica::{Engine, EngineConfig, Report, Stop};
use dfly_testkit::{
    CompareOptions, Comparison, MasterOptions, MemberTtls, RecordedMaster, Recording, RedisOptions, RedisServer, compare,
};
use dfly_translate::Policy;
use redis_resp::connection::{Endpoint, Peer};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::info;

use crate::address;
use crate::cli::DemoFlags;
use crate::console::Console;
use crate::exit::Failure;

/// The recording is replayed within a second; this is for machines under load.
const LIMIT: Duration = Duration::from_secs(120);

pub(crate) fn run(flags: &DemoFlags, console: &Console) -> Result<(), Failure> {
    let recording = Recording::embedded().context("the bundled recording is damaged")?;
    let options = RedisOptions { program: flags.redis_server.clone(), ..RedisOptions::default() };
    let redis = RedisServer::start(options).context("a redis-server is needed for the demo (Debian: apt-get install redis-server)")?;
    info!(keys = recording.meta.keys, flows = recording.sessions.iter().map(|s| s.flows.len()).sum::<usize>(), "a recorded Dragonfly v1.40.1 is the source");
    info!(port = redis.address().port(), "a throw-away Redis is the target");
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let report = runtime.block_on(replicate(recording.clone(), &redis))?;
    let mut client = redis.client().context("cannot ask the target")?;
    let options = CompareOptions { member_ttls: MemberTtls::Ignored, ..CompareOptions::default() };
    let comparison = compare(&mut client, recording.expected(), &options).context("cannot read the target")?;
    show(&report, &comparison, &recording).context("cannot write the result")?;
    console.end_progress();
    if comparison.is_equal() {
        Ok(())
    } else {
        Err(Failure::Different(format!("{} keys differ from what the master held", comparison.differences.len())))
    }
}

async fn replicate(recording: Recording, redis: &RedisServer) -> Result<Report, Failure> {
    let master = RecordedMaster::start(recording, MasterOptions::default()).await.context("cannot serve the recording")?;
    let mut config = EngineConfig::new(endpoint(Peer::Source, master.address())?, endpoint(Peer::Target, redis.address())?);
    config.on_unsupported = Policy::Skip;
    let (engine, _reports) = Engine::new(config);
    let (stop, stopped) = watch::channel(Stop::Running);
    let mut run = std::pin::pin!(engine.run(stopped));
    tokio::select! {
        done = &mut run => return Ok(done?),
        finished = timeout(LIMIT, master.finished()) => finished.context("the recording was not replayed in time")?,
    }
    stop.send_replace(Stop::Drain);
    Ok(run.await?)
}

fn endpoint(peer: Peer, at: std::net::SocketAddr) -> Result<Endpoint, Failure> {
    address::parse(peer, &format!("redis://{at}")).map_err(Failure::Usage)
}

/// A table by type: how many keys the master held, how many are equal, and what became of the others.
fn show(report: &Report, comparison: &Comparison, recording: &Recording) -> std::io::Result<()> {
    let mut rows: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    for row in recording.expected() {
        let [held, _, left_out] = rows.entry(row.type_name()).or_default();
        *held += 1;
        *left_out += usize::from(!row.is_redis_type());
    }
    let different = comparison.differences.len();
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{:<12} {:>8} {:>8} {:>10} {:>10}", "type", "held", "equal", "left out", "different")?;
    for (name, [held, _, left_out]) in &rows {
        let differ = comparison.differences.iter().filter(|d| d.type_name == *name).count();
        writeln!(out, "{name:<12} {held:>8} {:>8} {left_out:>10} {differ:>10}", held - left_out - differ)?;
    }
    let held: usize = rows.values().map(|row| row[0]).sum();
    let left_out: usize = rows.values().map(|row| row[2]).sum();
    writeln!(out, "{:<12} {held:>8} {:>8} {left_out:>10} {different:>10}\n", "all", comparison.equal)?;
    writeln!(out, "{} keys of the snapshot and {} journal records through {} flows.", report.keys(), report.records(), report.flows.len())?;
    if !report.losses.is_empty() {
        writeln!(out, "A Redis without modules cannot hold everything of a Dragonfly; left out: {}.", report.losses)?;
    }
    for difference in &comparison.differences {
        writeln!(out, "different: {difference}")?;
    }
    writeln!(out, "{}", if comparison.is_equal() { "The Redis holds what the Dragonfly held." } else { "The Redis differs." })
}
