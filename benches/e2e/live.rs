//! What following costs the source, and how far behind the follower is: with nothing attached, with the tool, with a
//! Dragonfly replica, and with a program that only moves bytes, in turn.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use df2redis_benches::rig::percentile;
use df2redis_benches::rig::process::{be_nice, cpu_seconds, idle_seconds};
use df2redis_benches::rig::source::Source;
use df2redis_benches::rig::target::wait_for;
use df2redis_benches::rig::tool::Tool;
use dfly_testkit::{RedisOptions, RedisServer};

use crate::load::{Load, lags};
use crate::native;
use crate::relay::Relay;

/// How long the source is written to at full speed.
const FULL: Duration = Duration::from_secs(5);

/// Dragonfly's default. A longer backlog grows all the time.
const BACKLOG: &str = "--shard_repl_backlog_len=8192";

/// Writes whose lag is measured.
const PROBES: u32 = 1000;

/// Where everything is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Programs<'a> {
    pub tool: &'a Path,
    pub dragonfly: &'a Path,
    pub flows: u16,
    /// Clients that write to the source at the same time.
    pub clients: u32,
    /// The nice value of the followers and their targets, if not this program's own.
    pub nice: Option<i32>,
}

/// What follows the source.
enum Follower {
    Nothing,
    Tool { tool: Tool, redis: RedisServer },
    Native(RedisServer),
    Relay { relay: Relay, redis: RedisServer },
}

/// CPU seconds so far.
#[derive(Debug, Default)]
struct Cpu {
    tool: f64,
    /// Of the replica, if that follows.
    target: f64,
}

/// What was measured of one follower.
#[derive(Debug, Default)]
pub(crate) struct Row {
    /// SETs in a second that the source takes at full speed.
    pub rates: Vec<f64>,
    /// CPU microseconds of the source for a SET, at full speed.
    pub source_cpu: Vec<f64>,
    /// The same of the tool or the relay, until the target has caught up.
    pub tool_cpu: Vec<f64>,
    /// The same of the target, or of the replica.
    pub target_cpu: Vec<f64>,
    /// How many processors were idle, on average, at full speed.
    pub idle: Vec<f64>,
    /// Milliseconds of lag at half of that rate: the median, and the 99th of a hundred.
    pub lags: Vec<[f64; 2]>,
}

/// Measures each follower so many times, in turn, with values of so many bytes.
pub(crate) fn measure(programs: Programs<'_>, rounds: usize, value: usize) -> Result<[Row; 4]> {
    let mut rows = std::array::from_fn(|_nth| Row::default());
    for _round in 0..rounds {
        for (nth, row) in rows.iter_mut().enumerate() {
            let source = Source::live(programs.dragonfly, programs.flows, &[BACKLOG])?;
            let follower = Follower::start(nth, programs, &source, value)?;
            if let Some(nice) = programs.nice {
                follower.pids().iter().flatten().try_for_each(|pid| be_nice(*pid, nice))?;
            }
            let (address, clients) = (source.address(), programs.clients);
            let full = Load { source: address, clients, value, rate: None, time: FULL };
            let cpu_of_source = || source.pid().map_or(Ok(0.0), cpu_seconds);
            let (before, idle) = (cpu_of_source()?, follower.cpu()?);
            let rested = idle_seconds()?;
            let rate = full.run()?;
            row.idle.push((idle_seconds()? - rested) / FULL.as_secs_f64());
            let sets = rate * FULL.as_secs_f64() / 1e6;
            row.rates.push(rate);
            row.source_cpu.push((cpu_of_source()? - before) / sets);
            follower.catch_up(&source)?;
            let cpu = follower.cpu()?;
            row.tool_cpu.push((cpu.tool - idle.tool) / sets);
            row.target_cpu.push((cpu.target - idle.target) / sets);
            let Some(replica) = follower.address() else { continue };
            let half = Load { rate: Some(rate / 2.0), time: Duration::from_secs(8), ..full };
            let lags = thread::scope(|scope| {
                let load = scope.spawn(move || half.run());
                let lags = lags(source.address(), replica, PROBES);
                load.join().map_err(|_panic| anyhow!("the load has panicked"))??;
                lags
            });
            let mut lags = lags?;
            row.lags.push([percentile(&mut lags, 50)?, percentile(&mut lags, 99)?]);
        }
    }
    Ok(rows)
}

impl Follower {
    fn start(nth: usize, programs: Programs<'_>, source: &Source, value: usize) -> Result<Self> {
        match nth {
            0 => Ok(Self::Nothing),
            1 => {
                let redis = RedisServer::start(RedisOptions::default())?;
                let from = format!("dragonfly://{}", source.address());
                let tool = Tool::start(programs.tool, &from, &redis.url())?;
                wait_for(&mut redis.client()?, &source.lsns()?)?;
                Ok(Self::Tool { tool, redis })
            }
            2 => {
                let replica = native::start(programs.dragonfly, programs.flows)?;
                native::follow(&replica, source)?;
                Ok(Self::Native(replica))
            }
            _ => {
                let redis = RedisServer::start(RedisOptions::default())?;
                Ok(Self::Relay { relay: Relay::start(source.address(), &redis, value)?, redis })
            }
        }
    }

    /// The processes of the follower and of its target. A replica is its own target.
    fn pids(&self) -> [Option<u32>; 2] {
        match self {
            Self::Nothing => [None, None],
            Self::Tool { tool, redis } => [Some(tool.pid()), Some(redis.pid())],
            Self::Native(replica) => [None, Some(replica.pid())],
            Self::Relay { relay, redis } => [Some(relay.pid()), Some(redis.pid())],
        }
    }

    fn cpu(&self) -> Result<Cpu> {
        let seconds = |pid: Option<u32>| pid.map_or(Ok(0.0), cpu_seconds);
        let [tool, target] = self.pids();
        Ok(Cpu { tool: seconds(tool)?, target: seconds(target)? })
    }

    /// Where a write is seen; a relay makes no copy.
    fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Nothing | Self::Relay { .. } => None,
            Self::Tool { redis, .. } => Some(redis.address()),
            Self::Native(replica) => Some(replica.address()),
        }
    }

    /// Waits until it has what was written at full speed.
    fn catch_up(&self, source: &Source) -> Result<()> {
        match self {
            Self::Nothing => Ok(()),
            Self::Relay { relay, .. } => relay.rest(),
            Self::Tool { redis, .. } => wait_for(&mut redis.client()?, &source.lsns()?),
            Self::Native(replica) => native::catch_up(replica, source),
        }
    }
}
