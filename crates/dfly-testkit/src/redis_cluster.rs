//! A real cluster for tests: servers on 127.0.0.1 that form a cluster by means of their own commands. They end with their
//! owner.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;

use crate::compare::{CompareOptions, Comparison, all_keys, compare, compare_rows, keyspace};
use crate::recording::Row;
use crate::redis_client::{RedisClient, RedisError, Reply};
use crate::redis_server::{RedisOptions, RedisServer, RedisServerError, ServerTls, free_port};
use crate::value::CanonicalValue;

/// The number of slots of a cluster.
const SLOTS: u16 = 16384;

/// How many times a condition is checked before the cluster counts as failed, and the pause between checks. Together, 30
/// seconds at most.
const TRIES: u32 = 1500;
const WAIT: Duration = Duration::from_millis(20);

/// How many pairs of ports are tried for a node, because another program may take a free port first.
const PORT_TRIES: u32 = 5;

/// How many keys of a slot are moved at once.
const KEYS_AT_ONCE: usize = 100;

/// How a cluster is started.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    /// How many primaries share the slots, in ranges of about the same size.
    pub primaries: usize,
    /// How many replicas each primary has.
    pub replicas_per_primary: usize,
    /// The program, which is Redis 7.0 or later, or Valkey: a path, or a name that is looked up in `PATH`.
    pub program: OsString,
    /// The time without a reply after which a node counts as failed, in milliseconds.
    pub node_timeout_ms: u32,
    /// If set, every node has a TLS port, and the nodes use TLS among themselves.
    pub tls: Option<ServerTls>,
    /// Further arguments of every node.
    pub args: Vec<String>,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self {
            primaries: 3,
            replicas_per_primary: 0,
            program: "redis-server".into(),
            node_timeout_ms: 2000,
            tls: None,
            args: Vec::new(),
        }
    }
}

