//! What a cluster is made of, as one of its nodes sees it.

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

/// Who owns which slots, and who stands by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    shards: Vec<Shard>,
    /// Numbers of `shards`.
    owners: SlotOwners<u16>,
}

/// A primary with its slots and replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// In the server's order; none if the primary is new or was replaced.
    pub slots: Vec<RangeInclusive<u16>>,
    /// Who takes writes.
    pub primary: Node,
    /// Who follows it, and primaries that failed and were replaced.
    pub replicas: Vec<Node>,
}

/// A server of a cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its name in the cluster, 40 characters.
    pub id: String,
    /// The way to it.
    pub host: Host,
    /// Its address, if it is told apart from `host`.
    pub ip: Option<String>,
    /// Its name, if it has one.
    pub hostname: Option<String>,
    /// The port without TLS, if it has one.
    pub port: Option<u16>,
    /// The port with TLS, if it has one.
    pub tls_port: Option<u16>,
    /// How it is.
    pub health: Health,
}

/// How a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Health {
    /// It serves.
    Online,
    /// It is still receiving its data.
    Loading,
    /// A majority of the primaries cannot reach it.
    Failed,
    /// CLUSTER SLOTS does not tell.
    Unstated,
}

/// Why a reply is no topology that can be relied on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TopologyError {
    /// The server did not answer the question: cluster mode may be off.
    #[error("the server does not tell its topology: {0}")]
    Refused(#[source] ServerError),
    /// The reply has another form than servers document.
    #[error("entry {entry} of the topology has no {expected}")]
    Form {
        /// Which shard or range of slots, from 0.
        entry: usize,
        /// What was looked for.
        expected: &'static str,
    },
    /// A shard that owns slots has no primary, or several that serve.
    #[error("shard {entry} of the topology has {primaries} primaries")]
    Primaries {
        /// Which shard, from 0.
        entry: usize,
        /// How many.
        primaries: usize,
    },
    /// A node is told in two ways.
    #[error("the topology tells the node {0} in two ways")]
    Contradiction(String),
    /// The ranges of slots are no ranges, or share slots.
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

    /// Reads the reply to `CLUSTER SLOTS` (server `cluster.c`, `clusterCommandSlots`). Servers tell the port of the kind of
    /// the connection that was asked on: `over_tls` says which.
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

    /// Every shard, those without slots too.
    pub fn shards(&self) -> &[Shard] {
        &self.shards
    }

    /// The shard that owns `slot`.
    pub fn owner(&self, slot: Slot) -> Option<&Shard> {
        self.owners.owner(slot).and_then(|number| self.shards.get(usize::from(*number)))
    }

    /// The first slot without an owner: the cluster is not whole, or the node that was asked does not know it whole.
    pub fn first_uncovered(&self) -> Option<Slot> {
        self.owners.first_uncovered()
    }

    /// The number in [`shards`](Self::shards) of every slot's owner.
    ///
    /// # Errors
    /// [`TopologyError::Uncovered`].
    pub fn table(&self) -> Result<SlotTable, TopologyError> {
        SlotTable::new(&self.owners).map_err(TopologyError::Uncovered)
    }
}

impl Node {
    /// Where to connect, with or without TLS, if the topology was asked for at the host `asked`; `None` if it is not
    /// known.
    pub fn address(&self, asked: &str, with_tls: bool) -> Option<Address> {
        let port = if with_tls { self.tls_port } else { self.port };
        self.host.at(asked, port?)
    }
}

/// A node is primary of one shard at the most, and then no replica.
fn consistent(shards: &[Shard]) -> Result<(), TopologyError> {
    let mut primaries = BTreeSet::new();
    let replicas = shards.iter().flat_map(|shard| &shard.replicas);
    let twice = shards.iter().map(|shard| &shard.primary).find(|node| !primaries.insert(&node.id));
    match twice.or_else(|| replicas.into_iter().find(|node| primaries.contains(&node.id))) {
        Some(node) => Err(TopologyError::Contradiction(node.id.clone())),
        None => Ok(()),
    }
}

/// One entry of a reply, so that what is missing can be told with its place.
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

    /// Names and values in turn, as RESP2 writes a map.
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
