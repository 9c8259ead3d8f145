//! One measurement of each kind.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use df2redis_benches::rig::process::cpu_seconds;
use df2redis_benches::rig::run::{Run, Sample};
use df2redis_benches::rig::source::Source;
use df2redis_benches::rig::target::{format, pipe, restores, wait_for};
use dfly_testkit::RedisClient;
use redis_resp::{CommandBatch, EncodedCommand};
use tempfile::TempDir;

use crate::case::Case;
use crate::place::Place;
use crate::{discarding, native};

/// A case with everything that it needs.
pub(crate) struct Bench<'a> {
    pub case: Case,
    pub size: u32,
    program: &'a Path,
    source: Source,
    target: Place,
    /// What the source is given.
    commands: CommandBatch,
    /// The first of them.
    first: CommandBatch,
    /// Where each server is, and the file with what `redis-cli --pipe` sends to it.
    piped: Vec<(SocketAddr, PathBuf)>,
    dir: TempDir,
}

impl<'a> Bench<'a> {
    /// Starts the servers and writes the commands down; the source of a snapshot is filled.
    pub(crate) fn prepare(
        case: Case,
        size: u32,
        (program, source, target): (&'a Path, Source, Place),
    ) -> Result<Self> {
        let (commands, dir) = (case.commands(size), TempDir::new()?);
        if case.is_snapshot() {
            source.load(&commands)?;
        }
        let first = case.commands(1);
        let mut bench = Self { case, size, program, source, target, commands, first, piped: Vec::new(), dir };
        let sent = if case == Case::Collections { bench.restores()? } else { bench.commands.clone() };
        for (nth, (address, mut share)) in bench.target.shares(&sent)?.into_iter().enumerate() {
            let file = bench.dir.path().join(format!("{nth}.resp"));
            std::fs::write(&file, share.take().wire())?;
            bench.piped.push((address, file));
        }
        Ok(bench)
    }

    /// What the tool writes for the source's collections.
    fn restores(&self) -> Result<CommandBatch> {
        let words = |index| self.commands.command(index).map(EncodedCommand::arguments);
        let keys = (0..self.commands.len()).map_while(words).filter_map(|mut words| words.nth(1));
        let keys: Vec<Vec<u8>> = keys.map(<[u8]>::to_vec).collect();
        let format = format(&mut self.target.emptied()?)?;
        restores(&mut RedisClient::connect(self.source.address())?, &keys, &format)
    }

    /// Measures a Dragonfly replica of the same source.
    pub(crate) fn native(&self, program: &Path, shards: u16) -> Result<Sample> {
        native::snapshot(program, shards, &self.source)
    }

    /// Measures a replica of the same source that throws everything away.
    pub(crate) fn discarding(&self) -> Result<Sample> {
        discarding::snapshot(&self.source)
    }

    /// What it writes to.
    pub(crate) fn target_name(&self) -> String {
        self.target.name()
    }

    /// Measures the tool.
    pub(crate) fn tool(&self) -> Result<Sample> {
        if self.case.is_snapshot() { self.snapshot() } else { self.journal() }
    }

    /// Measures `redis-cli --pipe` with the same commands, one for each server at the same time.
    pub(crate) fn pipe(&self) -> Result<Sample> {
        self.target.emptied()?;
        let before = self.target.cpu_seconds()?;
        let began = Instant::now();
        thread::scope(|scope| {
            let pipes = self.piped.iter().map(|(address, file)| scope.spawn(|| pipe(*address, file)));
            let pipes: Vec<_> = pipes.collect();
            pipes
                .into_iter()
                .try_for_each(|pipe| pipe.join().map_err(|_panic| anyhow!("a pipe has panicked"))?)
        })?;
        let seconds = (Instant::now() - began).as_secs_f64();
        let target_cpu = self.target.cpu_seconds()? - before;
        self.check()?;
        Ok(Sample { seconds, target_cpu, ..Sample::default() })
    }

    /// From the start of the tool until the target stores a position of every flow, which it does behind the snapshot.
    fn snapshot(&self) -> Result<Sample> {
        let mut client = self.target.emptied()?;
        let sample = self.timed(&mut client, &[])?;
        self.check()?;
        Ok(sample)
    }

    /// The tool has caught up and is stopped; the source takes all writes, and keeps them in its backlog. Measured is
    /// from the tool's start until its durable positions are those of the source: so neither the writing of the source's
    /// clients nor its pace is in the time. The start is measured by another run, for one more record.
    fn journal(&self) -> Result<Sample> {
        self.source.empty()?;
        let mut client = self.target.emptied()?;
        let tool = self.run()?.start()?;
        wait_for(&mut client, &self.source.lsns()?)?;
        tool.stop()?;
        self.source.load(&self.commands)?;
        let sample = self.timed(&mut client, &self.source.lsns()?)?;
        self.check()?;
        self.source.load(&self.first)?;
        let start = self.timed(&mut client, &self.source.lsns()?)?.seconds;
        Ok(Sample { start, ..sample })
    }

    fn timed(&self, client: &mut RedisClient, wanted: &[u64]) -> Result<Sample> {
        let cpu = |pid: Option<u32>| pid.map_or(Ok(0.0), cpu_seconds);
        let (source, target) = (cpu(self.source.pid())?, self.target.cpu_seconds()?);
        let (sample, (source_cpu, target_cpu)) = self.run()?.timed(|| {
            wait_for(client, wanted)?;
            Ok((cpu(self.source.pid())? - source, self.target.cpu_seconds()? - target))
        })?;
        Ok(Sample { source_cpu, target_cpu, ..sample })
    }

    fn run(&self) -> Result<Run<'_>> {
        let source = format!("dragonfly://{}", self.source.address());
        Ok(Run { program: self.program, source, target: self.target.url()? })
    }

    /// Whether everything has arrived.
    fn check(&self) -> Result<()> {
        self.target.check(self.case.keys(self.size)).with_context(|| self.case.name())
    }
}
