//! What the target says of itself: a single server, or each node of a cluster.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use dfly_rdb::payload::TargetFormat;
use dfly_replica::{Clock, EngineConfig, TargetMode};
use dfly_translate::{Ability, Target};
use redis_resp::Reply;
use redis_resp::connection::{ConnectionError, Endpoint};
use redis_sink::{Family, TargetInfo};
use redis_slots::{SLOTS, Shard, Slot, Topology};
use tokio::task::JoinSet;

use super::ask::{Asker, text_of};
use super::payloads::{Tried, try_payloads};
use super::sampling::Payloads;
use super::{AbilityFact, ClusterFacts, NodeFacts, TargetFacts};
use crate::info::Info;
use crate::sample::float;

/// Settings that say how a server behaves.
const SETTINGS: [&str; 12] = [
    "maxmemory",
    "maxmemory-policy",
    "timeout",
    "appendonly",
    "appendfsync",
    "save",
    "proto-max-bulk-len",
    "tls-cluster",
    "tls-port",
    "min-replicas-to-write",
    "maxclients",
    "cluster-require-full-coverage",
];

/// The name of every run's connections begins so.
const RUN: &str = "df2redis";

/// How nodes are asked.
#[derive(Debug, Clone)]
struct Manner {
    is_patient: bool,
    clock: Clock,
    now: fn() -> Instant,
}

/// Asks the target. `None`: no address of it answers.
pub(crate) async fn target_facts(
    config: &EngineConfig,
    is_patient: bool,
    now: fn() -> Instant,
) -> Option<TargetFacts> {
    let manner = Manner { is_patient, clock: config.clock.clone(), now };
    let mut first = None;
    for endpoint in [&config.target].into_iter().chain(&config.other_targets) {
        if let Ok(asker) = Asker::open(endpoint).await {
            first = Some((endpoint.clone(), asker));
            break;
        }
    }
    let (endpoint, mut asker) = first?;
    let node =
        NodeFacts { address: endpoint.to_string(), is_primary: true, share: 1.0, ..NodeFacts::default() };
    let node = answers(&mut asker, node, &manner).await;
    let is_cluster = match config.target_mode {
        TargetMode::Auto => node.info.number("cluster_enabled") == Some(1),
        mode => mode == TargetMode::Cluster,
    };
    let mut facts = TargetFacts {
        is_tls: endpoint.tls.is_some(),
        is_cluster,
        nodes: vec![node],
        ..TargetFacts::default()
    };
    if is_cluster && let Ok((cluster, nodes)) = cluster(&mut asker, &endpoint, config, &manner).await {
        facts.cluster = cluster;
        if !nodes.is_empty() {
            facts.nodes = nodes;
        }
    }
    // What was heard before it broke is known.
    drop(abilities(&mut asker, &mut facts).await);
    drop(writers(&mut asker, &mut facts).await);
    Some(facts)
}

/// Tries the source's values on the target, if it is reached.
pub(crate) async fn payload_facts(config: &EngineConfig, facts: &mut TargetFacts, payloads: &Payloads) {
    let Some(format) = facts.nodes.first().and_then(|node| format_of(&node.info)) else { return };
    let key = format!("{}probe:value", config.rules.names.prefix());
    let Some(endpoint) = endpoint_of_key(config, facts, &key) else { return };
    let Ok(mut asker) = Asker::open(&endpoint).await else { return };
    if let Ok(Tried { taken, refused }) = try_payloads(&mut asker, payloads, &format, &key).await {
        // A node that is not the owner of the key says nothing of values.
        let moved = |line: &String| line.starts_with("MOVED") || line.starts_with("NOPERM");
        facts.refused_payloads = refused.into_iter().filter(|(_, line)| !moved(line)).collect();
        facts.taken_payloads = taken;
    }
}

/// The server that a key belongs to.
fn endpoint_of_key(config: &EngineConfig, facts: &TargetFacts, key: &str) -> Option<Endpoint> {
    if !facts.is_cluster {
        return Some(config.target.clone());
    }
    let slot = Slot::of(key.as_bytes()).0;
    let owner = facts.nodes.iter().find(|node| node.slots.iter().any(|slots| slots.contains(&slot)))?;
    let (host, port) = owner.address.rsplit_once(':')?;
    Some(config.target.at(host.trim_matches(['[', ']']), port.parse().ok()?))
}

