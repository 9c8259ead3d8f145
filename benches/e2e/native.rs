//! A Dragonfly replica of the same source, in the place of the tool.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use df2redis_benches::rig::process::{cpu_seconds, peak_mib};
use df2redis_benches::rig::run::Sample;
use df2redis_benches::rig::source::Source;
use dfly_testkit::{RedisClient, RedisOptions, RedisServer};

/// How often the replica is asked how far it is.
const POLL: Duration = Duration::from_millis(5);

/// No synchronisation takes longer.
const LIMIT: Duration = Duration::from_secs(300);

/// Keys that are written to see how far a replica is: so many that each shard has some.
const MARKS: u32 = 256;

/// A Dragonfly with as many threads as the source.
pub(crate) fn start(program: &Path, shards: u16) -> Result<RedisServer> {
    let flags = [&format!("--proactor_threads={shards}"), "--maxmemory=4gb"];
    Ok(RedisServer::start(RedisOptions::dragonfly(program, &flags.map(|flag| flag as &str)))?)
}

/// Has it replicate the source, and waits until it follows the journal.
pub(crate) fn follow(replica: &RedisServer, source: &Source) -> Result<()> {
    let mut client = replica.client()?;
    let (host, port) = (source.address().ip().to_string(), source.address().port().to_string());
    client.expect(&[b"REPLICAOF", host.as_bytes(), port.as_bytes()])?;
    let began = Instant::now();
    loop {
        let info = client.expect(&[b"INFO", b"replication"])?.text().context("no text")?;
        if info.contains("master_link_status:up") && info.contains("master_sync_in_progress:0") {
            return Ok(());
        }
        ensure!(Instant::now() - began < LIMIT, "the replica is not in sync within {LIMIT:?}: {info}");
        thread::sleep(POLL);
    }
}

/// Waits until it has everything that the source has: a shard's journal arrives in order.
pub(crate) fn catch_up(replica: &RedisServer, source: &Source) -> Result<()> {
    let (mut from, mut to) = (RedisClient::connect(source.address())?, replica.client()?);
    let marks: Vec<String> = (0..MARKS).map(|nth| format!("mark:{nth}")).collect();
    for mark in &marks {
        from.expect(&[b"SET", mark.as_bytes(), b"1"])?;
    }
    let words: Vec<&[u8]> =
        [b"EXISTS".as_slice()].into_iter().chain(marks.iter().map(|mark| mark.as_bytes())).collect();
    let began = Instant::now();
    while to.expect(&words)?.int() != Some(i64::from(MARKS)) {
        ensure!(Instant::now() - began < LIMIT, "the replica has not caught up within {LIMIT:?}");
        thread::sleep(POLL);
    }
    Ok(())
}

/// From `REPLICAOF` until the snapshot is loaded.
pub(crate) fn snapshot(program: &Path, shards: u16, source: &Source) -> Result<Sample> {
    let source_cpu = |source: &Source| source.pid().map_or(Ok(0.0), cpu_seconds);
    let replica = start(program, shards)?;
    let (idle, before) = (cpu_seconds(replica.pid())?, source_cpu(source)?);
    let began = Instant::now();
    follow(&replica, source)?;
    Ok(Sample {
        seconds: (Instant::now() - began).as_secs_f64(),
        target_cpu: cpu_seconds(replica.pid())? - idle,
        source_cpu: source_cpu(source)? - before,
        peak: peak_mib(replica.pid())?,
        ..Sample::default()
    })
}
