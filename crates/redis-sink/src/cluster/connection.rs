//! Requests to a cluster: to the owner of a key, to one node, or to every primary.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use redis_resp::connection::{Connection, Endpoint};
use redis_resp::{CommandBatch, ErrorCode, Reply, ServerError};
use redis_slots::{Address, Redirect, SLOTS, Slot, Topology};
use tokio::time::{Instant, sleep};

use crate::cluster::candidates::Candidate;
use crate::cluster::map::{ClusterMap, NodeId};
use crate::cluster::options::{ClusterError, ClusterOptions, position_key};
use crate::cluster::shape::Shape;
use crate::cluster::verdict::{FREE_REDIRECTS, Verdict};

/// Sends requests to the nodes of a cluster. The connection to a node is opened when it is first needed.
#[derive(Debug)]
pub struct ClusterConnection {
    options: ClusterOptions,
    map: ClusterMap,
    open: BTreeMap<NodeId, Connection>,
    /// Rotates which address is asked for the topology first.
    turn: usize,
}

/// A request for [`ClusterConnection::ask_many`].
pub trait Request {
    /// The key whose owner is asked.
    fn key(&self) -> &[u8];
    /// The arguments, name first.
    fn words(&self) -> impl ExactSizeIterator<Item = &[u8]>;
}

/// The maximum number of requests that wait for their replies at the same time.
const AT_ONCE: usize = 512;

/// Where a request goes.
#[derive(Debug, Clone, Copy)]
enum Target {
    Owner(Slot),
    Ask(NodeId),
}

/// What to do after a refused or failed request.
enum Next {
    At(Target),
    /// Ask again after a pause. If `is_stale`, read the topology first.
    Pause {
        is_stale: bool,
    },
}

