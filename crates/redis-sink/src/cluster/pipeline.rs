//! Connections to the nodes of a cluster. It writes, reads and reconnects as its [`ClusterWindow`] decides.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use redis_resp::{Outcome, ServerError};
use redis_slots::{Address, Topology};
use tokio::time::{Sleep, sleep_until};

use crate::cluster::connection::{read_topology, read_topology_of};
use crate::cluster::map::{ClusterMap, NodeId};
use crate::cluster::options::{ClusterError, ClusterOptions, is_logged_out};
use crate::cluster::peer::{Errand, LOOK, Order, Peer, Regained, regain};
use crate::cluster::unit::{Lost, Unit};
use crate::cluster::window::{ClusterWindow, OpenBatch};
use crate::refusal::Refusal;
use crate::sink_error::SinkError;
use crate::tally::Tally;
use crate::window::{WindowError, WindowLimits};

/// Pipelined connections to the nodes of a cluster, one to each node, opened when needed. `T` is the tag that the caller
/// gets back when a batch has settled.
///
/// All I/O happens in [`Self::progress`].
#[derive(Debug)]
pub struct ClusterPipeline<T> {
    options: ClusterOptions,
    window: ClusterWindow<T>,
    peers: BTreeMap<NodeId, Peer>,
    look: Option<Errand<(Topology, String)>>,
    /// When the topology may be read again.
    look_at: Instant,
    /// When the topology is read even if nothing suggests a change.
    fresh_until: Instant,
    /// How many times the topology has been read.
    looks: usize,
    timer: Pin<Box<Sleep>>,
}

/// A node that has no connection although one is needed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GoneNode<'a> {
    /// Where it is.
    pub address: &'a Address,
    /// Since when.
    pub since: Instant,
    /// Why, in words.
    pub failure: &'a str,
}

/// A node that something was written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeState<'a> {
    /// Where it is.
    pub address: &'a Address,
    /// What became of the commands that it has answered.
    pub tally: Tally,
    /// How many replies are due.
    pub unanswered: usize,
    /// Since when it has owed replies and sent none.
    pub silent_since: Option<Instant>,
    /// Since when there has been no connection although one is needed.
    pub gone_since: Option<Instant>,
    /// Whether there is a connection.
    pub is_open: bool,
}

