//! What measurements of the release binary share: sources, a target, the tool, and what the system says of a process.

use std::time::Duration;

use anyhow::{Context, Result};

pub mod process;
pub mod run;
pub mod source;
pub mod target;
pub mod tool;

/// The middle one of several figures.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

/// The value below which so many of a hundred lie, in milliseconds.
pub fn percentile(times: &mut [Duration], percent: usize) -> Result<f64> {
    times.sort_unstable();
    let place = (times.len() * percent / 100).min(times.len().saturating_sub(1));
    Ok(times.get(place).context("no times")?.as_secs_f64() * 1e3)
}
