//! `status`: what a run is doing, on one screen.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;

use anyhow::Context;
use clap::{Args, ValueEnum};
use dfly_replica::{Phase, SavedState, StateFile};
use replica_api::client::{Client, ClientError};
use replica_api::wire::{Flow, Sample, Status, Verified};
use tokio::time::sleep;

use super::progress::size;
use crate::config::{self, Environment};
use crate::control;
use crate::exit::Failure;
use crate::flags::{ReplicateFlags, Settings};

/// Interval of `--watch`.
const REDRAW: Duration = Duration::from_secs(1);

/// How far behind a run is lagging, in milliseconds.
const LAGGING: u64 = 10_000;

/// The most flows that are shown.
const MOST_FLOWS: usize = 16;

const CODES: &str = "Exit codes: 0 the run is in order; 1 it is not, or there is none; 9 it is behind by more than ten seconds, or waits \
for the target.";

/// Flags of `status`.
#[derive(Debug, Clone, Args)]
#[command(after_help = CODES)]
pub(crate) struct StatusFlags {
    #[command(flatten)]
    pub run: ReplicateFlags,
    /// Show it again every second, until a signal arrives.
    #[arg(long)]
    pub watch: bool,
    /// Format of the output.
    #[arg(long, value_enum, default_value = "text")]
    pub format: StatusFormat,
}

/// Formats of `status`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatusFormat {
    /// A screen for people.
    Text,
    /// One JSON object.
    Json,
}

/// How a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Health {
    InOrder(String),
    Lagging(String),
    Broken(String),
}

impl Health {
    fn of(status: &Status) -> Self {
        if let Some(question) = &status.question {
            return Self::Broken(format!("it asks: {question}"));
        }
        if let Some(why) = &status.stalled {
            return Self::Lagging(why.clone());
        }
        match (status.phase, status.lag) {
            (Phase::Stopped, _) => Self::Broken("it has stopped".to_owned()),
            (Phase::Reconnecting, _) => Self::Lagging("it connects again".to_owned()),
            (Phase::StableSync, Some(lag)) if lag.millis > LAGGING => {
                Self::Lagging(format!("the target is {} s behind", lag.millis / 1000))
            }
            _ if status.is_paused => Self::Lagging("it is paused".to_owned()),
            (Phase::StableSync, _) if status.in_sync => Self::InOrder("in sync".to_owned()),
            (Phase::StableSync, _) => Self::InOrder("it catches up".to_owned()),
            (Phase::FullSync, _) => Self::InOrder("the snapshot is copied".to_owned()),
            (Phase::Connecting, _) => Self::InOrder("it begins".to_owned()),
        }
    }

    fn words(&self) -> (&'static str, &str) {
        match self {
            Self::InOrder(text) => ("in order", text),
            Self::Lagging(text) => ("lagging", text),
            Self::Broken(text) => ("broken", text),
        }
    }

    fn code(self) -> Result<(), Failure> {
        match self {
            Self::InOrder(_) => Ok(()),
            Self::Lagging(text) => Err(Failure::Lagging(text)),
            Self::Broken(text) => Err(Failure::Other(anyhow::anyhow!("{text}"))),
        }
    }
}

pub(crate) fn run(flags: &StatusFlags, environment: &Environment) -> Result<(), Failure> {
    let resolved = config::resolve(&flags.run, environment).map_err(Failure::Usage)?;
    let settings = &resolved.settings;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start the runtime")?;
    let Some(client) = control::find(settings)? else { return saved(settings) };
    runtime.block_on(async {
        match live(&client, flags).await {
            Err(Asked::Client(ClientError::Unreachable { .. })) if settings.control.control.is_none() => {
                saved(settings)
            }
            Err(Asked::Client(error)) => Err(Failure::Other(error.into())),
            Err(Asked::Output(failure)) => Err(failure),
            Ok(health) => health.code(),
        }
    })
}

/// Why nothing was shown.
enum Asked {
    Client(ClientError),
    Output(Failure),
}

