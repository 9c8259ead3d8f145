//! Time as an argument.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use dfly_wire::UnixMillis;

/// One moment, by both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Now {
    /// For durations.
    pub instant: Instant,
    /// For expiries.
    pub wall: UnixMillis,
}

/// The wall clock that decides what has expired: the source's, as far as it is known. Copies share what is known of it.
#[derive(Clone)]
pub struct Clock {
    host: fn() -> UnixMillis,
    /// How far the source's clock is ahead of the host's, in milliseconds.
    ahead: Arc<AtomicI64>,
}

/// A source's answer is not exact: less than so much is no difference, in milliseconds.
const NOISE: i64 = 100;

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        })
    }

    /// A clock of the host. The source's is taken for the same until it is heard.
    pub fn new(host: fn() -> UnixMillis) -> Self {
        Self { host, ahead: Arc::default() }
    }

    /// The source's time now.
    pub fn now(&self) -> UnixMillis {
        UnixMillis(self.host().0.saturating_add(self.ahead.load(Relaxed)))
    }

    /// The host's time now.
    pub fn host(&self) -> UnixMillis {
        (self.host)()
    }

    /// The source's clock has shown `shown` when the host's showed `host`. Gives how far it is ahead of the host's, in
    /// milliseconds, if that is new.
    pub(crate) fn hear(&self, shown: UnixMillis, host: UnixMillis) -> Option<i64> {
        let ahead = shown.0.saturating_sub(host.0);
        let is_new = (ahead - self.ahead.load(Relaxed)).abs() >= NOISE;
        if is_new {
            self.ahead.store(ahead, Relaxed);
        }
        is_new.then_some(ahead)
    }

    /// This moment.
    pub(crate) fn moment(&self) -> Now {
        Now { instant: Instant::now(), wall: self.now() }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C22: what has expired is decided by the source's clock.
    #[test]
    fn copies_follow_the_source() {
        let clock = Clock::new(|| UnixMillis(1_000_000));
        let copy = clock.clone();
        assert_eq!(clock.hear(UnixMillis(400_050), UnixMillis(1_000_000)), Some(-599_950));
        assert_eq!((copy.now(), copy.host()), (UnixMillis(400_050), UnixMillis(1_000_000)));
        assert_eq!(clock.hear(UnixMillis(400_020), UnixMillis(1_000_000)), None, "as exact as before");
    }
}