impl<T> ClusterPipeline<T> {
    /// Reads the topology. Connections to nodes are opened when there is something to write.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn open(options: ClusterOptions, limits: WindowLimits) -> Result<Self, ClusterError> {
        let (topology, asked) = read_topology(&options).await?;
        let map = ClusterMap::reached((&topology, &asked), options.endpoint.tls.is_some())?;
        let window = ClusterWindow::new(limits, options.pauses, map)
            .with_memo(options.memo.clone())
            .with_split(options.split.clone());
        let now = tokio::time::Instant::now();
        Ok(Self {
            fresh_until: now.into_std() + options.look_every + options.jitter,
            options,
            window,
            peers: BTreeMap::new(),
            look: None,
            look_at: now.into_std(),
            looks: 0,
            timer: Box::pin(sleep_until(now)),
        })
    }

    /// Takes a batch: at most one unit for each slot. [`Self::progress`] writes it.
    pub fn submit(&mut self, units: impl IntoIterator<Item = Unit>, tag: T) {
        self.window.push(units, tag);
    }

    /// Begins a batch whose units come one after the other. Until it is closed, it does not settle.
    pub fn open_batch(&mut self, tag: T) -> OpenBatch {
        self.window.open_batch(tag)
    }

    /// Takes units of a batch: at most one for each slot of the whole batch.
    pub fn add(&mut self, batch: &OpenBatch, units: impl IntoIterator<Item = Unit>) {
        self.window.add(batch, units);
    }

    /// The batch is complete.
    pub fn close_batch(&mut self, batch: OpenBatch) {
        self.window.close_batch(batch);
    }

    /// The tag of the oldest batch, if all of it has been carried out except what [`Self::take_refusals`] and
    /// [`Self::take_lost`] return. Call those first.
    pub fn settled(&mut self) -> Option<T> {
        self.window.settled()
    }

    /// See [`ClusterWindow::take_refusals`].
    pub fn take_refusals(&mut self) -> Vec<Refusal> {
        self.window.take_refusals()
    }

    /// See [`ClusterWindow::take_lost`].
    pub fn take_lost(&mut self) -> Vec<Lost> {
        self.window.take_lost()
    }

    /// See [`ClusterWindow::take_passing`].
    pub fn take_passing(&mut self) -> Option<ServerError> {
        self.window.take_passing()
    }

    /// The addresses of [`ClusterWindow::take_replaced`].
    pub fn take_replaced(&mut self) -> Vec<Address> {
        let replaced = self.window.take_replaced();
        replaced.into_iter().filter_map(|node| self.window.map().address(node).cloned()).collect()
    }

    /// The window, which holds the state of all batches.
    pub fn window(&self) -> &ClusterWindow<T> {
        &self.window
    }

    /// The nodes that have no connection although one is needed. Connecting is retried indefinitely.
    pub fn gone(&self) -> impl Iterator<Item = GoneNode<'_>> {
        self.peers.iter().filter_map(|(node, peer)| {
            let (address, since) = (self.window.map().address(*node)?, peer.gone_since?);
            Some(GoneNode { address, since, failure: peer.failure.as_deref().unwrap_or("it is not reached") })
        })
    }

    /// The nodes that something was written to.
    pub fn nodes(&self) -> impl Iterator<Item = NodeState<'_>> {
        self.peers.iter().filter_map(|(node, peer)| {
            let (tally, unanswered) = self.window.tally(*node);
            Some(NodeState {
                address: self.window.map().address(*node)?,
                tally,
                unanswered,
                silent_since: peer.silent_since,
                gone_since: peer.gone_since,
                is_open: peer.socket.is_some(),
            })
        })
    }

    /// Waits until a connection can make progress or a pause ends, then does as much as it can without blocking. Safe to
    /// cancel.
    ///
    /// # Errors
    /// A [`ClusterError`] that neither another node nor a retry can resolve. The pipeline cannot be used after that.
    pub async fn progress(&mut self) -> Result<(), ClusterError> {
        poll_fn(|context| self.poll_progress(context)).await
    }

    /// [`Self::progress`] for callers that poll several things at once. Ready if there was progress.
    ///
    /// # Errors
    /// A [`ClusterError`] that neither another node nor a retry can resolve. The pipeline cannot be used after that.
    pub fn poll_progress(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ClusterError>> {
        let now = tokio::time::Instant::now().into_std();
        let mut moved = self.window.on_time(now);
        if self.fresh_until <= now {
            self.window.on_stale();
        }
        self.begin_look(now);
        self.begin_errands(now);
        moved |= self.poll_look(context)?;
        moved |= self.poll_errands(context, now)?;
        moved |= self.poll_sockets(context, now)?;
        if moved {
            return Poll::Ready(Ok(()));
        }
        self.poll_timer(context)
    }

    fn poll_timer(&mut self, context: &mut Context<'_>) -> Poll<Result<(), ClusterError>> {
        let longest = self.options.endpoint.reply_timeout;
        let peers = self.peers.values().filter_map(|peer| peer.next_time(longest));
        let look = self.wants_look().then_some(self.look_at);
        // No read is due while one is in progress.
        let fresh = self.look.is_none().then_some(self.fresh_until);
        let Some(next) = peers.chain(look).chain(fresh).chain(self.window.next_time()).min() else {
            return Poll::Pending;
        };
        self.timer.as_mut().reset(next.into());
        self.timer.as_mut().poll(context).map(Ok)
    }

    fn wants_look(&self) -> bool {
        self.window.is_stale() && self.look.is_none()
    }

    fn begin_look(&mut self, now: Instant) {
        if !self.wants_look() || self.look_at > now {
            return;
        }
        self.looks = self.looks.wrapping_add(1);
        self.fresh_until = now + self.options.look_every + self.options.jitter;
        self.look_at = now + LOOK + self.options.jitter;
        let (options, addresses) = (self.options.clone(), self.informants());
        self.look = Some(Errand::new(async move { read_topology_of(&options, &addresses).await }));
    }

    /// The nodes to ask for the topology. Connected nodes come first, and each call starts with a different one.
    fn informants(&self) -> Vec<Address> {
        let map = self.window.map();
        let is_silent = |node: &NodeId| self.peers.get(node).is_none_or(|peer| peer.socket.is_none());
        let mut nodes: Vec<NodeId> = map.nodes(self.looks).collect();
        nodes.sort_by_key(is_silent);
        nodes.into_iter().filter_map(|node| map.address(node).cloned()).collect()
    }

    fn poll_look(&mut self, context: &mut Context<'_>) -> Result<bool, ClusterError> {
        let Some(look) = &mut self.look else { return Ok(false) };
        let Poll::Ready(found) = look.0.as_mut().poll(context) else { return Ok(false) };
        self.look = None;
        match found {
            Ok((topology, asked)) => self.window.on_topology(&topology, &asked),
            Err(error) if error.is_passing() || error.is_login() => {}
            Err(error) => return Err(error),
        }
        Ok(true)
    }

    /// Starts an errand for each node that needs one.
    fn begin_errands(&mut self, now: Instant) {
        let wanted: BTreeSet<NodeId> = self.window.wanted().collect();
        for node in &wanted {
            self.peers.entry(*node).or_default();
        }
        for (node, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.may_open(now)) {
            if wanted.contains(node) || self.window.is_in_doubt(*node) {
                let order = order((*node, peer), (&self.window, &self.options), wanted.contains(node));
                peer.errand = Some(Errand::new(regain(order)));
            } else {
                peer.on_regained();
            }
        }
    }

    fn poll_errands(&mut self, context: &mut Context<'_>, now: Instant) -> Result<bool, ClusterError> {
        let mut moved = false;
        for (node, peer) in &mut self.peers {
            let Some(errand) = &mut peer.errand else { continue };
            let Poll::Ready(found) = errand.0.as_mut().poll(context) else { continue };
            (peer.errand, moved) = (None, true);
            match found {
                Ok(regained) => on_regained((*node, peer), regained, (&mut self.window, now)),
                Err(error) if error.is_passing() || error.is_login() => {
                    peer.on_failure(&error, &self.options, now);
                    self.window.on_stale();
                }
                Err(error) => return Err(error),
            }
        }
        Ok(moved)
    }

    fn poll_sockets(&mut self, context: &mut Context<'_>, now: Instant) -> Result<bool, ClusterError> {
        let mut moved = false;
        for (node, peer) in &mut self.peers {
            let longest = self.options.endpoint.reply_timeout;
            let polled = poll_socket((*node, peer), (&mut self.window, now), context);
            match polled.and_then(|has_moved| peer.check_silence(now, longest).map(|()| has_moved)) {
                Ok(has_moved) => moved |= has_moved,
                Err(SinkError::Broken(error)) => {
                    (peer.socket, peer.silent_since, moved) = (None, None, true);
                    peer.failure = Some(error.to_string());
                    self.window.on_broken(*node);
                    peer.gone_since = self.window.is_in_doubt(*node).then_some(now);
                    self.window.on_stale();
                }
                Err(SinkError::Reply(error)) => return Err(error.into()),
                Err(SinkError::Window(error)) => return Err(error.into()),
            }
        }
        Ok(moved)
    }
}

