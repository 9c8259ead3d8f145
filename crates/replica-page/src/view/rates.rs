//! Rates of the last seconds.

use replica_api::wire::Sample;

use crate::text::real;

/// Over how many samples rates are taken: long enough to be steady, short enough to be true.
const SPAN: usize = 10;

/// A field of samples, as far as it is known.
pub(crate) type Of = fn(&Sample) -> Option<u64>;

/// Keys of the snapshot in a second.
pub(crate) const KEYS: Of = |sample| Some(sample.keys);

/// Bytes that came from the source in a second.
pub(crate) const BYTES: Of = |sample| Some(sample.bytes);

/// Records that the source journals in a second.
pub(crate) const JOURNALED: Of = |sample| sample.journaled;

/// Records that become durable on the target in a second.
pub(crate) const APPLIED: Of = |sample| sample.applied;

/// The mean of values; `None` of none.
pub(crate) fn mean(values: impl Iterator<Item = u64>) -> Option<f64> {
    let (sum, count) = values.fold((0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| real(sum) / real(count))
}

/// What the field was in the last seconds.
pub(crate) fn now(history: &[Sample], of: Of) -> Option<f64> {
    mean(history.iter().rev().take(SPAN).filter_map(of))
}

/// For how long something lasts at a rate, in milliseconds; `None` without a rate.
pub(crate) fn lasts(amount: u64, per_second: f64) -> Option<u64> {
    let seconds = real(amount) / per_second;
    // A hundred days are as good as for ever.
    (per_second > 0.0 && seconds < 8_640_000.0).then(|| truncate(seconds * 1000.0))
}

/// What was counted between two moments, in a second; `None` if they are one.
pub(crate) fn in_a_second(count: u64, from: i64, to: i64) -> Option<f64> {
    let millis = u64::try_from(to.saturating_sub(from)).ok().filter(|millis| *millis > 0)?;
    Some(real(count) * 1000.0 / real(millis))
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
        assert_eq!((now(&history, KEYS), now(&history, APPLIED)), (Some(10.0), Some(7.0)));
        assert_eq!((now(&[], KEYS), now(&history, JOURNALED)), (None, None));
        assert_eq!((lasts(100, 50.0), lasts(100, 0.0), lasts(u64::MAX, 0.1)), (Some(2000), None, None));
    }
}
