//! How full a relay log is, for people: told at half and at nine tenths of its limit, with the time that is left. Pure.

use std::time::{Duration, Instant};

/// When it is told, in percent of the limit.
const LEVELS: [u64; 2] = [50, 90];

/// What was told of one log.
#[derive(Debug)]
pub(crate) struct RelayLevel {
    limit: u64,
    /// How many of the levels were told.
    told: usize,
    /// What it held when it came into use, and when.
    began: Option<(u64, Instant)>,
}

/// What is to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LevelReached {
    /// Of the limit.
    pub percent: u64,
    /// Until it is full, if it goes on like this.
    pub left: Duration,
}

impl RelayLevel {
    /// A log of `limit` bytes at the most.
    pub(crate) fn new(limit: u64) -> Self {
        Self { limit, told: 0, began: None }
    }

    /// The log holds so many bytes; 0: it is not in use.
    pub(crate) fn hear(&mut self, bytes: u64, now: Instant) -> Option<LevelReached> {
        if bytes == 0 {
            (self.told, self.began) = (0, None);
            return None;
        }
        let (first, since) = *self.began.get_or_insert((bytes, now));
        let percent = *LEVELS.get(self.told)?;
        if u128::from(bytes) * 100 < u128::from(self.limit) * u128::from(percent) {
            return None;
        }
        self.told += 1;
        let millis = u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX);
        let grown = bytes.saturating_sub(first).max(1);
        let left = self.limit.saturating_sub(bytes).saturating_mul(millis) / grown;
        Some(LevelReached { percent, left: Duration::from_millis(left) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C25: told at half and at nine tenths, once each time that the log is in use.
    #[test]
    fn each_level_is_told_once() {
        let (start, mut level) = (Instant::now(), RelayLevel::new(1000));
        let at = |second| start + Duration::from_secs(second);
        assert_eq!(level.hear(100, at(0)), None);
        let half = LevelReached { percent: 50, left: Duration::from_millis(5000) };
        assert_eq!((level.hear(500, at(4)), level.hear(600, at(5))), (Some(half), None));
        assert_eq!(level.hear(900, at(8)).map(|reached| reached.percent), Some(90));
        assert_eq!((level.hear(1000, at(9)), level.hear(0, at(10))), (None, None));
        assert_eq!(level.hear(999, at(11)).map(|reached| reached.percent), Some(50));
    }
}
