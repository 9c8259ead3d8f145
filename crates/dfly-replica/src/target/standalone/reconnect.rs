//! A connection that broke is opened again, and the server is asked where the flow stands on it.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use dfly_client::FlowId;
use dfly_wire::DbIndex;
use redis_resp::Reply;
use redis_resp::connection::Connection;
use tokio::time::{Instant, sleep};
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::checkpoint::{Checkpoint, Position, WriterIdentity};
use crate::config::EngineConfig;
use crate::error::Error;
use crate::keys::TargetKey;
use crate::notice::Notice;
use crate::target::connect::connect_target;
use crate::target::questions::{TargetConnection, demand};
use crate::target::replies::strange;
use crate::target::retry_policy::is_passing;

/// How many keys one DEL names.
const KEYS_AT_ONCE: usize = 256;

/// What a flow knows of its connection, so that it can be told from another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Incarnation {
    /// The server's name for as long as it runs (`run_id` of INFO).
    pub run_id: String,
    /// The connection's number there.
    pub client_id: i64,
}

/// A connection that works again.
#[derive(Debug)]
pub(crate) struct Regained {
    pub connection: Connection,
    pub found: Found,
}

/// Where the server stands.
#[derive(Debug)]
pub(crate) enum Found {
    /// The flow's position there; `None` if it holds no position of this source.
    Position(Option<Position>),
    /// The server is the one that it was, the old connection carries out nothing any more, and the snapshot can go on.
    Snapshot(Incarnation),
    /// It is another one, or the old connection cannot be closed: only another session can tell what is there.
    Unknown,
}

/// What has to be found out.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// Where a flow stands whose position the server holds.
    Journal,
    /// Whether the snapshot can go on, in this database.
    Snapshot(Option<Incarnation>, DbIndex),
}

/// Whose connection it is.
#[derive(Debug, Clone)]
pub(crate) struct Reconnect {
    pub config: Arc<EngineConfig>,
    pub flow: FlowId,
    pub identity: WriterIdentity,
    pub purpose: Purpose,
    /// Before the first attempt.
    pub pause: Duration,
    /// What a server that is out of memory can be relieved of.
    pub relief: Option<Relief>,
}

/// Keys that are to be removed from a server that is out of memory.
#[derive(Debug, Clone)]
pub(crate) struct Relief {
    /// Where the flow has to stand: nothing of what waits is carried out then.
    pub at: Position,
    pub keys: Vec<TargetKey>,
}

/// A connection that is being opened.
pub(crate) type Reconnecting = Pin<Box<dyn Future<Output = Result<Regained, Error>> + Send>>;

impl Reconnect {
    /// Connects again until it succeeds.
    pub(crate) fn begin(self) -> Reconnecting {
        Box::pin(async move { self.until_it_succeeds().await })
    }

    async fn until_it_succeeds(&self) -> Result<Regained, Error> {
        let limits = self.config.reconnect;
        let mut backoff = Backoff::new(limits.first_delay, limits.longest_delay);
        sleep(self.pause).await;
        let (started, mut notice) = (Instant::now(), Notice::default());
        loop {
            let error = match self.attempt().await {
                Ok(regained) => {
                    if notice.end() && self.tells() {
                        info!(after_s = started.elapsed().as_secs(), "the target answers again");
                    }
                    return Ok(regained);
                }
                Err(error) if is_passing(&error) => error,
                Err(error) => return Err(error),
            };
            let tried = started.elapsed();
            if limits.give_up_after.is_some_and(|limit| tried >= limit) {
                return Err(Error::GaveUp { peer: "target", after: tried, last: error.to_string() });
            }
            let delay = backoff.next_delay(chance(started));
            let retry_in_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
            match notice.is_due(started.into_std() + tried) && self.tells() {
                true => warn!(%error, retry_in_ms, "no connection to the target"),
                false => debug!(flow = self.flow.0, %error, retry_in_ms, "no connection to the target"),
            }
            sleep(delay).await;
        }
    }

    /// All flows connect to the same server, so one tells for all.
    fn tells(&self) -> bool {
        self.flow == FlowId(0)
    }

    async fn attempt(&self) -> Result<Regained, Error> {
        let (mut target, _) = connect_target(&self.config).await?;
        let found = match &self.purpose {
            Purpose::Journal => {
                let position = Checkpoint::position(&mut target, &self.identity, self.flow).await?;
                if let Some(relief) = self.relief.as_ref().filter(|relief| position == Some(relief.at)) {
                    relief.carry_out(&mut target).await?;
                }
                Found::Position(position)
            }
            Purpose::Snapshot(None, _) => Found::Unknown,
            Purpose::Snapshot(Some(was), db) => {
                let found = self.look_for_snapshot(was, &mut target).await?;
                target.select(*db).await?;
                found
            }
        };
        let connection = target.into_server().ok_or_else(|| Error::Unfit {
            address: self.config.target.to_string(),
            reason: "was a single server, and is a node of a cluster now".to_owned(),
        })?;
        Ok(Regained { connection, found })
    }

    /// Whether what was sent of the snapshot, and not answered, can be sent again.
    async fn look_for_snapshot(
        &self,
        was: &Incarnation,
        target: &mut TargetConnection,
    ) -> Result<Found, Error> {
        let Some(is) = Incarnation::of(target).await? else { return Ok(Found::Unknown) };
        if is.run_id != was.run_id || !Checkpoint::is_owned(target, &self.identity.owner).await? {
            return Ok(Found::Unknown);
        }
        // What is still on its way on the old connection must not be carried out behind what is sent again.
        let id = was.client_id.to_string();
        match target.ask(&["CLIENT", "KILL", "ID", &id]).await? {
            // It is gone already.
            Reply::Integer(_) => Ok(Found::Snapshot(is)),
            _ => Ok(Found::Unknown),
        }
    }
}

impl Relief {
    async fn carry_out(&self, target: &mut TargetConnection) -> Result<(), Error> {
        for same_db in self.keys.chunk_by(|one, other| one.db == other.db) {
            let Some(first) = same_db.first() else { continue };
            target.select(first.db).await?;
            for keys in same_db.chunks(KEYS_AT_ONCE) {
                let names = keys.iter().map(|key| &key.name[..]);
                let request: Vec<&[u8]> = [&b"DEL"[..]].into_iter().chain(names).collect();
                demand(target, "DEL", &request).await?;
            }
        }
        target.select(DbIndex(0)).await
    }
}

impl Incarnation {
    /// Of this connection; `None` if the server does not say.
    pub(crate) async fn of(target: &mut TargetConnection) -> Result<Option<Self>, Error> {
        let Reply::Integer(client_id) = target.ask(&["CLIENT", "ID"]).await? else { return Ok(None) };
        let reply = demand(target, "INFO", &["INFO", "server"]).await?;
        let Reply::Bulk(text) = &reply else { return Err(strange("INFO", &reply)) };
        let text = String::from_utf8_lossy(text);
        let run_id = text.lines().find_map(|line| line.strip_prefix("run_id:"));
        Ok(run_id.map(|run_id| Self { run_id: run_id.trim().to_owned(), client_id }))
    }
}

/// Something that differs between flows and moments: the last digits of a duration.
fn chance(since: Instant) -> u16 {
    let [low, high, ..] = since.elapsed().subsec_nanos().to_le_bytes();
    u16::from_le_bytes([low, high])
}
