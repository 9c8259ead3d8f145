//! The last hour of a run, one sample a second.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use crate::wire::Sample;

/// How many samples are kept: an hour.
const MOST: usize = 3600;

/// The samples. Copies share them.
#[derive(Debug, Clone, Default)]
pub struct History(Arc<Mutex<VecDeque<Sample>>>);

impl History {
    /// The samples, the oldest first.
    pub fn read(&self) -> Vec<Sample> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().copied().collect()
    }

    /// The samples that were taken after this moment, the oldest first.
    pub fn read_after(&self, after: i64) -> Vec<Sample> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = samples.partition_point(|sample| sample.at <= after);
        samples.range(first..).copied().collect()
    }

    /// How many records the source has journaled in the last seconds of which that is known, at most so many, and in how many.
    pub(super) fn journaled(&self, seconds: usize) -> (u64, u64) {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = samples.iter().rev().take(seconds).filter_map(|sample| sample.journaled);
        last.fold((0, 0), |(records, seconds), more| (records + more, seconds + 1))
    }

    pub(super) fn push(&self, sample: Sample) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if samples.len() >= MOST {
            samples.pop_front();
        }
        samples.push_back(sample);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_is_kept() {
        let history = History::default();
        (0..4000).for_each(|at| history.push(Sample { at, ..Sample::default() }));
        let read = history.read();
        assert_eq!((history.read_after(3997).len(), history.read_after(i64::MIN).len()), (2, MOST));
        assert_eq!((read.len(), read[0].at, read[MOST - 1].at), (MOST, 400, 3999));
    }
}
