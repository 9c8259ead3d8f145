//! Questions to a target, one at a time: to a server, or to whichever node of a cluster has the key.

use std::collections::{BTreeSet, VecDeque};

use bytes::Bytes;
use dfly_translate::ReservedNames;
use dfly_wire::DbIndex;
use redis_resp::Reply;
use redis_resp::connection::{Connection, ConnectionError};
use redis_sink::TargetError;
use redis_sink::cluster::{ClusterConnection, ClusterError, Request, Shape};
use redis_slots::{Address, Slot};

use super::replies::{answered, members_of, strange};
use crate::error::Error;

/// A connection for questions, and the names of the tool's own keys there.
#[derive(Debug)]
pub struct TargetConnection {
    link: Link,
    names: ReservedNames,
}

/// Whom the questions go to.
#[derive(Debug)]
enum Link {
    /// A single server.
    Server(Connection),
    /// Every node of a cluster.
    Cluster(Box<ClusterConnection>),
}

impl From<Connection> for TargetConnection {
    /// A single server that the task without a name writes to.
    fn from(connection: Connection) -> Self {
        Self::server(connection, ReservedNames::default())
    }
}

/// A request with one key, as a list of words: its name, its key, the rest.
#[derive(Debug, Clone)]
pub struct Question(pub Vec<Bytes>);

impl Question {
    /// A request of copies of these words.
    pub fn new(words: &[&[u8]]) -> Self {
        Self(words.iter().map(|word| Bytes::copy_from_slice(word)).collect())
    }

    /// Its words, in their order.
    pub fn words(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.0.iter().map(|word| &word[..])
    }
}

impl Request for Question {
    fn key(&self) -> &[u8] {
        key_of(&self.0)
    }

    fn words(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.words()
    }
}

/// The key of a request that has one: every request of this tool has it behind its name, but for scripts and commands of two
/// words.
fn key_of<A: AsRef<[u8]>>(request: &[A]) -> &[u8] {
    let at = match request.first().map(AsRef::as_ref) {
        Some(b"EVAL") => 3,
        Some(b"MEMORY" | b"XINFO") => 2,
        _ => 1,
    };
    request.get(at).map(AsRef::as_ref).unwrap_or_default()
}

impl TargetConnection {
    pub(crate) fn server(connection: Connection, names: ReservedNames) -> Self {
        Self { link: Link::Server(connection), names }
    }

    pub(crate) fn of_cluster(cluster: Box<ClusterConnection>, names: ReservedNames) -> Self {
        Self { link: Link::Cluster(cluster), names }
    }

    /// The names of the tool's own keys.
    pub fn names(&self) -> &ReservedNames {
        &self.names
    }

    /// The connection to a single server.
    pub(crate) fn into_server(self) -> Option<Connection> {
        match self.link {
            Link::Server(connection) => Some(connection),
            Link::Cluster(_) => None,
        }
    }

    /// The cluster, if the target is one.
    pub(crate) fn cluster(&mut self) -> Option<&mut ClusterConnection> {
        match &mut self.link {
            Link::Server(_) => None,
            Link::Cluster(cluster) => Some(cluster),
        }
    }

    /// The cluster itself, if the target is one; the server's connection otherwise.
    pub(crate) fn into_cluster(self) -> Result<Box<ClusterConnection>, Connection> {
        match self.link {
            Link::Server(connection) => Err(connection),
            Link::Cluster(cluster) => Ok(cluster),
        }
    }

    /// Sends a request to a single server, and takes a reply of at most `most` bytes. `None`: the target is a cluster.
    ///
    /// # Errors
    /// As [`Connection::ask_for`]. The connection cannot be used after that.
    pub async fn ask_for(
        &mut self,
        question: &Question,
        most: usize,
    ) -> Option<Result<Reply, ConnectionError>> {
        match &mut self.link {
            Link::Server(connection) => Some(connection.ask_for(&question.0, most).await),
            Link::Cluster(_) => None,
        }
    }

    /// How many primaries a cluster has.
    pub(crate) fn primaries(&self) -> Option<usize> {
        match &self.link {
            Link::Server(_) => None,
            Link::Cluster(cluster) => Some(cluster.primaries().count()),
        }
    }

    /// Whether the target is a cluster, so that the tool's own keys lie in the slots of what they are about.
    pub fn has_slots(&self) -> bool {
        matches!(self.link, Link::Cluster(_))
    }

    /// Sends a request with one key; in a cluster it may be carried out more than once.
    pub(crate) async fn ask<A: AsRef<[u8]> + Sync>(&mut self, request: &[A]) -> Result<Reply, Error> {
        match &mut self.link {
            Link::Server(connection) => connection.ask(request).await.map_err(of_server),
            Link::Cluster(cluster) => cluster.ask(key_of(request), request).await.map_err(Error::from),
        }
    }

