//! The one way in which a run tries again: with pauses that grow, until it is told to stop or a limit is reached.

use std::hash::{BuildHasher, Hasher, RandomState};

use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;

use crate::backoff::Backoff;
use crate::config::Reconnect;
use crate::error::Error;
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
    chance: RandomState,
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
        Self { peer, limits, backoff, started: Instant::now(), failures: 0, chance: RandomState::new() }
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
            return Err(Error::GaveUp { peer: self.peer, after, last: error.to_string() });
        }
        self.failures += 1;
        counters.retry(self.peer);
        let delay = self.backoff.next_delay(self.chance());
        let retry_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        warn!(%error, retry_in_ms, "no session");
        Ok(if stopped_during(delay, stop).await { Paused::Stopped } else { Paused::TryAgain })
    }

    fn chance(&self) -> u16 {
        let mut hasher = self.chance.build_hasher();
        hasher.write_u64(self.failures);
        let [low, high, ..] = hasher.finish().to_le_bytes();
        u16::from_le_bytes([low, high])
    }
}
