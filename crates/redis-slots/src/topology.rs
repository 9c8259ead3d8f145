//! The topology of a cluster, as one of its nodes reports it.

mod shards_reply;
mod slots_reply;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use redis_resp::{Reply, ServerError};
use thiserror::Error;

use crate::address::{Address, Host};
use crate::owners::{OwnersError, SlotOwners};
use crate::slot::Slot;
use crate::table::SlotTable;

/// The shards of a cluster with their slots, primaries and replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    shards: Vec<Shard>,
    /// Indexes into `shards`.
    owners: SlotOwners<u16>,
}

/// A primary with its slots and replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// In the order of the reply. Empty if the primary is new or was replaced.
    pub slots: Vec<RangeInclusive<u16>>,
    /// The node that accepts writes.
    pub primary: Node,
    /// The replicas, and failed primaries that were replaced.
    pub replicas: Vec<Node>,
}

/// A server of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its id in the cluster, 40 characters.
    pub id: String,
    /// The host to connect to.
    pub host: Host,
    /// Its address, if the reply has it in addition to `host`.
    pub ip: Option<String>,
    /// Its host name, if it has one.
    pub hostname: Option<String>,
    /// The port without TLS, if it has one.
    pub port: Option<u16>,
    /// The port with TLS, if it has one.
    pub tls_port: Option<u16>,
    /// Its health.
    pub health: Health,
}

/// The health of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It is serving.
    Online,
    /// It is still loading its data.
    Loading,
    /// A majority of the primaries cannot reach it.
    Failed,
    /// Unknown: CLUSTER SLOTS does not report it.
    Unstated,
}

/// Why a reply is not a valid topology.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// The server refused the request. Cluster mode may be off.
    #[error("the server does not tell its topology: {0}")]
    Refused(#[source] ServerError),
    /// The reply does not have the documented form.
    #[error("entry {entry} of the topology has no {expected}")]
    Form {
        /// Index of the shard or range of slots.
        entry: usize,
        /// The missing part.
        expected: &'static str,
    },
    /// The topology has the port of a primary without TLS, and none with TLS. Redis before 7.2 leaves it out unless the
    /// nodes use TLS among themselves.
    #[error(
        "entry {entry} of the topology has only port {port}, which is without TLS: servers before Redis 7.2 tell their TLS ports only with \"tls-cluster yes\""
    )]
    WithoutTls {
        /// Index of the shard.
        entry: usize,
        /// The port without TLS.
        port: u16,
    },
    /// A shard with slots has no primary, or several that are serving.
    #[error("shard {entry} of the topology has {primaries} primaries")]
    Primaries {
        /// Index of the shard.
        entry: usize,
        /// The number of primaries.
        primaries: usize,
    },
    /// The reply describes a node in two different ways.
    #[error("the topology tells the node {0} in two ways")]
    Contradiction(String),
    /// A range of slots is invalid, or overlaps with another.
    #[error("the topology's slots cannot be: {0}")]
    Slots(#[from] OwnersError),
    /// A slot without an owner.
    #[error("nobody owns slot {}", .0.0)]
    Uncovered(Slot),
}

impl Topology {
    /// Reads the reply to `CLUSTER SHARDS` (Redis 7.0 and later, Valkey; server `cluster_legacy.c`,
    /// `clusterCommandShards`).
    ///
    /// # Errors
    /// [`TopologyError`].
    pub fn from_shards(reply: &Reply) -> Result<Self, TopologyError> {
        Self::new(shards_reply::read(reply)?)
    }

    /// Reads the reply to `CLUSTER SLOTS` (server `cluster.c`, `clusterCommandSlots`). The reply has the port of
    /// the kind of the connection: `over_tls` tells whether it has TLS.
    ///
    /// # Errors
    /// [`TopologyError`].
    pub fn from_slots(reply: &Reply, over_tls: bool) -> Result<Self, TopologyError> {
        Self::new(slots_reply::read(reply, over_tls)?)
    }

    fn new(shards: Vec<Shard>) -> Result<Self, TopologyError> {
        let mut owners = SlotOwners::default();
        for (entry, shard) in shards.iter().enumerate() {
            let expected = "number of 16 bits";
            let number = u16::try_from(entry).map_err(|_too_many| TopologyError::Form { entry, expected })?;
            for slots in &shard.slots {
                owners.insert(slots.clone(), number)?;
            }
        }
        consistent(&shards)?;
        Ok(Self { shards, owners })
    }

