//! How fast, how far behind? The last minutes as lines.

use replica_api::wire::Sample;

use super::rates::{self, Of};
use crate::seen::Seen;
use crate::text::{Figure, Texts, real};

/// How far back a plot reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Range {
    /// Five minutes.
    #[default]
    Minutes,
    /// An hour.
    Hour,
}

impl Range {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Minutes, Self::Hour];

    /// Its name in addresses.
    pub(crate) fn tag(self) -> &'static str {
        match self {
            Self::Minutes => "5m",
            Self::Hour => "1h",
        }
    }

    /// The range of this name.
    pub(crate) fn of_tag(tag: Option<&str>) -> Self {
        Self::ALL.into_iter().find(|range| Some(range.tag()) == tag).unwrap_or_default()
    }

    pub(crate) fn name(self, texts: &Texts) -> &'static str {
        match self {
            Self::Minutes => texts.five_minutes,
            Self::Hour => texts.one_hour,
        }
    }

    /// Milliseconds of a point of a line. Points have fixed places in time, so that a line moves and does not change.
    fn step(self) -> i64 {
        match self {
            Self::Minutes => 2_000,
            Self::Hour => 20_000,
        }
    }

    /// Milliseconds.
    fn span(self) -> i64 {
        match self {
            Self::Minutes => 300_000,
            Self::Hour => 3_600_000,
        }
    }
}

/// A line: values over time, from the oldest to the newest, with gaps.
#[derive(Debug)]
pub(crate) struct Line {
    pub name: fn(&Texts) -> &'static str,
    /// The latest value, as it is told beside the name.
    pub latest: Option<Figure>,
    pub points: Vec<Option<f64>>,
}

/// A picture with one or two lines.
#[derive(Debug)]
pub(crate) struct Plot {
    pub title: fn(&Texts) -> &'static str,
    pub lines: Vec<Line>,
    /// The value at the upper edge, a round number.
    pub top: f64,
    /// The figure for a value on the axis.
    pub figure: fn(f64) -> Figure,
}

/// What several values are as one; `None` of none.
type Combine = fn(&[u64]) -> Option<f64>;

/// The values of one field, each point the mean or the largest of its samples.
fn points(history: &[Sample], range: Range, of: Of, combine: Combine) -> Vec<Option<f64>> {
    let Some(last) = history.last() else { return Vec::new() };
    let step = range.step();
    let end = last.at.div_euclid(step);
    let count = range.span() / step;
    let first = end - count + 1;
    let mut values: Vec<Vec<u64>> = (0..count).map(|_| Vec::new()).collect();
    for sample in history {
        let place = usize::try_from(sample.at.div_euclid(step) - first).ok();
        if let (Some(slot), Some(value)) = (place.and_then(|place| values.get_mut(place)), of(sample)) {
            slot.push(value);
        }
    }
    values.iter().map(|values| combine(values)).collect()
}

fn mean(values: &[u64]) -> Option<f64> {
    rates::mean(values.iter().copied())
}

fn largest(values: &[u64]) -> Option<f64> {
    values.iter().copied().max().map(real)
}

/// The next of 1, 2, 5, 10, 20, .. that is no smaller.
fn round_up(value: f64, least: f64) -> f64 {
    let value = value.max(least);
    let power = 10f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0].into_iter().map(|step| step * power).find(|round| *round >= value).unwrap_or(10.0 * power)
}

fn plot(title: fn(&Texts) -> &'static str, lines: Vec<Line>, least: f64, figure: fn(f64) -> Figure) -> Plot {
    let largest = lines.iter().flat_map(|line| &line.points).flatten().copied().fold(0.0, f64::max);
    Plot { title, lines, top: round_up(largest, least), figure }
}

/// The pictures, in their order.
pub(crate) fn plots(seen: &Seen, range: Range) -> [Plot; 3] {
    [rate(seen, range), lag(seen, range), latency(seen, range)]
}

/// While the snapshot is read, keys; then the journal on both sides.
fn rate(seen: &Seen, range: Range) -> Plot {
    let history = &seen.history;
    let is_copied = seen.status.lag.is_some() || seen.status.milestones.journal.is_some();
    let line = |name, of: Of| Line {
        name,
        latest: rates::now(history, of).map(Figure::Rate),
        points: points(history, range, of, mean),
    };
    let lines = if is_copied {
        vec![line(|t| t.source_writes, rates::JOURNALED), line(|t| t.target_takes, rates::APPLIED)]
    } else {
        vec![line(|t| t.keys_copied, rates::KEYS)]
    };
    let title: fn(&Texts) -> &'static str = if is_copied { |t| t.plot_records } else { |t| t.plot_keys };
    plot(title, lines, 10.0, Figure::Rate)
}

fn lag(seen: &Seen, range: Range) -> Plot {
    let line = Line {
        name: |t| t.target_behind,
        latest: seen.status.lag.map(|lag| Figure::Time(lag.millis)),
        points: points(&seen.history, range, |sample| sample.lag_millis, largest),
    };
    plot(|t| t.plot_lag, vec![line], 1000.0, |millis| Figure::Time(whole(millis)))
}

fn latency(seen: &Seen, range: Range) -> Plot {
    let history = &seen.history;
    let now = |of: Of| history.iter().rev().take(5).find_map(of).map(Figure::Micros);
    let line = |name, of: Of| Line { name, latest: now(of), points: points(history, range, of, largest) };
    let lines = vec![
        line(|t| t.half_of_batches, |sample| sample.batch_p50_micros),
        line(|t| t.slowest_batches, |sample| sample.batch_p99_micros),
    ];
    plot(|t| t.plot_latency, lines, 1000.0, |micros| Figure::Micros(whole(micros)))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "values of axes are small and positive"
)]
fn whole(value: f64) -> u64 {
    value as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_have_fixed_places_in_time() {
        let sample = |at, lag| Sample { at, lag_millis: lag, ..Sample::default() };
        let mut history: Vec<Sample> = (0..400).map(|second| sample(second * 1000, Some(1))).collect();
        let before = points(&history, Range::Minutes, |sample| sample.lag_millis, largest);
        assert_eq!((before.len(), before.iter().flatten().count()), (150, 150));
        history.push(sample(400_000, Some(9)));
        let after = points(&history, Range::Minutes, |sample| sample.lag_millis, largest);
        assert_eq!((after[149], &after[..149]), (Some(9.0), &before[1..]));
        let hour = points(&history, Range::Hour, |sample| sample.lag_millis, largest);
        assert_eq!(hour.iter().flatten().count(), 21, "what is not known is a gap");
        assert!(points(&[], Range::Hour, |sample| sample.lag_millis, mean).is_empty());
    }

    #[test]
    fn axes_end_in_round_numbers() {
        for (value, expected) in
            [(0.0, 10.0), (10.0, 10.0), (11.0, 20.0), (30.0, 50.0), (999.0, 1000.0), (1001.0, 2000.0)]
        {
            assert!((round_up(value, 10.0) - expected).abs() < 1e-6, "{value}");
        }
    }
}
