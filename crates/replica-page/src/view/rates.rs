//! Rates of the last seconds.

use replica_api::wire::Sample;

use crate::text::real;

/// Over how many samples rates are taken: long enough to be steady, short enough to be true.
const SPAN: usize = 10;

/// The mean of what was counted in each of the last seconds, as far as it is known.
fn mean(history: &[Sample], of: impl Fn(&Sample) -> Option<u64>) -> Option<f64> {
    let last = history.iter().rev().take(SPAN).filter_map(of);
    let (sum, count) = last.fold((0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| real(sum) / real(count))
}

/// Keys of the snapshot in a second.
pub(crate) fn keys(history: &[Sample]) -> Option<f64> {
    mean(history, |sample| Some(sample.keys))
}

/// Bytes that came from the source in a second.
pub(crate) fn bytes(history: &[Sample]) -> Option<f64> {
    mean(history, |sample| Some(sample.bytes))
}

/// Records that the source journals in a second.
pub(crate) fn journaled(history: &[Sample]) -> Option<f64> {
    mean(history, |sample| sample.journaled)
}

/// Records that become durable on the target in a second.
pub(crate) fn applied(history: &[Sample]) -> Option<f64> {
    mean(history, |sample| sample.applied)
}

/// For how long something lasts at a rate, in milliseconds; `None` without a rate.
pub(crate) fn lasts(amount: u64, per_second: f64) -> Option<u64> {
    let seconds = real(amount) / per_second;
    // A hundred days are as good as for ever.
    (per_second > 0.0 && seconds < 8_640_000.0).then(|| truncate(seconds * 1000.0))
}

/// A number that is known to be neither negative nor large.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is checked by whoever asks"
)]
fn truncate(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_those_of_the_last_seconds() {
        let sample = |keys, applied| Sample { keys, applied, ..Sample::default() };
        let mut history = vec![sample(1_000_000, None); 50];
        history.extend((0..10).map(|nth| sample(10, (nth > 4).then_some(7))));
        assert_eq!((keys(&history), applied(&history)), (Some(10.0), Some(7.0)));
        assert_eq!((keys(&[]), journaled(&history)), (None, None));
        assert_eq!((lasts(100, 50.0), lasts(100, 0.0), lasts(u64::MAX, 0.1)), (Some(2000), None, None));
    }
}
