//! The master that is followed: a live Dragonfly, or a scripted one.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use dfly_testkit::{MasterOptions, Op, RedisOptions, RedisServer, Script, ScriptedMaster};
use redis_resp::{CommandBatch, EncodedCommand};
use tokio::runtime::Runtime;

/// How many records of a shard the master keeps for a replica that comes back: more than any case has.
const BACKLOG: usize = 2_000_000;

/// How many commands are sent to a live master at a time.
const PART: usize = 10_000;

/// A master.
#[derive(Debug)]
pub enum Source {
    /// A Dragonfly.
    Live(RedisServer),
    /// One of this process.
    Scripted {
        /// The master.
        master: ScriptedMaster,
        /// Where it lives.
        _runtime: Runtime,
    },
}

impl Source {
    /// A Dragonfly if there is a binary, otherwise the scripted master, with this many flows.
    pub fn start(dragonfly: Option<&Path>, shards: u16) -> Result<Self> {
        match dragonfly {
            Some(program) => Self::live(program, shards, &[]),
            None => Self::scripted(shards),
        }
    }

    /// A Dragonfly with further flags.
    pub fn live(program: &Path, shards: u16, more: &[&str]) -> Result<Self> {
        let (threads, backlog) =
            (format!("--proactor_threads={shards}"), format!("--shard_repl_backlog_len={BACKLOG}"));
        let flags = [&[threads.as_str(), &backlog, "--maxmemory=6gb"], more].concat();
        Ok(Self::Live(RedisServer::start(RedisOptions::dragonfly(program, &flags))?))
    }

    /// A scripted master.
    pub fn scripted(shards: u16) -> Result<Self> {
        let runtime = Runtime::new()?;
        let script = Script::new(usize::from(shards)).backlog(BACKLOG);
        let master = runtime.block_on(ScriptedMaster::start(script, MasterOptions::default()))?;
        Ok(Self::Scripted { master, _runtime: runtime })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Live(server) => server.address(),
            Self::Scripted { master, .. } => master.address(),
        }
    }

    /// The process, if it is one of its own.
    pub fn pid(&self) -> Option<u32> {
        match self {
            Self::Live(server) => Some(server.pid()),
            Self::Scripted { .. } => None,
        }
    }

    /// Carries the commands out. (`redis-cli --pipe` waits in vain for a Dragonfly's last reply.)
    pub fn load(&self, commands: &CommandBatch) -> Result<()> {
        let words = |index| commands.command(index).map(EncodedCommand::arguments);
        match self {
            Self::Live(server) => {
                let mut client = server.client()?;
                for first in (0..commands.len()).step_by(PART) {
                    let part: Vec<Vec<&[u8]>> =
                        (first..first + PART).map_while(words).map(Iterator::collect).collect();
                    let replies = client.pipeline(&part)?;
                    ensure!(
                        replies.iter().all(|reply| reply.error().is_none()),
                        "the source refuses a command"
                    );
                }
                Ok(())
            }
            Self::Scripted { master, .. } => (0..commands.len()).map_while(words).try_for_each(|words| {
                let op = Op::new(words.map(Bytes::copy_from_slice));
                master.apply(op).context("the scripted master refuses a command")
            }),
        }
    }

    /// Removes everything.
    pub fn empty(&self) -> Result<()> {
        match self {
            Self::Live(server) => Ok(server.client()?.expect(&[b"FLUSHALL"]).map(|_ok| ())?),
            Self::Scripted { master, .. } => Ok(master.apply("FLUSHALL")?),
        }
    }

    /// The next position of each flow.
    pub fn lsns(&self) -> Result<Vec<u64>> {
        match self {
            Self::Live(server) => {
                let reply = server.client()?.expect(&[b"DFLY", b"REPLICAOFFSET"])?;
                let offsets = reply.array().context("no array")?;
                Ok(offsets.iter().filter_map(|lsn| u64::try_from(lsn.int()?).ok()).collect())
            }
            Self::Scripted { master, .. } => Ok(master.lsns()),
        }
    }
}
