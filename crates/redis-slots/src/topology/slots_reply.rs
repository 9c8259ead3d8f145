//! The reply to CLUSTER SLOTS: for each range of slots its ends, its primary and its replicas. A node is its host, port and
//! id, followed by a map of further fields since Redis 7.0.

use std::ops::RangeInclusive;

use redis_resp::Reply;

use super::{Entry, Health, Node, Shard, TopologyError, entries, field};
use crate::address::Host;

pub(super) fn read(reply: &Reply, over_tls: bool) -> Result<Vec<Shard>, TopologyError> {
    let mut shards = Vec::<Shard>::new();
    for (i, range) in entries(reply)?.iter().enumerate() {
        let (slots, primary, replicas) = read_range(Entry(i), range, over_tls)?;
        match shards.iter_mut().find(|shard| shard.primary.id == primary.id) {
            Some(shard) if shard.primary != primary => return Err(TopologyError::Contradiction(primary.id)),
            Some(shard) => shard.slots.push(slots),
            None => shards.push(Shard { slots: vec![slots], primary, replicas }),
        }
    }
    Ok(shards)
}

type Range = (RangeInclusive<u16>, Node, Vec<Node>);

fn read_range(entry: Entry, range: &Reply, over_tls: bool) -> Result<Range, TopologyError> {
    let [start, end, nodes @ ..] = entry.array(Some(range), "array")? else {
        return Err(entry.no("range of slots"));
    };
    let slots = entry.number(Some(start), "first slot")?..=entry.number(Some(end), "last slot")?;
    let mut nodes = nodes.iter().map(|node| read_node(entry, node, over_tls));
    let primary = nodes.next().ok_or(entry.no("primary"))??;
    Ok((slots, primary, nodes.collect::<Result<_, _>>()?))
}

fn read_node(entry: Entry, node: &Reply, over_tls: bool) -> Result<Node, TopologyError> {
    let [host, port, id, more @ ..] = entry.array(Some(node), "array of a node")? else {
        return Err(entry.no("id of a node"));
    };
    let host = match host {
        Reply::Nil => Host::Asked,
        host => Host::parse(&entry.text(Some(host), "endpoint of a node")?),
    };
    let port = Some(entry.number(Some(port), "port of a node")?).filter(|port| *port > 0);
    let known = match more.first() {
        None => &[],
        known => entry.map(known, "map of a node")?,
    };
    let known =
        |name, expected| field(known, name).map(|value| entry.text(Some(value), expected)).transpose();
    Ok(Node {
        id: entry.text(Some(id), "id of a node")?,
        host,
        ip: known("ip", "address of a node")?.filter(|ip| !ip.is_empty()),
        hostname: known("hostname", "host name of a node")?.filter(|name| !name.is_empty()),
        port: port.filter(|_| !over_tls),
        tls_port: port.filter(|_| over_tls),
        health: Health::Unstated,
    })
}
