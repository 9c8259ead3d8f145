//! An axis of a picture: what it shows, and where its marks are.

use std::ops::Range;

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};

/// About how many marks a linear axis has.
const MARKS: f64 = 6.0;

/// An axis.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Axis {
    /// What it shows, with the unit.
    pub title: String,
    is_log: bool,
    marks: Vec<f64>,
    low: f64,
    high: f64,
}

impl Axis {
    /// From 0 to a little above the largest value.
    pub(crate) fn linear(title: &str, values: &[f64]) -> Self {
        let high = largest(values) * 1.1;
        let step = step(high / MARKS);
        let marks = (0..).map(|nth: u32| f64::from(nth) * step).take_while(|mark| *mark <= high).collect();
        Self { title: title.to_owned(), is_log: false, marks, low: 0.0, high }
    }

    /// Between the powers of ten around all values that are more than 0, with marks at those powers.
    pub(crate) fn decades(title: &str, values: &[f64]) -> Self {
        let positive = || values.iter().copied().filter(|value| *value > 0.0);
        let high = positive().fold(1.0, f64::max).log10().ceil();
        let low = positive().fold(f64::INFINITY, f64::min).log10().floor().min(high - 1.0);
        let powers = (0..).map(|nth: u32| low + f64::from(nth)).take_while(|power| *power <= high);
        let marks = powers.map(|power| 10_f64.powf(power)).collect();
        Self { title: title.to_owned(), is_log: true, marks, low: 10_f64.powf(low), high: 10_f64.powf(high) }
    }

    /// In equal steps for equal factors, with a mark at each of these values, and some room on both sides.
    pub(crate) fn factors(title: &str, values: &[f64]) -> Self {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let (low, high) = (if low > 0.0 && low.is_finite() { low } else { 1.0 }, largest(values));
        let room = (high / low).powf(0.04).max(1.05);
        let (low, high) = (low / room, high * room);
        Self { title: title.to_owned(), is_log: true, marks: values.to_vec(), low, high }
    }

    /// Where a value stands: 0 at the beginning of the axis, 1 at its end.
    fn place(&self, value: f64) -> f64 {
        let at = |value: f64| if self.is_log { value.max(self.low).log10() } else { value };
        (at(value) - at(self.low)) / (at(self.high) - at(self.low))
    }

    /// Whether a value is not beyond the end.
    pub(crate) fn reaches(&self, value: f64) -> bool {
        value <= self.high
    }
}

impl Ranged for Axis {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    #[expect(clippy::cast_possible_truncation, reason = "a place within a picture")]
    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        first + (f64::from(last - first) * self.place(*value)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.marks.clone() }
    }

    fn range(&self) -> Range<f64> {
        self.low..self.high
    }
}

impl ValueFormatter<f64> for Axis {
    fn format_ext(&self, value: &f64) -> String {
        number(*value)
    }
}

fn largest(values: &[f64]) -> f64 {
    let largest = values.iter().copied().fold(0.0, f64::max);
    if largest > 0.0 { largest } else { 1.0 }
}

/// 1, 2 or 5 of a power of ten, at least `least`.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    steps.into_iter().find(|step| *step >= least).unwrap_or(least)
}

/// A number in few letters: `16 M`, `2.5 k`, `0.05`.
fn number(value: f64) -> String {
    let units = [(1e9, " G"), (1e6, " M"), (1e3, " k"), (1.0, "")];
    let unit = units.into_iter().find(|(unit, _)| value >= *unit * 0.9999);
    let (unit, letter) = unit.unwrap_or((1.0, ""));
    let digits = format!("{:.6}", value / unit);
    format!("{}{letter}", digits.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_round() {
        let values = |axis: &Axis| axis.marks.iter().map(|mark| axis.format_ext(mark)).collect::<Vec<_>>();
        assert_eq!(values(&Axis::linear("", &[870.0])), ["0", "200", "400", "600", "800"]);
        assert_eq!(values(&Axis::linear("", &[0.0, 42.0])), ["0", "10", "20", "30", "40"]);
        assert_eq!(values(&Axis::decades("", &[0.02, 30.0])), ["0.01", "0.1", "1", "10", "100"]);
        assert_eq!(values(&Axis::factors("", &[1e6, 4e6, 16e6])), ["1 M", "4 M", "16 M"]);
    }

    #[test]
    fn every_value_is_within_the_range() {
        for values in [&[1.0, 64.0][..], &[10.0, 1e8], &[5.0]] {
            for axis in [Axis::linear("", values), Axis::decades("", values), Axis::factors("", values)] {
                assert!(values.iter().all(|value| (0.0..=1.0).contains(&axis.place(*value))), "{axis:?}");
            }
        }
    }
}