impl ClusterConnection {
    /// Reads the topology.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn open(options: &ClusterOptions) -> Result<Self, ClusterError> {
        let (topology, asked) = read_topology(options).await?;
        let map = ClusterMap::reached((&topology, &asked), options.endpoint.tls.is_some())?;
        Ok(Self::with_map(options.clone(), map))
    }

    pub(super) fn with_map(options: ClusterOptions, map: ClusterMap) -> Self {
        Self { options, map, open: BTreeMap::new(), turn: 0 }
    }

    /// Sends a request, name first, to the owner of `key`, and waits for the reply. It follows redirects, and retries until
    /// [`ClusterOptions::patience`] has passed. So it must be harmless to carry out the request more than once.
    ///
    /// # Errors
    /// [`ClusterError`]. An error reply is a [`Reply`], not an error, if neither another node nor a retry helps.
    pub async fn ask<A: AsRef<[u8]> + Sync>(
        &mut self,
        key: &[u8],
        request: &[A],
    ) -> Result<Reply, ClusterError> {
        let (slot, started) = (Slot::of(key), Instant::now());
        let (mut target, mut failures) = (Target::Owner(slot), 0u32);
        loop {
            let asked = self.exchange(target, request).await;
            let Some(next) = self.next(slot, target, &asked) else { return asked };
            if started.elapsed() >= self.options.patience {
                return asked.and_then(given_up);
            }
            failures = failures.saturating_add(1);
            target = self.follow(slot, next, failures).await?;
        }
    }

    async fn follow(&mut self, slot: Slot, next: Next, failures: u32) -> Result<Target, ClusterError> {
        match next {
            Next::At(target) if failures <= FREE_REDIRECTS => Ok(target),
            Next::At(target) => {
                self.pause(failures).await;
                Ok(target)
            }
            Next::Pause { is_stale } => {
                self.pause(failures).await;
                match if is_stale { self.refresh().await } else { Ok(()) } {
                    Err(error) if !error.is_passing() => Err(error),
                    _ => Ok(Target::Owner(slot)),
                }
            }
        }
    }

    /// What to do after `asked`; `None` if it is the final result.
    fn next(&mut self, slot: Slot, target: Target, asked: &Result<Reply, ClusterError>) -> Option<Next> {
        let error = match asked {
            Ok(Reply::Error(error)) => error,
            Err(error) if error.is_passing() => return Some(Next::Pause { is_stale: true }),
            _ => return None,
        };
        match Verdict::of(error) {
            Verdict::Moved(to) => Some(match self.redirected(target, &to) {
                Some(owner) => {
                    self.map.moved(to.slot, owner);
                    Next::At(Target::Owner(slot))
                }
                None => Next::Pause { is_stale: true },
            }),
            Verdict::Ask(to) => Some(match self.redirected(target, &to) {
                Some(node) => Next::At(Target::Ask(node)),
                None => Next::Pause { is_stale: true },
            }),
            Verdict::Later { is_stale } => Some(Next::Pause { is_stale }),
            Verdict::Refused | Verdict::Fatal => None,
        }
    }

    fn redirected(&mut self, target: Target, to: &Redirect) -> Option<NodeId> {
        let asked = self.map.address(self.node(target)?)?.host.clone();
        self.map.number(&to.address(&asked)?)
    }

    fn node(&self, target: Target) -> Option<NodeId> {
        match target {
            Target::Owner(slot) => self.map.owner(slot),
            Target::Ask(node) => Some(node),
        }
    }

    async fn exchange<A: AsRef<[u8]> + Sync>(
        &mut self,
        target: Target,
        request: &[A],
    ) -> Result<Reply, ClusterError> {
        let node = self.node(target).ok_or(ClusterError::Answer("CLUSTER SHARDS"))?;
        if matches!(target, Target::Ask(_)) {
            self.ask_node(node, &["ASKING"]).await?;
        }
        self.ask_node(node, request).await
    }

    async fn ask_node<A: AsRef<[u8]> + Sync>(
        &mut self,
        node: NodeId,
        request: &[A],
    ) -> Result<Reply, ClusterError> {
        let mut connection = self.take(node).await?;
        let reply = connection.ask(request).await?;
        self.open.insert(node, connection);
        Ok(reply)
    }

    /// Takes the connection to `node` out of `open`. The caller puts it back.
    async fn take(&mut self, node: NodeId) -> Result<Connection, ClusterError> {
        if let Some(connection) = self.open.remove(&node) {
            return Ok(connection);
        }
        let mut connection = log_in(&self.options, self.map.address(node)).await?;
        // This is only a name, so an error reply does not matter: a user that may not set it can still send requests.
        connection.ask(&["CLIENT", "SETNAME", &self.options.name]).await?;
        Ok(connection)
    }

    /// Another connection to a node, logged in and without a name.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn connect(&self, address: &Address) -> Result<Connection, ClusterError> {
        log_in(&self.options, Some(address)).await
    }

    /// Sends a request to one node, whatever slots it has, and waits for the reply.
    ///
    /// # Errors
    /// [`ClusterError`], for example if the node cannot be reached.
    pub async fn ask_at<A: AsRef<[u8]> + Sync>(
        &mut self,
        address: &Address,
        request: &[A],
    ) -> Result<Reply, ClusterError> {
        let node = self.map.number(address).ok_or(ClusterError::Answer("CLUSTER SHARDS"))?;
        self.ask_node(node, request).await
    }

    /// Sends many requests, each to the owner of its key, and returns the replies in the order of the requests. As with
    /// [`Self::ask`], it must be harmless to carry out a request more than once.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub async fn ask_many<R: Request>(&mut self, requests: &[R]) -> Result<Vec<Reply>, ClusterError> {
        let mut replies = Vec::with_capacity(requests.len());
        for requests in requests.chunks(AT_ONCE) {
            let mut answers = self.ask_owners(requests).await;
            for (place, request) in requests.iter().enumerate() {
                let answer = answers.remove(&place).filter(is_answer);
                replies.push(match answer {
                    Some(answer) => answer,
                    None => self.ask(request.key(), &request.words().collect::<Vec<_>>()).await?,
                });
            }
        }
        Ok(replies)
    }

    /// The replies of the owners at the first attempt, by the index of the request.
    async fn ask_owners<R: Request>(&mut self, requests: &[R]) -> BTreeMap<usize, Reply> {
        let mut lanes: BTreeMap<NodeId, (Vec<usize>, CommandBatch)> = BTreeMap::new();
        for (place, request) in requests.iter().enumerate() {
            if let Some(owner) = self.map.owner(Slot::of(request.key())) {
                let (places, batch) = lanes.entry(owner).or_default();
                places.push(place);
                batch.push_words(request.words());
            }
        }
        let mut answers = BTreeMap::new();
        for (node, (places, mut batch)) in lanes {
            // A request that fails here is sent again on its own.
            let Ok(mut connection) = self.take(node).await else { continue };
            if let Ok(replies) = connection.ask_all(&mut batch).await {
                answers.extend(places.into_iter().zip(replies));
                self.open.insert(node, connection);
            }
        }
        answers
    }

    /// Which node owns which slot, and which slots are moving between nodes.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn shape(&mut self) -> Result<Shape, ClusterError> {
        self.refresh().await?;
        let mut shape = Shape::new(self.map.clone());
        for (_, reply) in self.ask_all(&["CLUSTER", "NODES"]).await? {
            let Reply::Bulk(text) = reply else { return Err(ClusterError::Answer("CLUSTER NODES")) };
            shape.hear(&String::from_utf8_lossy(&text));
        }
        Ok(shape)
    }

    /// The keys of a slot, whichever nodes they are on. Each node is asked twice, in the same order. So a key is missed
    /// only if its slot moves to a second node and then to a third during these few requests.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn keys_in(&mut self, slot: Slot) -> Result<BTreeSet<Bytes>, ClusterError> {
        let (slot, most) = (slot.0.to_string(), u32::MAX.to_string());
        let mut keys = BTreeSet::new();
        for _ in 0..2 {
            for (_, reply) in self.ask_all(&["CLUSTER", "GETKEYSINSLOT", &slot, &most]).await? {
                let Reply::Array(found) = reply else {
                    return Err(ClusterError::Answer("CLUSTER GETKEYSINSLOT"));
                };
                keys.extend(found.into_iter().filter_map(|key| match key {
                    Reply::Bulk(key) => Some(key),
                    _ => None,
                }));
            }
        }
        Ok(keys)
    }

    async fn pause(&self, failures: u32) {
        sleep(self.options.pauses.behind(failures) + self.options.jitter).await;
    }

    /// Reads the topology again, from the first node that answers.
    ///
    /// # Errors
    /// The error of the last node that was asked.
    pub async fn refresh(&mut self) -> Result<(), ClusterError> {
        self.turn = self.turn.wrapping_add(1);
        let nodes = self.map.nodes(self.turn);
        let addresses: Vec<Address> = nodes.filter_map(|node| self.map.address(node).cloned()).collect();
        let (topology, asked) = read_topology_of(&self.options, &addresses).await?;
        drop(self.map.update(&topology, &asked));
        Ok(())
    }

    /// The addresses of the primaries, according to the topology as last read.
    pub fn primaries(&self) -> impl Iterator<Item = &Address> {
        self.map.primaries().filter_map(|node| self.map.address(node))
    }

    /// The lowest slot that the primary at `address` owns, if it owns any.
    pub fn a_slot_of(&self, address: &Address) -> Option<Slot> {
        (0..SLOTS).map(Slot).find(|slot| self.owner(*slot) == Some(address))
    }

    /// The primary that owns `slot`, according to the topology as last read.
    pub fn owner(&self, slot: Slot) -> Option<&Address> {
        self.map.address(self.map.owner(slot)?)
    }

    /// Sends a request to every primary, one after the other, and returns the reply of each.
    ///
    /// # Errors
    /// One of them cannot be reached. Those before it have carried out the request.
    pub async fn ask_all<A: AsRef<[u8]> + Sync>(
        &mut self,
        request: &[A],
    ) -> Result<Vec<(Address, Reply)>, ClusterError> {
        let mut replies = Vec::new();
        for node in self.map.primaries().collect::<Vec<_>>() {
            let reply = self.ask_node(node, request).await?;
            replies.extend(self.map.address(node).cloned().map(|address| (address, reply)));
        }
        Ok(replies)
    }

    /// The name of the hash in `slot` that holds its positions, with the prefix of the options.
    pub fn position_key(&self, slot: Slot) -> Vec<u8> {
        position_key(&self.options.reserved_prefix, slot)
    }

    /// The position that each of `slots` holds; 0 for a slot that holds none.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn positions(
        &mut self,
        slots: impl IntoIterator<Item = Slot>,
    ) -> Result<BTreeMap<Slot, u64>, ClusterError> {
        let mut positions = BTreeMap::new();
        let field = self.options.field.clone().into_bytes();
        for slot in slots {
            let key = self.position_key(slot);
            let reply = self.ask(&key, &[b"HGET".as_slice(), &key, &field]).await?;
            positions.insert(slot, position(reply)?);
        }
        Ok(positions)
    }

    /// Whether this run may write. Always true if the options have no claim.
    pub(super) async fn holds_claim(&mut self) -> Result<bool, ClusterError> {
        let Some(claim) = self.options.claim.clone() else { return Ok(true) };
        let request = ["HGET", &claim.key, &claim.field];
        match self.ask(claim.key.as_bytes(), &request).await? {
            Reply::Bulk(value) => Ok(value == claim.value.as_bytes()),
            Reply::Error(error) => Err(ClusterError::Refused { request: "HGET", error }),
            Reply::Nil => Err(ClusterError::Unclaimed),
            _ => Ok(false),
        }
    }
}

