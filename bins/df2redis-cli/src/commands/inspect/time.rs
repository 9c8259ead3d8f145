//! Times as text, in UTC.

use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds in a day.
const DAY: i64 = 86_400_000;

/// The current time, in milliseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Formats a time as `2030-01-31T12:00:00Z`, with milliseconds unless they are zero.
pub(super) fn show(at_ms: i64) -> String {
    let (days, in_day) = (at_ms.div_euclid(DAY), at_ms.rem_euclid(DAY));
    let (year, month, day) = date(days);
    let (seconds, ms) = (in_day / 1000, in_day % 1000);
    let fraction = if ms == 0 { String::new() } else { format!(".{ms:03}") };
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{:02}{fraction}Z", seconds % 60)
}

/// Year, month and day of a number of days since 1970-01-01 (Howard Hinnant, `civil_from_days`).
fn date(days: i64) -> (i64, i64, i64) {
    let z = days.saturating_add(719_468);
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_year - (153 * shifted + 2) / 5 + 1)
}

/// Days from 1970-01-01 to a date (Howard Hinnant, `days_from_civil`).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A point in time from the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Milliseconds since 1970.
    At(i64),
    /// Milliseconds from now.
    FromNow(i64),
}

impl Moment {
    /// Milliseconds since 1970.
    pub(super) fn at(self, now: i64) -> i64 {
        match self {
            Self::At(at) => at,
            Self::FromNow(ms) => now.saturating_add(ms),
        }
    }
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed =
            if text.contains('-') { absolute(text).map(Self::At) } else { relative(text).map(Self::FromNow) };
        parsed
            .ok_or_else(|| format!("\"{text}\" is not a time; write 2030-01-31, 2030-01-31T12:00:00Z or 7d"))
    }
}

fn absolute(text: &str) -> Option<i64> {
    let (date, clock) = text.split_once('T').unwrap_or((text, "00:00:00Z"));
    let [year, month, day] = numbers(date, '-')?;
    let [hour, minute, second] = numbers(clock.strip_suffix('Z')?, ':')?;
    let fits = (1970..10_000).contains(&year) && (1..=12).contains(&month) && (1..=31).contains(&day);
    let fits = fits && (0..24).contains(&hour) && (0..60).contains(&minute) && (0..60).contains(&second);
    let at = days(year, month, day);
    (fits && self::date(at) == (year, month, day))
        .then(|| at * DAY + ((hour * 60 + minute) * 60 + second) * 1000)
}

fn numbers(text: &str, separator: char) -> Option<[i64; 3]> {
    let all: Vec<i64> = text.split(separator).map(|part| part.parse().ok()).collect::<Option<_>>()?;
    all.try_into().ok()
}

fn relative(text: &str) -> Option<i64> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => DAY,
        _ => return None,
    };
    number.parse::<u32>().ok().and_then(|number| i64::from(number).checked_mul(unit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_there_and_back() {
        for (at, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_893_456_000_123, "2030-01-01T00:00:00.123Z"),
            (4_107_542_399_000, "2100-02-28T23:59:59Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
        ] {
            assert_eq!(show(at), text);
            if at % 1000 == 0 {
                assert_eq!(text.parse(), Ok(Moment::At(at)));
            }
        }
        assert_eq!("2030-01-01".parse(), Ok(Moment::At(1_893_456_000_000)));
        assert_eq!("7d".parse::<Moment>().unwrap().at(1000), 7 * DAY + 1000);
        show(i64::MAX);
        show(i64::MIN);
    }

    #[test]
    fn what_is_no_time() {
        for text in [
            "",
            "d",
            "7",
            "7y",
            "2030-13-01",
            "2030-02-30",
            "2030-01-01T25:00:00Z",
            "2030-01-01T00:00:00",
            "x-y-z",
        ] {
            assert!(text.parse::<Moment>().is_err(), "{text}");
        }
    }
}
