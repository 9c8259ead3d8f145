//! The limits on what a comparison asks of both sides.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use dfly_replica::RateLimiter;

/// Keeps the requests and the bytes of replies, over both sides, within a rate.
#[derive(Debug)]
pub(crate) struct Throttle {
    requests: Mutex<RateLimiter>,
    bytes: Mutex<RateLimiter>,
}

impl Throttle {
    /// Limits a second; `None`: no limit.
    pub(crate) fn new(requests: Option<u64>, bytes: Option<u64>, now: Instant) -> Self {
        let limiter = |rate| Mutex::new(RateLimiter::new(rate, 1, now));
        Self { requests: limiter(requests), bytes: limiter(bytes) }
    }

    /// Waits until more may be asked. So many requests are asked then.
    pub(crate) async fn ask(&self, requests: u64, now: Instant) {
        let mut now = now;
        while let Some(until) = self.wait_until(now) {
            tokio::time::sleep_until(until.into()).await;
            now = Instant::now();
        }
        lock(&self.requests).take(requests, now);
    }

    fn wait_until(&self, now: Instant) -> Option<Instant> {
        let (requests, bytes) = (lock(&self.requests).wait_until(now), lock(&self.bytes).wait_until(now));
        requests.max(bytes)
    }

    /// The replies had so many bytes.
    pub(crate) fn answered(&self, bytes: u64, now: Instant) {
        lock(&self.bytes).take(bytes, now);
    }
}

fn lock(limiter: &Mutex<RateLimiter>) -> MutexGuard<'_, RateLimiter> {
    limiter.lock().unwrap_or_else(PoisonError::into_inner)
}