fn order<T>(
    (node, peer): (NodeId, &Peer),
    (window, options): (&ClusterWindow<T>, &ClusterOptions),
    is_wanted: bool,
) -> Order {
    let (map, slots) = (window.map().clone(), window.in_doubt(node));
    // A node that is no longer a primary and cannot be reached carries out nothing, whatever is still in flight to it.
    let is_worth_it = is_wanted || map.is_primary(node) || peer.failures == 0;
    let address = map.address(node).filter(|_| is_worth_it).cloned();
    Order { options: options.clone(), address, map, id: peer.id, slots }
}

fn on_regained<T>(
    (node, peer): (NodeId, &mut Peer),
    regained: Regained,
    (window, now): (&mut ClusterWindow<T>, Instant),
) {
    peer.on_regained();
    window.on_positions(node, &regained.positions, now);
    if let Some((connection, id)) = regained.opened {
        (peer.socket, peer.id) = (Some(crate::socket::Socket::new(connection)), Some(id));
        window.on_open(node);
    }
}

/// Writes and reads as much as the connection allows. Returns whether anything was written or read.
fn poll_socket<T>(
    (node, peer): (NodeId, &mut Peer),
    (window, now): (&mut ClusterWindow<T>, Instant),
    context: &mut Context<'_>,
) -> Result<bool, SinkError> {
    let Some(socket) = &mut peer.socket else { return Ok(false) };
    let mut logged_out = None;
    let read = socket.poll_read(context, |outcome| match outcome {
        // Nothing is carried out on such a connection, so it is as good as broken.
        Outcome::Refused(error) if is_logged_out(&error) => {
            logged_out = Some(error);
            Err(WindowError::Unasked)
        }
        outcome => window.on_outcome(node, outcome, now),
    });
    if let Some(error) = logged_out {
        return Err(SinkError::Broken(io::Error::other(error)));
    }
    let read = read?;
    if read.is_ready() {
        peer.silent_since = None;
    }
    let written = socket.poll_write(context, window.outgoing(node))?;
    peer.silent_since = peer.silent_since.or(Some(now)).filter(|_| window.is_reply_due(node));
    Ok(read.is_ready() || written.is_ready())
}
