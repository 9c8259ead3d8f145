//! Whether bytes of the source are left to gather for a moment before they are read. Pure.

use std::time::{Duration, Instant};

/// How long bytes gather. The runtime's timers end at a whole ms, so in fact it is between 0.5 and 1.5 ms.
const GATHERING: Duration = Duration::from_micros(500);

/// Reads that follow each other faster than this are worth gathering for. It is longer than bytes gather.
const FREQUENT: Duration = Duration::from_millis(2);

/// A read of so many bytes has gathered enough.
const PLENTY: usize = 64 << 10;

/// How a flow's bytes arrive.
///
/// A source that is written to sends its journal in many small packets. If each is read at once, waking up costs source, tool
/// and target more than the records do. So while packets come fast, they gather for a moment between two reads. A read after a
/// silence happens at once.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    last: Option<Instant>,
    gathers: Option<Instant>,
}

impl Arrivals {
    /// So many bytes were read.
    pub(crate) fn on_read(&mut self, bytes: usize, now: Instant) {
        let is_frequent = self.last.is_some_and(|last| now.saturating_duration_since(last) < FREQUENT);
        self.gathers = (is_frequent && bytes < PLENTY).then(|| now + GATHERING);
        self.last = Some(now);
    }

    /// Until when nothing is read, if that is later than `now`.
    pub(crate) fn gather_until(&self, now: Instant) -> Option<Instant> {
        self.gathers.filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_read_after_a_silence_is_followed_at_once_and_a_frequent_one_after_a_moment() {
        let (mut arrivals, began) = (Arrivals::default(), Instant::now());
        arrivals.on_read(100, began);
        assert_eq!(arrivals.gather_until(began), None, "the first");
        let second = began + FREQUENT / 2;
        arrivals.on_read(100, second);
        assert_eq!(arrivals.gather_until(second), Some(second + GATHERING));
        assert_eq!(arrivals.gather_until(second + GATHERING), None);
        let late = second + FREQUENT;
        arrivals.on_read(100, late);
        assert_eq!(arrivals.gather_until(late), None, "a silence before it");
    }

    #[test]
    fn a_large_read_is_followed_at_once() {
        let (mut arrivals, now) = (Arrivals::default(), Instant::now());
        arrivals.on_read(PLENTY, now);
        arrivals.on_read(PLENTY, now);
        assert_eq!(arrivals.gather_until(now), None);
        arrivals.on_read(PLENTY - 1, now);
        assert_eq!(arrivals.gather_until(now), Some(now + GATHERING));
    }
}
