//! The nodes that a cluster has named.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redis_resp::connection::Endpoint;
use redis_slots::{Address, Topology};

/// The nodes of a cluster as it has last named them. Copies share what is known.
#[derive(Debug, Clone, Default)]
pub struct KnownNodes(Arc<Mutex<Known>>);

#[derive(Debug, Default)]
struct Known {
    /// The announced addresses, by the ids of the nodes.
    nodes: BTreeMap<String, Address>,
    /// Host and port of the node that has last told the topology.
    last: Option<(String, u16)>,
}

impl KnownNodes {
    /// The addresses that the cluster announces.
    pub(super) fn announced(&self) -> Vec<Address> {
        self.lock().nodes.values().cloned().collect()
    }

    /// Whether the node at this endpoint is the one that has last told the topology.
    pub(super) fn is_last(&self, endpoint: &Endpoint) -> bool {
        let known = self.lock();
        known.last.as_ref().is_some_and(|(host, port)| (host, *port) == (&endpoint.host, endpoint.port))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The cluster has this `topology`, as the node tells that was asked at the host `asked`.
    pub(super) fn learn(&self, topology: &Topology, asked: &str, with_tls: bool) {
        let shards = topology.shards().iter();
        let nodes = shards.flat_map(|shard| [&shard.primary].into_iter().chain(&shard.replicas));
        let known = nodes.filter_map(|node| Some((node.id.clone(), node.address(asked, with_tls)?)));
        self.lock().nodes = known.collect();
    }

    /// The node at this endpoint has told the topology.
    pub(super) fn answered(&self, endpoint: &Endpoint) {
        self.lock().last = Some((endpoint.host.clone(), endpoint.port));
    }

    /// Whether `topology` is of the cluster that is known. Another cluster may have taken over the address of a node.
    pub(super) fn are_of(&self, topology: &Topology) -> bool {
        let known = self.lock();
        let mut shards = topology.shards().iter();
        shards.any(|shard| {
            let mut nodes = [&shard.primary].into_iter().chain(&shard.replicas);
            nodes.any(|node| known.nodes.contains_key(&node.id))
        })
    }
}
