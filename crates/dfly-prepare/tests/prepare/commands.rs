//! Each command that a target or a source is sent, lacking alone.

use std::collections::BTreeSet;

use dfly_prepare::{Check, Severity, source_commands};
use dfly_replica::{Error, Instead, Lack, Rehearsed, TargetCommand, target_commands};
use dfly_testkit::{MasterOptions, RedisOptions, RedisServer};
use dfly_translate::Ability;

use crate::pair::{Pair, assert_found, assert_only, options, prepare, script};
use crate::releases::{folder, server};
use Severity::Warning;

/// Every name, but for those of clusters and of abilities that this server lacks.
fn sent(has: &[Ability]) -> BTreeSet<String> {
    let is_sent = |command: &TargetCommand| {
        !command.targets.starts_with("cluster")
            && command.ability.is_none_or(|ability| has.contains(&ability))
    };
    target_commands().filter(is_sent).map(|command| command.name).collect()
}

/// The names that a rehearsal says are lacking.
fn lacking(rehearsed: &Rehearsed) -> BTreeSet<String> {
    let needed = rehearsed.errors.iter().flat_map(|error| match error {
        Error::Lacks { lacks, .. } => lacks.as_slice(),
        _ => &[],
    });
    let replaced = rehearsed.target.iter().flat_map(|target| &target.replaced).map(|(lack, _)| lack);
    let name = |lack: &Lack| match lack {
        Lack::Command { name, .. } => name.clone(),
        other => other.to_string(),
    };
    needed.chain(replaced).map(name).collect()
}

/// Users of `pair`'s target that lack one of these commands each: exactly that is named.
async fn assert_each_is_named(pair: &Pair, names: BTreeSet<String>) {
    for name in names {
        // XINFO and MEMORY have subcommands on every release; rights to them alone came with 7.0.
        let rule = format!("-{}", name.to_ascii_lowercase().replace(' ', "|"));
        let rehearsed = Rehearsed::of(&pair.limited(&rule)).await;
        assert_eq!(lacking(&rehearsed), BTreeSet::from([name.clone()]), "{rule}: {rehearsed:?}");
    }
    // Nothing that a full user sends is malformed: it would not be seen whether it is allowed.
    assert_eq!(lacking(&Rehearsed::of(&pair.limited("+@all")).await), BTreeSet::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_at_a_target() {
    let pair = Pair::new(script(), &[]).await;
    let names = sent(&[Ability::Functions, Ability::StreamCounters]);
    assert!(names.len() > 120, "{names:?}");
    assert_each_is_named(&pair, names).await;
}

/// Fields that expire, and modules.
#[tokio::test(flavor = "multi_thread")]
async fn each_command_at_other_releases() {
    let Some(folder) = folder() else { return };
    let fields = &[Ability::FieldTtl, Ability::Functions, Ability::StreamCounters][..];
    let modules: Vec<Ability> = Ability::OF_MODULES.iter().map(|(ability, _)| *ability).collect();
    for (name, has) in [
        ("redis-8.0", fields.to_vec()),
        ("valkey-9.1", fields.to_vec()),
        ("redis-7.4-modules", [fields, &modules[..]].concat()),
    ] {
        let Some(redis) = server(&folder, name) else { continue };
        let pair = Pair { redis, ..Pair::new(script(), &[]).await };
        assert_each_is_named(&pair, sent(&has)).await;
    }
}

/// What is said of them.
#[tokio::test(flavor = "multi_thread")]
async fn sentences() {
    let pair = Pair::new(script(), &[]).await;
    let report =
        prepare(pair.limited("-sort -lpos -lpush -mset -xlen -zscan -xgroup|setid -function")).run().await;
    for words in [
        "LPUSH is forbidden (for records of this command)",
        "each key that such a record changes is refetched from the source",
        "strings are written one by one",
        "a comparison uses other commands",
        "functions are treated as unsupported",
    ] {
        let found = report.findings.iter().any(|finding| finding.means.contains(words));
        assert!(found, "{words}: {report:#?}");
    }
    let remedies: BTreeSet<&str> = report
        .findings
        .iter()
        .filter(|finding| finding.check == Check::TargetCommands)
        .filter_map(|finding| finding.remedy.as_deref())
        .collect();
    let expected = [
        "grant its user +function|load",
        "grant its user +lpush +sort +xgroup|setid +lpos",
        "grant its user +mset",
        "grant its user +zscan +xlen",
    ];
    assert_eq!(remedies, expected.into());
    assert_only(&report, &[Check::TargetCommands]);
}

/// Servers of earlier releases know fewer commands, and are not said to lack any that a run needs.
#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_knows_fewer() {
    let Some(redis) = folder().and_then(|folder| server(&folder, "redis-6.2")) else { return };
    let pair = Pair { redis, ..Pair::new(script(), &[]).await };
    let rehearsed = Rehearsed::of(&pair.config()).await;
    assert_eq!(lacking(&rehearsed), BTreeSet::new(), "{rehearsed:?}");
}

/// Renamed away: it is unknown then, and what is done instead is the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_command() {
    let args =
        ["--rename-command", "SORT", "", "--rename-command", "FUNCTION", ""].map(str::to_owned).to_vec();
    let redis =
        RedisServer::start(RedisOptions { args, append_only: true, ..RedisOptions::default() }).unwrap();
    let pair = Pair { redis, ..Pair::new(script(), &[]).await };
    let rehearsed = Rehearsed::of(&pair.config()).await;
    let found: Vec<String> =
        rehearsed.target.unwrap().replaced.iter().map(|(lack, _)| lack.to_string()).collect();
    assert_eq!(
        found,
        ["SORT is unknown (for records of this command)", "FUNCTION LOAD is unknown (to copy functions)"]
    );
}

/// Each command of the source, refused alone by a master without ACL DRYRUN.
#[tokio::test(flavor = "multi_thread")]
async fn each_command_at_a_source() {
    let mut alone = Vec::new();
    for command in source_commands() {
        let first = command.name.split(' ').next().unwrap_or_default();
        let refused = vec![(first, "NOPERM this user has no permissions to run it")];
        let pair = Pair::with(script(), MasterOptions { refused, ..options() }, &[]).await;
        alone.push((command, tokio::spawn(async move { prepare(pair.config()).run().await })));
    }
    for (command, run) in alone {
        let report = run.await.unwrap();
        match command.name {
            // One of the two is enough.
            "PEXPIRETIME" | "PTTL" => assert_only(&report, &[]),
            name => assert_found(&report, Check::SourceCommands, Warning, name),
        }
    }
}

/// Nobody is told that a thing is done instead which is not.
#[test]
fn each_thing_that_is_done_instead_is_said_in_words() {
    let said: BTreeSet<String> =
        target_commands().filter_map(|command| command.instead).map(|instead| instead.to_string()).collect();
    assert!(said.iter().all(|words| words.len() > 15), "{said:?}");
    assert!(target_commands().any(|command| command.instead == Some(Instead::Refetch)));
}
