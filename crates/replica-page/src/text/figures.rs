//! Numbers, amounts and times for people.

use maud::{Markup, Render, html};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::table::Texts;

/// A number with a meaning. It is shown in a form of the language; the page's script puts it into the reader's own.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Figure {
    /// How many.
    Count(u64),
    /// How many in a second.
    Rate(f64),
    /// How long, in milliseconds.
    Time(u64),
    /// How long, in microseconds.
    Micros(u64),
    /// Bytes.
    Bytes(u64),
    /// A share of 1.
    Share(f64),
    /// A moment, in milliseconds since 1970.
    Moment(i64),
    /// Words that are the same in every language, such as addresses and what servers say.
    Words(String),
}

/// A number as it is shown: with so many digits behind the point, and its unit.
#[derive(Debug, PartialEq)]
struct Shown {
    value: f64,
    digits: u8,
    unit: String,
}

fn shown(value: f64, digits: u8, unit: impl Into<String>) -> Shown {
    Shown { value, digits, unit: unit.into() }
}

/// Exact as far as it is shown.
#[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
pub(crate) fn real(count: u64) -> f64 {
    count as f64
}

/// In the largest unit of which there is at least one, with one digit behind the point below ten.
fn bytes(bytes: u64) -> Shown {
    let (mut value, mut unit) = (real(bytes), 0);
    while value >= 1024.0 && unit + 1 < BYTES.len() {
        (value, unit) = (value / 1024.0, unit + 1);
    }
    let digits = u8::from(unit > 0 && value < 10.0);
    shown(value, digits, BYTES.get(unit).copied().unwrap_or_default())
}

/// A time as one or two numbers.
fn time(millis: u64, texts: &Texts) -> Vec<Shown> {
    let seconds = millis / 1000;
    let whole = |value: u64, unit: &str| shown(real(value), 0, unit);
    if millis == 0 {
        return vec![whole(0, texts.unit_second)];
    }
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, _) if millis < 100 => vec![whole(millis, texts.unit_millisecond)],
        (0, 0, 0, _) if millis < 10_000 => vec![shown(real(millis / 100) / 10.0, 1, texts.unit_second)],
        (0, 0, 0, s) => vec![whole(s, texts.unit_second)],
        (0, 0, m, s) if m < 10 && s > 0 => vec![whole(m, texts.unit_minute), whole(s, texts.unit_second)],
        (0, 0, m, _) => vec![whole(m, texts.unit_minute)],
        (0, h, 0, _) => vec![whole(h, texts.unit_hour)],
        (0, h, m, _) => vec![whole(h, texts.unit_hour), whole(m, texts.unit_minute)],
        (d, 0, ..) => vec![whole(d, texts.unit_day)],
        (d, h, ..) => vec![whole(d, texts.unit_day), whole(h, texts.unit_hour)],
    }
}

fn micros(micros: u64, texts: &Texts) -> Vec<Shown> {
    match micros {
        0 => vec![shown(0.0, 0, texts.unit_second)],
        1..1000 => vec![shown(real(micros), 0, "µs")],
        1000..10_000 => vec![shown(real(micros) / 1000.0, 1, texts.unit_millisecond)],
        10_000..1_000_000 => vec![shown(real(micros / 1000), 0, texts.unit_millisecond)],
        _ => time(micros / 1000, texts),
    }
}

fn rate(rate: f64) -> Shown {
    let digits = u8::from(rate > 0.0 && rate < 10.0 && rate.fract() > 0.05);
    shown(rate, digits, "/s")
}

const BYTES: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

impl Figure {
    fn numbers(&self, texts: &Texts) -> Vec<Shown> {
        match self {
            Self::Count(count) => vec![shown(real(*count), 0, "")],
            Self::Rate(per_second) => vec![rate(*per_second)],
            Self::Time(millis) => time(*millis, texts),
            Self::Micros(time) => micros(*time, texts),
            Self::Bytes(bytes) => vec![self::bytes(*bytes)],
            Self::Share(share) => vec![shown((share * 100.0).floor().clamp(0.0, 100.0), 0, "%")],
            Self::Moment(_) | Self::Words(_) => Vec::new(),
        }
    }

    /// As HTML, with what the script needs to show it in the reader's own form.
    pub(crate) fn html(&self, texts: &Texts) -> Markup {
        match self {
            Self::Moment(at) => html! { time datetime=(iso(*at)) { (clock(*at)) } },
            Self::Words(words) => html! { bdi { (words) } },
            _ => html! {
                @for (nth, shown) in self.numbers(texts).iter().enumerate() {
                    @if nth > 0 { " " }
                    (shown)
                }
            },
        }
    }

