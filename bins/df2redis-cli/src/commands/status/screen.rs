//! What a run is doing, on one screen of 80 columns.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use dfly_replica::Phase;
use replica_api::wire::{Checks, Flow, Sample, Status, Verified};

use super::health::Health;
use crate::commands::progress::size;

/// The most flows that are shown.
const MOST_FLOWS: usize = 16;

/// How wide values are: names take 13 of 80 columns.
const WIDTH: usize = 67;

/// Seconds over which rates are taken.
const RECENT: usize = 5;

/// What is shown.
#[derive(Debug)]
pub(super) struct Seen<'a> {
    pub status: &'a Status,
    /// The last hour, the oldest first.
    pub samples: &'a [Sample],
    pub checks: &'a Checks,
}

/// What is read in a second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Rates {
    keys: u64,
    records: u64,
    bytes: u64,
}

impl Rates {
    fn of(samples: &[Sample]) -> Option<Self> {
        let recent =
            samples.get(samples.len().saturating_sub(RECENT)..).filter(|recent| !recent.is_empty())?;
        let mean = |of: fn(&Sample) -> u64| recent.iter().map(of).sum::<u64>() / recent.len() as u64;
        Some(Self {
            keys: mean(|sample| sample.keys),
            records: mean(|sample| sample.records),
            bytes: mean(|sample| sample.bytes),
        })
    }
}

/// The screen.
pub(super) fn screen(seen: &Seen<'_>, health: &Health) -> String {
    let (status, rates) = (seen.status, Rates::of(seen.samples));
    let mut out = String::new();
    let (word, text) = health.words();
    let mut lines = vec![
        ("state", format!("{word}: {text}")),
        ("phase", phase(status)),
        ("source", status.source.address.clone()),
        ("target", status.target.address.clone()),
        ("snapshot", snapshot(status, rates)),
        ("journal", journal(status, rates)),
        ("lag", lag(status)),
        (
            "checkpoint",
            status.checkpoint_age.map_or("none yet".to_owned(), |age| format!("moved {} ago", time(age))),
        ),
        ("resume", resume(status)),
        ("relay log", relay(status)),
        ("refetching", refetching(status)),
        ("left out", counted(&status.left_out)),
        ("retries", counted(&status.retries)),
        ("last check", last_check(seen.checks, status.now)),
    ];
    lines.extend(status.verified.as_ref().map(|verified| ("verified", verification(verified))));
    lines.extend(unusual(status));
    for (name, value) in lines {
        wrap(name, &value, &mut out);
    }
    flows(&status.flows, &mut out);
    out
}

/// A name with its value, which goes on in the same column where it is too long.
fn wrap(name: &str, value: &str, out: &mut String) {
    let mut width = 0;
    out.write_fmt(format_args!("{name:<13}")).unwrap_or_default();
    for word in value.split(' ') {
        let length = word.chars().count();
        if width > 0 && width + 1 + length > WIDTH {
            out.write_fmt(format_args!("\n{:<13}", "")).unwrap_or_default();
            width = 0;
        }
        if width > 0 {
            out.push(' ');
            width += 1;
        }
        out.push_str(word);
        width += length;
    }
    out.push('\n');
}

/// What is only shown if it is so.
fn unusual(status: &Status) -> impl Iterator<Item = (&'static str, String)> {
    let removing = status
        .is_removing_extra_keys
        .then(|| ("removing", "keys that the source does not have are looked for".to_owned()));
    let removed = (status.extra_keys_removed > 0).then(|| {
        ("removed", format!("{} keys that the source did not have", number(status.extra_keys_removed)))
    });
    let evicted = (status.evicted_keys > 0)
        .then(|| ("evicted", format!("{} keys, by the target", number(status.evicted_keys))));
    removing.into_iter().chain(removed).chain(evicted)
}

fn phase(status: &Status) -> String {
    let task = status.task.as_ref().map_or(String::new(), |task| format!(", task {task}"));
    let age = u64::try_from(status.now.saturating_sub(status.started_at)).unwrap_or(0);
    format!("{}, running for {}{task}, process {}", status.phase, time(age), status.pid)
}

