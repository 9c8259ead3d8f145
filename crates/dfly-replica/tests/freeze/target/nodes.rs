//! What a server says of itself, and three of them of their cluster.

use std::net::SocketAddr;

use redis_slots::{SLOTS, Slot};

use super::keyspace::Keyspace;
use crate::resp::reply::{array, bulk, int};

/// The time of every clock, in milliseconds.
pub(crate) const NOW: i64 = 1_795_333_403_000;

/// One server.
#[derive(Debug)]
pub(crate) struct Node {
    pub address: SocketAddr,
    pub keys: Keyspace,
}

/// Which node has a slot, of `count`: equal shares, in order.
pub(crate) fn owner(slot: Slot, count: usize) -> usize {
    (usize::from(slot.0) * count) / usize::from(SLOTS)
}

pub(crate) fn info(nodes: &[Node], at: usize) -> String {
    let cluster = u8::from(nodes.len() > 1);
    let keyspace: String = nodes[at]
        .keys
        .sizes()
        .iter()
        .map(|(db, keys)| format!("db{db}:keys={keys},expires=0,avg_ttl=0\r\n"))
        .collect();
    format!(
        "# Server\r\nredis_version:7.0.15\r\nrun_id:{at:040}\r\n# Replication\r\nrole:master\r\n\
         # Cluster\r\ncluster_enabled:{cluster}\r\n# Keyspace\r\n{keyspace}"
    )
}

pub(crate) fn time() -> Vec<u8> {
    array([bulk((NOW / 1000).to_string()), bulk((NOW % 1000 * 1000).to_string())])
}

/// The first slot of a node, and its last.
fn range(at: usize, count: usize) -> (usize, usize) {
    let first = |at: usize| (at * usize::from(SLOTS)).div_ceil(count);
    (first(at), first(at + 1) - 1)
}

fn id(at: usize) -> String {
    format!("{at:040x}")
}

pub(crate) fn shards(nodes: &[Node]) -> Vec<u8> {
    array(nodes.iter().enumerate().map(|(at, node)| {
        let (first, last) = range(at, nodes.len());
        let (ip, port) = (node.address.ip().to_string(), usize::from(node.address.port()));
        let texts = [("id", id(at)), ("ip", ip.clone()), ("endpoint", ip), ("role", "master".to_owned())];
        let mut map: Vec<Vec<u8>> = texts.iter().flat_map(|(name, text)| [bulk(name), bulk(text)]).collect();
        map.extend([
            bulk("port"),
            int(port),
            bulk("replication-offset"),
            int(0),
            bulk("health"),
            bulk("online"),
        ]);
        let slots = array([int(first), int(last)]);
        array([bulk("slots"), slots, bulk("nodes"), array([array(map)])])
    }))
}

/// Each with one replica, which nobody connects to.
pub(crate) fn table(nodes: &[Node], myself: usize) -> String {
    let line = |(at, node): (usize, &Node)| {
        let (first, last) = range(at, nodes.len());
        let (address, flags) = (node.address, if at == myself { "myself,master" } else { "master" });
        let replica = format!("{} {}:1@2 slave {} 0 0 {at} connected", id(at + 100), address.ip(), id(at));
        format!("{} {address}@1 {flags} - 0 0 {at} connected {first}-{last}\n{replica}\n", id(at))
    };
    nodes.iter().enumerate().map(line).collect()
}
