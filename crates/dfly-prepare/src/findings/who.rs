//! Who both sides are: releases, kinds, roles, who else follows or writes.

use dfly_client::Release;

use super::Judging;
use super::words::{count, listed};
use crate::check::Check;
use crate::facts::{NodeFacts, SourceFacts, TargetFacts};
use crate::finding::Finding;
use crate::info::ReplicaInfo;

/// The release that everything was tried with.
const TRIED: Release = Release { major: 1, minor: 40, patch: 1 };

/// The first release that mends a part of the quirks.
const MENDED: Release = Release { major: 1, minor: 41, patch: 0 };

/// Commands whose records differ for good (docs/source-quirks.md), each with what differs.
const DIFFERING: [(&str, &str); 4] = [
    ("bitop", "BITOP onto a key with an expiry loses the expiry"),
    ("cl.throttle", "the state of CL.THROTTLE is left out"),
    ("xreadgroup", "deliveries that XREADGROUP repeats are not counted"),
    ("gat", "memcached commands are journaled without their deltas"),
];

pub(super) fn findings(judging: &Judging<'_>, found: &mut Vec<Finding>) {
    if let Some(source) = &judging.facts.source {
        found.extend(release(source));
        found.extend(quirks(source));
        found.extend(cluster_mode(source));
        found.push(replicas_of_source(source));
        found.push(reserved(source));
    }
    if let Some(target) = &judging.facts.target {
        found.extend(target.nodes.first().and_then(kind));
        found.extend(replicas_of_target(judging, target));
        found.push(writer(judging, target));
    }
}

/// What the source calls its release.
pub(super) fn release_of(source: &SourceFacts) -> Option<Release> {
    source.info.text("dragonfly_version").and_then(Release::from_info)
}

fn release(source: &SourceFacts) -> Option<Finding> {
    let text = source.info.text("dragonfly_version")?;
    let means = match Release::from_info(text) {
        Some(release) if release == TRIED => {
            format!("It is {text}, the release that everything was tried with.")
        }
        Some(_) => {
            format!("It is {text}. Releases from v1.4 on can be followed; everything was tried with v1.40.1.")
        }
        None => format!("It is {text}, a build without a number; everything was tried with v1.40.1."),
    };
    Some(Finding::ok(Check::SourceRelease, means))
}

fn quirks(source: &SourceFacts) -> Option<Finding> {
    let release = release_of(source);
    let used: Vec<String> = DIFFERING
        .iter()
        .filter(|(name, _)| has_called(source, name))
        .map(|(_, what)| (*what).to_owned())
        .collect();
    if !used.is_empty() {
        return Some(Finding::warning(
            Check::SourceQuirks,
            format!(
                "Applications use commands whose records differ from what the source does: {}.",
                listed(&used)
            ),
            "see docs/source-quirks.md, and compare (check) before the switch",
        ));
    }
    let more =
        if release.is_some_and(|release| release >= MENDED) { "fewer since v1.41" } else { "up to v1.40" };
    source.info.text("dragonfly_version")?;
    Some(Finding::ok(
        Check::SourceQuirks,
        format!(
            "Some records do not tell what was done ({more}): such keys are read again from the source, which costs a DUMP each (docs/source-quirks.md)."
        ),
    ))
}

/// Whether the statistics of commands have calls of this one.
fn has_called(source: &SourceFacts, name: &str) -> bool {
    let field = format!("cmdstat_{name}");
    let calls =
        |value: &str| value.split(',').find_map(|part| part.strip_prefix("calls=")?.parse::<u64>().ok());
    source.info.text(&field).and_then(calls).unwrap_or(0) > 0
}

fn cluster_mode(source: &SourceFacts) -> Option<Finding> {
    let mode = source.settings.get("cluster_mode").map_or("", String::as_str);
    let is_node = mode == "yes" || source.info.text("redis_mode") == Some("cluster") && mode != "emulated";
    source.info.text("dragonfly_version")?;
    Some(match (is_node, mode) {
        (true, _) => Finding::warning(
            Check::SourceClusterMode,
            "The source is a node of a Dragonfly Cluster: it holds the keys of its own slots alone, and those that it gives away go from the target too.",
            "run one replication, with a name of its own (--task-name), for each node of the cluster",
        ),
        (false, "emulated") => Finding::ok(
            Check::SourceClusterMode,
            "The source plays a cluster of one node, which holds all keys.",
        ),
        (false, _) => Finding::ok(Check::SourceClusterMode, "The source holds all keys itself."),
    })
}

fn replicas_of_source(source: &SourceFacts) -> Finding {
    let replicas = source.info.replicas();
    let (ours, native): (Vec<&ReplicaInfo>, Vec<&ReplicaInfo>) =
        replicas.iter().partition(|replica| replica.port == 0);
    let native = match native.as_slice() {
        [] => "no replica".to_owned(),
        all => {
            let shown =
                |replica: &&ReplicaInfo| format!("{}:{} ({})", replica.host, replica.port, replica.state);
            format!("its own {}", listed(&all.iter().map(shown).collect::<Vec<_>>()))
        }
    };
    match ours.len() as u64 {
        0 => Finding::ok(Check::SourceReplicas, format!("The source is followed by {native}.")),
        runs => Finding::warning(
            Check::SourceReplicas,
            format!(
                "The source is followed by {native} and by {} like this one: each costs the source a buffer for every shard.",
                count(runs, "run")
            ),
            "see that no run was forgotten; two runs into one target need a --task-name each",
        ),
    }
}

