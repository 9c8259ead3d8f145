//! What both ends, the network and this host say, gathered before anything is decided. A refusal is a fact too.

mod ask;
mod host;
mod measure;
mod mirrored;
mod nodes;
mod payloads;
mod rehearsed_writes;
mod rights;
mod sampling;
mod source;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::time::Duration;

use dfly_replica::Rehearsed;
use dfly_translate::Ability;

use crate::info::Info;
use crate::sample::Sample;

pub use host::HostFacts;
pub use measure::Measured;
pub(crate) use sampling::Sampling;

pub(crate) use host::host_facts;
pub(crate) use measure::{Mirror, measure};
pub(crate) use nodes::addresses;
pub(crate) use source::{Gathering, source_facts};
pub(crate) use target::{format_of, payload_facts, target_facts};

/// Everything that is known before anything is decided.
#[derive(Debug, Default)]
pub struct Facts {
    /// What a start does before its first write; `None` at a start, which does that itself.
    pub rehearsed: Option<Rehearsed>,
    /// The addresses of the source's names.
    pub source_addresses: Vec<AddressFacts>,
    /// The addresses of the target's names.
    pub target_addresses: Vec<AddressFacts>,
    /// The source, if it answers.
    pub source: Option<SourceFacts>,
    /// The target, if it answers.
    pub target: Option<TargetFacts>,
    /// This host.
    pub host: HostFacts,
    /// The first seconds of the snapshot, if that was asked for.
    pub measured: Option<Result<Measured, String>>,
}

/// A host that the user has named, and what became of a connection to each of its addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddressFacts {
    /// As the user has named it.
    pub name: String,
    /// Each address, and the time to connect to it or why there is no connection.
    pub addresses: Vec<(String, Result<Duration, String>)>,
}

/// What a source says.
#[derive(Debug, Clone, Default)]
pub struct SourceFacts {
    /// Its address.
    pub address: String,
    /// Whether the connection is encrypted.
    pub is_tls: bool,
    /// The shortest of some round trips.
    pub round_trip: Option<Duration>,
    /// What INFO says.
    pub info: Info,
    /// Its settings that it tells.
    pub settings: BTreeMap<String, String>,
    /// How far its clock is ahead of this host's, in milliseconds.
    pub clock_ahead: Option<i64>,
    /// Commands that are refused, each with the answer.
    pub refused: BTreeMap<&'static str, String>,
    /// Whether it has keys of df2redis.
    pub has_reserved_keys: bool,
    /// What is there and is never copied, with its count.
    pub not_copied: BTreeMap<&'static str, u64>,
    /// What is written to it.
    pub writes: Option<WriteRate>,
    /// Some of its keys.
    pub sample: Sample,
}

/// What is written to a source in a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WriteRate {
    /// Write commands.
    pub commands: u64,
    /// Journal records of the shard that has most; `None` if the source keeps no journal yet.
    pub records_of_a_shard: Option<u64>,
    /// Bytes that clients send.
    pub bytes: u64,
}

/// What a target says.
#[derive(Debug, Clone, Default)]
pub struct TargetFacts {
    /// Whether the connection is encrypted.
    pub is_tls: bool,
    /// Whether it is a cluster.
    pub is_cluster: bool,
    /// A single server, or the nodes of a cluster.
    pub nodes: Vec<NodeFacts>,
    /// What a cluster says of itself.
    pub cluster: ClusterFacts,
    /// What its modules, or its release, can do.
    pub abilities: BTreeSet<AbilityFact>,
    /// Connections of runs: their names, each with how many there are.
    pub writers: BTreeMap<String, u64>,
    /// Encodings whose values were refused, each with the answer.
    pub refused_payloads: BTreeMap<String, String>,
    /// Encodings whose values were taken.
    pub taken_payloads: BTreeSet<String>,
}

/// An ability, in an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbilityFact(pub Ability);

impl PartialOrd for AbilityFact {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for AbilityFact {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0 as u8).cmp(&(other.0 as u8))
    }
}

/// What a cluster says of itself.
#[derive(Debug, Clone, Default)]
pub struct ClusterFacts {
    /// Its topology, or why there is none.
    pub failure: Option<String>,
    /// What CLUSTER INFO says.
    pub info: Info,
    /// The first slot that nobody owns.
    pub uncovered: Option<u16>,
    /// Primaries, each with its number of replicas.
    pub replicas: Vec<u64>,
}

/// A server of a target.
#[derive(Debug, Clone, Default)]
pub struct NodeFacts {
    /// Where it is reached.
    pub address: String,
    /// The address that it announces, if that is another one.
    pub announced: Option<String>,
    /// Whether data is written to it.
    pub is_primary: bool,
    /// The share of the slots that it owns.
    pub share: f64,
    /// The slots themselves, in a cluster.
    pub slots: Vec<RangeInclusive<u16>>,
    /// Slots that it gives away or takes just now.
    pub open_slots: BTreeSet<u16>,
    /// Why it does not answer.
    pub failure: Option<String>,
    /// The shortest of some round trips.
    pub round_trip: Option<Duration>,
    /// What INFO says.
    pub info: Info,
    /// Its settings; `None`: its user may not read them.
    pub settings: Option<BTreeMap<String, String>>,
    /// How far its clock is ahead of this host's, in milliseconds.
    pub clock_ahead: Option<i64>,
}

impl NodeFacts {
    /// A setting, if it is told.
    pub fn setting(&self, name: &str) -> Option<&str> {
        self.settings.as_ref()?.get(name).map(String::as_str)
    }
}
