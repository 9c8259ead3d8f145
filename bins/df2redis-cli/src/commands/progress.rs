//! The state of a run, in one line.

use std::fmt::Write as _;
use std::time::Duration;

use dfly_replica::{ExtraKeysProgress, Lag, Phase, Report};
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};
use tracing::info;

use crate::console::{Console, Share};
use crate::logs::PROGRESS;
use crate::service::Service;

/// Interval of the progress line on a terminal.
const ON_TERMINAL: Duration = Duration::from_secs(1);

/// How many of them pass before one is a log line.
const IN_LOGS: u32 = 10;

/// Shows the reports of a run until it has stopped or its engine is gone: on the terminal, in the logs, and to the service
/// manager.
pub(crate) async fn show(mut reports: watch::Receiver<Report>, console: Console, mut service: Service) {
    let mut ticks = interval(ON_TERMINAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut shown, mut logged) = (Moment::of(&Report::default()), Moment::of(&Report::default()));
    ticks.tick().await;
    for nth in 1u32.. {
        while !matches!(reports.borrow().phase, Phase::Stopped) {
            tokio::select! {
                changed = reports.changed() => if changed.is_err() { return console.end_progress() },
                _ = ticks.tick() => break,
            }
        }
        let report = reports.borrow_and_update().clone();
        if report.phase == Phase::Stopped {
            break;
        }
        let now = Moment::of(&report);
        let text = line(&report, now.since(shown));
        service.on_report(&report, &text, now.at.into_std());
        console.show(&text, share(&report));
        if nth.is_multiple_of(IN_LOGS) {
            info!(target: PROGRESS, "{}", line(&report, now.since(logged)));
            logged = now;
        }
        shown = now;
    }
    console.end_progress();
}

/// What had been read at some time.
#[derive(Debug, Clone, Copy)]
struct Moment {
    at: Instant,
    keys: u64,
    records: u64,
    bytes: u64,
}

/// What is read in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Rates {
    keys: u64,
    records: u64,
    bytes: u64,
}

impl Moment {
    fn of(report: &Report) -> Self {
        Self { at: Instant::now(), keys: report.keys(), records: report.records(), bytes: report.bytes() }
    }

    fn since(self, before: Self) -> Rates {
        let time = self.at - before.at;
        let rate = |now: u64, then: u64| per_second(now.saturating_sub(then), time);
        Rates {
            keys: rate(self.keys, before.keys),
            records: rate(self.records, before.records),
            bytes: rate(self.bytes, before.bytes),
        }
    }
}

fn per_second(count: u64, time: Duration) -> u64 {
    let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1);
    count.saturating_mul(1000) / millis
}

/// How much of the snapshot has come, by the source's own count of its keys.
fn share(report: &Report) -> Option<Share> {
    let of = report.source_keys.filter(|of| *of > 0 && report.phase == Phase::FullSync)?;
    Some(Share { done: report.keys(), of })
}

fn line(report: &Report, rates: Rates) -> String {
    let mut line = report.phase.to_string();
    if report.is_in_sync() {
        append(&mut line, format_args!(", in sync"));
    }
    match report.phase {
        Phase::FullSync => append_snapshot(&mut line, report, rates),
        Phase::StableSync => append_journal(&mut line, report, rates),
        Phase::Connecting | Phase::Reconnecting | Phase::Stopped => {}
    }
    if report.is_paused {
        append(&mut line, format_args!(", paused"));
    }
    append_rest(&mut line, report);
    if report.evicted_keys > 0 {
        append(&mut line, format_args!(", evicted by the target: {}", report.evicted_keys));
    }
    if !report.losses.is_empty() {
        append(&mut line, format_args!(", left out: {}", report.losses));
    }
    line
}

/// Keys of the source's count, the rate, and the time that is left.
fn append_snapshot(line: &mut String, report: &Report, rates: Rates) {
    match share(report) {
        Some(Share { done, of }) => append(line, format_args!(": {done} of {of} keys")),
        None => append(line, format_args!(": {} keys", report.keys())),
    }
    if let Some(Share { done, of }) = share(report)
        && rates.keys > 0
    {
        let left = Duration::from_secs(of.saturating_sub(done) / rates.keys);
        append(line, format_args!(", about {} left", span(left)));
    }
    append(line, format_args!(", {}/s, {} so far", size(rates.bytes), size(report.bytes())));
}

/// How far the target is behind, and what comes.
fn append_journal(line: &mut String, report: &Report, rates: Rates) {
    let lags = report.flows.iter().filter_map(|flow| flow.lag);
    let worst = lags.reduce(|one, other| Lag {
        records: one.records.saturating_add(other.records),
        time: one.time.max(other.time),
    });
    match worst {
        Some(lag) => append(
            line,
            format_args!(
                ": {} records ({}.{} s) behind",
                lag.records,
                lag.time.as_secs(),
                lag.time.subsec_millis() / 100
            ),
        ),
        None => append(line, format_args!(": lag not known yet")),
    }
    let (records, keys) = (report.records(), report.keys());
    append(line, format_args!(", {} records/s, {records} records and {keys} keys so far", rates.records));
}

