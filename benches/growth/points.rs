//! What was measured, as it stands in a file.

use anyhow::{Context, Result};
use df2redis_benches::rig::median;
use serde::{Deserialize, Serialize};

use crate::data::Data;
use crate::series::Series;

/// All series of one run of this program.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub rounds: usize,
    /// By what all sizes were divided. Only with 1 the figures are worth reading.
    pub divide: u32,
    /// How many processors there were, for the source, the tool and the target together.
    pub processors: usize,
    pub series: Vec<Curve>,
}

/// One series: what grows, and what that costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Curve {
    pub series: Series,
    /// A live Dragonfly, or the scripted master.
    pub source: String,
    /// How many flows the source has, unless it is they that grow.
    pub flows: u16,
    pub points: Vec<Point>,
}

/// The medians of all rounds at one place.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Point {
    /// In the unit of the series.
    pub x: f64,
    pub keys: u32,
    /// Of keys and values, without any encoding.
    pub bytes: u64,
    /// From the start of the tool until the end of the snapshot is durable on the target.
    pub seconds: f64,
    /// From the start of the tool until its first commands with data are at the target; the scripted
    /// master makes its snapshot in that time.
    pub before_data: f64,
    /// While data flowed.
    pub keys_per_second: f64,
    /// The least and the most of the rounds.
    pub keys_per_second_range: [f64; 2],
    /// Megabytes (10^6 bytes) of keys and values a second, while data flowed.
    pub mb_per_second: f64,
    pub tool_cpu_seconds: f64,
    pub tool_cpu_seconds_per_million_keys: f64,
    pub tool_cpu_seconds_per_gb: f64,
    /// Resident memory of the tool, in MiB.
    pub tool_peak_mib: f64,
}

/// One round at one place.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Round {
    pub seconds: f64,
    pub before_data: f64,
    /// What part of all data was written a second, while it flowed.
    pub share_per_second: f64,
    pub tool_cpu: f64,
    pub peak: f64,
}

impl Point {
    /// What `rounds` with this data come to.
    pub(crate) fn of(x: f64, data: Data, rounds: &[Round]) -> Self {
        let middle = |of: fn(&Round) -> f64| median(rounds.iter().map(of).collect());
        let (count, size) = (f64::from(data.keys), data.bytes() as f64);
        let share = middle(|round| round.share_per_second);
        let rates = || rounds.iter().map(|round| round.share_per_second * count);
        let cpu = middle(|round| round.tool_cpu);
        Self {
            x,
            keys: data.keys,
            bytes: data.bytes(),
            seconds: middle(|round| round.seconds),
            before_data: middle(|round| round.before_data),
            keys_per_second: share * count,
            keys_per_second_range: [rates().fold(f64::INFINITY, f64::min), rates().fold(0.0, f64::max)],
            mb_per_second: share * size / 1e6,
            tool_cpu_seconds: cpu,
            tool_cpu_seconds_per_million_keys: cpu * 1e6 / count,
            tool_cpu_seconds_per_gb: cpu * 1e9 / size,
            tool_peak_mib: middle(|round| round.peak),
        }
    }
}

impl Measured {
    pub(crate) fn read(text: &str) -> Result<Self> {
        serde_json::from_str(text).context("no measurements")
    }

    pub(crate) fn text(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_has_the_medians_and_the_rates_by_key_and_by_byte() {
        let round = |share_per_second, tool_cpu| Round {
            seconds: 3.0,
            before_data: 1.0,
            share_per_second,
            tool_cpu,
            peak: 30.0,
        };
        let data = Data { keys: 2_000_000, value: 88 };
        let point = Point::of(1.0, data, &[round(0.5, 4.0), round(0.25, 1.0), round(1.0, 2.0)]);
        assert_eq!((point.keys, point.bytes), (2_000_000, 200_000_000));
        assert_eq!(point.keys_per_second.to_bits(), 1e6_f64.to_bits());
        assert_eq!(point.keys_per_second_range.map(f64::to_bits), [5e5_f64, 2e6].map(f64::to_bits));
        let per =
            [point.mb_per_second, point.tool_cpu_seconds_per_million_keys, point.tool_cpu_seconds_per_gb];
        for (found, wanted) in per.into_iter().zip([100.0, 1.0, 10.0]) {
            assert!((found - wanted).abs() < 1e-9, "{per:?}");
        }
    }
}
