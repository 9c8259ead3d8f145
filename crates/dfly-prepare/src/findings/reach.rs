//! Whether both sides are reached: each address, TLS, the nodes of a cluster, the time that a request takes.

use std::collections::BTreeSet;
use std::time::Duration;

use dfly_replica::TargetMode;
use redis_resp::connection::{Endpoint, Peer, Tls};

use super::Judging;
use super::words::{count, listed, time};
use crate::check::Check;
use crate::facts::{AddressFacts, NodeFacts, TargetFacts};
use crate::finding::Finding;

/// A round trip from which a refetch or a scan takes noticeably longer.
const FAR: Duration = Duration::from_millis(10);

pub(super) fn findings(judging: &Judging<'_>, found: &mut Vec<Finding>) {
    let facts = judging.facts;
    let tells = |check| !found.iter().any(|finding: &Finding| finding.check == check && finding.is_engines);
    let mut new = Vec::new();
    for (check, addresses) in
        [(Check::SourceAddresses, &facts.source_addresses), (Check::TargetAddresses, &facts.target_addresses)]
    {
        if tells(check) && !addresses.is_empty() {
            new.push(of_addresses(check, addresses));
        }
    }
    if facts.source.is_some() {
        new.push(of_tls(Check::SourceTls, &judging.config.source));
    }
    if let Some(target) = &facts.target {
        new.push(of_tls(Check::TargetTls, &judging.config.target));
        if target.is_cluster {
            new.extend(of_nodes(target));
            new.extend(of_slots(target));
            new.extend(of_bus(target));
        } else if judging.config.target_mode == TargetMode::Cluster {
            new.extend(of_slots(target));
        }
    }
    new.extend(round_trips(judging));
    found.extend(new);
}

/// A name of which an address is dead works, and takes longer; one of which all are dead does not.
fn of_addresses(check: Check, names: &[AddressFacts]) -> Finding {
    let dead: Vec<String> = names.iter().flat_map(dead_of).collect();
    let total: usize = names.iter().map(|name| name.addresses.len().max(1)).sum();
    if dead.is_empty() {
        let names: Vec<String> = names.iter().map(|name| name.name.clone()).collect();
        let at = if total == 1 { "its address".to_owned() } else { format!("each of {total} addresses") };
        return Finding::ok(check, format!("{} answers at {at}.", listed(&names)));
    }
    let means = format!("{} of {total} addresses cannot be used: {}.", dead.len(), listed(&dead));
    let remedy =
        "remove what is dead from the name or the setting: each new connection may have to try it first";
    Finding::warning(check, means, remedy)
}

fn dead_of(name: &AddressFacts) -> Vec<String> {
    if name.addresses.is_empty() {
        return vec![format!("{} (the name is not known)", name.name)];
    }
    let dead =
        name.addresses.iter().filter_map(|(address, outcome)| Some((address, outcome.as_ref().err()?)));
    dead.map(|(address, error)| match name.addresses.len() {
        1 => format!("{} ({error})", name.name),
        _ => format!("{address} of {} ({error})", name.name),
    })
    .collect()
}

fn of_tls(check: Check, endpoint: &Endpoint) -> Finding {
    let (flag, scheme) = match endpoint.peer {
        Peer::Source => ("--source-tls-ca", "dragonflys://"),
        Peer::Target => ("--target-tls-ca", "rediss://"),
    };
    match &endpoint.tls {
        Some(tls) if Tls::is_insecure(tls) => Finding::warning(
            check,
            "The connection is encrypted, but the certificate is not verified: anyone on the network path can read and change all data.",
            format!("name the authority with {flag}, and leave out the flag that accepts any certificate"),
        ),
        Some(_) => Finding::ok(check, "The connection is encrypted, and the certificate is verified."),
        None if endpoint.socket.is_some() => {
            Finding::ok(check, "The server is reached by a socket of this host.")
        }
        None => Finding::ok(check, format!("The connection is not encrypted ({scheme} encrypts it).")),
    }
}

