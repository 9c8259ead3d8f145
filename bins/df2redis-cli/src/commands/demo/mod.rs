//! `demo`: replicates a recorded Dragonfly session into a real Redis and compares every key.

mod live;
mod table;

use std::time::Duration;

use anyhow::Context;
use dfly_replica::{Engine, EngineConfig, Report, Stop};
use dfly_testkit::{
    CompareOptions, MasterOptions, RecordedMaster, Recording, RedisOptions, RedisServer, compare,
};
use dfly_translate::{Policy, Rules};
use redis_resp::connection::{Endpoint, Peer};
use tokio::sync::watch;
use tokio::time::timeout;
use tracing::info;

use crate::console::Console;
use crate::exit::Failure;
use crate::flags::DemoFlags;
use crate::logs::flags::LogFlags;
use crate::runtime;
use live::Live;

/// Time limit of the replay. It normally takes a second; the rest is for machines under load.
const LIMIT: Duration = Duration::from_secs(120);

/// Replicates a master that keeps writing.
pub(crate) fn run_live(flags: &DemoFlags, log: &LogFlags, console: &Console) -> Result<(), Failure> {
    let redis = target(flags)?;
    let seconds = flags.live.unwrap_or_default();
    Live { flags, seconds, log: log.clone(), console }.run(&redis)
}

fn target(flags: &DemoFlags) -> Result<RedisServer, Failure> {
    let options = RedisOptions { program: flags.redis_server.clone().into(), ..RedisOptions::default() };
    let redis = RedisServer::start(options)
        .context("the demo needs a redis-server (Debian: apt-get install redis-server)")?;
    Ok(redis)
}

/// Replicates a recorded session.
pub(crate) fn run(flags: &DemoFlags, console: &Console) -> Result<(), Failure> {
    let recording = Recording::embedded().context("the bundled recording is damaged")?;
    let redis = target(flags)?;
    info!(
        keys = recording.meta.keys,
        flows = recording.sessions.iter().map(|s| s.flows.len()).sum::<usize>(),
        "the source is a recorded Dragonfly v1.40.1"
    );
    info!(port = redis.address().port(), "the target is a temporary Redis");
    let runtime = runtime::of_threads()?;
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
    table::show(&report, &comparison, recording.expected()).context("cannot write the result")?;
    console.end_progress();
    console.line(
        "`df2redis-cli demo --live 120` shows a run that goes on, and its page at http://127.0.0.1:9379.",
    );
    table::verdict(&comparison)
}

async fn replicate(recording: Recording, redis: &RedisServer) -> Result<Report, Failure> {
    let master = RecordedMaster::start(recording, MasterOptions::default())
        .await
        .context("cannot serve the recording")?;
    let mut config =
        EngineConfig::new(endpoint(Peer::Source, master.address()), endpoint(Peer::Target, redis.address()));
    config.rules = Rules::from(Policy::Skip).into();
    run_until(config, master.finished()).await
}

/// Replicates until the master has nothing more to send.
async fn run_until(config: EngineConfig, finished: impl Future<Output = ()>) -> Result<Report, Failure> {
    let (engine, _reports) = Engine::new(config);
    let (stop, stopped) = watch::channel(Stop::Running);
    let mut run = std::pin::pin!(engine.run(stopped));
    tokio::select! {
        done = &mut run => return Ok(done?),
        finished = timeout(LIMIT, finished) => finished.context("the replay did not finish in time")?,
    }
    stop.send_replace(Stop::Drain);
    Ok(run.await?)
}

fn endpoint(peer: Peer, at: std::net::SocketAddr) -> Endpoint {
    Endpoint::new(peer, at.ip().to_string(), at.port())
}
