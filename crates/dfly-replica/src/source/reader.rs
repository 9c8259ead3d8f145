//! Reads values from the source on a connection of its own, for keys that are read again and for keys that may be gone.

use std::sync::Arc;

use bytes::Bytes;
use dfly_client::FlowId;
use dfly_client::driver::OpenError;
use dfly_journal::Lsn;
use dfly_rdb::RawValue;
use dfly_rdb::payload::parse_dump;
use dfly_wire::{DbIndex, UnixMillis};
use redis_resp::Reply;
use redis_resp::connection::{Connection, ConnectionError};
use tokio::sync::mpsc;
use tracing::debug;

use crate::config::EngineConfig;
use crate::error::Error;
use crate::reread::{Answer, Found, Place};

const OFFSET: &str = "DFLY REPLICAOFFSET";

/// A key to be read, and where the answer goes.
#[derive(Debug)]
pub(crate) struct ReadRequest {
    pub flow: FlowId,
    pub place: Place,
    pub ticket: u64,
    pub answers: mpsc::Sender<ReadAnswer>,
}

/// `None`: the source could not be asked; it may be later.
pub(crate) type ReadAnswer = (Place, u64, Option<Answer>);

/// Serves requests, one at a time, until nobody can make any more.
pub(crate) async fn serve(config: Arc<EngineConfig>, mut requests: mpsc::Receiver<ReadRequest>) {
    let mut reader = SourceReader::new(config);
    while let Some(ReadRequest { flow, place, ticket, answers }) = requests.recv().await {
        let answer = match reader.read(flow, &place).await {
            Ok(answer) => Some(answer),
            Err(error) => {
                debug!(flow = flow.0, %error, "a key could not be read from the source");
                None
            }
        };
        // A flow that is gone has no use for it.
        if answers.send((place, ticket, answer)).await.is_err() {
            debug!(flow = flow.0, "the flow is gone");
        }
    }
}

/// An ordinary client of the source.
#[derive(Debug)]
pub(crate) struct SourceReader {
    config: Arc<EngineConfig>,
    connection: Option<(Connection, DbIndex)>,
}

/// Why the source could not be asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    #[error("the source answers {request} with: {answer}")]
    Answer { request: &'static str, answer: String },
}

impl From<ReadError> for Error {
    fn from(error: ReadError) -> Self {
        match error {
            ReadError::Connection(error) => Self::Source(OpenError::Connection(error)),
            ReadError::Answer { .. } => Self::Internal(error.to_string()),
        }
    }
}

impl SourceReader {
    pub(crate) fn new(config: Arc<EngineConfig>) -> Self {
        Self { config, connection: None }
    }

    /// The value of a key, between two looks at the flow's LSN.
    async fn read(&mut self, flow: FlowId, (db, key): &Place) -> Result<Answer, ReadError> {
        let before = self.lsn(flow).await?;
        let found = self.value(*db, key).await?;
        let behind = self.lsn(flow).await?;
        Ok(Answer { before, behind, found })
    }

    async fn lsn(&mut self, flow: FlowId) -> Result<Lsn, ReadError> {
        let lsns = self.lsns().await?;
        let missing = || ReadError::Answer { request: OFFSET, answer: format!("{} LSNs", lsns.len()) };
        lsns.get(usize::from(flow.0)).copied().ok_or_else(missing)
    }

    /// The next LSN of every flow.
    pub(crate) async fn lsns(&mut self) -> Result<Vec<Lsn>, ReadError> {
        let reply = self.ask(DbIndex(0), OFFSET, &[&b"DFLY"[..], b"REPLICAOFFSET"]).await?;
        let lsn = |offset: &Reply| match offset {
            Reply::Integer(lsn) if *lsn >= 0 => Some(Lsn(lsn.unsigned_abs())),
            _ => None,
        };
        let lsns = match &reply {
            Reply::Array(offsets) => offsets.iter().map(lsn).collect(),
            _ => None,
        };
        lsns.ok_or_else(|| ReadError::Answer { request: OFFSET, answer: format!("{reply:?}") })
    }

    async fn value(&mut self, db: DbIndex, key: &Bytes) -> Result<Option<Found>, ReadError> {
        let payload = match self.ask(db, "DUMP", &[b"DUMP", key]).await? {
            Reply::Bulk(payload) => payload,
            Reply::Nil => return Ok(None),
            other => return Err(ReadError::Answer { request: "DUMP", answer: format!("{other:?}") }),
        };
        let value: RawValue = parse_dump(payload)
            .map_err(|error| ReadError::Answer { request: "DUMP", answer: error.to_string() })?;
        let expire_at = match self.ask(db, "PEXPIRETIME", &[b"PEXPIRETIME", key]).await? {
            Reply::Integer(at) if at >= 0 => Some(UnixMillis(at)),
            // -2: it went meanwhile; its DEL is a record then, and the value is not used.
            Reply::Integer(_) => None,
            other => return Err(ReadError::Answer { request: "PEXPIRETIME", answer: format!("{other:?}") }),
        };
        Ok(Some(Found { value, expire_at }))
    }

    /// Which of these keys of one database are there.
    pub(crate) async fn exist(&mut self, db: DbIndex, keys: &[Bytes]) -> Result<Vec<bool>, ReadError> {
        let mut found = Vec::with_capacity(keys.len());
        for key in keys {
            match self.ask(db, "EXISTS", &[b"EXISTS", key]).await? {
                Reply::Integer(count) => found.push(count > 0),
                other => {
                    return Err(ReadError::Answer { request: "EXISTS", answer: format!("{other:?}") });
                }
            }
        }
        Ok(found)
    }

    /// Asks in a database; a connection that fails is opened anew for the next request.
    async fn ask(&mut self, db: DbIndex, name: &'static str, request: &[&[u8]]) -> Result<Reply, ReadError> {
        let mut connection = match self.connection.take() {
            Some((connection, at)) if at == db => connection,
            Some((connection, _)) => select(connection, db).await?,
            None => select(self.open().await?, db).await?,
        };
        let reply = connection.ask(request).await?;
        self.connection = Some((connection, db));
        match reply {
            Reply::Error(error) => Err(ReadError::Answer { request: name, answer: error.to_string() }),
            reply => Ok(reply),
        }
    }

    async fn open(&self) -> Result<Connection, ReadError> {
        let endpoint = &self.config.source;
        let mut connection = Connection::open(endpoint).await?;
        if let Some(credentials) = &endpoint.credentials
            && let Reply::Error(error) = connection.ask(&credentials.request()).await?
        {
            return Err(ReadError::Answer { request: "AUTH", answer: error.to_string() });
        }
        Ok(connection)
    }
}

async fn select(mut connection: Connection, db: DbIndex) -> Result<Connection, ReadError> {
    match connection.ask(&["SELECT", &db.to_string()]).await? {
        Reply::Error(error) => Err(ReadError::Answer { request: "SELECT", answer: error.to_string() }),
        _ => Ok(connection),
    }
}