fn is_answer(reply: &Reply) -> bool {
    match reply {
        Reply::Error(error) => matches!(Verdict::of(error), Verdict::Refused | Verdict::Fatal),
        _ => true,
    }
}

fn position(reply: Reply) -> Result<u64, ClusterError> {
    let text = match reply {
        Reply::Nil => return Ok(0),
        Reply::Bulk(text) => text,
        Reply::Error(error) => return Err(ClusterError::Refused { request: "HGET", error }),
        _ => return Err(ClusterError::Answer("HGET")),
    };
    let position = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
    position.ok_or(ClusterError::Answer("HGET"))
}

/// The result of a request that was refused until patience ran out.
fn given_up(reply: Reply) -> Result<Reply, ClusterError> {
    match reply {
        Reply::Error(error) => Err(ClusterError::Refused { request: "a request", error }),
        reply => Ok(reply),
    }
}

/// A connection to the node that announces `address`, logged in.
pub(super) async fn log_in(
    options: &ClusterOptions,
    address: Option<&Address>,
) -> Result<Connection, ClusterError> {
    let announced = address.ok_or(ClusterError::Answer("CLUSTER SHARDS"))?;
    logged_in(reach(options, announced).await?, &options.endpoint).await
}

async fn logged_in(mut connection: Connection, endpoint: &Endpoint) -> Result<Connection, ClusterError> {
    if let Some(credentials) = &endpoint.credentials
        && let Reply::Error(error) = connection.log_in(credentials).await?
    {
        return Err(match Verdict::of(&error) {
            Verdict::Later { .. } => ClusterError::Refused { request: "AUTH", error },
            _ => ClusterError::Login(error),
        });
    }
    Ok(connection)
}

