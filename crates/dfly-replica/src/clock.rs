//! Time as an argument.

use std::fmt;
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

/// The wall clock.
#[derive(Clone, Copy)]
pub struct Clock(pub fn() -> UnixMillis);

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
        })
    }

    /// The time now.
    pub fn now(&self) -> UnixMillis {
        (self.0)()
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
