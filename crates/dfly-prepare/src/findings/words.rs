//! Numbers and sizes as people write them.

use std::time::Duration;

use crate::sample::{Estimate, float, whole};

/// `1.2 GiB`.
pub(super) fn size(bytes: u64) -> String {
    let mut value = float(bytes);
    for unit in ["bytes", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "bytes" { format!("{bytes} bytes") } else { format!("{value:.1} {unit}") };
        }
        value /= 1024.0;
    }
    format!("{value:.1} TiB")
}

/// `3 keys`, `1 key`.
pub(super) fn count(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// `about 1200` for a part of the keys, `1200` for all.
pub(super) fn about(estimate: Estimate) -> String {
    match estimate {
        Estimate { count, margin: 0 } => count.to_string(),
        Estimate { count, .. } => format!("about {}", rounded(count)),
    }
}

/// With two digits that count.
pub(super) fn rounded(count: u64) -> u64 {
    let digits = count.checked_ilog10().unwrap_or(0);
    let unit = 10u64.saturating_pow(digits.saturating_sub(1));
    count.saturating_add(unit / 2) / unit * unit
}

/// `2.5 s`, `40 min`, `3 h`.
pub(super) fn time(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    match seconds {
        _ if seconds < 0.001 => format!("{} us", duration.as_micros()),
        _ if seconds < 1.0 => format!("{:.1} ms", seconds * 1000.0),
        _ if seconds < 120.0 => format!("{seconds:.0} s"),
        _ if seconds < 7200.0 => format!("{:.0} min", seconds / 60.0),
        _ if seconds < 172_800.0 => format!("{:.0} h", seconds / 3600.0),
        _ => format!("{:.0} days", seconds / 86_400.0),
    }
}

/// The time that so much lasts at this rate; `None`: for ever.
pub(super) fn lasts(amount: f64, per_second: f64) -> Option<Duration> {
    (per_second > 0.0).then(|| Duration::from_secs(whole(amount / per_second)))
}

/// `a, b and c`.
pub(super) fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!([size(12), size(2048), size(3 << 30)], ["12 bytes", "2.0 KiB", "3.0 GiB"]);
        assert_eq!([rounded(7), rounded(1234), rounded(98_765)], [7, 1200, 99_000]);
        assert_eq!([time(Duration::from_millis(2)), time(Duration::from_secs(600))], ["2.0 ms", "10 min"]);
        assert_eq!(listed(&["a".to_owned(), "b".to_owned(), "c".to_owned()]), "a, b and c");
        assert_eq!(lasts(10.0, 0.0), None);
    }
}