async fn reach(options: &ClusterOptions, announced: &Address) -> Result<Connection, ClusterError> {
    let reached = options.addresses.reached(announced);
    Connection::open(&options.endpoint.at(reached.host, reached.port))
        .await
        .map_err(|error| ClusterError::Node { announced: announced.clone(), error })
}

/// The topology, and the host that it was read from: the first of the nodes that may be asked and that can tell it.
pub(super) async fn read_topology(options: &ClusterOptions) -> Result<(Topology, String), ClusterError> {
    let mut failure = None;
    for candidate in options.candidates() {
        match ask_candidate(options, &candidate).await {
            Ok(topology) => return Ok((topology, candidate.asked().to_owned())),
            Err(error) => {
                let says_more = failure.as_ref().is_none_or(ClusterError::is_unreachable);
                if says_more && !error.is_unreachable() || failure.is_none() {
                    failure = Some(error);
                }
            }
        }
    }
    Err(failure.unwrap_or(ClusterError::Answer("CLUSTER SHARDS")))
}

async fn ask_candidate(options: &ClusterOptions, candidate: &Candidate) -> Result<Topology, ClusterError> {
    let connection = match &candidate.announced {
        Some(announced) => Connection::open(&candidate.endpoint)
            .await
            .map_err(|error| ClusterError::Node { announced: announced.clone(), error })?,
        None => Connection::open(&candidate.endpoint).await?,
    };
    let mut connection = logged_in(connection, &candidate.endpoint).await?;
    let topology = ask_topology(&mut connection).await?;
    let with_tls = options.endpoint.tls.is_some();
    // A node that was taken out of its cluster tells of slots without owners.
    drop(ClusterMap::reached((&topology, candidate.asked()), with_tls)?);
    if candidate.announced.is_some() && !options.known.are_of(&topology) {
        return Err(ClusterError::OtherCluster(candidate.endpoint.to_string()));
    }
    options.known.learn(&topology, candidate.asked(), with_tls);
    options.known.answered(&candidate.endpoint);
    Ok(topology)
}

/// Like [`read_topology`], but from the first of these addresses that answers.
pub(super) async fn read_topology_of(
    options: &ClusterOptions,
    addresses: &[Address],
) -> Result<(Topology, String), ClusterError> {
    for address in addresses {
        let found = async { ask_topology(&mut log_in(options, Some(address)).await?).await };
        match found.await {
            Ok(topology) => {
                options.known.learn(&topology, &address.host, options.endpoint.tls.is_some());
                return Ok((topology, address.host.clone()));
            }
            Err(error) if error.is_passing() => {}
            Err(error) => return Err(error),
        }
    }
    read_topology(options).await
}

async fn ask_topology(connection: &mut Connection) -> Result<Topology, ClusterError> {
    match connection.ask(&["CLUSTER", "SHARDS"]).await? {
        // Servers before version 7.0 do not have CLUSTER SHARDS.
        Reply::Error(ServerError { code: ErrorCode::Generic, .. }) => {
            let reply = connection.ask(&["CLUSTER", "SLOTS"]).await?;
            Ok(Topology::from_slots(&reply, connection.is_tls())?)
        }
        Reply::Error(error) if matches!(error.code, ErrorCode::NoAuth | ErrorCode::WrongPass) => {
            Err(ClusterError::Login(error))
        }
        reply => Ok(Topology::from_shards(&reply)?),
    }
}