/// Why there is no cluster, or why it is not in the requested state.
#[derive(Debug, Error)]
pub enum ClusterError {
    /// A node cannot be started or stopped.
    #[error(transparent)]
    Server(#[from] RedisServerError),
    /// A node does not answer, or refuses a command.
    #[error(transparent)]
    Redis(#[from] RedisError),
    /// The nodes did not reach a state in time.
    #[error("the cluster did not reach this state in time: {0}")]
    Slow(&'static str),
    /// There is no such node, or it is dead.
    #[error("the cluster has no {0}")]
    Missing(String),
    /// A key is on two primaries.
    #[error("the key {0} is on two primaries")]
    Twice(String),
}

/// A running cluster. Nodes are numbered by their initial roles: first the primaries, in the order of their slots, then the
/// replicas of the first primary, of the second, and so on. Methods ask the nodes for the current owners of slots.
#[derive(Debug)]
pub struct RedisCluster {
    nodes: Vec<Node>,
    primaries: usize,
}

#[derive(Debug)]
struct Node {
    server: RedisServer,
    id: String,
    bus_port: u16,
    is_alive: bool,
    /// A slot that the node owned when it was killed.
    lost: Option<u16>,
}

/// A slot that is moving from one node to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Migration {
    /// The slot.
    pub slot: u16,
    /// The node that owns the slot until the end.
    pub from: usize,
    /// The node that owns it after that.
    pub to: usize,
}

impl RedisCluster {
    /// Starts the nodes and waits until each of them serves and knows all others. This takes about three seconds, because a
    /// new primary waits for two seconds before it serves.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn start(options: &ClusterOptions) -> Result<Self, ClusterError> {
        let count = options.primaries * (1 + options.replicas_per_primary);
        let nodes = (0..count).map(|_| start_node(options)).collect::<Result<_, _>>()?;
        let cluster = Self { nodes, primaries: options.primaries };
        cluster.give_slots()?;
        cluster.introduce()?;
        cluster.give_replicas(options.replicas_per_primary)?;
        cluster.wait_until("every node serves", Self::is_whole)?;
        Ok(cluster)
    }

    fn give_slots(&self) -> Result<(), ClusterError> {
        for (i, node) in self.nodes.iter().enumerate() {
            let mut client = node.server.client()?;
            // Distinct epochs spare the nodes a slow agreement.
            run(&mut client, &format!("CLUSTER SET-CONFIG-EPOCH {}", i + 1))?;
            if i < self.primaries {
                let edge = |i| usize::from(SLOTS) * i / self.primaries;
                run(&mut client, &format!("CLUSTER ADDSLOTSRANGE {} {}", edge(i), edge(i + 1) - 1))?;
            }
        }
        Ok(())
    }

    /// Introduces every node to every other one directly, because gossip is slow.
    fn introduce(&self) -> Result<(), ClusterError> {
        for (i, node) in self.nodes.iter().enumerate() {
            let mut client = node.server.client()?;
            for other in self.nodes.iter().skip(i + 1) {
                let (address, bus) = (other.server.address(), other.bus_port);
                run(&mut client, &format!("CLUSTER MEET {} {} {bus}", address.ip(), address.port()))?;
            }
        }
        self.wait_until("every node knows all others", |cluster| {
            // A node has a temporary name until the handshake with it is complete.
            cluster.all_alive(|client| {
                let known = run(client, "CLUSTER NODES")?;
                Ok(cluster.nodes.iter().all(|node| known.contains(&node.id)))
            })
        })
    }

    fn give_replicas(&self, each: usize) -> Result<(), ClusterError> {
        for (i, node) in self.nodes.iter().enumerate().skip(self.primaries) {
            let primary = (i - self.primaries).checked_div(each).and_then(|primary| self.nodes.get(primary));
            let id = primary.map(|primary| primary.id.as_str()).unwrap_or_default();
            run(&mut node.server.client()?, &format!("CLUSTER REPLICATE {id}"))?;
        }
        Ok(())
    }

    /// How many nodes there are, including dead ones.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there are no nodes.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// Node `i`.
    ///
    /// # Errors
    /// [`ClusterError::Missing`].
    pub fn node(&self, i: usize) -> Result<&RedisServer, ClusterError> {
        self.at(i).map(|node| &node.server)
    }

    /// The name of node `i` in the cluster.
    ///
    /// # Errors
    /// [`ClusterError::Missing`].
    pub fn id(&self, i: usize) -> Result<&str, ClusterError> {
        self.at(i).map(|node| node.id.as_str())
    }

    /// A new connection to node `i`.
    ///
    /// # Errors
    /// The node is dead.
    pub fn client(&self, i: usize) -> Result<RedisClient, ClusterError> {
        Ok(self.at(i)?.server.client()?)
    }

    /// A new connection to the node that owns `key`.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn client_for(&self, key: &[u8]) -> Result<RedisClient, ClusterError> {
        self.client(self.owner(self.slot(key)?)?)
    }

