//! A rate that is not exceeded. Pure: amounts and times in, pauses out.

use std::time::{Duration, Instant};

/// No pause is longer, so that a connection is never left unread for long (P20).
const LONGEST: Duration = Duration::from_millis(500);

/// Spreads an amount over time: what was taken beyond the rate is owed, and paid by waiting.
#[derive(Debug, Clone)]
pub struct RateLimiter {
    per_second: Option<u64>,
    /// Until when what was taken so far is enough.
    paid_until: Instant,
}

impl RateLimiter {
    /// One of `parts` parts of a rate; without a rate nothing ever waits.
    pub fn new(per_second: Option<u64>, parts: u16, now: Instant) -> Self {
        Self { per_second: per_second.map(|rate| (rate / u64::from(parts.max(1))).max(1)), paid_until: now }
    }

    /// Something was taken.
    pub fn take(&mut self, amount: u64, now: Instant) {
        if let Some(rate) = self.per_second {
            let nanos = u128::from(amount) * 1_000_000_000 / u128::from(rate);
            let time = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
            self.paid_until = self.paid_until.max(now) + time.min(Duration::from_secs(3600));
        }
    }

    /// When more may be taken; `None`: now.
    pub fn wait_until(&self, now: Instant) -> Option<Instant> {
        (self.per_second.is_some() && self.paid_until > now).then(|| self.paid_until.min(now + LONGEST))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_kept_over_time() {
        let start = Instant::now();
        let mut rate = RateLimiter::new(Some(2000), 2, start);
        let (mut now, mut taken) = (start, 0u64);
        while now < start + Duration::from_secs(10) {
            match rate.wait_until(now) {
                Some(at) => {
                    assert!(at > now && at <= now + LONGEST);
                    now = at;
                }
                None => {
                    rate.take(300, now);
                    taken += 300;
                }
            }
        }
        assert!((9_900..=10_500).contains(&taken), "{taken} of 1000 a second in 10 s");
    }

    #[test]
    fn without_a_rate_nothing_waits() {
        let now = Instant::now();
        let mut rate = RateLimiter::new(None, 1, now);
        rate.take(u64::MAX, now);
        assert_eq!(rate.wait_until(now), None);
    }
}
