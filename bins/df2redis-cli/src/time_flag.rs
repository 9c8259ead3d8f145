//! Times in flags and in the configuration file.

use std::time::Duration;

/// Parses a time such as `1s`, `500ms` or `2`, in seconds.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let wrong = || format!("\"{text}\" is not a time; write 1s or 500ms");
    if let Some(millis) = text.strip_suffix("ms") {
        return millis.trim().parse().map(Duration::from_millis).map_err(|_not_a_number| wrong());
    }
    let seconds = text.strip_suffix('s').unwrap_or(text);
    seconds.trim().parse().map(Duration::from_secs).map_err(|_not_a_number| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!((time("1s"), time("500ms")), (Ok(Duration::from_secs(1)), Ok(Duration::from_millis(500))));
        assert_eq!(time("2"), Ok(Duration::from_secs(2)));
        for text in ["", "s", "1m", "-1s", "1.5s"] {
            assert!(time(text).is_err(), "{text}");
        }
    }
}