    /// The slot of `key`, according to a node.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn slot(&self, key: &[u8]) -> Result<u16, ClusterError> {
        let reply = self.any()?.expect(&[b"CLUSTER", b"KEYSLOT", key])?;
        let slot = reply.int().and_then(|slot| u16::try_from(slot).ok());
        slot.ok_or_else(|| shape("CLUSTER KEYSLOT").into())
    }

    /// The node that owns `slot`, according to the first live node.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn owner(&self, slot: u16) -> Result<usize, ClusterError> {
        let owners = owners(&mut self.any()?)?;
        let port = owners.iter().find(|(start, end, _)| (*start..=*end).contains(&slot)).map(|found| found.2);
        let is_it = |node: &Node| Some(node.server.address().port()) == port;
        let found = self.nodes.iter().position(is_it);
        found.ok_or_else(|| ClusterError::Missing(format!("owner of slot {slot}")))
    }

    /// Everything that the primaries hold. Do not use this while a slot is moving.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn keyspace(&self) -> Result<BTreeMap<(u32, Bytes), CanonicalValue>, ClusterError> {
        let owners = owners(&mut self.any()?)?;
        let mut all = BTreeMap::new();
        for node in &self.nodes {
            let port = node.server.address().port();
            if owners.iter().any(|(_, _, owner)| *owner == port) {
                for (key, value) in keyspace(&mut node.server.client()?)? {
                    if all.insert(key.clone(), value).is_some() {
                        return Err(ClusterError::Twice(key.1.escape_ascii().to_string()));
                    }
                }
            }
        }
        Ok(all)
    }

    /// Like [`compare`], with everything that the primaries hold. Do not use this while a slot is moving.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn compare(&self, rows: &[Row], options: &CompareOptions) -> Result<Comparison, ClusterError> {
        let owners = owners(&mut self.any()?)?;
        let (mut result, mut absent) = (Comparison::default(), rows.to_vec());
        for node in &self.nodes {
            let port = node.server.address().port();
            if owners.iter().any(|(_, _, owner)| *owner == port) {
                let mut client = node.server.client()?;
                let keys: BTreeSet<(u32, Bytes)> = all_keys(&mut client)?.into_iter().collect();
                let here = |row: &mut Row| keys.contains(&(row.db, row.key.clone()));
                let here: Vec<Row> = absent.extract_if(.., here).collect();
                result.add(compare(&mut client, &here, options)?);
            }
        }
        for row in absent {
            result.add(compare_rows(&mut self.client_for(&row.key)?, &[row], options)?);
        }
        Ok(result)
    }

    /// Starts to move a slot to node `to`. No keys are moved yet, but the owner redirects requests for keys that it does
    /// not have (`ASK`). This state lasts until [`finish_migration`](Self::finish_migration).
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn begin_migration(&self, slot: u16, to: usize) -> Result<Migration, ClusterError> {
        let from = self.owner(slot)?;
        let (source, target) = (self.id(from)?, self.id(to)?);
        run(&mut self.client(to)?, &format!("CLUSTER SETSLOT {slot} IMPORTING {source}"))?;
        run(&mut self.client(from)?, &format!("CLUSTER SETSLOT {slot} MIGRATING {target}"))?;
        Ok(Migration { slot, from, to })
    }

    /// Moves up to `count` keys of a slot that is moving. Returns how many were moved.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn move_keys(&self, migration: Migration, count: usize) -> Result<usize, ClusterError> {
        let mut source = self.client(migration.from)?;
        let (slot, limit) = (migration.slot.to_string(), count.to_string());
        let reply = source.expect(&[b"CLUSTER", b"GETKEYSINSLOT", slot.as_bytes(), limit.as_bytes()])?;
        let keys: Vec<Bytes> = reply.array().unwrap_or_default().iter().filter_map(Reply::bytes).collect();
        if keys.is_empty() {
            return Ok(0);
        }
        let address = self.node(migration.to)?.address();
        let (host, port) = (address.ip().to_string(), address.port().to_string());
        let mut args: Vec<&[u8]> =
            vec![b"MIGRATE", host.as_bytes(), port.as_bytes(), b"", b"0", b"5000", b"KEYS"];
        args.extend(keys.iter().map(Bytes::as_ref));
        source.expect(&args)?;
        Ok(keys.len())
    }

    /// Moves the remaining keys, gives the slot to its new owner, and waits until every live node knows that.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn finish_migration(&self, migration: Migration) -> Result<(), ClusterError> {
        while self.move_keys(migration, KEYS_AT_ONCE)? > 0 {}
        let command = format!("CLUSTER SETSLOT {} NODE {}", migration.slot, self.id(migration.to)?);
        // The new owner comes first, so that the slot always has an owner.
        for i in [migration.to, migration.from] {
            run(&mut self.client(i)?, &command)?;
        }
        self.wait_until("every node knows the slot's new owner", |cluster| {
            let port = cluster.node(migration.to)?.address().port();
            cluster.all_alive(|client| {
                let is_known = |range: &(u16, u16, u16)| {
                    (range.0..=range.1).contains(&migration.slot) && range.2 == port
                };
                Ok(owners(client)?.iter().any(is_known))
            })
        })
    }

    /// Moves a slot with all its keys to node `to`.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn migrate_slot(&self, slot: u16, to: usize) -> Result<(), ClusterError> {
        self.finish_migration(self.begin_migration(slot, to)?)
    }

    /// Moves a slot slowly to the next primary. With a `pause` after each step, first none and then some of its keys are at
    /// the new owner, so that commands meet ASK and TRYAGAIN.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn move_slowly(&self, slot: u16, pause: Duration) -> Result<(), ClusterError> {
        let edges = (0..self.primaries).map(|i| usize::from(SLOTS - 1) * i / (self.primaries - 1).max(1));
        let slots = edges.filter_map(|edge| u16::try_from(edge).ok());
        let mut primaries = slots.map(|slot| self.owner(slot)).collect::<Result<Vec<_>, _>>()?;
        primaries.sort_unstable();
        primaries.dedup();
        let from = self.owner(slot)?;
        let to = primaries.iter().find(|node| **node > from).or(primaries.first()).copied().unwrap_or(from);
        let migration = self.begin_migration(slot, to)?;
        for _ in 0..3 {
            thread::sleep(pause);
            self.move_keys(migration, 1)?;
        }
        thread::sleep(pause);
        self.finish_migration(migration)
    }

    /// Kills node `i` (`SIGKILL`) and waits until its process has ended.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn kill(&mut self, i: usize) -> Result<(), ClusterError> {
        let port = self.node(i)?.address().port();
        let owned = owners(&mut self.any()?)?.into_iter().find(|(_, _, owner)| *owner == port);
        let node = self.nodes.get_mut(i).ok_or_else(|| ClusterError::Missing(format!("node {i}")))?;
        node.lost = owned.map(|(start, _, _)| start);
        node.is_alive = false;
        Ok(node.server.kill()?)
    }

    /// Starts node `i` again. It keeps its place in the cluster, but not its keys.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn restart(&mut self, i: usize) -> Result<(), ClusterError> {
        let node = self.nodes.get_mut(i).ok_or_else(|| ClusterError::Missing(format!("node {i}")))?;
        node.server.restart()?;
        node.is_alive = true;
        Ok(())
    }

    /// Waits until another node owns the slots of the killed primary `i`, and every live node serves. Returns the new
    /// owner.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn wait_failover(&self, i: usize) -> Result<usize, ClusterError> {
        let lost = self.at(i)?.lost;
        let lost = lost.ok_or_else(|| ClusterError::Missing(format!("slot that node {i} lost")))?;
        let port = self.node(i)?.address().port();
        self.wait_until("a replica takes over", |cluster| {
            let is_replaced =
                |client: &mut RedisClient| Ok(owners(client)?.iter().all(|range| range.2 != port));
            Ok(cluster.all_alive(is_replaced)? && cluster.all_alive(serves)?)
        })?;
        self.owner(lost)
    }

    /// Waits until every live node serves. A restarted node takes two seconds.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub fn wait_whole(&self) -> Result<(), ClusterError> {
        self.wait_until("every node serves", |cluster| cluster.all_alive(serves))
    }

    /// Whether every live node serves, and every replica has its primary's data.
    fn is_whole(&self) -> Result<bool, ClusterError> {
        Ok(self.all_alive(serves)?
            && self.all_alive(|client| {
                let replication = run(client, "INFO replication")?;
                Ok(["role:master", "master_link_status:up"].iter().any(|word| replication.contains(word)))
            })?
            && self.all_alive(|client| {
                let nodes = run(client, "CLUSTER NODES")?;
                Ok(nodes.lines().filter(|line| line.contains("slave")).count()
                    == self.nodes.len() - self.primaries)
            })?)
    }

    fn all_alive(
        &self,
        holds: impl Fn(&mut RedisClient) -> Result<bool, ClusterError>,
    ) -> Result<bool, ClusterError> {
        for node in self.nodes.iter().filter(|node| node.is_alive) {
            if !holds(&mut node.server.client()?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn wait_until(
        &self,
        what: &'static str,
        holds: impl Fn(&Self) -> Result<bool, ClusterError>,
    ) -> Result<(), ClusterError> {
        for _ in 0..TRIES {
            if holds(self)? {
                return Ok(());
            }
            thread::sleep(WAIT);
        }
        Err(ClusterError::Slow(what))
    }

    fn at(&self, i: usize) -> Result<&Node, ClusterError> {
        self.nodes.get(i).ok_or_else(|| ClusterError::Missing(format!("node {i}")))
    }

    /// A connection to the first live node.
    fn any(&self) -> Result<RedisClient, ClusterError> {
        let alive = self.nodes.iter().find(|node| node.is_alive);
        let alive = alive.ok_or_else(|| ClusterError::Missing("live node".to_owned()))?;
        Ok(alive.server.client()?)
    }
}

/// Starts a node with a free port for the cluster bus. Otherwise, the server would derive that port from its first one.
fn start_node(options: &ClusterOptions) -> Result<Node, ClusterError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let bus_port = free_port().map_err(RedisServerError::Place)?;
        let timeout = options.node_timeout_ms;
        let fixed = format!(
            "--cluster-enabled yes --cluster-config-file nodes.conf --cluster-port {bus_port} --cluster-node-timeout {timeout}"
        );
        let between = options.tls.as_ref().map_or("", |_| " --tls-cluster yes --tls-replication yes");
        let fixed = fixed + between;
        let args = fixed.split(' ').map(str::to_owned).chain(options.args.iter().cloned()).collect();
        let (program, tls) = (options.program.clone(), options.tls.clone());
        match RedisServer::start(RedisOptions { program, tls, args, ..RedisOptions::default() }) {
            Ok(server) => {
                let id = run(&mut server.client()?, "CLUSTER MYID")?;
                return Ok(Node { server, id, bus_port, is_alive: true, lost: None });
            }
            Err(RedisServerError::NotUp { output, .. })
                if tries < PORT_TRIES && output.contains("in use") => {}
            Err(failed) => return Err(failed.into()),
        }
    }
}

