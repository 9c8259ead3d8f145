//! Whether it will last: the backlog, the disk, restarts of the target, clocks, and how long the snapshot takes.

use std::time::Duration;

use dfly_client::Release;
use dfly_replica::Backlog;

use super::Judging;
use super::who::release_of;
use super::words::{count, lasts, listed, size, time};
use crate::check::Check;
use crate::facts::{HostFacts, SourceFacts, TargetFacts, WriteRate};
use crate::finding::Finding;
use crate::sample::float;

/// An outage that a run should survive.
const OUTAGE: Duration = Duration::from_secs(60);

/// Clocks that differ by so much are worth a word, in milliseconds.
const SKEW: i64 = 1000;

/// The time for which the disk should take the journal.
const ON_DISK: Duration = Duration::from_secs(600);

/// The least room on a disk, in bytes.
const LEAST_DISK: u64 = 256 << 20;

/// The records that each shard keeps unless set otherwise, and the first release that keeps so many.
const KEPT: u64 = 8192;
const KEPT_BEFORE: u64 = 1024;
const KEPT_SINCE: Release = Release { major: 1, minor: 34, patch: 0 };

/// The time for which later releases keep records unless set otherwise, in milliseconds.
const KEPT_MILLIS: u64 = 5000;

pub(super) fn findings(judging: &Judging<'_>, found: &mut Vec<Finding>) {
    let facts = judging.facts;
    let writes = facts.source.as_ref().and_then(|source| source.writes);
    if let Some(source) = &facts.source {
        let flows = facts.rehearsed.as_ref().and_then(|rehearsed| Some(rehearsed.source.as_ref()?.flows));
        found.extend(writes.and_then(|writes| backlog(source, writes, flows.unwrap_or(1).into())));
    }
    if let Some(target) = &facts.target {
        found.extend(persistence(target));
        found.extend(idle(judging, target));
    }
    found.extend(clocks(judging));
    found.extend(duration(judging));
    found.push(state_dir(judging, &facts.host, writes));
}

fn backlog(source: &SourceFacts, writes: WriteRate, flows: u64) -> Option<Finding> {
    let text = source.info.text("dragonfly_version")?;
    let kind = Backlog::of_release(text);
    let rate = match writes.records_of_a_shard {
        Some(records) if records > 0 => float(records),
        // Without a replica, the source keeps no journal: its commands are what the journal would hold.
        _ => float(writes.commands) / float(flows.max(1)),
    };
    let setting = |name: &str| source.settings.get(name).and_then(|value| value.parse::<u64>().ok());
    let since = release_of(source).is_none_or(|release| release >= KEPT_SINCE);
    let kept = setting("shard_repl_backlog_len").unwrap_or(if since { KEPT } else { KEPT_BEFORE });
    let survives = match kind {
        Backlog::Time => {
            Some(Duration::from_millis(setting("shard_repl_backlog_time_ms").unwrap_or(KEPT_MILLIS)))
        }
        Backlog::Records | Backlog::Unknown => lasts(float(kept), rate),
    };
    let Some(survives) = survives else {
        return Some(Finding::ok(
            Check::Backlog,
            format!("Nothing was written in the measured second. Of later records, {kind}."),
        ));
    };
    let writes = format!("{rate:.0} records a second on a shard");
    let means = format!(
        "At {writes}, a run that is away for up to {} resumes; behind that, everything is synchronised again. Of the records, {kind}.",
        time(survives)
    );
    let flag = match kind {
        Backlog::Time => "--shard_repl_backlog_time_ms",
        Backlog::Records | Backlog::Unknown => "--shard_repl_backlog_len",
    };
    Some(match survives >= OUTAGE {
        true => Finding::ok(Check::Backlog, means),
        false => Finding::warning(
            Check::Backlog,
            means,
            format!("raise the source's {flag}, and give a state directory (--state-dir)"),
        ),
    })
}

fn persistence(target: &TargetFacts) -> Option<Finding> {
    let primaries: Vec<_> =
        target.nodes.iter().filter(|node| node.is_primary && node.settings.is_some()).collect();
    let without = |name: &str, value: &str| -> Vec<String> {
        let found = primaries.iter().filter(|node| node.setting(name) == Some(value));
        found.map(|node| node.address.clone()).collect()
    };
    if primaries.is_empty() {
        return None;
    }
    let no_file = without("appendonly", "no");
    if !no_file.is_empty() {
        let saves = primaries.iter().any(|node| node.setting("save").is_some_and(|save| !save.is_empty()));
        let loses = if saves { "what it has written since its last RDB file" } else { "everything" };
        return Some(Finding::warning(
            Check::TargetPersistence,
            format!(
                "{} has no append-only file: a restart loses {loses}, and positions with it; then everything is synchronised again (docs/guarantees.md, \"The target restarts\").",
                listed(&no_file)
            ),
            "set \"appendonly yes\"",
        ));
    }
    let unsafe_sync = without("appendfsync", "no");
    Some(match unsafe_sync.as_slice() {
        [] => Finding::ok(
            Check::TargetPersistence,
            "It keeps an append-only file. If its machine fails, at most the last second is sent again.",
        ),
        nodes => Finding::warning(
            Check::TargetPersistence,
            format!(
                "{} leaves it to the system when its append-only file is written (appendfsync no): a failed machine loses up to half a minute, which is sent again if the source still has it.",
                listed(nodes)
            ),
            "set \"appendfsync everysec\" or \"always\"",
        ),
    })
}