    /// Sends a request without a key to the server, or to every primary.
    ///
    /// # Errors
    /// The connection's, or a node's that is away.
    pub async fn ask_all<A: AsRef<[u8]> + Sync>(&mut self, request: &[A]) -> Result<Vec<Reply>, Error> {
        match &mut self.link {
            Link::Server(connection) => Ok(vec![connection.ask(request).await.map_err(of_server)?]),
            Link::Cluster(cluster) => {
                let replies = cluster.ask_all(request).await?;
                Ok(replies.into_iter().map(|(_, reply)| reply).collect())
            }
        }
    }

    /// Sends many requests with one key each, and gives the replies in their order. In a cluster a request may be carried
    /// out more than once.
    ///
    /// # Errors
    /// The connection's, and a node's that stays away. A refusal is a reply.
    pub async fn ask_many(&mut self, questions: &[Question]) -> Result<Vec<Reply>, Error> {
        match &mut self.link {
            Link::Server(connection) => {
                let mut replies = Vec::with_capacity(questions.len());
                for questions in questions.chunks(512) {
                    let mut batch = redis_resp::CommandBatch::default();
                    questions.iter().for_each(|question| batch.push_words(question.words()));
                    replies.extend(connection.ask_all(&mut batch).await.map_err(of_server)?);
                }
                Ok(replies)
            }
            Link::Cluster(cluster) => Ok(cluster.ask_many(questions).await?),
        }
    }

    /// Goes over to another database; a cluster has database 0 alone.
    ///
    /// # Errors
    /// The connection's, or the target has no such database.
    pub async fn select(&mut self, db: DbIndex) -> Result<(), Error> {
        let Link::Server(connection) = &mut self.link else { return Ok(()) };
        let reply = connection.ask(&["SELECT", &db.to_string()]).await.map_err(of_server)?;
        answered("SELECT", reply).map(drop)
    }

    /// A part of the target's keys each: the server, or every primary.
    pub(crate) fn parts(&self) -> VecDeque<Part> {
        match &self.link {
            Link::Server(_) => [Part::Server].into(),
            Link::Cluster(cluster) => cluster.primaries().cloned().map(Part::Node).collect(),
        }
    }

    /// Sends a request to a part.
    pub(crate) async fn ask_part<A: AsRef<[u8]> + Sync>(
        &mut self,
        part: &Part,
        request: &[A],
    ) -> Result<Reply, Error> {
        match (&mut self.link, part) {
            (Link::Cluster(cluster), Part::Node(address)) => Ok(cluster.ask_at(address, request).await?),
            _ => self.ask(request).await,
        }
    }

    /// As [`ClusterConnection::shape`]; a server has none.
    pub(crate) async fn shape(&mut self) -> Result<Option<Shape>, Error> {
        match &mut self.link {
            Link::Server(_) => Ok(None),
            Link::Cluster(cluster) => Ok(Some(cluster.shape().await?)),
        }
    }

    /// As [`ClusterConnection::keys_in`]; a server has no slots.
    pub(crate) async fn keys_in(&mut self, slot: Slot) -> Result<BTreeSet<Bytes>, Error> {
        match &mut self.link {
            Link::Server(_) => Ok(BTreeSet::new()),
            Link::Cluster(cluster) => Ok(cluster.keys_in(slot).await?),
        }
    }

    /// How many keys each part holds.
    pub(crate) async fn sizes(&mut self) -> Result<Vec<u64>, Error> {
        let sizes = self.ask_all(&["DBSIZE"]).await?;
        let size = |reply: &Reply| match reply {
            Reply::Integer(size) => Ok(size.unsigned_abs()),
            other => Err(strange("DBSIZE", other)),
        };
        sizes.iter().map(size).collect()
    }
}

/// Sends a request whose refusal nothing can mend.
pub(crate) async fn demand<A: AsRef<[u8]> + Sync>(
    target: &mut TargetConnection,
    name: &'static str,
    request: &[A],
) -> Result<Reply, Error> {
    answered(name, target.ask(request).await?)
}

/// What a set, or a sorted set, holds; `request` asks for it.
pub(crate) async fn members<A: AsRef<[u8]> + Sync>(
    target: &mut TargetConnection,
    name: &'static str,
    request: &[A],
) -> Result<Vec<Bytes>, Error> {
    members_of(name, demand(target, name, request).await?)
}

/// A server that holds a part of the target's keys, or all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Server,
    Node(Address),
}

fn of_server(error: ConnectionError) -> Error {
    Error::Target(TargetError::from(error))
}

impl From<ClusterError> for Error {
    fn from(error: ClusterError) -> Self {
        match error {
            ClusterError::Overtaken => Self::Overtaken,
            error => Self::Cluster(error),
        }
    }
}