/// Runs a command, given as words, that must not be refused. Returns the text of its reply.
fn run(client: &mut RedisClient, line: &str) -> Result<String, ClusterError> {
    let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    let reply = client.expect(&words)?;
    reply.text().ok_or_else(|| shape(line).into())
}

fn serves(client: &mut RedisClient) -> Result<bool, ClusterError> {
    Ok(run(client, "CLUSTER INFO")?.lines().any(|line| line == "cluster_state:ok"))
}

fn shape(command: &str) -> RedisError {
    RedisError::Shape { command: command.to_owned() }
}

/// The ranges of slots with the ports of their owners, according to a node.
fn owners(client: &mut RedisClient) -> Result<Vec<(u16, u16, u16)>, ClusterError> {
    let reply = client.expect(&[b"CLUSTER", b"SLOTS"])?;
    let number = |reply: &Reply| reply.int().and_then(|number| u16::try_from(number).ok());
    let range = |entry: &Reply| match entry.array()? {
        [start, end, primary, ..] => Some((number(start)?, number(end)?, number(primary.array()?.get(1)?)?)),
        _ => None,
    };
    let ranges = reply.array().unwrap_or_default().iter().map(range);
    ranges.collect::<Option<_>>().ok_or_else(|| shape("CLUSTER SLOTS").into())
}
