//! The connection to one side: requests about keys in, replies out. A connection that breaks is opened again, because all
//! requests only read.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dfly_replica::{EngineConfig, Question, TargetConnection, connect_target};
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::connection::{Connection, ConnectionError, Endpoint};
use redis_resp::{CommandBatch, Reply, ServerError};
use thiserror::Error;
use tokio::time::sleep;

use crate::throttle::Throttle;

/// How many requests are sent before their replies are read.
const AT_ONCE: usize = 512;

/// How many times a broken connection is opened again for the same requests.
const ATTEMPTS: u32 = 3;

/// The pause before each of them.
const PAUSE: Duration = Duration::from_millis(300);

/// Why a side does not answer.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SideError {
    /// The source's connection.
    #[error(transparent)]
    Source(#[from] ConnectionError),
    /// The source refuses a request that nothing can be done without.
    #[error("the source refuses {request}: {error}; its user needs the permission")]
    SourceRefuses {
        /// The request.
        request: &'static str,
        /// The reply.
        error: ServerError,
    },
    /// A reply of another form than servers give.
    #[error("the {side} answers {request} with something else than expected")]
    Strange {
        /// Which side.
        side: &'static str,
        /// The request.
        request: &'static str,
    },
    /// The target.
    #[error(transparent)]
    Target(#[from] dfly_replica::Error),
}

/// The connection to one side.
#[derive(Debug)]
pub(crate) struct Link {
    config: Arc<EngineConfig>,
    throttle: Arc<Throttle>,
    end: End,
    bracket: Option<Bracket>,
}

/// What the source answered for its positions before the first and behind the last of some requests. It is asked in the same
/// pipeline, so that as little as possible comes in between.
#[derive(Debug, Default)]
pub(crate) struct Bracket {
    pub before: Option<Reply>,
    pub behind: Option<Reply>,
}

/// Asks for the next LSN of every flow.
const OFFSET: [&[u8]; 2] = [b"DFLY", b"REPLICAOFFSET"];

#[derive(Debug)]
enum End {
    Source(Option<(Connection, DbIndex)>),
    Target(Option<(Box<TargetConnection>, DbIndex)>),
}

impl End {
    /// The same side, without a connection.
    fn closed(&self) -> Self {
        match self {
            Self::Source(_) => Self::Source(None),
            Self::Target(_) => Self::Target(None),
        }
    }

    fn take(&mut self) -> Self {
        let closed = self.closed();
        std::mem::replace(self, closed)
    }
}

impl Link {
    /// A link to the source. It connects when it is first used.
    pub(crate) fn to_source(config: &Arc<EngineConfig>, throttle: &Arc<Throttle>) -> Self {
        Self {
            config: Arc::clone(config),
            throttle: Arc::clone(throttle),
            end: End::Source(None),
            bracket: None,
        }
    }

    /// A link to the target. It connects when it is first used.
    pub(crate) fn to_target(config: &Arc<EngineConfig>, throttle: &Arc<Throttle>) -> Self {
        Self {
            config: Arc::clone(config),
            throttle: Arc::clone(throttle),
            end: End::Target(None),
            bracket: None,
        }
    }

    /// Which side it leads to.
    pub(crate) fn side(&self) -> &'static str {
        match self.end {
            End::Source(_) => "source",
            End::Target(_) => "target",
        }
    }

    /// Whether all of the side's keys are on one server. A target is known once it has answered.
    pub(crate) fn is_single_server(&self) -> bool {
        match &self.end {
            End::Source(_) => true,
            End::Target(target) => target.as_ref().is_some_and(|(target, _)| !target.has_slots()),
        }
    }

    /// Sends requests about keys of one database, and gives the replies in their order.
    ///
    /// # Errors
    /// The side stays away. A refusal is a reply.
    pub(crate) async fn ask(&mut self, db: DbIndex, questions: &[Question]) -> Result<Vec<Reply>, SideError> {
        let mut replies = Vec::with_capacity(questions.len());
        for questions in questions.chunks(AT_ONCE) {
            self.throttle.ask(questions.len() as u64, Instant::now()).await;
            let found = match self.bracket.is_some() {
                true => self.ask_in_bracket(db, questions).await?,
                false => self.ask_patiently(db, questions).await?,
            };
            let bytes = found.iter().map(size_of).sum();
            self.throttle.answered(bytes, Instant::now());
            replies.extend(found);
        }
        Ok(replies)
    }

    /// From now on the source tells its positions before and behind what it is asked.
    pub(crate) fn begin_bracket(&mut self) {
        self.bracket = Some(Bracket::default());
    }

    /// What it has told since.
    pub(crate) fn end_bracket(&mut self) -> Bracket {
        self.bracket.take().unwrap_or_default()
    }

    async fn ask_in_bracket(&mut self, db: DbIndex, questions: &[Question]) -> Result<Vec<Reply>, SideError> {
        let offset = [Question::new(&OFFSET)];
        let bracketed = [&offset, questions, &offset].concat();
        let mut replies = self.ask_patiently(db, &bracketed).await?.into_iter();
        let before = replies.next();
        let found: Vec<Reply> = replies.by_ref().take(questions.len()).collect();
        if let Some(bracket) = &mut self.bracket {
            bracket.before = bracket.before.take().or(before);
            bracket.behind = replies.next();
        }
        Ok(found)
    }

    /// Sends one request.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn ask_one(&mut self, db: DbIndex, words: &[&[u8]]) -> Result<Reply, SideError> {
        let side = self.side();
        let mut replies = self.ask(db, &[Question::new(words)]).await?;
        replies.pop().ok_or(SideError::Strange { side, request: "a request" })
    }

    /// Sends a request about several keys, if all keys of the side are on one server. `None`: that is not so, the connection
    /// failed, or the reply has more than `most` bytes.
    pub(crate) async fn ask_together(
        &mut self,
        db: DbIndex,
        question: &Question,
        most: usize,
    ) -> Option<Reply> {
        // Each key counts as a request.
        self.throttle.ask(question.0.len().saturating_sub(1) as u64, Instant::now()).await;
        self.open(db).await.ok()?;
        let mut end = self.end.take();
        let reply = match &mut end {
            End::Source(Some((connection, _))) => connection.ask_for(&question.0, most).await.ok()?,
            End::Target(Some((target, _))) => match target.ask_for(question, most).await {
                Some(reply) => reply.ok()?,
                None => {
                    self.end = end;
                    return None;
                }
            },
            End::Source(None) | End::Target(None) => return None,
        };
        self.end = end;
        self.throttle.answered(size_of(&reply), Instant::now());
        Some(reply)
    }

    /// Ends the connection; the next request opens another.
    pub(crate) fn hang_up(&mut self) {
        self.end = self.end.closed();
    }

    async fn ask_patiently(&mut self, db: DbIndex, questions: &[Question]) -> Result<Vec<Reply>, SideError> {
        let mut attempt = 0;
        loop {
            let error = match self.ask_once(db, questions).await {
                Ok(replies) if replies.len() == questions.len() => return Ok(replies),
                Ok(_) => SideError::Strange { side: self.side(), request: "a batch of requests" },
                Err(error) => error,
            };
            attempt += 1;
            if attempt > ATTEMPTS || is_final(&error) {
                return Err(error);
            }
            sleep(PAUSE * attempt).await;
        }
    }

    async fn ask_once(&mut self, db: DbIndex, questions: &[Question]) -> Result<Vec<Reply>, SideError> {
        self.open(db).await?;
        // A connection that fails, or is given up half-way, is not used again.
        match self.end.take() {
            End::Source(Some((mut connection, db))) => {
                let mut batch = CommandBatch::default();
                questions.iter().for_each(|question| batch.push_words(question.words()));
                let replies = connection.ask_all(&mut batch).await?;
                self.end = End::Source(Some((connection, db)));
                Ok(replies)
            }
            End::Target(Some((mut target, db))) => {
                let replies = target.ask_many(questions).await?;
                self.end = End::Target(Some((target, db)));
                Ok(replies)
            }
            End::Source(None) | End::Target(None) => Ok(Vec::new()),
        }
    }

    /// Sees to it that there is a connection, in this database.
    async fn open(&mut self, db: DbIndex) -> Result<(), SideError> {
        match &mut self.end {
            End::Source(Some((_, at))) if *at == db => {}
            End::Target(Some((_, at))) if *at == db => {}
            End::Source(slot) => {
                let connection = match slot.take() {
                    Some((connection, _)) => connection,
                    None => open_source(&self.config).await?,
                };
                *slot = Some((selected(connection, db).await?, db));
            }
            End::Target(slot) => {
                let (mut target, at) = match slot.take() {
                    Some(open) => open,
                    None => (Box::new(connect_target(&self.config).await?.0), DbIndex(0)),
                };
                if at != db {
                    target.select(db).await?;
                }
                *slot = Some((target, db));
            }
        }
        Ok(())
    }

    /// How far the side's clock is ahead of this host's, in milliseconds; 0 if it does not say.
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub(crate) async fn ahead(&mut self, host: impl Fn() -> UnixMillis) -> Result<i64, SideError> {
        let before = host();
        // In a cluster it goes to the node that owns the empty name's slot: their clocks are taken for one.
        let reply = self.ask_one(DbIndex(0), &[b"TIME"]).await?;
        let middle = before.0.midpoint(host().0);
        Ok(time_of(&reply).map_or(0, |shown| shown.saturating_sub(middle)))
    }
}

