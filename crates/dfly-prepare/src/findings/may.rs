//! Whether both users may do what a run does.

use std::collections::BTreeMap;

use dfly_replica::{Instead, Lack};

use super::Judging;
use super::words::listed;
use crate::check::Check;
use crate::facts::{SourceFacts, TargetFacts};
use crate::finding::Finding;
use crate::source_commands::{SOURCE_COMMANDS, SourceCommand};

/// The two ways to ask for an expiry.
const PEXPIRETIME: &str = "PEXPIRETIME";
const PTTL: &str = "PTTL";

pub(super) fn findings(judging: &Judging<'_>, found: &mut Vec<Finding>) {
    if let Some(source) = &judging.facts.source {
        found.extend(at_source(source));
    }
    if let Some(target) = judging.facts.rehearsed.as_ref().and_then(|rehearsed| rehearsed.target.as_ref()) {
        found.extend(at_target(&target.replaced));
    }
    if let Some(target) = &judging.facts.target {
        found.extend(payloads(target));
        found.push(settings(target));
    }
}

fn at_source(source: &SourceFacts) -> Vec<Finding> {
    let is_refused = |name: &str| source.refused.contains_key(name);
    let lacks_expiries = is_refused(PEXPIRETIME) && (is_refused(PTTL) || is_refused("TIME"));
    let is_lacking = |command: &&SourceCommand| match command.name {
        // Releases before v1.22 have no PEXPIRETIME, and do with the other two.
        PEXPIRETIME => lacks_expiries,
        PTTL => lacks_expiries && is_refused(PTTL),
        name => is_refused(name),
    };
    let mut alike: Vec<Vec<&SourceCommand>> = Vec::new();
    for command in SOURCE_COMMANDS.iter().filter(is_lacking) {
        let is_alike = |with: &&mut Vec<&SourceCommand>| {
            with.first()
                .is_some_and(|first| (first.purpose, first.without) == (command.purpose, command.without))
        };
        match alike.iter_mut().find(is_alike) {
            Some(with) => with.push(command),
            None => alike.push(vec![command]),
        }
    }
    if alike.is_empty() {
        return vec![Finding::ok(Check::SourceCommands, "The user may use every command that a run needs.")];
    }
    alike.iter().map(|commands| lacking(commands)).collect()
}

/// Commands of the same purpose.
fn lacking(commands: &[&SourceCommand]) -> Finding {
    let names: Vec<String> = commands.iter().map(|command| command.name.to_owned()).collect();
    let them = if names.len() == 1 { "it" } else { "them" };
    let (purpose, without) = commands.first().map_or(("", ""), |first| (first.purpose, first.without));
    Finding::warning(
        Check::SourceCommands,
        format!(
            "The user of the source may not use {} ({purpose}). Without {them}, {without}.",
            listed(&names)
        ),
        format!("grant it {}", granting(&names)),
    )
}

/// The rules of an ACL that allow these commands.
fn granting(names: &[String]) -> String {
    let rules: Vec<String> =
        names.iter().map(|name| format!("+{}", name.to_ascii_lowercase().replace(' ', "|"))).collect();
    rules.join(" ")
}

/// One finding for each thing that is done instead.
fn at_target(replaced: &[(Lack, Instead)]) -> Vec<Finding> {
    let mut by_instead: BTreeMap<Instead, Vec<&Lack>> = BTreeMap::new();
    for (lack, instead) in replaced {
        by_instead.entry(*instead).or_default().push(lack);
    }
    if by_instead.is_empty() {
        return vec![Finding::ok(Check::TargetCommands, "The user may use every command that a run needs.")];
    }
    by_instead.iter().map(|(instead, lacks)| replaced_by(*instead, lacks)).collect()
}

fn replaced_by(instead: Instead, lacks: &[&Lack]) -> Finding {
    let shown: Vec<String> = lacks.iter().map(ToString::to_string).collect();
    let forbidden: Vec<String> = lacks
        .iter()
        .filter_map(|lack| match lack {
            Lack::Command { name, is_forbidden: true, .. } => Some(name.clone()),
            _ => None,
        })
        .collect();
    let remedy = match forbidden.as_slice() {
        [] => "give the server these commands back, if it can be done".to_owned(),
        names => format!("grant its user {}", granting(names)),
    };
    Finding::warning(
        Check::TargetCommands,
        format!("The target can be used without these commands, but {instead}: {}.", listed(&shown)),
        remedy,
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
