//! One run of `check`, as users run it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use df2redis_benches::rig::process::{cpu_seconds, peak_mib};
use serde_json::Value;

/// How often the process is looked at.
const POLL: Duration = Duration::from_millis(10);

/// No comparison takes longer.
const LIMIT: Duration = Duration::from_secs(600);

/// A comparison of two sides that are equal.
#[derive(Debug, Clone)]
pub(crate) struct Comparison<'a> {
    pub tool: &'a Path,
    pub source: String,
    pub target: String,
    pub connections: u32,
    /// How many keys each side has.
    pub keys: u32,
}

/// What a comparison has taken.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Taken {
    /// From the start of the process to its end.
    pub seconds: f64,
    /// CPU seconds of the process.
    pub cpu: f64,
    /// Resident memory, in MiB.
    pub peak: f64,
}

impl Comparison<'_> {
    /// Compares. Both sides must turn out to be equal.
    pub(crate) fn run(&self) -> Result<Taken> {
        let state = tempfile::tempdir()?;
        let mut command = Command::new(self.tool);
        command.args(["check", "--source", &self.source, "--target", &self.target, "--log-level", "error"]);
        command.args(["--connections", &self.connections.to_string(), "--format", "json", "--state-dir"]);
        command.arg(state.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let began = Instant::now();
        let child = command.spawn().with_context(|| format!("{} cannot be run", self.tool.display()))?;
        let (child, mut taken) = watched(child, began)?;
        taken.seconds = (Instant::now() - began).as_secs_f64();
        let output = child.wait_with_output()?;
        let told: Value = serde_json::from_slice(&output.stdout).context("the report is no JSON")?;
        let equal = told.get("equal").and_then(Value::as_u64);
        ensure!(output.status.success() && equal == Some(u64::from(self.keys)), "the comparison says {told}");
        Ok(taken)
    }
}

/// Waits until the process has ended, and gives what it had taken shortly before. It is killed if it does not end.
fn watched(mut child: Child, began: Instant) -> Result<(Child, Taken)> {
    let mut taken = Taken::default();
    while child.try_wait()?.is_none() {
        // The process may end in between.
        if let (Ok(cpu), Ok(peak)) = (cpu_seconds(child.id()), peak_mib(child.id())) {
            (taken.cpu, taken.peak) = (cpu, peak);
        }
        if Instant::now() - began > LIMIT {
            child.kill()?;
            bail!("the comparison has not ended within {LIMIT:?}");
        }
        thread::sleep(POLL);
    }
    Ok((child, taken))
}