fn idle(judging: &Judging<'_>, target: &TargetFacts) -> Option<Finding> {
    let shortest = target.nodes.iter().filter_map(|node| node.setting("timeout")?.parse::<u64>().ok());
    let shortest = shortest.filter(|timeout| *timeout > 0).min();
    let keepalive = judging.config.target_keepalive.as_secs();
    let is_known = target.nodes.iter().any(|node| node.settings.is_some());
    match shortest {
        Some(seconds) if seconds <= 2 * keepalive => Some(Finding::warning(
            Check::TargetTimeout,
            format!(
                "The target closes connections that are idle for {seconds} s (timeout), and a run uses each at least every {keepalive} s: one that is held up for a moment is closed, and opened again."
            ),
            "set its timeout to 0, or to 60 and more",
        )),
        Some(seconds) => Some(Finding::ok(
            Check::TargetTimeout,
            format!(
                "The target closes connections that are idle for {seconds} s; a run uses each at least every {keepalive} s."
            ),
        )),
        None => is_known.then(|| Finding::ok(Check::TargetTimeout, "The target closes no idle connections.")),
    }
}

fn clocks(judging: &Judging<'_>) -> Option<Finding> {
    let source = judging.facts.source.as_ref()?.clock_ahead;
    let nodes = judging.facts.target.iter().flat_map(|target| &target.nodes);
    let target = nodes.filter_map(|node| node.clock_ahead).max_by_key(|ahead| ahead.abs());
    let beside = |who: &str, ahead: i64| {
        let seconds = float(ahead.unsigned_abs()) / 1000.0;
        format!(
            "the {who}'s clock is {seconds:.0} s {} this host's",
            if ahead > 0 { "ahead of" } else { "behind" }
        )
    };
    let off: Vec<String> = [("source", source), ("target", target)]
        .into_iter()
        .filter_map(|(who, ahead)| ahead.filter(|ahead| ahead.abs() >= SKEW).map(|ahead| beside(who, ahead)))
        .collect();
    if off.is_empty() {
        return (source.is_some() || target.is_some())
            .then(|| Finding::ok(Check::Clocks, "The clocks agree to within a second."));
    }
    let apart = source.unwrap_or(0) - target.unwrap_or(0);
    let means = match apart {
        _ if apart.abs() < SKEW => "Expiries are right: source and target agree.",
        _ if apart > 0 => "Expiries are absolute, so keys live longer on the target than on the source.",
        _ => "Expiries are absolute, so the target lets keys go before the source does.",
    };
    Some(Finding::warning(
        Check::Clocks,
        format!("{}. {means}", capital(&listed(&off))),
        "set the clocks (NTP)",
    ))
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

fn duration(judging: &Judging<'_>) -> Option<Finding> {
    let measured = match judging.facts.measured.as_ref()? {
        Ok(measured) => measured,
        Err(failure) => {
            return Some(Finding::warning(
                Check::Duration,
                format!("The snapshot could not be measured: {failure}."),
                "see what the source says",
            ));
        }
    };
    let total = judging.facts.source.as_ref().map_or(0, |source| source.sample.total);
    let read =
        format!("{} and {} in {}", count(measured.keys, "key"), size(measured.bytes), time(measured.time));
    let takes = measured.whole_takes(total);
    let takes =
        takes.map_or_else(|| "a time that is not known".to_owned(), |takes| format!("about {}", time(takes)));
    if measured.is_whole {
        return Some(Finding::ok(
            Check::Duration,
            format!("The snapshot takes {takes}: all of it came while it was measured, {read}."),
        ));
    }
    let pace = if measured.short_strings.is_some() {
        "as fast as the target took it"
    } else {
        "if the target keeps up"
    };
    Some(Finding::ok(
        Check::Duration,
        format!("The snapshot takes {takes}, {pace}: {read} of {}.", count(total, "key")),
    ))
}

fn state_dir(judging: &Judging<'_>, host: &HostFacts, writes: Option<WriteRate>) -> Finding {
    let Some(dir) = &host.state_dir else {
        return Finding::warning(
            Check::StateDir,
            "There is no state directory: while the target is slower than the source, the source's clients wait, and a run that is killed may have to begin anew.",
            "name one with --state-dir",
        );
    };
    if let Some(failure) = &host.failure {
        let mut finding = Finding::blocker(
            Check::StateDir,
            format!("The state directory {} cannot be used: {failure}.", dir.display()),
            "make it writable, or name another with --state-dir",
        );
        finding.is_engines = true;
        return finding;
    }
    let free = host.free_bytes.unwrap_or(0);
    let rate = writes.map_or(0, |writes| writes.bytes);
    let holds = lasts(float(free), float(rate));
    let means = match holds {
        Some(holds) => format!(
            "{} are free under {}: at {} a second that clients send, the journal of {} has room there.",
            size(free),
            dir.display(),
            size(rate),
            time(holds)
        ),
        None => format!("{} are free under {}.", size(free), dir.display()),
    };
    let is_scarce =
        free < LEAST_DISK.min(judging.config.relay_max_bytes) || holds.is_some_and(|holds| holds < ON_DISK);
    match is_scarce {
        false => Finding::ok(Check::StateDir, means),
        true => Finding::warning(
            Check::StateDir,
            means,
            "free some space, or name another directory with --state-dir",
        ),
    }
}