/// Whether another attempt is of no use: the side has refused, or a cluster was waited for already.
fn is_final(error: &SideError) -> bool {
    matches!(error, SideError::SourceRefuses { .. } | SideError::Target(dfly_replica::Error::Cluster(_)))
}

fn size_of(reply: &Reply) -> u64 {
    match reply {
        Reply::Bulk(bytes) => bytes.len() as u64,
        Reply::Array(replies) => replies.iter().map(size_of).sum(),
        Reply::Simple(text) => text.len() as u64,
        Reply::Error(_) | Reply::Integer(_) | Reply::Nil => 8,
    }
}

fn time_of(reply: &Reply) -> Option<i64> {
    let Reply::Array(parts) = reply else { return None };
    let part = |at: usize| number_of(parts.get(at)?);
    part(0)?.checked_mul(1000)?.checked_add(part(1)? / 1000)
}

/// The number that a reply is, or that its text is.
pub(crate) fn number_of(reply: &Reply) -> Option<i64> {
    match reply {
        Reply::Integer(number) => Some(*number),
        Reply::Bulk(text) => std::str::from_utf8(text).ok()?.parse().ok(),
        Reply::Simple(text) => text.parse().ok(),
        _ => None,
    }
}

/// The bytes that a reply is.
pub(crate) fn bytes_of(reply: &Reply) -> Option<Bytes> {
    match reply {
        Reply::Bulk(bytes) => Some(bytes.clone()),
        Reply::Simple(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
        _ => None,
    }
}

async fn selected(mut connection: Connection, db: DbIndex) -> Result<Connection, SideError> {
    match connection.ask(&["SELECT", &db.to_string()]).await? {
        Reply::Error(error) => Err(SideError::SourceRefuses { request: "SELECT", error }),
        _ => Ok(connection),
    }
}

/// Connects to the master among the source's addresses, or to the first that answers if none says that it is one.
pub(crate) async fn open_source(config: &EngineConfig) -> Result<Connection, SideError> {
    let (mut other, mut failure) = (None, None);
    for endpoint in [&config.source].into_iter().chain(&config.other_sources) {
        match open_at(endpoint).await {
            Ok((connection, true)) => return Ok(connection),
            Ok((connection, false)) => other = other.or(Some(connection)),
            Err(error) => failure = failure.or(Some(error)),
        }
        if config.other_sources.is_empty() {
            break;
        }
    }
    match (other, failure) {
        (Some(connection), _) => Ok(connection),
        (None, Some(error)) => Err(error),
        (None, None) => Err(SideError::Strange { side: "source", request: "a connection" }),
    }
}

/// A connection, and whether the server does not say that it is a replica.
async fn open_at(endpoint: &Endpoint) -> Result<(Connection, bool), SideError> {
    let mut connection = Connection::open(endpoint).await?;
    if let Some(credentials) = &endpoint.credentials
        && let Reply::Error(error) = connection.log_in(credentials).await?
    {
        return Err(SideError::SourceRefuses { request: "AUTH", error });
    }
    let is_master = match connection.ask(&["INFO", "replication"]).await? {
        Reply::Bulk(text) => !String::from_utf8_lossy(&text).lines().any(is_replica),
        _ => true,
    };
    Ok((connection, is_master))
}

fn is_replica(line: &str) -> bool {
    matches!(line.trim(), "role:slave" | "role:replica")
}
