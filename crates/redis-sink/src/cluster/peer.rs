//! A node of the cluster as the pipeline has it: its connection, or how it is to be had again.

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

/// Work that goes on while the connections of other nodes move. It lives in its owner, so whoever waits for it may stop
/// waiting.
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
    /// How the node called the last connection (`CLIENT ID`).
    pub id: Option<i64>,
    pub errand: Option<Errand<Regained>>,
    /// Since when it owes replies and gives none.
    pub silent_since: Option<Instant>,
    /// Since when there is no connection although one is needed.
    pub gone_since: Option<Instant>,
    /// Not before.
    pub retry_at: Option<Instant>,
    /// Attempts in a row that failed.
    pub failures: u32,
}

/// What an errand for a node comes back with.
#[derive(Debug)]
pub(super) struct Regained {
    /// The new connection and its id; `None` if the node was replaced.
    pub opened: Option<(Connection, i64)>,
    /// Positions of the slots that were in doubt.
    pub positions: BTreeMap<Slot, u64>,
}

/// What an errand for a node is sent out with.
#[derive(Debug)]
pub(super) struct Order {
    pub options: ClusterOptions,
    pub map: ClusterMap,
    /// Where the node is; `None` if it was replaced.
    pub address: Option<Address>,
    /// The connection before.
    pub id: Option<i64>,
    /// The slots in doubt.
    pub slots: Vec<Slot>,
}

impl Peer {
    /// The node is there, or is not needed.
    pub(super) fn on_regained(&mut self) {
        (self.gone_since, self.retry_at, self.failures) = (None, None, 0);
    }

    /// There is no connection; the next attempt comes behind a pause.
    pub(super) fn on_failure(&mut self, now: Instant, options: &ClusterOptions) {
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + options.pauses.behind(self.failures) + options.jitter);
        self.gone_since.get_or_insert(now);
    }

    /// # Errors
    /// It has owed replies for `longest` and given none.
    pub(super) fn check_silence(&self, now: Instant, longest: Duration) -> Result<(), SinkError> {
        match self.silent_since.is_some_and(|since| now.duration_since(since) >= longest) {
            true => Err(SinkError::Broken(io::ErrorKind::TimedOut.into())),
            false => Ok(()),
        }
    }

    /// When there is something to do if nothing else happens.
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

/// Opens a connection to a node, sees to it that the one before carries out nothing any more, and then asks for positions.
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
    let mut connection = log_in(&order.options.endpoint, Some(address)).await?;
    let name = order.options.name.as_str();
    expect(&mut connection, ("CLIENT SETNAME", &["CLIENT", "SETNAME", name])).await?;
    let Reply::Integer(id) = expect(&mut connection, ("CLIENT ID", &["CLIENT", "ID"])).await? else {
        return Err(ClusterError::Answer("CLIENT ID"));
    };
    // Numbers grow for as long as a server runs: one that is not below belongs to a run of it that has ended.
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
            ErrorCode::NoAuth | ErrorCode::NoPermission => ClusterError::Login(error),
            _ => ClusterError::Refused { request, error },
        }),
        reply => Ok(reply),
    }
}

/// The least time between two looks at the topology, on top of which comes the jitter.
pub(super) const LOOK: Duration = Duration::from_millis(100);