/// The format that a server reads.
pub(crate) fn format_of(info: &Info) -> Option<TargetFormat> {
    let known = target_info(info)?;
    let family = match known.family {
        Family::Redis => dfly_rdb::Family::Redis,
        Family::Valkey => dfly_rdb::Family::Valkey,
    };
    Some(TargetFormat { family, version: known.version })
}

fn target_info(info: &Info) -> Option<TargetInfo> {
    let text: String = info.beginning("").map(|(name, value)| format!("{name}:{value}\n")).collect();
    TargetInfo::parse(&text)
}

async fn answers(asker: &mut Asker, mut node: NodeFacts, manner: &Manner) -> NodeFacts {
    if let Err(error) = fill(asker, &mut node, manner).await {
        node.failure = Some(error.to_string());
    }
    node
}

async fn fill(asker: &mut Asker, node: &mut NodeFacts, manner: &Manner) -> Result<(), ConnectionError> {
    node.info = Info::parse(&asker.text(&["INFO"]).await?);
    node.settings = asker.settings(&SETTINGS).await?;
    node.clock_ahead = asker.clock_ahead(&manner.clock).await?;
    if manner.is_patient {
        node.round_trip = Some(asker.round_trip(manner.now).await?);
    }
    Ok(())
}

/// What the cluster says of itself, and what each of its nodes says. At a start, only primaries are asked.
async fn cluster(
    asker: &mut Asker,
    endpoint: &Endpoint,
    config: &EngineConfig,
    manner: &Manner,
) -> Result<(ClusterFacts, Vec<NodeFacts>), ConnectionError> {
    let mut facts = ClusterFacts {
        info: Info::parse(&asker.text(&["CLUSTER", "INFO"]).await?),
        ..ClusterFacts::default()
    };
    let topology = match topology(asker, endpoint.tls.is_some()).await? {
        Ok(topology) => topology,
        Err(failure) => {
            facts.failure = Some(failure);
            return Ok((facts, Vec::new()));
        }
    };
    facts.uncovered = topology.first_uncovered().map(|slot| slot.0);
    let with_slots = || topology.shards().iter().filter(|shard| !shard.slots.is_empty());
    facts.replicas = with_slots().map(|shard| shard.replicas.len() as u64).collect();
    let mut asked = JoinSet::new();
    for (at, shard) in with_slots().enumerate() {
        for (node, endpoint) in nodes_of(shard, endpoint, config, manner.is_patient) {
            let manner = manner.clone();
            asked.spawn(async move { (at, meet(node, endpoint, &manner).await) });
        }
    }
    let mut nodes = Vec::new();
    while let Some(Ok(answered)) = asked.join_next().await {
        nodes.push(answered);
    }
    nodes.sort_by(|(one, a), (other, b)| {
        (one, !a.is_primary, &a.address).cmp(&(other, !b.is_primary, &b.address))
    });
    Ok((facts, nodes.into_iter().map(|(_, node)| node).collect()))
}

async fn topology(asker: &mut Asker, with_tls: bool) -> Result<Result<Topology, String>, ConnectionError> {
    let shards = asker.ask(&["CLUSTER", "SHARDS"]).await?;
    let read = match shards {
        // Servers before 7.0 do not know it.
        Reply::Error(_) => Topology::from_slots(&asker.ask(&["CLUSTER", "SLOTS"]).await?, with_tls),
        shards => Topology::from_shards(&shards),
    };
    Ok(read.map_err(|error| error.to_string()))
}