    /// All shards, including those without slots.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The shard that owns `slot`.
    pub fn owner(&self, slot: Slot) -> Option<&Shard> {
        self.owners.owner(slot).and_then(|number| self.shards.get(usize::from(*number)))
    }

    /// The first slot without an owner: the cluster is incomplete, or the node does not know all of it.
    pub fn first_uncovered(&self) -> Option<Slot> {
        self.owners.first_uncovered()
    }

    /// The owner of every slot, as an index into [`shards`](Self::shards).
    ///
    /// # Errors
    /// [`TopologyError::Uncovered`].
    pub fn table(&self) -> Result<SlotTable, TopologyError> {
        SlotTable::new(&self.owners).map_err(TopologyError::Uncovered)
    }
}

impl Node {
    /// The address to connect to, with or without TLS, if the topology was requested at the host `asked`; `None` if it is
    /// unknown.
    pub fn address(&self, asked: &str, with_tls: bool) -> Option<Address> {
        let port = if with_tls { self.tls_port } else { self.port };
        self.host.at(asked, port?)
    }
}

/// Checks that a node is the primary of at most one shard, and not a replica as well.
fn consistent(shards: &[Shard]) -> Result<(), TopologyError> {
    let mut primaries = BTreeSet::new();
    let replicas = shards.iter().flat_map(|shard| &shard.replicas);
    let twice = shards.iter().map(|shard| &shard.primary).find(|node| !primaries.insert(&node.id));
    match twice.or_else(|| replicas.into_iter().find(|node| primaries.contains(&node.id))) {
        Some(node) => Err(TopologyError::Contradiction(node.id.clone())),
        None => Ok(()),
    }
}

/// The index of an entry of the reply, for errors.
#[derive(Debug, Clone, Copy)]
struct Entry(usize);

impl Entry {
    fn no(self, expected: &'static str) -> TopologyError {
        TopologyError::Form { entry: self.0, expected }
    }

    fn array<'a>(
        self,
        reply: Option<&'a Reply>,
        expected: &'static str,
    ) -> Result<&'a [Reply], TopologyError> {
        match reply {
            Some(Reply::Array(items)) => Ok(items),
            _ => Err(self.no(expected)),
        }
    }

    /// Alternating names and values, as RESP2 encodes a map.
    fn map<'a>(self, reply: Option<&'a Reply>, expected: &'static str) -> Result<&'a [Reply], TopologyError> {
        let map = self.array(reply, expected)?;
        if map.len().is_multiple_of(2) { Ok(map) } else { Err(self.no(expected)) }
    }

    fn text(self, reply: Option<&Reply>, expected: &'static str) -> Result<String, TopologyError> {
        let text = match reply {
            Some(Reply::Bulk(bytes)) => std::str::from_utf8(bytes).ok(),
            Some(Reply::Simple(text)) => Some(text.as_str()),
            _ => None,
        };
        text.map(str::to_owned).ok_or_else(|| self.no(expected))
    }

    fn number(self, reply: Option<&Reply>, expected: &'static str) -> Result<u16, TopologyError> {
        match reply {
            Some(Reply::Integer(number)) => u16::try_from(*number).map_err(|_out_of_range| self.no(expected)),
            _ => Err(self.no(expected)),
        }
    }
}

/// The entries of a reply.
fn entries(reply: &Reply) -> Result<&[Reply], TopologyError> {
    match reply {
        Reply::Array(entries) => Ok(entries),
        Reply::Error(error) => Err(TopologyError::Refused(error.clone())),
        _ => Err(Entry(0).no("array around it")),
    }
}

/// The value of a field in a map.
fn field<'a>(map: &'a [Reply], name: &str) -> Option<&'a Reply> {
    let is_name = |found: &Reply| match found {
        Reply::Bulk(bytes) => bytes == name.as_bytes(),
        Reply::Simple(text) => text == name,
        _ => false,
    };
    map.chunks_exact(2).find_map(|pair| match pair {
        [found, value] if is_name(found) => Some(value),
        _ => None,
    })
}
