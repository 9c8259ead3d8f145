//! When something that lasts is logged: as it begins, once a minute, and as it ends. Pure.

use std::time::{Duration, Instant};

/// How often a state is logged that lasts.
const EVERY: Duration = Duration::from_secs(60);

/// What is known of one state.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Notice(Option<Instant>);

impl Notice {
    /// The state holds. True if that is to be logged now.
    pub(crate) fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.0.is_none_or(|told| now.saturating_duration_since(told) >= EVERY);
        if is_due {
            self.0 = Some(now);
        }
        is_due
    }

    /// The state is over. True if it was logged.
    pub(crate) fn end(&mut self) -> bool {
        self.0.take().is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_logged_once_a_minute() {
        let (start, mut notice) = (Instant::now(), Notice::default());
        assert!(!notice.end());
        let due: Vec<u64> = (0..=120).filter(|s| notice.is_due(start + Duration::from_secs(*s))).collect();
        assert_eq!(due, [0, 60, 120]);
        assert!(notice.end() && !notice.end() && notice.is_due(start));
    }
}
