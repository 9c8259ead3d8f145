//! A log line for a person at a terminal: the time of day, a marker of its level, what it says, and its fields in grey.

use std::fmt;

use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Formats lines for people.
pub(super) struct Human;

/// Each is two columns wide.
fn marker(level: Level) -> &'static str {
    match level {
        Level::ERROR => "❌",
        Level::WARN => "🟡",
        Level::INFO => "🟢",
        Level::DEBUG => "🔵",
        _ => "🟣",
    }
}

/// What a line says, and its fields.
#[derive(Default)]
struct Said {
    message: String,
    fields: String,
}

impl Visit for Said {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // Writing into a string cannot fail.
        match field.name() {
            "message" => fmt::write(&mut self.message, format_args!("{value:?}")),
            name => fmt::write(&mut self.fields, format_args!(" {name}={value:?}")),
        }
        .unwrap_or_default();
    }
}

/// The time of day, in UTC, of a time as `2026-01-02T03:04:05.678Z`.
fn time_of_day(time: &str) -> &str {
    time.split_once('T').and_then(|(_, time)| time.get(..8)).unwrap_or(time)
}

impl<S, N> FormatEvent<S, N> for Human
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut said = Said::default();
        event.record(&mut said);
        let mut time = String::new();
        SystemTime.format_time(&mut Writer::new(&mut time))?;
        let marker = marker(*event.metadata().level());
        let Said { message, fields } = said;
        write!(out, "\x1b[2m{}\x1b[0m {marker} {message}", time_of_day(&time))?;
        if !fields.is_empty() {
            write!(out, "\x1b[2m{fields}\x1b[0m")?;
        }
        writeln!(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        assert_eq!(time_of_day("2026-01-02T03:04:05.678Z"), "03:04:05");
        assert_eq!(time_of_day("nonsense"), "nonsense");
    }
}
