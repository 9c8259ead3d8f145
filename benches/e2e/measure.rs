//! One measurement of each kind.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use dfly_testkit::RedisClient;
use redis_resp::{CommandBatch, EncodedCommand};
use tempfile::TempDir;

use crate::case::Case;
use crate::place::Place;
use crate::process::{cpu_seconds, peak_mib};
use crate::source::Source;
use crate::target::{format, pipe, restores, wait_for};
use crate::tool::Tool;

/// What one run has taken. CPU times are in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sample {
    pub seconds: f64,
    pub tool_cpu: f64,
    pub source_cpu: f64,
    pub target_cpu: f64,
    /// Resident memory of the tool, in MiB.
    pub peak: f64,
}

impl Sample {
    /// CPU seconds of all three.
    pub(crate) fn cpu(&self) -> f64 {
        self.tool_cpu + self.source_cpu + self.target_cpu
    }
}

/// A case with everything that it needs.
pub(crate) struct Bench<'a> {
    pub case: Case,
    pub size: u32,
    program: &'a Path,
    source: Source,
    target: Place,
    commands: CommandBatch,
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
        let bench = Self { case, size, program, source, target, commands, dir };
        std::fs::write(bench.file(), bench.commands.clone().take().wire())?;
        if case.is_snapshot() {
            bench.source.load(&bench.commands)?;
        }
        if case == Case::Collections {
            let words = |index| bench.commands.command(index).map(EncodedCommand::arguments);
            let keys = (0..bench.commands.len()).map_while(words).filter_map(|mut words| words.nth(1));
            let keys: Vec<Vec<u8>> = keys.map(<[u8]>::to_vec).collect();
            let format = format(&mut bench.target.emptied()?)?;
            let mut source = RedisClient::connect(bench.source.address())?;
            std::fs::write(bench.file(), restores(&mut source, &keys, &format)?.take().wire())?;
        }
        Ok(bench)
    }

    /// What it writes to.
    pub(crate) fn target_name(&self) -> String {
        self.target.name()
    }

    /// The commands of `redis-cli --pipe`.
    fn file(&self) -> std::path::PathBuf {
        self.dir.path().join("commands.resp")
    }

    /// Measures the tool.
    pub(crate) fn tool(&self) -> Result<Sample> {
        if self.case.is_snapshot() { self.snapshot() } else { self.journal() }
    }

    /// Measures `redis-cli --pipe` with the same commands.
    pub(crate) fn pipe(&self) -> Result<Sample> {
        self.target.emptied()?;
        let before = self.target.cpu_seconds()?;
        let seconds = pipe(self.target.address()?, &self.file())?;
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
    /// clients nor its pace is in the time.
    fn journal(&self) -> Result<Sample> {
        self.source.empty()?;
        let mut client = self.target.emptied()?;
        let tool = self.start()?;
        wait_for(&mut client, &self.source.lsns()?)?;
        tool.stop()?;
        self.source.load(&self.commands)?;
        let sample = self.timed(&mut client, &self.source.lsns()?)?;
        self.check()?;
        Ok(sample)
    }

    fn timed(&self, client: &mut RedisClient, wanted: &[u64]) -> Result<Sample> {
        let cpu = |pid: Option<u32>| pid.map_or(Ok(0.0), cpu_seconds);
        let (source, target) = (cpu(self.source.pid())?, self.target.cpu_seconds()?);
        let began = Instant::now();
        let tool = self.start()?;
        wait_for(client, wanted)?;
        let seconds = (Instant::now() - began).as_secs_f64();
        let sample = Sample {
            seconds,
            tool_cpu: cpu_seconds(tool.pid())?,
            source_cpu: cpu(self.source.pid())? - source,
            target_cpu: self.target.cpu_seconds()? - target,
            peak: peak_mib(tool.pid())?,
        };
        tool.stop()?;
        Ok(sample)
    }

    fn start(&self) -> Result<Tool> {
        Tool::start(self.program, &format!("dragonfly://{}", self.source.address()), &self.target.url()?)
    }

    /// Whether everything has arrived.
    fn check(&self) -> Result<()> {
        self.target.check(self.case.keys(self.size)).with_context(|| self.case.name())
    }
}
