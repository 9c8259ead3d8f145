//! One run of the tool, and what it has taken.

use std::path::Path;
use std::time::Instant;

use anyhow::Result;

use super::process::{cpu_seconds, peak_mib};
use super::tool::Tool;

/// What one run has taken. CPU times are in seconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// From the start of the process until its work was done.
    pub seconds: f64,
    /// The part of it that the start took, if that was measured: the time of a run with one record.
    pub start: f64,
    /// Of the tool.
    pub tool_cpu: f64,
    /// Of the source, if it is a process of its own.
    pub source_cpu: f64,
    /// Of the target.
    pub target_cpu: f64,
    /// Resident memory of the tool, in MiB.
    pub peak: f64,
}

impl Sample {
    /// CPU seconds of all three.
    pub fn cpu(&self) -> f64 {
        self.tool_cpu + self.source_cpu + self.target_cpu
    }
}

/// How the tool is run.
#[derive(Debug, Clone)]
pub struct Run<'a> {
    /// The release binary.
    pub program: &'a Path,
    /// The URL of the source.
    pub source: String,
    /// The URL of the target.
    pub target: String,
}

impl Run<'_> {
    /// Starts the tool.
    pub fn start(&self) -> Result<Tool> {
        Tool::start(self.program, &self.source, &self.target)
    }

    /// Starts the tool, has `wait` wait until its work is done, and stops it. Gives what the tool has taken, and what `wait`
    /// gives.
    pub fn timed<T>(&self, wait: impl FnOnce() -> Result<T>) -> Result<(Sample, T)> {
        let began = Instant::now();
        let tool = self.start()?;
        let seen = wait()?;
        let sample = Sample {
            seconds: (Instant::now() - began).as_secs_f64(),
            tool_cpu: cpu_seconds(tool.pid())?,
            peak: peak_mib(tool.pid())?,
            ..Sample::default()
        };
        tool.stop()?;
        Ok((sample, seen))
    }
}
