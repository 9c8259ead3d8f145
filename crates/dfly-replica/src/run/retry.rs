//! The one way in which a run tries again: with pauses that grow, until it is told to stop or a limit is reached.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::blame::Blame;
use crate::config::Reconnect;
use crate::error::Error;
use crate::notice::Notice;
use crate::run::counters::Counters;
use crate::run::stop::{Stop, stopped_during};

/// Attempts at one thing.
#[derive(Debug)]
pub(crate) struct Attempts {
    /// `source` or `target`.
    peer: &'static str,
    limits: Reconnect,
    backoff: Backoff,
    started: Instant,
    failures: u64,
    notice: Notice,
    chance: RandomState,
}

/// Sessions that end soon after they begin: the more there are in a row, the longer the pause before the next.
#[derive(Debug)]
pub(crate) struct ShortSessions {
    backoff: Backoff,
    in_a_row: u32,
}

/// A session that has lasted so long is no sign of trouble.
const STEADY: Duration = Duration::from_secs(10);

/// So many short sessions in a row are followed by another one at once.
const FREE: u32 = 3;

impl ShortSessions {
    pub(crate) fn new(limits: Reconnect) -> Self {
        Self { backoff: Backoff::new(limits.first_delay, limits.longest_delay), in_a_row: 0 }
    }

    /// How long to wait behind a session that has lasted so long.
    pub(crate) fn pause(&mut self, lasted: Duration) -> Duration {
        if lasted >= STEADY {
            self.in_a_row = 0;
            self.backoff.reset();
            return Duration::ZERO;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row <= FREE { Duration::ZERO } else { self.backoff.next_delay(u16::MAX) }
    }
}

/// Sessions that end because the target is too slow: each full synchronisation that follows burdens both servers, so the pauses
/// grow.
#[derive(Debug)]
pub(crate) struct FullRelayLogs(Backoff);

/// The longest pause is so many times that between attempts to connect.
const LONGEST: u32 = 60;

/// A session of this length was not one of a row.
const LONG: Duration = Duration::from_secs(3600);

impl FullRelayLogs {
    pub(crate) fn new(limits: Reconnect) -> Self {
        Self(Backoff::new(limits.longest_delay, limits.longest_delay * LONGEST))
    }

    /// How long to wait behind a session that has lasted so long.
    pub(crate) fn pause(&mut self, lasted: Duration) -> Duration {
        if lasted >= LONG {
            self.0.reset();
        }
        self.0.next_delay(u16::MAX)
    }
}

/// How a pause ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Paused {
    /// It is time for the next attempt.
    TryAgain,
    /// The run was told to stop.
    Stopped,
}

impl Attempts {
    pub(crate) fn new(peer: &'static str, limits: Reconnect) -> Self {
        let backoff = Backoff::new(limits.first_delay, limits.longest_delay);
        let (notice, chance) = (Notice::default(), RandomState::new());
        Self { peer, limits, backoff, started: Instant::now(), failures: 0, notice, chance }
    }

    /// An attempt has succeeded.
    pub(crate) fn succeed(&mut self) {
        if self.notice.end() {
            let since_s = self.started.elapsed().as_secs();
            info!(attempts = self.failures.saturating_add(1), since_s, "connected again");
        }
    }

    /// An attempt has failed: waits until it is time for the next one.
    ///
    /// # Errors
    /// [`Error::GaveUp`], when that has gone on for too long.
    pub(crate) async fn pause(
        &mut self,
        error: &Error,
        counters: &Counters,
        stop: &mut watch::Receiver<Stop>,
    ) -> Result<Paused, Error> {
        let after = self.started.elapsed();
        if self.limits.give_up_after.is_some_and(|limit| after >= limit) {
            let peer = if error.blame() == Blame::Target { "target" } else { self.peer };
            return Err(Error::GaveUp { peer, after, last: error.to_string() });
        }
        self.failures += 1;
        counters.retry(self.peer);
        let delay = self.backoff.next_delay(self.chance());
        let retry_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        match self.notice.is_due(std::time::Instant::now()) {
            true => warn!(%error, retry_in_ms, since_s = after.as_secs(), "no session"),
            false => debug!(%error, retry_in_ms, "no session"),
        }
        Ok(if stopped_during(delay, stop).await { Paused::Stopped } else { Paused::TryAgain })
    }

    fn chance(&self) -> u16 {
        let mut hasher = self.chance.build_hasher();
        hasher.write_u64(self.failures);
        let [low, high, ..] = hasher.finish().to_le_bytes();
        u16::from_le_bytes([low, high])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_that_end_at_once_are_begun_ever_more_seldom() {
        let limits = Reconnect { first_delay: Duration::from_secs(1), ..Reconnect::default() };
        let mut short = ShortSessions::new(limits);
        let pauses: Vec<u64> = (0..9).map(|_| short.pause(Duration::ZERO).as_secs()).collect();
        assert_eq!(pauses, [0, 0, 0, 1, 2, 4, 8, 10, 10]);
        assert_eq!(short.pause(STEADY), Duration::ZERO);
        assert_eq!(short.pause(Duration::ZERO), Duration::ZERO);
    }
}