fn of_nodes(target: &TargetFacts) -> Vec<Finding> {
    let lost = |node: &&NodeFacts| node.failure.is_some();
    let shown = |node: &NodeFacts| {
        let announced = node.announced.as_ref().map_or_else(String::new, |at| format!(", announced as {at}"));
        format!("{}{announced} ({})", node.address, node.failure.as_deref().unwrap_or_default())
    };
    let of = |primaries: bool| -> Vec<String> {
        target.nodes.iter().filter(lost).filter(|node| node.is_primary == primaries).map(shown).collect()
    };
    let (primaries, replicas) = (of(true), of(false));
    let map = "name where it is reached from here: --target-address-map ANNOUNCED=REACHABLE";
    match (primaries.as_slice(), replicas.as_slice()) {
        ([], []) => {
            let nodes = count(target.nodes.len() as u64, "node");
            vec![Finding::ok(
                Check::ClusterNodes,
                format!("Each of the {nodes} is reached by the address that it announces."),
            )]
        }
        ([], replicas) => vec![Finding::warning(
            Check::ClusterNodes,
            format!(
                "A replica is not reached, so a fail-over to it would stop the run: {}.",
                listed(replicas)
            ),
            map,
        )],
        (primaries, _) => vec![Finding::blocker(
            Check::ClusterNodes,
            format!(
                "A primary is not reached by the address that the cluster announces: {}.",
                listed(primaries)
            ),
            map,
        )],
    }
}

fn of_slots(target: &TargetFacts) -> Vec<Finding> {
    let cluster = &target.cluster;
    if let Some(slot) = cluster.uncovered {
        let assigned = cluster.info.number("cluster_slots_assigned").unwrap_or(0);
        return vec![Finding::blocker(
            Check::ClusterSlots,
            format!(
                "Nobody owns slot {slot} ({} of 16384 slots have no owner): its keys cannot be written.",
                16_384u64.saturating_sub(assigned)
            ),
            "give each slot an owner (redis-cli --cluster fix)",
        )];
    }
    if let Some(failure) = &cluster.failure {
        return vec![Finding::blocker(
            Check::ClusterSlots,
            format!("The cluster does not tell its slots: {failure}."),
            "repair the cluster, and allow CLUSTER SHARDS",
        )];
    }
    let mut found = Vec::new();
    if let Some(state) = cluster.info.text("cluster_state").filter(|state| *state != "ok") {
        found.push(Finding::warning(
            Check::ClusterSlots,
            format!("The cluster says that its state is {state}: it may refuse writes (CLUSTERDOWN), and a run waits as long."),
            "repair the cluster first",
        ));
    }
    let open: BTreeSet<u16> = target.nodes.iter().flat_map(|node| node.open_slots.iter().copied()).collect();
    if !open.is_empty() {
        found.push(Finding::warning(
            Check::ClusterSlots,
            format!("{} being moved. A run goes on meanwhile, but each move makes it wait, and expiries become later.", are(open.len() as u64, "slot")),
            "finish the move first (redis-cli --cluster check)",
        ));
    }
    if found.is_empty() {
        let primaries = count(cluster.replicas.len() as u64, "primary").replace("primarys", "primaries");
        found.push(Finding::ok(
            Check::ClusterSlots,
            format!("All slots are owned, by {primaries}, and none is being moved."),
        ));
    }
    found
}

fn are(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one} is") } else { format!("{number} {one}s are") }
}

/// TLS for clients without TLS on the bus: nodes of Redis before 7.2 announce their plain ports then.
fn of_bus(target: &TargetFacts) -> Option<Finding> {
    if !target.is_tls {
        return None;
    }
    let without: Vec<String> = target
        .nodes
        .iter()
        .filter(|node| node.setting("tls-cluster") == Some("no"))
        .map(|node| node.address.clone())
        .collect();
    Some(match without.as_slice() {
        [] => Finding::ok(Check::ClusterBusTls, "The nodes use TLS among themselves."),
        nodes => Finding::warning(
            Check::ClusterBusTls,
            format!(
                "Clients use TLS, and {} does not on the cluster's bus: data is replicated in the clear, and servers before Redis 7.2 do not tell their TLS ports.",
                listed(nodes)
            ),
            "set \"tls-cluster yes\" on every node",
        ),
    })
}

fn round_trips(judging: &Judging<'_>) -> Option<Finding> {
    let source = judging.facts.source.as_ref()?.round_trip?;
    let target = judging.facts.target.as_ref()?.nodes.iter().filter_map(|node| node.round_trip).max()?;
    let means =
        format!("A request takes {} to the source and back, {} to the target.", time(source), time(target));
    Some(match source.max(target) >= FAR {
        false => Finding::ok(Check::RoundTrips, means),
        true => Finding::warning(
            Check::RoundTrips,
            format!("{means} Keys that are refetched, and flushes, take several of them."),
            "run df2redis near the side that is far",
        ),
    })
}
