//! A node of the cluster as the pipeline sees it: its connection, or the attempt to get one back.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::time::{Duration, Instant};

use redis_resp::connection::Connection;
use redis_resp::{ErrorCode, Reply};
use redis_slots::{Address, Slot};

use crate::cluster::connection::{ClusterConnection, log_in};
use crate::cluster::map::ClusterMap;
use crate::cluster::options::{ClusterError, ClusterOptions};
use crate::sink_error::SinkError;
use crate::socket::Socket;

/// Work that continues while the connections to other nodes are in use. Its owner keeps it, so a caller that waits for it
/// can be cancelled.
pub(super) struct Errand<T>(pub Pin<Box<dyn Future<Output = Result<T, ClusterError>> + Send>>);

impl<T> Errand<T> {
    pub(super) fn new(work: impl Future<Output = Result<T, ClusterError>> + Send + 'static) -> Self {
        Self(Box::pin(work))
    }
}

impl<T> fmt::Debug for Errand<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Errand")
    }
}

/// One node.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub socket: Option<Socket>,
    /// The id of the last connection (`CLIENT ID`).
    pub id: Option<i64>,
    pub errand: Option<Errand<Regained>>,
    /// Since when the node owes replies and has sent none.
    pub silent_since: Option<Instant>,
    /// Since when there has been no connection although one is needed.
    pub gone_since: Option<Instant>,
    /// Why the last attempt failed, or the connection broke.
    pub failure: Option<String>,
    /// The earliest time of the next attempt.
    pub retry_at: Option<Instant>,
    /// How many attempts in a row have failed.
    pub failures: u32,
}

/// The result of an errand for a node.
#[derive(Debug)]
pub(super) struct Regained {
    /// The new connection and its id; `None` if the node was replaced.
    pub opened: Option<(Connection, i64)>,
    /// The positions of the slots that were in doubt.
    pub positions: BTreeMap<Slot, u64>,
}

/// The input of an errand for a node.
#[derive(Debug)]
pub(super) struct Order {
    pub options: ClusterOptions,
    pub map: ClusterMap,
    /// The node's address; `None` if it was replaced.
    pub address: Option<Address>,
    /// The id of the previous connection.
    pub id: Option<i64>,
    /// The slots in doubt.
    pub slots: Vec<Slot>,
}

impl Peer {
    /// The node is connected again, or is no longer needed.
    pub(super) fn on_regained(&mut self) {
        (self.gone_since, self.retry_at, self.failures, self.failure) = (None, None, 0, None);
    }

    /// The attempt failed. The next one follows after a pause.
    pub(super) fn on_failure(&mut self, error: &ClusterError, options: &ClusterOptions, now: Instant) {
        self.failure = Some(error.to_string());
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + options.pauses.behind(self.failures) + options.jitter);
        self.gone_since.get_or_insert(now);
    }

    /// # Errors
    /// The node has owed replies for `longest` and has sent none.
    pub(super) fn check_silence(&self, now: Instant, longest: Duration) -> Result<(), SinkError> {
        match self.silent_since.is_some_and(|since| now.duration_since(since) >= longest) {
            true => Err(SinkError::Broken(io::ErrorKind::TimedOut.into())),
            false => Ok(()),
        }
    }

    /// When to act if nothing else happens first.
    pub(super) fn next_time(&self, longest: Duration) -> Option<Instant> {
        let silence = self.silent_since.map(|since| since + longest);
        let retry = self.retry_at.filter(|_| self.errand.is_none());
        silence.into_iter().chain(retry).min()
    }

    /// Whether an attempt may begin.
    pub(super) fn may_open(&self, now: Instant) -> bool {
        self.socket.is_none() && self.errand.is_none() && self.retry_at.is_none_or(|at| at <= now)
    }
}

/// Opens a connection to a node and closes the previous one at the node, so that nothing from it is carried out late. Then
/// it reads the positions.
pub(super) async fn regain(order: Order) -> Result<Regained, ClusterError> {
    let opened = match &order.address {
        Some(address) => Some(open(&order, address).await?),
        None => None,
    };
    let mut questions = ClusterConnection::with_map(order.options, order.map);
    if opened.is_some() && !questions.holds_claim().await? {
        return Err(ClusterError::Overtaken);
    }
    Ok(Regained { opened, positions: questions.positions(order.slots).await? })
}

async fn open(order: &Order, address: &Address) -> Result<(Connection, i64), ClusterError> {
    let mut connection = log_in(&order.options, Some(address)).await?;
    let name = order.options.name.as_str();
    expect(&mut connection, ("CLIENT SETNAME", &["CLIENT", "SETNAME", name])).await?;
    let Reply::Integer(id) = expect(&mut connection, ("CLIENT ID", &["CLIENT", "ID"])).await? else {
        return Err(ClusterError::Answer("CLIENT ID"));
    };
    // A server's ids only grow while it runs. So an old id that is not lower belongs to an earlier process of the server.
    if let Some(old) = order.id.filter(|old| *old < id) {
        let old = old.to_string();
        expect(&mut connection, ("CLIENT KILL", &["CLIENT", "KILL", "ID", &old])).await?;
    }
    Ok((connection, id))
}

async fn expect(
    connection: &mut Connection,
    (request, words): (&'static str, &[&str]),
) -> Result<Reply, ClusterError> {
    match connection.ask(words).await? {
        Reply::Error(error) => Err(match error.code {
            ErrorCode::NoAuth | ErrorCode::WrongPass => ClusterError::Login(error),
            _ => ClusterError::Refused { request, error },
        }),
        reply => Ok(reply),
    }
}

/// The minimum time between two reads of the topology. The jitter is added.
pub(super) const LOOK: Duration = Duration::from_millis(100);