fn reserved(source: &SourceFacts) -> Finding {
    match (source.has_reserved_keys, source.sample.reserved) {
        (false, 0) => Finding::ok(Check::SourceReservedKeys, "The source holds no keys of df2redis."),
        _ => Finding::warning(
            Check::SourceReservedKeys,
            "The source holds keys under df2redis: or df2redis@, as one does that was a target before: they are left out and counted (reserved-key).",
            "remove them from the source if no run needs them any more (df2redis-cli cleanup)",
        ),
    }
}

fn kind(node: &NodeFacts) -> Option<Finding> {
    let info = &node.info;
    let other = [("kvrocks_version", "Kvrocks"), ("garnet_version", "Garnet")]
        .into_iter()
        .find_map(|(field, name)| Some(format!("{name} {}", info.text(field)?)));
    let keydb = (info.text("role") == Some("active-replica") || info.text("mvcc_depth").is_some())
        .then(|| "KeyDB".to_owned());
    if let Some(other) = other.or(keydb) {
        return Some(Finding::warning(
            Check::TargetKind,
            format!(
                "The target is a {other}: what it takes was found out by trying, and nothing else about it is known."
            ),
            "try it with a copy of the data first, and compare (check)",
        ));
    }
    let name = match info.text("valkey_version") {
        Some(version) => format!("Valkey {version}"),
        None => format!("Redis {}", info.text("redis_version")?),
    };
    Some(Finding::ok(Check::TargetKind, format!("It is {name}.")))
}

fn replicas_of_target(judging: &Judging<'_>, target: &TargetFacts) -> Option<Finding> {
    let few = target.nodes.iter().filter(|node| node.is_primary).find_map(|node| {
        let needed: u64 = node.setting("min-replicas-to-write")?.parse().ok()?;
        let connected = node.info.number("connected_slaves")?;
        (needed > connected).then(|| (node.address.clone(), needed, connected))
    });
    if let Some((address, needed, connected)) = few {
        return Some(Finding::blocker(
            Check::TargetReplicas,
            format!(
                "{address} takes writes only with {} (min-replicas-to-write), and has {connected}: every write is refused (NOREPLICAS).",
                count(needed, "replica")
            ),
            "attach replicas, or set its min-replicas-to-write to 0",
        ));
    }
    if target.is_cluster {
        return Some(replicas_of_cluster(judging, target));
    }
    let replicas = target.nodes.first()?.info.number("connected_slaves")?;
    Some(match (replicas, judging.config.target.sentinels.is_some()) {
        (0, true) => Finding::warning(
            Check::TargetReplicas,
            "Sentinels watch the target, and it has no replica to fail over to.",
            "attach a replica, or wait until it is back",
        ),
        (0, false) => Finding::ok(Check::TargetReplicas, "It has no replicas."),
        (replicas, _) => {
            Finding::ok(Check::TargetReplicas, format!("It has {}.", count(replicas, "replica")))
        }
    })
}

fn replicas_of_cluster(judging: &Judging<'_>, target: &TargetFacts) -> Finding {
    let alone = target.cluster.replicas.iter().filter(|replicas| **replicas == 0).count() as u64;
    let wanted = judging.config.wait_replicas;
    match (alone, wanted) {
        (0, 0) => Finding::warning(
            Check::TargetReplicas,
            "Every primary has a replica, and no acknowledgement of it is waited for (--wait-replicas 0): a fail-over may cost a full synchronisation.",
            "leave --wait-replicas at 1",
        ),
        (0, _) => Finding::ok(
            Check::TargetReplicas,
            format!(
                "Every primary has a replica; {} must acknowledge before positions are stored.",
                count(wanted.into(), "replica")
            ),
        ),
        (alone, _) => {
            let primaries =
                if alone == 1 { "1 primary has".to_owned() } else { format!("{alone} primaries have") };
            Finding::warning(
                Check::TargetReplicas,
                format!(
                    "{primaries} no replica: if one is lost, its slots have no owner until it is back, and the run waits."
                ),
                "attach a replica to each primary",
            )
        }
    }
}

fn writer(judging: &Judging<'_>, target: &TargetFacts) -> Finding {
    let ours = judging.config.rules.names.connection();
    match target.writers.get(&ours) {
        Some(connections) => Finding::warning(
            Check::TargetWriter,
            format!(
                "A run of the same task writes to the target ({}): a start takes the target over from it.",
                count(*connections, "connection")
            ),
            "stop that run first, or give this one a name of its own (--task-name)",
        ),
        None if target.writers.is_empty() => {
            Finding::ok(Check::TargetWriter, "No other run writes to the target.")
        }
        None => {
            let others: Vec<String> = target.writers.keys().cloned().collect();
            Finding::ok(
                Check::TargetWriter,
                format!("Runs of other tasks write to the target: {}.", listed(&others)),
            )
        }
    }
}
