//! Whether bytes of the source are left to gather for a moment before they are read. Pure.

use std::time::{Duration, Instant};

/// How long bytes gather. The runtime's timers end at a whole ms, so in fact it is between 0.5 ms and [`AT_MOST`].
const GATHERING: Duration = Duration::from_micros(500);

/// How long bytes gather if the timer is late.
const AT_MOST: Duration = Duration::from_micros(1500);

/// Reads that follow each other faster than this are worth gathering for. It is longer than bytes gather.
const FREQUENT: Duration = Duration::from_millis(2);

/// How long bytes are counted before the count begins anew.
const COUNTED: Duration = Duration::from_millis(4);

/// The most bytes that may gather. A socket holds more, so the source does not wait for it.
const PLENTY: usize = 128 << 10;

/// How a flow's bytes arrive.
///
/// A source that is written to sends its journal in many small packets. If each is read at once, waking up costs source, tool
/// and target more than the records do. So while packets come fast, they gather for a moment between two reads. A read after a
/// silence happens at once, and so does each read while so much comes that the source would have to wait.
#[derive(Debug, Default)]
pub(crate) struct Arrivals {
    last: Option<Instant>,
    gathers: Option<Instant>,
    /// When the count of bytes began, and how many were read from then on.
    since: Option<(Instant, usize)>,
}

impl Arrivals {
    /// So many bytes were read.
    pub(crate) fn on_read(&mut self, bytes: usize, now: Instant) {
        let is_frequent = self.last.is_some_and(|last| now.saturating_duration_since(last) < FREQUENT);
        self.last = Some(now);
        let (since, before) = self.since.filter(|_| is_frequent).unwrap_or((now, 0));
        let read = before.saturating_add(bytes);
        let time = now.saturating_duration_since(since);
        let gathers = is_frequent && expected(read, time) < PLENTY;
        self.gathers = gathers.then(|| now + GATHERING);
        let begins = gathers || time >= COUNTED;
        self.since = Some(if begins { (now, 0) } else { (since, read) });
    }

    /// Until when nothing is read, if that is later than `now`.
    pub(crate) fn gather_until(&self, now: Instant) -> Option<Instant> {
        self.gathers.filter(|until| *until > now)
    }
}

/// How many bytes gather if they go on to come as fast as `read` bytes in `time`.
fn expected(read: usize, time: Duration) -> usize {
    // At least a microsecond, so that a burst counts as one.
    let (read, time) = (read as u128, time.as_micros().max(1));
    usize::try_from(read * AT_MOST.as_micros() / time).unwrap_or(usize::MAX)
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

    /// Behind how many of a thousand reads bytes gather, when so many come in a ms.
    fn gathered(bytes_in_a_ms: usize) -> usize {
        let (mut arrivals, mut now, mut gathered) = (Arrivals::default(), Instant::now(), 0);
        for _read in 0..1000 {
            arrivals.on_read(bytes_in_a_ms, now);
            gathered += usize::from(arrivals.gather_until(now).is_some());
            now += Duration::from_millis(1);
        }
        gathered
    }

    #[test]
    fn what_would_fill_the_socket_does_not_gather() {
        assert!(gathered(1) > 990 && gathered(80_000) > 990);
        assert_eq!((gathered(100_000), gathered(10_000_000)), (0, 0));
    }

    #[test]
    fn a_flood_that_ends_gathers_again() {
        let (mut arrivals, mut now) = (Arrivals::default(), Instant::now());
        for _read in 0..1000 {
            arrivals.on_read(1 << 20, now);
            now += Duration::from_millis(1);
        }
        assert_eq!(arrivals.gather_until(now), None);
        for _read in 0..10 {
            arrivals.on_read(1000, now);
            now += Duration::from_millis(1);
        }
        assert!(arrivals.gather_until(now - Duration::from_millis(1)).is_some());
    }
}
