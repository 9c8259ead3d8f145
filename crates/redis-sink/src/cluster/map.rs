//! Nodes by number, and who owns which slot.

use std::collections::{BTreeMap, BTreeSet};

use redis_slots::{Address, Health, Slot, SlotTable, Topology, TopologyError};

/// A node of a cluster, by a number that never stands for another address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub u16);

/// The nodes that were heard of, and the owner of each slot among them.
#[derive(Debug, Clone)]
pub struct ClusterMap {
    /// By [`NodeId`].
    addresses: Vec<Address>,
    numbers: BTreeMap<Address, NodeId>,
    primaries: BTreeSet<NodeId>,
    table: SlotTable,
    /// Whether nodes are connected to with TLS, at other ports.
    with_tls: bool,
}

impl ClusterMap {
    /// What `topology` tells, which was asked for at the host `asked`.
    ///
    /// # Errors
    /// A slot has no owner, or one without an address.
    pub fn new(topology: &Topology, asked: &str) -> Result<Self, TopologyError> {
        Self::reached((topology, asked), false)
    }

    /// As [`Self::new`], for connections with TLS or without.
    ///
    /// # Errors
    /// A slot has no owner, or one without an address of this kind.
    pub fn reached((topology, asked): (&Topology, &str), with_tls: bool) -> Result<Self, TopologyError> {
        let (addresses, numbers, primaries) = (Vec::new(), BTreeMap::new(), BTreeSet::new());
        let mut map = Self { addresses, numbers, primaries, table: topology.table()?, with_tls };
        for (entry, shard) in topology.shards().iter().enumerate() {
            let is_known = shard.primary.address(asked, with_tls).is_some();
            if !is_known && !shard.slots.is_empty() {
                return Err(TopologyError::Form { entry, expected: "address of its primary" });
            }
        }
        drop(map.update(topology, asked));
        Ok(map)
    }

    /// Goes over to what `topology` tells, and gives the nodes that were primaries and are none any more. A slot of which it
    /// names no owner, or none with an address, stays where it was.
    pub fn update(&mut self, topology: &Topology, asked: &str) -> Vec<NodeId> {
        let before = std::mem::take(&mut self.primaries);
        for shard in topology.shards() {
            let address = shard.primary.address(asked, self.with_tls);
            let Some(node) = address.and_then(|address| self.number(&address)) else { continue };
            // One that failed and was replaced carries out nothing. A new one may have been asked already.
            if !shard.slots.is_empty() || shard.primary.health != Health::Failed {
                self.primaries.insert(node);
            }
            for slot in shard.slots.iter().flat_map(Clone::clone) {
                self.table.set(Slot(slot), node.0);
            }
        }
        before.difference(&self.primaries).copied().collect()
    }

    /// The number of the node at `address`, a new one if it was not heard of. `None` if there are no more numbers.
    pub(super) fn number(&mut self, address: &Address) -> Option<NodeId> {
        if let Some(known) = self.numbers.get(address) {
            return Some(*known);
        }
        let node = NodeId(u16::try_from(self.addresses.len()).ok()?);
        self.addresses.push(address.clone());
        self.numbers.insert(address.clone(), node);
        Some(node)
    }

    /// `slot` is `node`'s from now on, which is a primary therefore.
    pub(super) fn moved(&mut self, slot: Slot, node: NodeId) {
        self.table.set(slot, node.0);
        self.primaries.insert(node);
    }

    /// The owner of `slot`; `None` if there is no such slot.
    pub fn owner(&self, slot: Slot) -> Option<NodeId> {
        self.table.owner(slot).map(NodeId)
    }

    /// Where the owner of `slot` is.
    pub(super) fn address_of(&self, slot: Slot) -> Option<&Address> {
        self.address(self.owner(slot)?)
    }

    /// Where `node` is.
    pub fn address(&self, node: NodeId) -> Option<&Address> {
        self.addresses.get(usize::from(node.0))
    }

    /// The nodes that take writes, without slots or with.
    pub fn primaries(&self) -> impl Iterator<Item = NodeId> {
        self.primaries.iter().copied()
    }

    /// Whether `node` takes writes, as far as is known.
    pub fn is_primary(&self, node: NodeId) -> bool {
        self.primaries.contains(&node)
    }

    /// Every node that was heard of, beginning at the `turn`-th.
    pub(super) fn nodes(&self, turn: usize) -> impl Iterator<Item = NodeId> {
        let start = turn.checked_rem(self.addresses.len()).unwrap_or(0);
        self.numbers.values().copied().cycle().skip(start).take(self.addresses.len())
    }
}
