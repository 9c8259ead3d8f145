//! What the system says of a process.

use std::fs;

use anyhow::{Context, Result};
use rustix::process::{Pid, setpriority_process};

/// How many units of `/proc/<pid>/stat` make a second; the same on every Linux that this is built for.
const TICKS: f64 = 100.0;

/// CPU seconds that a process has used so far, in its own code and in the kernel.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces; the state follows it, utime and stime are the 12th and 13th from there.
    let fields = stat.rsplit_once(')').context("no process name")?.1;
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks: u32 = times.map(|field| field.parse().unwrap_or(0u32)).sum();
    Ok(f64::from(ticks) / TICKS)
}

/// Seconds that the processors have been idle so far, all of them together.
pub fn idle_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat")?;
    // cpu user nice system idle iowait ..
    let times = stat.lines().next().context("no line for all processors")?.split_whitespace().skip(4).take(2);
    let ticks: u64 = times.map(|field| field.parse().unwrap_or(0u64)).sum();
    Ok(ticks as f64 / TICKS)
}

/// Gives all threads of a process this nice value: the higher it is, the sooner others go first.
pub fn be_nice(pid: u32, nice: i32) -> Result<()> {
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let id: i32 = thread?.file_name().to_string_lossy().parse()?;
        setpriority_process(Pid::from_raw(id), nice)?;
    }
    Ok(())
}

/// The most memory that a process has had resident, in MiB.
pub fn peak_mib(pid: u32) -> Result<f64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u32 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(f64::from(kib) / 1024.0)
}