async fn live(client: &Client, flags: &StatusFlags) -> Result<Health, Asked> {
    loop {
        let status = client.status().await.map_err(Asked::Client)?;
        let samples = client.history().await.map_err(Asked::Client)?;
        let health = Health::of(&status);
        let text = match flags.format {
            StatusFormat::Json => serde_json::to_string(&status).unwrap_or_default() + "\n",
            StatusFormat::Text => screen(&status, samples.last(), &health),
        };
        let is_drawn = flags.watch && flags.format == StatusFormat::Text;
        print(&text, is_drawn).map_err(Asked::Output)?;
        if !flags.watch {
            return Ok(health);
        }
        sleep(REDRAW).await;
    }
}

/// Writes it, over what was there before if it is drawn again.
fn print(text: &str, is_drawn: bool) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let clear = if is_drawn && out.is_terminal() { "\x1b[H\x1b[2J" } else { "" };
    write!(out, "{clear}{text}").and_then(|()| out.flush()).map_err(Failure::of_output)
}

/// What the state file says, when no run answers.
fn saved(settings: &Settings) -> Result<(), Failure> {
    let Some(dir) = &settings.state_dir else {
        return Err(Failure::Usage(
            "name the run: --state-dir as it was given to replicate, or --control".to_owned(),
        ));
    };
    let state = match dir.is_dir() {
        true => StateFile::in_dir(dir).and_then(|file| file.load()).context("no run answers")?,
        false => None,
    };
    let Some(state) = state else {
        return Err(Failure::Other(anyhow::anyhow!("no run has used the state directory {}", dir.display())));
    };
    print(&saved_screen(&state, dfly_replica::Clock::system().host().0), false)?;
    Err(Failure::Other(anyhow::anyhow!("no run answers; this is what the last one has saved")))
}

fn saved_screen(state: &SavedState, now: i64) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        out.write_fmt(format_args!("{name:<13}{value}\n")).unwrap_or_default();
    };
    let age = u64::try_from(now.saturating_sub(state.written_at_ms)).unwrap_or(0);
    line("phase", format!("{}, when it was saved {} ago", state.phase, time(age)));
    for (nth, flow) in state.flows.iter().enumerate() {
        let stored = flow.durable_lsn.map_or("none".to_owned(), |lsn| lsn.to_string());
        line(
            &format!("flow {nth}"),
            format!("position {stored}, {} keys, {} records", flow.keys, flow.records),
        );
    }
    out
}

