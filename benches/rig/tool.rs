//! The tool as users run it: the release binary, in a process of its own.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

/// A running `df2redis-cli replicate`. It is killed, by its process id, when this is dropped.
#[derive(Debug)]
pub struct Tool(Child);

impl Tool {
    /// Starts it.
    pub fn start(program: &Path, source: &str, target: &str) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["replicate", "--source", source, "--target", target, "--log-level", "error"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        child.map(Self).with_context(|| format!("{} cannot be run", program.display()))
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Tells it to stop, as Ctrl-C does, and waits.
    pub fn stop(mut self) -> Result<()> {
        kill_process(Pid::from_child(&self.0), Signal::INT)?;
        let status = self.0.wait()?;
        ensure!(status.success(), "the tool has ended with {status}");
        Ok(())
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // One that was stopped is gone already.
        let _already_gone = self.0.kill().is_err() | self.0.wait().is_err();
    }
}
