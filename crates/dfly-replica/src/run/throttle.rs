//! For how long flows were held up, and by what.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Why a flow reads less from the source than there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Throttle {
    /// The limit of the snapshot's rate.
    SnapshotRate,
    /// The limit of the rate of commands.
    CommandRate,
    /// The target has all that it may have in flight, and nothing goes to disk.
    Target,
    /// The relay log is full.
    RelayLog,
}

/// The names of the causes, in their order.
const NAMES: [&str; 4] = ["snapshot-rate", "command-rate", "target", "relay-log"];

/// Counters that are written while others read them, in microseconds.
#[derive(Debug, Default)]
pub(crate) struct ThrottleCounters([AtomicU64; NAMES.len()]);

impl ThrottleCounters {
    fn add(&self, cause: Throttle, time: Duration) {
        if let Some(counter) = self.0.get(cause as usize) {
            counter.fetch_add(u64::try_from(time.as_micros()).unwrap_or(u64::MAX), Relaxed);
        }
    }

    /// Adds what was counted.
    pub(crate) fn add_to(&self, times: &mut BTreeMap<&'static str, Duration>) {
        for (name, counter) in NAMES.iter().zip(&self.0) {
            *times.entry(name).or_default() += Duration::from_micros(counter.load(Relaxed));
        }
    }
}

/// What holds one flow up now.
#[derive(Debug)]
pub(crate) struct ThrottleClock {
    cause: Option<Throttle>,
    since: Instant,
}

impl ThrottleClock {
    pub(crate) fn new(now: Instant) -> Self {
        Self { cause: None, since: now }
    }

    /// From now on it is this; the time since the last call was another's.
    pub(crate) fn turn(&mut self, cause: Option<Throttle>, now: Instant, counters: &ThrottleCounters) {
        if let Some(before) = self.cause {
            counters.add(before, now.saturating_duration_since(self.since));
        }
        (self.cause, self.since) = (cause, now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_of_the_cause_that_it_began_with() {
        let (start, counters) = (Instant::now(), ThrottleCounters::default());
        let mut clock = ThrottleClock::new(start);
        let causes = [None, Some(Throttle::Target), Some(Throttle::Target), Some(Throttle::RelayLog), None];
        for (seconds, cause) in (1u64..).zip(causes) {
            clock.turn(cause, start + Duration::from_secs(seconds), &counters);
        }
        let mut times = BTreeMap::new();
        counters.add_to(&mut times);
        let seconds: Vec<(&str, u64)> = times.iter().map(|(name, time)| (*name, time.as_secs())).collect();
        let expected = [("command-rate", 0), ("relay-log", 1), ("snapshot-rate", 0), ("target", 2)];
        assert_eq!(seconds, expected);
    }
}
