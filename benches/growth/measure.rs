//! Rounds of the release binary at one place of a series.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use df2redis_benches::rig::run::Run;
use df2redis_benches::rig::source::Source;
use df2redis_benches::rig::target::{LIMIT, POLL, has, keys, wait_for};
use dfly_testkit::{RedisClient, RedisOptions, RedisServer};

use crate::data::Data;
use crate::delaying_proxy::DelayingProxy;
use crate::points::Round;

/// When so many bytes have come to the target, data flows: what is sent before it is far less.
const FLOWS_FROM: u64 = 64 << 10;

/// Where the round trip is added.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Delays {
    pub target: Option<Duration>,
    pub source: Option<Duration>,
}

/// Everything that the rounds at one place need.
#[derive(Debug)]
pub(crate) struct Bench<'a> {
    run: Run<'a>,
    data: Data,
    target: RedisServer,
    _source: Source,
    _proxies: [Option<DelayingProxy>; 2],
}

impl<'a> Bench<'a> {
    /// Starts the target and the proxies. The source is filled.
    pub(crate) fn prepare(program: &'a Path, source: Source, data: Data, delays: Delays) -> Result<Self> {
        data.load(&source)?;
        let target = RedisServer::start(RedisOptions::default())?;
        let (to_source, from) = behind(source.address(), delays.source)?;
        let (to_target, to) = behind(target.address(), delays.target)?;
        let run = Run { program, source: format!("dragonfly://{from}"), target: format!("redis://{to}") };
        Ok(Self { run, data, target, _source: source, _proxies: [to_source, to_target] })
    }

    /// Copies everything into the emptied target.
    pub(crate) fn round(&self) -> Result<Round> {
        let mut client = self.target.client()?;
        client.expect(&[b"FLUSHALL", b"SYNC"])?;
        let before = received(&mut client)?;
        let began = Instant::now();
        let (sample, flowing) = self.run.timed(|| {
            let flowing = flowing(&mut client, before)?;
            wait_for(&mut client, &[])?;
            Ok(flowing)
        })?;
        let all = received(&mut client)?.saturating_sub(before);
        let found = keys(&mut client)?;
        ensure!(found == i64::from(self.data.keys), "{found} keys instead of {}", self.data.keys);
        let before_data = (flowing.since - began).as_secs_f64();
        let left = 1.0 - flowing.bytes as f64 / all.max(1) as f64;
        // If most was there already when it was first seen, only the whole time says something.
        let share_per_second =
            if left < 0.5 { 1.0 / sample.seconds } else { left / (sample.seconds - before_data) };
        Ok(Round {
            seconds: sample.seconds,
            before_data,
            share_per_second,
            tool_cpu: sample.tool_cpu,
            peak: sample.peak,
        })
    }
}

/// The moment when data was seen to flow.
#[derive(Debug, Clone, Copy)]
struct Flowing {
    since: Instant,
    /// What the target had received by then.
    bytes: u64,
}

/// Waits until data flows, or all of it has come.
fn flowing(client: &mut RedisClient, before: u64) -> Result<Flowing> {
    let began = Instant::now();
    loop {
        let (since, bytes) = (Instant::now(), received(client)?.saturating_sub(before));
        if bytes >= FLOWS_FROM || has(client, &[])? {
            return Ok(Flowing { since, bytes });
        }
        if since - began > LIMIT {
            bail!("no data has come to the target within {LIMIT:?}");
        }
        thread::sleep(POLL);
    }
}

/// How many bytes a server has received since its start.
fn received(client: &mut RedisClient) -> Result<u64> {
    let info = client.expect(&[b"INFO", b"stats"])?.text().context("no text")?;
    let line = info.lines().find_map(|line| line.strip_prefix("total_net_input_bytes:"));
    Ok(line.context("no total_net_input_bytes")?.parse()?)
}

/// A proxy in front of a server if there is a delay, and where to connect.
fn behind(server: SocketAddr, round_trip: Option<Duration>) -> Result<(Option<DelayingProxy>, SocketAddr)> {
    let Some(round_trip) = round_trip else { return Ok((None, server)) };
    let proxy = DelayingProxy::start(server, round_trip).context("no port for a proxy")?;
    let address = proxy.address();
    Ok((Some(proxy), address))
}
