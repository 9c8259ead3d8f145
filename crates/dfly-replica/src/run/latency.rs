//! How long batches take, as a histogram.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// Buckets double from 64 µs on; the last one holds everything longer than 34 s.
const BUCKETS: usize = 21;

/// The upper bound of the first bucket, in microseconds.
const FIRST: u64 = 64;

/// How many batches took how long.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Latency {
    buckets: [u64; BUCKETS],
    micros: u64,
}

impl Latency {
    /// The upper bound of each bucket but the last, with the number of batches in it; the last has no bound.
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> {
        let bound = |at: usize| (at + 1 < BUCKETS).then(|| Duration::from_micros(FIRST << at));
        self.buckets.iter().enumerate().map(move |(at, count)| (bound(at), *count))
    }

    /// Those batches alone that were not counted in `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let new = |at: usize| {
            let count = |latency: &Self| latency.buckets.get(at).copied().unwrap_or_default();
            count(self).saturating_sub(count(before))
        };
        Self { buckets: std::array::from_fn(new), micros: self.micros.saturating_sub(before.micros) }
    }

    /// How long all batches took together.
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.micros)
    }

    /// How many batches there were.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The bound below which this share (of 1000) of the batches was; `None` without batches, or beyond all bounds.
    pub fn quantile(&self, per_mille: u64) -> Option<Duration> {
        let wanted = (self.count() * per_mille).div_ceil(1000).max(1);
        let mut seen = 0;
        self.buckets()
            .find(|(_, count)| {
                seen += count;
                seen >= wanted
            })?
            .0
    }
}

/// A histogram that is written while others read it.
#[derive(Debug, Default)]
pub(crate) struct LatencyCounters {
    buckets: [AtomicU64; BUCKETS],
    micros: AtomicU64,
}

impl LatencyCounters {
    pub(crate) fn count(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let doublings = (micros / FIRST).checked_ilog2().map_or(0, |log| log as usize + 1);
        self.micros.fetch_add(micros, Relaxed);
        if let Some(bucket) = self.buckets.get(doublings.min(BUCKETS - 1)) {
            bucket.fetch_add(1, Relaxed);
        }
    }

    pub(crate) fn read(&self) -> Latency {
        let count = |at: usize| self.buckets.get(at).map_or(0, |count| count.load(Relaxed));
        Latency { buckets: std::array::from_fn(count), micros: self.micros.load(Relaxed) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_bounds_of_buckets() {
        let counters = LatencyCounters::default();
        for micros in [1, 63, 64, 127, 128, 5_000, 3_600_000_000] {
            counters.count(Duration::from_micros(micros));
        }
        let latency = counters.read();
        assert_eq!((latency.count(), latency.sum()), (7, Duration::from_micros(3_600_005_383)));
        counters.count(Duration::from_micros(100));
        let new = counters.read().since(&latency);
        assert_eq!((new.count(), new.sum()), (1, Duration::from_micros(100)));
        assert_eq!(latency.quantile(200), Some(Duration::from_micros(64)));
        assert_eq!(latency.quantile(500), Some(Duration::from_micros(128)));
        assert_eq!(latency.quantile(800), Some(Duration::from_micros(8192)));
        assert_eq!(latency.quantile(1000), None, "longer than any bound");
        assert_eq!(Latency::default().quantile(500), None);
    }
}