    /// As text alone, for attributes.
    pub(crate) fn plain(&self, texts: &Texts) -> String {
        match self {
            Self::Moment(at) => clock(*at),
            Self::Words(words) => words.clone(),
            _ => self.numbers(texts).iter().map(Shown::plain).collect::<Vec<_>>().join(" "),
        }
    }
}

impl Shown {
    fn number(&self) -> String {
        grouped(&format!("{:.*}", usize::from(self.digits), self.value))
    }

    fn has_gap(&self) -> bool {
        !self.unit.is_empty() && !self.unit.starts_with('/') && self.unit != "%"
    }

    fn plain(&self) -> String {
        let gap = if self.has_gap() { "\u{a0}" } else { "" };
        format!("{}{gap}{}", self.number(), self.unit)
    }
}

impl Render for Shown {
    fn render(&self) -> Markup {
        let value = format!("{:.*}", usize::from(self.digits), self.value);
        html! {
            data value=(value) data-digits=[(self.digits > 0).then_some(self.digits)] { (self.number()) }
            @if self.has_gap() { "\u{a0}" }
            (self.unit)
        }
    }
}

/// Digits before the point in groups of three.
fn grouped(number: &str) -> String {
    let (whole, rest) = number.split_once('.').map_or((number, None), |(whole, rest)| (whole, Some(rest)));
    let mut out = String::new();
    for (at, digit) in whole.chars().enumerate() {
        if at > 0 && (whole.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    match rest {
        Some(rest) => format!("{out}.{rest}"),
        None => out,
    }
}

/// A moment as machines read it, in UTC.
pub(crate) fn iso(at: i64) -> String {
    let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(at) * 1_000_000);
    moment.ok().and_then(|moment| moment.format(&Rfc3339).ok()).unwrap_or_default()
}

/// The time of day, in UTC.
fn clock(at: i64) -> String {
    let seconds = at.div_euclid(1000).rem_euclid(86_400);
    format!("{:02}:{:02}:{:02} UTC", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Language;

    fn plain(figure: &Figure, language: Language) -> String {
        figure.plain(language.texts()).replace('\u{a0}', " ")
    }

    #[test]
    fn figures_are_short_and_have_units() {
        for (figure, expected) in [
            (Figure::Count(1_234_567), "1,234,567"),
            (Figure::Count(0), "0"),
            (Figure::Rate(1240.4), "1,240/s"),
            (Figure::Rate(2.5), "2.5/s"),
            (Figure::Rate(0.0), "0/s"),
            (Figure::Time(34), "34 ms"),
            (Figure::Time(340), "0.3 s"),
            (Figure::Time(40_900), "40 s"),
            (Figure::Time(125_000), "2 min 5 s"),
            (Figure::Time(660_000), "11 min"),
            (Figure::Time(11_220_000), "3 h 7 min"),
            (Figure::Time(90_000_000), "1 d 1 h"),
            (Figure::Micros(256), "256 µs"),
            (Figure::Micros(2048), "2.0 ms"),
            (Figure::Micros(131_072), "131 ms"),
            (Figure::Micros(2_500_000), "2.5 s"),
            (Figure::Bytes(900), "900 B"),
            (Figure::Bytes(8 << 30), "8.0 GiB"),
            (Figure::Share(0.629), "62%"),
            (Figure::Moment(45_296_789), "12:34:56 UTC"),
            (Figure::Words("db:6379".to_owned()), "db:6379"),
        ] {
            assert_eq!(plain(&figure, Language::English), expected, "{figure:?}");
        }
        assert_eq!(plain(&Figure::Time(11_220_000), Language::Chinese), "3 小时 7 分钟");
        assert_eq!(iso(1_796_000_000_123), "2026-11-30T00:53:20.123Z");
    }

    #[test]
    fn the_script_finds_numbers_and_moments() {
        let html = |figure: Figure| figure.html(Language::English.texts()).into_string();
        assert_eq!(html(Figure::Count(1234)), "<data value=\"1234\">1,234</data>");
        assert_eq!(html(Figure::Time(340)), "<data value=\"0.3\" data-digits=\"1\">0.3</data>\u{a0}s");
        assert_eq!(html(Figure::Moment(0)), "<time datetime=\"1970-01-01T00:00:00Z\">00:00:00 UTC</time>");
        assert_eq!(html(Figure::Words("<b>".to_owned())), "<bdi>&lt;b&gt;</bdi>");
    }
}