/// How much of the snapshot has come, by the source's own count of its keys.
fn snapshot(status: &Status, rates: Option<Rates>) -> String {
    let (keys, bytes) = (number(status.keys), size(status.bytes));
    let Some(of) = status.source_keys.filter(|of| *of > 0 && status.phase == Phase::FullSync) else {
        return format!("{keys} keys");
    };
    let share = u128::from(status.keys.min(of)) * 100 / u128::from(of);
    let rate = rates.map_or(0, |rates| rates.keys);
    let left = match of.saturating_sub(status.keys).saturating_mul(1000).checked_div(rate) {
        Some(millis) => format!(", {}/s, {} left", number(rate), time(millis)),
        None => String::new(),
    };
    format!("{share} %: {keys} of {} keys, {bytes}{left}", number(of))
}

fn journal(status: &Status, rates: Option<Rates>) -> String {
    let rate = rates.map_or(String::new(), |rates| {
        format!(", {} records/s, {}/s", number(rates.records), size(rates.bytes))
    });
    format!("{} records{rate}", number(status.records))
}

fn lag(status: &Status) -> String {
    match status.lag {
        Some(lag) => {
            format!("{} records, {}.{} s", number(lag.records), lag.millis / 1000, lag.millis % 1000 / 100)
        }
        None => "not known before the journal is followed".to_owned(),
    }
}

/// For how long this run may be away before the source has no longer what it needs.
fn resume(status: &Status) -> String {
    let Some(window) = status.resume_window else { return "not known".to_owned() };
    let lasts = window.millis.map_or(String::new(), |millis| format!(", {} at this rate", time(millis)));
    format!("{} of {} records left at the source{lasts}", number(window.left), number(window.kept))
}

fn relay(status: &Status) -> String {
    match (status.relay_limit, status.relay_bytes) {
        (None, _) => "none: the run has no state directory".to_owned(),
        (Some(limit), 0) => format!("empty, {} at the most for each flow", size(limit)),
        (Some(limit), bytes) => format!("{} wait, {} at the most for each flow", size(bytes), size(limit)),
    }
}

fn refetching(status: &Status) -> String {
    let oldest =
        status.oldest_refetch.map_or(String::new(), |oldest| format!(", the oldest for {}", time(oldest)));
    format!("{} keys wait{oldest}; {} done", number(status.refetching), number(status.refetched))
}

fn last_check(checks: &Checks, now: i64) -> String {
    if let Some(running) = &checks.running {
        let (keys, of) = (number(running.keys), number(running.of));
        return format!(
            "running ({}): {} of {}, {} differ so far",
            running.mode,
            keys,
            of,
            number(running.different)
        );
    }
    let Some(last) = &checks.last else { return "none".to_owned() };
    let age = time(u64::try_from(now.saturating_sub(last.ended_at)).unwrap_or(0));
    format!("{age} ago: {} ({} keys, mode {})", last.sentence, number(last.compared), last.mode)
}

fn verification(verified: &Verified) -> String {
    let Verified { passes, compared, repaired, different, not_compared } = verified;
    let rest = match different.values().sum::<u64>() + not_compared {
        0 => String::new(),
        keys => format!(", {} could not be", number(keys)),
    };
    format!("{} keys in {passes} passes, {} repaired{rest}", number(*compared), number(*repaired))
}

fn counted(counts: &BTreeMap<String, u64>) -> String {
    let counts: Vec<String> =
        counts.iter().map(|(name, count)| format!("{name} {}", number(*count))).collect();
    if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") }
}

fn flows(flows: &[Flow], out: &mut String) {
    let shown = |lsn: Option<u64>| lsn.map_or("-".to_owned(), |lsn| lsn.to_string());
    let mut row = |cells: [&str; 6]| {
        let [flow, source, received, stored, lag, keys] = cells;
        let cells =
            format_args!("{flow:>4}  {source:>14}  {received:>14}  {stored:>14}  {lag:>9}  {keys:>10}\n");
        out.write_fmt(cells).unwrap_or_default();
    };
    if !flows.is_empty() {
        row(["flow", "source", "received", "stored", "behind", "refetching"]);
    }
    for flow in flows.iter().take(MOST_FLOWS) {
        let behind = flow.lag.map_or("-".to_owned(), |lag| lag.records.to_string());
        row([
            &flow.flow.to_string(),
            &shown(flow.source_lsn),
            &shown(flow.received_lsn),
            &shown(flow.durable_lsn),
            &behind,
            &flow.refetching.to_string(),
        ]);
    }
    if let Some(more) = flows.len().checked_sub(MOST_FLOWS).filter(|more| *more > 0) {
        out.write_fmt(format_args!("and {more} more\n")).unwrap_or_default();
    }
}