/// Each node of a shard with where it is reached; replicas only if there is time.
fn nodes_of(
    shard: &Shard,
    endpoint: &Endpoint,
    config: &EngineConfig,
    with_replicas: bool,
) -> Vec<(NodeFacts, Endpoint)> {
    let slots: u64 = shard.slots.iter().map(|slots| u64::from(slots.end() - slots.start()) + 1).sum();
    let replicas = shard.replicas.iter().map(|node| (node, false)).filter(|_| with_replicas);
    let mut found = Vec::new();
    for (node, is_primary) in [(&shard.primary, true)].into_iter().chain(replicas) {
        let Some(announced) = node.address(&endpoint.host, endpoint.tls.is_some()) else { continue };
        let reached = config.target_addresses.reached(&announced);
        let facts = NodeFacts {
            address: reached.to_string(),
            announced: (reached != announced).then(|| announced.to_string()),
            is_primary,
            share: if is_primary { float(slots) / f64::from(SLOTS) } else { 0.0 },
            slots: if is_primary { shard.slots.clone() } else { Vec::new() },
            ..NodeFacts::default()
        };
        found.push((facts, endpoint.at(reached.host, reached.port)));
    }
    found
}

async fn meet(node: NodeFacts, endpoint: Endpoint, manner: &Manner) -> NodeFacts {
    let mut asker = match Asker::open(&endpoint).await {
        Ok(asker) => asker,
        Err(failure) => return NodeFacts { failure: Some(failure), ..node },
    };
    let mut node = answers(&mut asker, node, manner).await;
    if let Ok(nodes) = asker.text(&["CLUSTER", "NODES"]).await {
        node.open_slots = open_slots(&nodes);
    }
    node
}

/// Slots that are being moved: `[slot->-id]` and `[slot-<-id]` in the line of the node that is asked.
fn open_slots(nodes: &str) -> BTreeSet<u16> {
    let slot = |word: &str| {
        let (slot, _) =
            word.strip_prefix('[')?.split_once("->-").or(word.strip_prefix('[')?.split_once("-<-"))?;
        slot.parse().ok()
    };
    nodes.split_whitespace().filter_map(slot).collect()
}

/// What modules and the release can do.
async fn abilities(asker: &mut Asker, facts: &mut TargetFacts) -> Result<(), ConnectionError> {
    let names = Ability::OF_MODULES.map(|(_, name)| name);
    let request: Vec<&str> = ["COMMAND", "INFO"].into_iter().chain(names).collect();
    if let Reply::Array(known) = asker.ask(&request).await? {
        let has = Ability::OF_MODULES.iter().zip(known).filter(|(_, reply)| *reply != Reply::Nil);
        facts.abilities = has.map(|((ability, _), _)| AbilityFact(*ability)).collect();
    }
    let format = facts.nodes.first().and_then(|node| format_of(&node.info));
    let plain = format.map(Target::plain);
    let of_release = [Ability::FieldTtl, Ability::Functions, Ability::StreamCounters];
    let has = of_release.into_iter().filter(|ability| plain.is_some_and(|target| target.has(*ability)));
    facts.abilities.extend(has.map(AbilityFact).collect::<BTreeSet<_>>());
    Ok(())
}

/// The runs that are connected.
async fn writers(asker: &mut Asker, facts: &mut TargetFacts) -> Result<(), ConnectionError> {
    let reply = asker.ask(&["CLIENT", "LIST"]).await?;
    let list = text_of(&reply).filter(|_| matches!(reply, Reply::Bulk(_))).unwrap_or_default();
    facts.writers = runs(&list);
    Ok(())
}

/// The connections of runs in the text of CLIENT LIST, by their names.
fn runs(list: &str) -> BTreeMap<String, u64> {
    let mut found = BTreeMap::new();
    for line in list.lines() {
        let name = line.split(' ').find_map(|word| word.strip_prefix("name="));
        if let Some(name) = name.filter(|name| *name == RUN || name.starts_with("df2redis@")) {
            *found.entry(name.to_owned()).or_default() += 1;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_of_runs() {
        let list =
            "id=3 name=df2redis db=0\nid=4 name=df2redis@a db=0\nid=5 name= db=0\nid=6 name=df2redis@a\n";
        let expected = [("df2redis".to_owned(), 1), ("df2redis@a".to_owned(), 2)];
        assert_eq!(runs(list), expected.into_iter().collect());
    }

    #[test]
    fn slots_that_move() {
        let nodes = "a 1:1@2 myself,master - 0 0 1 connected 0-5 [93-<-b] [77->-c]\nb 1:2@3 master\n";
        assert_eq!(open_slots(nodes), [77, 93].into());
    }
}