/// What is left to be done.
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
    let stalled = report.flows.iter().filter(|flow| flow.stalled.is_some());
    if let Some(time) = stalled.filter_map(|flow| flow.unanswered).max() {
        append(line, format_args!("; the target has taken nothing for {}", span(time)));
    }
}

/// What a stop still has to do, for the line that tells of it.
pub(crate) fn left(report: &Report) -> String {
    let in_flight: u64 = report.flows.iter().map(|flow| flow.in_flight).sum();
    let positions = report.flows.iter().filter_map(|flow| flow.positions);
    let records: u64 = positions.map(|at| at.received.0.saturating_sub(at.durable.0)).sum();
    let mut left =
        format!("{records} records that were read are not on the target yet, {in_flight} batches in flight");
    if report.relay_bytes() > 0 {
        append(&mut left, format_args!(", {} on disk", size(report.relay_bytes())));
    }
    if report.phase == Phase::FullSync {
        append(&mut left, format_args!("; the snapshot is not complete, and the next run begins it anew"));
    }
    left
}

/// Writing into a string cannot fail.
fn append(line: &mut String, text: std::fmt::Arguments<'_>) {
    line.write_fmt(text).unwrap_or_default();
}

/// A time for people to read.
fn span(time: Duration) -> String {
    match time.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
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
    use dfly_replica::FlowReport;

    use super::*;

    fn shown(report: &Report) -> String {
        line(report, Rates { keys: 100, records: 45, bytes: 3 << 20 })
    }

    /// C29: what is left is told, and "in sync" only once nothing is.
    #[test]
    fn what_is_left() {
        let flow = FlowReport {
            lag: Some(Lag { records: 3, time: Duration::from_millis(900) }),
            records: 70,
            keys: 9,
            ..FlowReport::default()
        };
        let mut report = Report { phase: Phase::StableSync, flows: vec![flow], ..Report::default() };
        assert_eq!(
            shown(&report),
            "stable sync, in sync: 3 records (0.9 s) behind, 45 records/s, 70 records and 9 keys so far"
        );
        report.is_removing_extra_keys = true;
        report.extra_keys = ExtraKeysProgress { looked_at: 8192, of: 400_000 };
        let removing = ", removing what the source deleted: 8192 of 400000 keys looked at";
        assert!(shown(&report).ends_with(removing), "{}", shown(&report));
        report.is_removing_extra_keys = false;
        report.flows[0].refetching = 7;
        report.flows[0].oldest_refetch = Some(Duration::from_secs(4));
        assert!(shown(&report).ends_with(", 7 keys to be refetched (the oldest for 4 s)"));
        report.flows[0].refetching = 0;
        report.flows[0].lag = Some(Lag { records: 3, time: Duration::from_secs(2) });
        report.flows[0].relay_bytes = 3 << 20;
        assert!(shown(&report).ends_with(" keys so far, 3.0 MiB wait on disk"));
        report.flows[0].stalled = Some("the target is out of memory".to_owned());
        report.flows[0].unanswered = Some(Duration::from_secs(99));
        assert!(shown(&report).ends_with(" wait on disk; the target has taken nothing for 99 s"));
        report.flows[0].in_flight = 2;
        assert_eq!(
            left(&report),
            "0 records that were read are not on the target yet, 2 batches in flight, 3.0 MiB on disk"
        );
    }

    /// The snapshot's keys are of the source's own count.
    #[test]
    fn how_far_the_snapshot_is() {
        let flow = FlowReport { keys: 2_000, bytes: 5 << 20, ..FlowReport::default() };
        let mut report = Report {
            phase: Phase::FullSync,
            flows: vec![flow],
            source_keys: Some(50_000),
            ..Report::default()
        };
        assert_eq!(
            shown(&report),
            "full sync: 2000 of 50000 keys, about 8 min left, 3.0 MiB/s, 5.0 MiB so far"
        );
        assert_eq!(share(&report), Some(Share { done: 2_000, of: 50_000 }));
        report.source_keys = None;
        assert_eq!(shown(&report), "full sync: 2000 keys, 3.0 MiB/s, 5.0 MiB so far");
        report.phase = Phase::Reconnecting;
        assert_eq!(shown(&report), "reconnecting");
    }

    #[test]
    fn sizes() {
        for (bytes, text) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1536, "1.5 KiB"), (5 << 30, "5.0 GiB")]
        {
            assert_eq!(size(bytes), text);
        }
        assert_eq!(size(u64::MAX), "16777215.9 TiB");
        assert_eq!(
            [119, 121, 7322].map(|seconds| span(Duration::from_secs(seconds))),
            ["119 s", "2 min", "2 h 2 min"]
        );
    }
}
