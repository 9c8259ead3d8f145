//! How long to wait before the next attempt. Pure: time and chance are arguments.

use std::time::Duration;

/// Doubles from a first delay up to a longest one, with jitter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    failures: u32,
}

impl Backoff {
    /// No failure so far.
    pub fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, failures: 0 }
    }

    /// After another failure: between half of the doubled delay and all of it, by `chance` from 0 to 65535.
    pub fn next_delay(&mut self, chance: u16) -> Duration {
        let doubled = self.first.saturating_mul(1 << self.failures.min(20)).min(self.longest);
        self.failures = self.failures.saturating_add(1);
        doubled / 2 + (doubled / 2).mul_f64(f64::from(chance) / f64::from(u16::MAX))
    }

    /// After a success.
    pub fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_within_bounds() {
        let (first, longest) = (Duration::from_millis(100), Duration::from_secs(5));
        let mut low = Backoff::new(first, longest);
        let mut high = low.clone();
        assert_eq!((low.next_delay(0), high.next_delay(u16::MAX)), (first / 2, first));
        assert_eq!((low.next_delay(0), high.next_delay(u16::MAX)), (first, first * 2));
        for _ in 0..100 {
            let (low, high) = (low.next_delay(0), high.next_delay(u16::MAX));
            assert!(low >= first && high <= longest);
        }
        low.reset();
        assert_eq!(low.next_delay(0), first / 2);
    }
}
