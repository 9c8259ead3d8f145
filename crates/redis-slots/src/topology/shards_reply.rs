//! The reply to CLUSTER SHARDS: a map of slots and nodes for each shard. Unknown fields are ignored.

use std::ops::RangeInclusive;

use redis_resp::Reply;

use super::{Entry, Health, Node, Shard, TopologyError, entries, field};
use crate::address::Host;

pub(super) fn read(reply: &Reply) -> Result<Vec<Shard>, TopologyError> {
    let shards = entries(reply)?.iter().enumerate().map(|(i, shard)| read_shard(Entry(i), shard));
    Ok(shards.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

/// `None` for a shard that has neither slots nor a primary.
fn read_shard(entry: Entry, shard: &Reply) -> Result<Option<Shard>, TopologyError> {
    let map = entry.map(Some(shard), "map")?;
    let slots = read_slots(entry, entry.array(field(map, "slots"), "slots")?)?;
    let nodes = entry.array(field(map, "nodes"), "nodes")?;
    let nodes = nodes.iter().map(|node| read_node(entry, node)).collect::<Result<Vec<_>, _>>()?;
    let primary = match primary(&nodes) {
        Ok(number) => number,
        Err(0) if slots.is_empty() => return Ok(None),
        Err(primaries) => return Err(TopologyError::Primaries { entry: entry.0, primaries }),
    };
    let (mut found, mut replicas) = (None, Vec::new());
    for (i, (node, _)) in nodes.into_iter().enumerate() {
        if i == primary { found = Some(node) } else { replicas.push(node) }
    }
    Ok(found.map(|primary| Shard { slots, primary, replicas }))
}

/// The index of the primary, or the number of primaries if it is not one. A failed primary stays in its shard (Valkey 9.1),
/// and counts only if there is no other.
fn primary(nodes: &[(Node, Role)]) -> Result<usize, usize> {
    let all = || {
        nodes
            .iter()
            .enumerate()
            .filter(|(_, (_, role))| *role == Role::Primary)
            .map(|(i, (node, _))| (i, node))
    };
    let serving: Vec<usize> =
        all().filter(|(_, node)| node.health != Health::Failed).map(|(i, _)| i).collect();
    let failed: Vec<usize> =
        all().filter(|(_, node)| node.health == Health::Failed).map(|(i, _)| i).collect();
    match (&serving[..], &failed[..]) {
        ([one], _) | ([], [one]) => Ok(*one),
        ([], failed) => Err(failed.len()),
        (serving, _) => Err(serving.len()),
    }
}

fn read_slots(entry: Entry, numbers: &[Reply]) -> Result<Vec<RangeInclusive<u16>>, TopologyError> {
    let ranges = numbers.chunks(2).map(|range| {
        let start = entry.number(range.first(), "first slot of a range")?;
        let end = entry.number(range.get(1), "last slot of a range")?;
        Ok(start..=end)
    });
    ranges.collect()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Primary,
    Replica,
}

fn read_node(entry: Entry, node: &Reply) -> Result<(Node, Role), TopologyError> {
    let map = entry.map(Some(node), "map of a node")?;
    let text = |name, expected| entry.text(field(map, name), expected);
    let optional =
        |name, expected| field(map, name).map(|value| entry.text(Some(value), expected)).transpose();
    let port = |name, expected| field(map, name).map(|value| entry.number(Some(value), expected)).transpose();
    let host = match field(map, "endpoint") {
        Some(Reply::Nil) => Host::Asked,
        endpoint => Host::parse(&entry.text(endpoint, "endpoint of a node")?),
    };
    let role = match text("role", "role of a node")?.as_str() {
        "master" | "primary" => Role::Primary,
        "replica" | "slave" => Role::Replica,
        _ => return Err(entry.no("known role of a node")),
    };
    let node = Node {
        id: text("id", "id of a node")?,
        host,
        ip: optional("ip", "address of a node")?.filter(|ip| !ip.is_empty()),
        hostname: optional("hostname", "host name of a node")?.filter(|name| !name.is_empty()),
        port: port("port", "port of a node")?.filter(|port| *port > 0),
        tls_port: port("tls-port", "TLS port of a node")?.filter(|port| *port > 0),
        health: health(&text("health", "health of a node")?).ok_or(entry.no("known health of a node"))?,
    };
    Ok((node, role))
}

/// Servers write `fail`; their documentation says `failed`.
fn health(text: &str) -> Option<Health> {
    match text {
        "online" => Some(Health::Online),
        "loading" => Some(Health::Loading),
        "fail" | "failed" => Some(Health::Failed),
        _ => None,
    }
}
