//! Questions to the source on a connection of the cutover's own.

use std::time::Duration;

use dfly_journal::Lsn;
use dfly_replica::EngineConfig;
use redis_resp::Reply;
use redis_resp::connection::{Connection, Endpoint};
use tokio::time::timeout;

/// How long an answer may take. The pause is renewed more often than it ends by itself, this included.
const ANSWER: Duration = Duration::from_millis(800);

/// A connection to the source that is opened again when it broke.
#[derive(Debug)]
pub(crate) struct Source {
    endpoint: Endpoint,
    connection: Option<Connection>,
}

impl Source {
    pub(crate) fn new(config: &EngineConfig) -> Self {
        Self { endpoint: config.source.clone(), connection: None }
    }

    async fn ask(&mut self, request: &[&[u8]]) -> Result<Reply, String> {
        let asked = timeout(ANSWER, async {
            let mut connection = match self.connection.take() {
                Some(connection) => connection,
                None => Connection::open(&self.endpoint).await.map_err(|error| error.to_string())?,
            };
            let reply = connection.ask(request).await.map_err(|error| error.to_string())?;
            self.connection = Some(connection);
            Ok(reply)
        });
        match asked.await {
            Ok(reply) => reply,
            Err(_elapsed) => Err(format!("no answer within {} ms", ANSWER.as_millis())),
        }
    }

    async fn order(&mut self, request: &[&[u8]]) -> Result<(), String> {
        match self.ask(request).await? {
            Reply::Simple(_) => Ok(()),
            Reply::Error(error) => Err(error.line),
            other => Err(format!("it answers {other:?}")),
        }
    }

    /// Stops writes for so long.
    pub(crate) async fn pause(&mut self, term: Duration) -> Result<(), String> {
        let millis = term.as_millis().to_string();
        self.order(&[b"CLIENT", b"PAUSE", millis.as_bytes(), b"WRITE"]).await
    }

    /// Lets writes go on.
    pub(crate) async fn unpause(&mut self) -> Result<(), String> {
        self.order(&[b"CLIENT", b"UNPAUSE"]).await
    }

    /// The next record of every flow.
    pub(crate) async fn lsns(&mut self) -> Result<Vec<Lsn>, String> {
        let strange = |reply: &Reply| format!("it answers DFLY REPLICAOFFSET with {reply:?}");
        let reply = self.ask(&[b"DFLY", b"REPLICAOFFSET"]).await?;
        let Reply::Array(offsets) = &reply else { return Err(strange(&reply)) };
        let lsn = |offset: &Reply| match offset {
            Reply::Integer(lsn) => u64::try_from(*lsn).ok().map(Lsn),
            _ => None,
        };
        offsets.iter().map(lsn).collect::<Option<_>>().ok_or_else(|| strange(&reply))
    }
}
