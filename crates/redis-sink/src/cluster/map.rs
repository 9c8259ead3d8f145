//! Nodes by number, and the owner of each slot.

use std::collections::{BTreeMap, BTreeSet};

use redis_slots::{Address, Health, Node, Slot, SlotTable, Topology, TopologyError};

/// A node of a cluster. A number always stands for the same address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u16);

/// All nodes that any reply has named, and which of them owns each slot.
#[derive(Debug, Clone)]
pub struct ClusterMap {
    /// By [`NodeId`].
    addresses: Vec<Address>,
    numbers: BTreeMap<Address, NodeId>,
    primaries: BTreeSet<NodeId>,
    table: SlotTable,
    /// Whether connections use TLS, which has ports of its own.
    with_tls: bool,
}

impl ClusterMap {
    /// A map of `topology`, which was read from the host `asked`.
    ///
    /// # Errors
    /// A slot has no owner, or its owner has no address.
    pub fn new(topology: &Topology, asked: &str) -> Result<Self, TopologyError> {
        Self::reached((topology, asked), false)
    }

    /// Like [`Self::new`], for connections with TLS or without.
    ///
    /// # Errors
    /// A slot has no owner, or its owner has no address of this kind.
    pub fn reached((topology, asked): (&Topology, &str), with_tls: bool) -> Result<Self, TopologyError> {
        let (addresses, numbers, primaries) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let mut map = Self { addresses, numbers, primaries, table: topology.table()?, with_tls };
        for (entry, shard) in topology.shards().iter().enumerate() {
            if shard.primary.address(asked, with_tls).is_none() && !shard.slots.is_empty() {
                return Err(unreachable(&shard.primary, entry, with_tls));
            }
        }
        drop(map.update(topology, asked));
        Ok(map)
    }

    /// Switches to `topology`, and returns the nodes that are no longer primaries. A slot without an owner in it, or whose
    /// owner has no address, keeps its owner.
    pub fn update(&mut self, topology: &Topology, asked: &str) -> Vec<NodeId> {
        let before = std::mem::take(&mut self.primaries);
        for shard in topology.shards() {
            let address = shard.primary.address(asked, self.with_tls);
            let Some(node) = address.and_then(|address| self.number(&address)) else { continue };
            // A primary that failed and was replaced carries out nothing. A new one without slots may already have received
            // requests.
            if !shard.slots.is_empty() || shard.primary.health != Health::Failed {
                self.primaries.insert(node);
            }
            for slot in shard.slots.iter().flat_map(Clone::clone) {
                self.table.set(Slot(slot), node.0);
            }
        }
        before.difference(&self.primaries).copied().collect()
    }

    /// The number of the node at `address`. An unknown address gets a new number. `None` if there are no numbers left.
    pub(super) fn number(&mut self, address: &Address) -> Option<NodeId> {
        if let Some(known) = self.numbers.get(address) {
            return Some(*known);
        }
        let node = NodeId(u16::try_from(self.addresses.len()).ok()?);
        self.addresses.push(address.clone());
        self.numbers.insert(address.clone(), node);
        Some(node)
    }

    /// Records that `node` now owns `slot`. So `node` is a primary.
    pub(super) fn moved(&mut self, slot: Slot, node: NodeId) {
        self.table.set(slot, node.0);
        self.primaries.insert(node);
    }

    /// The owner of `slot`; `None` if there is no such slot.
    pub fn owner(&self, slot: Slot) -> Option<NodeId> {
        self.table.owner(slot).map(NodeId)
    }

    /// The address of the owner of `slot`.
    pub(super) fn address_of(&self, slot: Slot) -> Option<&Address> {
        self.address(self.owner(slot)?)
    }

    /// The address of `node`.
    pub fn address(&self, node: NodeId) -> Option<&Address> {
        self.addresses.get(usize::from(node.0))
    }

    /// The nodes that accept writes, with or without slots.
    pub fn primaries(&self) -> impl Iterator<Item = NodeId> {
        self.primaries.iter().copied()
    }

    /// Whether `node` accepts writes, as far as is known.
    pub fn is_primary(&self, node: NodeId) -> bool {
        self.primaries.contains(&node)
    }

    /// All known nodes, starting with the one at `turn` (modulo their number).
    pub(super) fn nodes(&self, turn: usize) -> impl Iterator<Item = NodeId> {
        let start = turn.checked_rem(self.addresses.len()).unwrap_or(0);
        self.numbers.values().copied().cycle().skip(start).take(self.addresses.len())
    }
}

/// The error for a primary that has no address for the connections of this run.
fn unreachable(primary: &Node, entry: usize, with_tls: bool) -> TopologyError {
    match primary.port {
        Some(port) if with_tls && primary.tls_port.is_none() => TopologyError::WithoutTls { entry, port },
        _ => TopologyError::Form { entry, expected: "address of its primary" },
    }
}
