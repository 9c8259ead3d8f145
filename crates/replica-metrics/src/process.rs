//! What the system says of this process.

use std::fs;

/// Ticks of `/proc/self/stat` in a second; the same on every Linux that user programs see.
const TICKS: f64 = 100.0;

/// What the system says of a process. What it does not say is absent.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Process {
    /// Seconds of processor time, in user code and in the system.
    pub cpu_seconds: Option<f64>,
    /// Bytes of memory that are resident.
    pub resident_bytes: Option<f64>,
}

impl Process {
    /// Of this process, now.
    pub fn now() -> Self {
        let read = |name: &str| fs::read_to_string(format!("/proc/self/{name}")).unwrap_or_default();
        Self { cpu_seconds: cpu(&read("stat")), resident_bytes: resident(&read("status")) }
    }
}

/// The 14th and the 15th field. The second one is a name in parentheses that may hold anything.
fn cpu(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<f64>().ok();
    Some((ticks()? + ticks()?) / TICKS)
}

fn resident(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<f64>().ok()? * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says() {
        let stat = "12 (a name) of 3) S 1 12 12 0 -1 4194560 1000 0 0 0 250 50 0 0 20 0 4 0 100 1 2";
        assert_eq!(cpu(stat), Some(3.0));
        assert_eq!(resident("Name:\tx\nVmRSS:\t    2048 kB\n"), Some(2_097_152.0));
        assert_eq!((cpu(""), resident("VmRSS: lots")), (None, None));
        let now = Process::now();
        assert!(now.cpu_seconds.is_some() && now.resident_bytes.is_some_and(|bytes| bytes > 1e5), "{now:?}");
    }
}