fn screen(status: &Status, last: Option<&Sample>, health: &Health) -> String {
    let mut out = String::new();
    let mut line = |name: &str, value: &str| {
        out.write_fmt(format_args!("{name:<13}{value}\n")).unwrap_or_default();
    };
    let (word, text) = health.words();
    let task = status.task.as_ref().map_or(String::new(), |task| format!(", task {task}"));
    let age = u64::try_from(status.now.saturating_sub(status.started_at)).unwrap_or(0);
    line("state", &format!("{word}: {text}"));
    line("phase", &format!("{}, for {}{task}, process {}", status.phase, time(age), status.pid));
    line("source", &status.source.address);
    line("target", &status.target.address);
    line("lag", &lag(status));
    line("rate", &rate(last));
    line("read", &format!("{} keys, {} records, {}", status.keys, status.records, size(status.bytes)));
    let age = status.checkpoint_age.map_or("none yet".to_owned(), |age| format!("moved {} ago", time(age)));
    line("checkpoint", &age);
    line("relay log", &relay(status));
    line("refetching", &refetching(status));
    line("left out", &counted(&status.left_out));
    line("retries", &counted(&status.retries));
    if let Some(verified) = &status.verified {
        line("verified", &verification(verified));
    }
    for (condition, name, value) in [
        (
            status.is_removing_extra_keys,
            "removing",
            "keys that the source does not have are looked for".to_owned(),
        ),
        (
            status.extra_keys_removed > 0,
            "removed",
            format!("{} keys that the source did not have", status.extra_keys_removed),
        ),
        (status.evicted_keys > 0, "evicted", format!("{} keys, by the target", status.evicted_keys)),
    ] {
        if condition {
            line(name, &value);
        }
    }
    flows(&status.flows, &mut out);
    out
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

fn lag(status: &Status) -> String {
    match status.lag {
        Some(lag) => format!("{} records, {}.{} s", lag.records, lag.millis / 1000, lag.millis % 1000 / 100),
        None => "not known before the journal is followed".to_owned(),
    }
}

fn rate(last: Option<&Sample>) -> String {
    last.map_or("not known yet".to_owned(), |sample| {
        format!("{} keys/s, {} records/s, {}/s", sample.keys, sample.records, size(sample.bytes))
    })
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
    format!("{} keys wait{oldest}; {} done", status.refetching, status.refetched)
}

fn verification(verified: &Verified) -> String {
    let Verified { passes, compared, repaired, different, not_compared } = verified;
    let rest = match different.values().sum::<u64>() + not_compared {
        0 => String::new(),
        keys => format!(", {keys} could not be"),
    };
    format!("{compared} keys in {passes} passes, {repaired} repaired{rest}")
}

fn counted(counts: &std::collections::BTreeMap<String, u64>) -> String {
    let counts: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    if counts.is_empty() { "nothing".to_owned() } else { counts.join(", ") }
}

/// Milliseconds for people to read.
fn time(millis: u64) -> String {
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
    use std::collections::BTreeMap;

    use replica_api::wire::{Lag, Side};

    use super::*;

    fn status() -> Status {
        Status {
            pid: 4711,
            now: 3_723_000,
            phase: Phase::StableSync,
            in_sync: true,
            source: Side { address: "db:6379".to_owned(), ..Side::default() },
            target: Side { address: "new:6379".to_owned(), ..Side::default() },
            lag: Some(Lag { records: 12, millis: 340 }),
            relay_limit: Some(8 << 30),
            left_out: BTreeMap::from([("json".to_owned(), 2)]),
            checkpoint_age: Some(1200),
            flows: vec![Flow {
                source_lsn: Some(120),
                received_lsn: Some(118),
                durable_lsn: Some(108),
                lag: Some(Lag { records: 12, millis: 340 }),
                ..Flow::default()
            }],
            ..Status::default()
        }
    }

    #[test]
    fn one_screen() {
        let status = status();
        let shown = screen(&status, None, &Health::of(&status));
        let expected = "\
state        in order: in sync
phase        stable sync, for 1 h 2 min, process 4711
source       db:6379
target       new:6379
lag          12 records, 0.3 s
rate         not known yet
read         0 keys, 0 records, 0 B
checkpoint   moved 1 s ago
relay log    empty, 8.0 GiB at the most for each flow
refetching   0 keys wait; 0 done
left out     json 2
retries      nothing
flow          source        received          stored     behind  refetching
   0             120             118             108         12           0
";
        assert_eq!(shown, expected, "{shown}");
        assert!(shown.lines().all(|line| line.len() <= 80));
    }

    #[test]
    fn how_a_run_is() {
        let of = |change: &dyn Fn(&mut Status)| {
            let mut status = status();
            change(&mut status);
            Health::of(&status).words().0
        };
        assert_eq!(of(&|_| {}), "in order");
        assert_eq!(of(&|status| status.lag = Some(Lag { records: 1, millis: 10_001 })), "lagging");
        assert_eq!(of(&|status| status.stalled = Some("the target is away".to_owned())), "lagging");
        assert_eq!(of(&|status| status.is_paused = true), "lagging");
        assert_eq!(of(&|status| status.phase = Phase::Reconnecting), "lagging");
        assert_eq!(of(&|status| status.question = Some("really?".to_owned())), "broken");
        assert_eq!(of(&|status| status.phase = Phase::Stopped), "broken");
    }
}