/// A count with a comma between thousands.
fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (nth, digit) in digits.char_indices() {
        if nth > 0 && (digits.len() - nth).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Milliseconds for people to read.
pub(super) fn time(millis: u64) -> String {
    let seconds = millis / 1000;
    match (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, s) => format!("{m} min {s} s"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (d, h, ..) => format!("{d} d {h} h"),
    }
}

#[cfg(test)]
mod tests {
    use replica_api::wire::{CheckResult, Lag, ResumeWindow, Side};

    use super::*;
    use crate::screens;

    fn status() -> Status {
        let flow = Flow {
            source_lsn: Some(120),
            received_lsn: Some(118),
            durable_lsn: Some(108),
            lag: Some(Lag { records: 12, millis: 340 }),
            ..Flow::default()
        };
        Status {
            pid: 4711,
            now: 3_723_000,
            phase: Phase::StableSync,
            in_sync: true,
            source: Side { address: "db:6379".to_owned(), ..Side::default() },
            target: Side { address: "new:6379".to_owned(), ..Side::default() },
            lag: Some(Lag { records: 12, millis: 340 }),
            keys: 1_200_345,
            source_keys: Some(1_250_000),
            records: 3_456_789,
            resume_window: Some(ResumeWindow { kept: 8192, left: 8180, millis: Some(40_900) }),
            relay_limit: Some(8 << 30),
            left_out: BTreeMap::from([("json".to_owned(), 2)]),
            checkpoint_age: Some(1200),
            flows: vec![flow.clone(), Flow { flow: 1, ..flow }],
            ..Status::default()
        }
    }

    fn last() -> CheckResult {
        CheckResult {
            ended_at: 3_600_000,
            mode: "full".to_owned(),
            sentence: "both sides are equal".to_owned(),
            compared: 1_200_343,
            ..CheckResult::default()
        }
    }

    fn shown(title: &str, status: &Status) -> String {
        let sample = Sample { keys: 20_000, records: 400, bytes: 65_536, ..Sample::default() };
        let checks = Checks { running: None, last: status.in_sync.then(last) };
        let seen = Seen { status, samples: &[sample; 9], checks: &checks };
        format!("# {title}\n\n{}\n", screen(&seen, &Health::of(status)))
    }

    /// The situations that a person meets.
    #[test]
    fn on_one_screen() {
        let calm = status();
        let snapshot = Status {
            phase: Phase::FullSync,
            in_sync: false,
            lag: None,
            keys: 300_000,
            bytes: 40 << 20,
            records: 12,
            resume_window: None,
            checkpoint_age: None,
            flows: vec![Flow { keys: 300_000, ..Flow::default() }],
            ..status()
        };
        let away = Status {
            in_sync: false,
            lag: Some(Lag { records: 40_960, millis: 95_000 }),
            relay_bytes: 5 << 20,
            stalled: Some("the target has not answered for 95 s".to_owned()),
            retries: BTreeMap::from([("target".to_owned(), 12)]),
            ..status()
        };
        let asks = Status {
            phase: Phase::Reconnecting,
            in_sync: false,
            question: Some("another source answers, and it holds 3 % of the keys".to_owned()),
            ..status()
        };
        let repaired = Status {
            verified: Some(Verified { passes: 3, compared: 3_600_000, repaired: 4, ..Verified::default() }),
            refetching: 2,
            oldest_refetch: Some(3000),
            refetched: 1044,
            is_removing_extra_keys: true,
            evicted_keys: 3,
            flows: vec![Flow::default(); 20],
            ..status()
        };
        let all = [
            shown("in sync", &calm),
            shown("snapshot", &snapshot),
            shown("the target is away", &away),
            shown("a question", &asks),
            shown("verified all the time, twenty flows", &repaired),
        ]
        .concat();
        assert!(all.lines().all(|line| line.len() <= 80), "{all}");
        screens::check("status.txt", &all);
    }

    #[test]
    fn numbers() {
        assert_eq!([0, 999, 1000, 1_234_567].map(number), ["0", "999", "1,000", "1,234,567"]);
    }
}
