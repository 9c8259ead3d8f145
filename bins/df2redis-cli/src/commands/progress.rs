//! The state of a run, in one line.

use std::fmt::Write as _;
use std::time::Duration;

use dfly_replica::{ExtraKeysProgress, Phase, Report};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::info;

use crate::console::Console;

/// Interval of the progress line on a terminal.
const ON_TERMINAL: Duration = Duration::from_secs(1);

/// Interval of the log line without a terminal.
const IN_LOGS: Duration = Duration::from_secs(10);

/// Maximum number of flows whose position is shown.
const FLOWS: usize = 8;

/// Shows the reports of a run until it has stopped or its engine is gone.
pub(crate) async fn show(mut reports: watch::Receiver<Report>, console: Console) {
    let mut ticks = interval(if console.is_terminal() { ON_TERMINAL } else { IN_LOGS });
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut last, mut at) = (0, Instant::now());
    ticks.tick().await;
    while !matches!(reports.borrow().phase, Phase::Stopped) {
        tokio::select! {
            changed = reports.changed() => if changed.is_err() { break } else { continue },
            _ = ticks.tick() => {}
        }
        let report = reports.borrow_and_update().clone();
        let now = Instant::now();
        let rate = rate(report.bytes().saturating_sub(last), now - at);
        (last, at) = (report.bytes(), now);
        if console.is_terminal() {
            console.show_progress(&line(&report, rate));
        } else {
            info!("{}", line(&report, rate));
        }
    }
    console.end_progress();
}

/// Bytes per second.
fn rate(bytes: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    bytes.saturating_mul(1000) / millis
}

fn line(report: &Report, rate: u64) -> String {
    let mut line = format!(
        "{}: {} keys, {} records, {} read, {}/s",
        report.phase,
        report.keys(),
        report.records(),
        size(report.bytes()),
        size(rate)
    );
    let positions: Vec<String> = report
        .flows
        .iter()
        .filter_map(|flow| flow.positions)
        .map(|at| {
            if at.durable == at.received {
                at.durable.to_string()
            } else {
                format!("{}/{}", at.durable, at.received)
            }
        })
        .collect();
    if !positions.is_empty() {
        let more = if positions.len() > FLOWS { " ..." } else { "" };
        let shown: Vec<&str> = positions.iter().take(FLOWS).map(String::as_str).collect();
        append(&mut line, format_args!(", lsn {}{more}", shown.join(" ")));
    }
    append_rest(&mut line, report);
    if !report.losses.is_empty() {
        append(&mut line, format_args!(", left out: {}", report.losses));
    }
    line
}

/// What is left to be done, or that nothing is.
fn append_rest(line: &mut String, report: &Report) {
    if report.is_removing_extra_keys {
        let ExtraKeysProgress { looked_at, of } = report.extra_keys;
        append(line, format_args!(", removing what the source deleted: {looked_at} of {of} keys looked at"));
    }
    if report.refetching() > 0 {
        append(line, format_args!(", {} keys to be refetched", report.refetching()));
        if let Some(oldest) = report.flows.iter().filter_map(|flow| flow.oldest_refetch).max() {
            append(line, format_args!(" (the oldest for {} s)", oldest.as_secs()));
        }
    }
    if report.relay_bytes() > 0 {
        append(line, format_args!(", {} wait on disk", size(report.relay_bytes())));
    }
    if report.is_in_sync() {
        append(line, format_args!(", in sync"));
    }
}

/// Writing into a string cannot fail.
fn append(line: &mut String, text: std::fmt::Arguments<'_>) {
    line.write_fmt(text).unwrap_or_default();
}

/// A size for people to read.
pub(crate) fn size(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["B", "KiB", "MiB", "GiB", "TiB"];
    let unit = (u64::BITS - bytes.leading_zeros()).saturating_sub(1) / 10;
    let unit = UNITS.get(usize::try_from(unit).unwrap_or(0)).map_or((4, "TiB"), |name| (unit, *name));
    if unit.0 == 0 {
        return format!("{bytes} B");
    }
    let tenths = u128::from(bytes) * 10 / (1u128 << (10 * unit.0));
    format!("{}.{} {}", tenths / 10, tenths % 10, unit.1)
}

#[cfg(test)]
mod tests {
    use dfly_replica::{FlowReport, Lag};

    use super::*;

    /// C29: what is left is told, and "in sync" only once nothing is.
    #[test]
    fn what_is_left() {
        let flow = FlowReport {
            lag: Some(Lag { records: 3, time: Duration::from_millis(900) }),
            ..FlowReport::default()
        };
        let mut report = Report { phase: Phase::StableSync, flows: vec![flow], ..Report::default() };
        assert!(line(&report, 0).ends_with("/s, in sync"));
        report.is_removing_extra_keys = true;
        report.extra_keys = ExtraKeysProgress { looked_at: 8192, of: 400_000 };
        let removing = ", removing what the source deleted: 8192 of 400000 keys looked at";
        assert!(line(&report, 0).ends_with(removing), "{}", line(&report, 0));
        report.is_removing_extra_keys = false;
        report.flows[0].refetching = 7;
        report.flows[0].oldest_refetch = Some(Duration::from_secs(4));
        assert!(line(&report, 0).ends_with(", 7 keys to be refetched (the oldest for 4 s)"));
        report.flows[0].refetching = 0;
        report.flows[0].lag = Some(Lag { records: 3, time: Duration::from_secs(2) });
        report.flows[0].relay_bytes = 3 << 20;
        assert!(line(&report, 0).ends_with("/s, 3.0 MiB wait on disk"));
    }

    #[test]
    fn sizes() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")]
        {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
    }
}
