//! Whether both users may do what a run does.

use dfly_replica::Instead;

use super::Judging;
use super::words::listed;
use crate::check::Check;
use crate::facts::{SourceFacts, TargetFacts};
use crate::finding::Finding;

const WRITTEN_TO: &str = "to read keys again that are written to all the time";
const UNREAD: &str = "such keys fall under --on-unsupported once they have to be refetched";

/// Commands at the source, each with what it is for and what happens without.
const AT_SOURCE: [(&str, &str, &str); 12] = [
    ("INFO", "to tell role, release and keys", "a switchover is noticed late, and the release is not known"),
    (
        "SELECT",
        "to read keys of other databases again",
        "keys that have to be refetched fall under --on-unsupported",
    ),
    (
        "DUMP",
        "to read keys again",
        "keys that have to be refetched fall under --on-unsupported (unreadable-key)",
    ),
    ("EXISTS", "to see which keys are gone", "keys that have to be refetched fall under --on-unsupported"),
    (
        "SCAN",
        "to look at keys before a start, and to compare",
        "nothing is known of keys and sizes, and check cannot compare",
    ),
    (
        "TYPE",
        "to look at keys before a start, and to compare",
        "nothing is known of types, and check cannot compare",
    ),
    ("TIME", "to hear the source's clock", "what has expired is decided by this host's clock"),
    ("DFLY", "to replicate, and to tell positions", "no replication, and no lag is told"),
    ("WATCH", WRITTEN_TO, UNREAD),
    ("MULTI", WRITTEN_TO, UNREAD),
    ("EXEC", WRITTEN_TO, UNREAD),
    (
        "CLIENT",
        "CLIENT PAUSE, to stop writes at a cutover",
        "a cutover cannot stop them: stop the applications yourself (cutover --method none), or let the source shut down (--method takeover)",
    ),
];

pub(super) fn findings(judging: &Judging<'_>, found: &mut Vec<Finding>) {
    if let Some(source) = &judging.facts.source {
        found.extend(at_source(source));
    }
    if let Some(target) = judging.facts.rehearsed.as_ref().and_then(|rehearsed| rehearsed.target.as_ref()) {
        found.push(at_target(&target.replaced));
    }
    if let Some(target) = &judging.facts.target {
        found.extend(payloads(target));
        found.push(settings(target));
    }
}

fn at_source(source: &SourceFacts) -> Vec<Finding> {
    let is_refused = |name: &str| source.refused.contains_key(name);
    let mut found: Vec<Finding> = AT_SOURCE
        .iter()
        .filter(|(name, _, _)| is_refused(name))
        .map(|(name, purpose, without)| lacks(name, purpose, without))
        .collect();
    // Releases before v1.22 have no PEXPIRETIME, and do with the other two.
    if is_refused("PEXPIRETIME") && (is_refused("PTTL") || is_refused("TIME")) {
        found.push(lacks(
            "PEXPIRETIME",
            "to read expiries again",
            "keys that have to be refetched fall under --on-unsupported",
        ));
    }
    if found.is_empty() {
        found.push(Finding::ok(Check::SourceCommands, "The user may use every command that a run needs."));
    }
    found
}

fn lacks(name: &str, purpose: &str, without: &str) -> Finding {
    Finding::warning(
        Check::SourceCommands,
        format!("The user of the source may not use {name} ({purpose}). Without it, {without}."),
        format!("grant it +{name}"),
    )
}

fn at_target(replaced: &[(dfly_replica::Lack, Instead)]) -> Finding {
    if replaced.is_empty() {
        return Finding::ok(Check::TargetCommands, "The user may use every command that a run needs.");
    }
    let shown: Vec<String> = replaced.iter().map(|(lack, instead)| format!("{lack}: {instead}")).collect();
    Finding::warning(
        Check::TargetCommands,
        format!("A run can do without, but more slowly: {}.", shown.join("; ")),
        "grant them, if the target allows it",
    )
}

fn payloads(target: &TargetFacts) -> Option<Finding> {
    if !target.refused_payloads.is_empty() {
        let shown: Vec<String> =
            target.refused_payloads.iter().map(|(encoding, line)| format!("{encoding} ({line})")).collect();
        return Some(Finding::warning(
            Check::TargetPayloads,
            format!(
                "The target refuses values of these encodings as payloads, and they are written by commands, which takes several times as long: {}.",
                listed(&shown)
            ),
            "see its sanitize-dump-payload, and the rights of its user",
        ));
    }
    let taken: Vec<String> = target.taken_payloads.iter().cloned().collect();
    (!taken.is_empty()).then(|| {
        Finding::ok(
            Check::TargetPayloads,
            format!("The target takes a value of each encoding that was sampled: {}.", listed(&taken)),
        )
    })
}

fn settings(target: &TargetFacts) -> Finding {
    match target.nodes.iter().any(|node| node.failure.is_none() && node.settings.is_none()) {
        false => Finding::ok(Check::TargetSettings, "The target tells its settings."),
        true => Finding::warning(
            Check::TargetSettings,
            "The user of the target may not use CONFIG GET: persistence, timeouts and the largest argument were not looked at.",
            "grant it +config|get, or look at these settings yourself",
        ),
    }
}
