//! How many values are read with one pipeline. A server that carries out a pipeline does nothing else meanwhile (a shard of a
//! Dragonfly all of its commands in one go), so its other clients wait.

use std::time::Duration;

/// The most requests of a pipeline.
const MOST: usize = 512;

/// A pipeline that takes longer than this, beside the round trip, is too long for the other clients.
const LONG: Duration = Duration::from_millis(2);

/// The length of the next pipeline: it doubles while pipelines take little time, and halves when one takes long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stride {
    count: usize,
    /// The shortest time that one has taken: the round trip, and little work.
    shortest: Duration,
}

impl Default for Stride {
    fn default() -> Self {
        Self { count: 1, shortest: Duration::MAX }
    }
}

impl Stride {
    /// How many requests to send.
    pub(crate) fn count(self) -> usize {
        self.count
    }

    /// So many were answered within this time.
    pub(crate) fn answered(&mut self, requests: usize, took: Duration) {
        self.shortest = self.shortest.min(took);
        let worked = took.saturating_sub(self.shortest);
        if worked > LONG {
            self.count = (self.count / 2).max(1);
        } else if requests >= self.count && worked < LONG / 2 {
            self.count = (self.count * 2).min(MOST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lengths of the first pipelines to a server that is so far away, and takes so long for each request.
    fn lengths(round_trip: Duration, each: Duration) -> Vec<usize> {
        let mut stride = Stride::default();
        let next = |_| {
            let count = stride.count();
            stride.answered(count, round_trip + each * u32::try_from(count).unwrap());
            count
        };
        (0..20).map(next).collect()
    }

    #[test]
    fn pipelines_are_as_long_as_others_can_wait() {
        let micros = Duration::from_micros;
        for (round_trip, each, most) in [
            (micros(100), micros(1), 512),
            (micros(50_000), micros(1), 512),
            // Values that take 120 µs each: no pipeline takes 4 ms.
            (micros(100), micros(120), 16),
            (micros(50_000), micros(120), 16),
            (micros(100), micros(5000), 2),
        ] {
            let lengths = lengths(round_trip, each);
            assert_eq!(lengths.iter().max(), Some(&most), "{each:?}: {lengths:?}");
            assert!(lengths.ends_with(&[most]) || lengths.ends_with(&[most, 1]), "{each:?}: {lengths:?}");
        }
    }

    #[test]
    fn a_short_rest_says_nothing() {
        let mut stride = Stride { count: 64, shortest: Duration::from_micros(100) };
        stride.answered(3, Duration::from_micros(150));
        assert_eq!(stride.count(), 64);
    }
}
