//! What a session resumes from: the target's positions, what the relay log adds to them, and whether they are of this
//! master, or of the one that it was promoted from.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dfly_client::driver::ControlConn;
use dfly_client::{Claim, FlowId, NoClaim, Release, ReplicationId, Resume, Session};
use dfly_journal::Lsn;
use redis_resp::Reply;
use relay_log::{Identity, LogError, Options, RelayLog};
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::checkpoint::{Checkpoint, Position};
use crate::config::EngineConfig;
use crate::error::{Error, FlowError};
use crate::flow::intake::relay::Relay;
use crate::source::backlog::Backlog;
use crate::source::reader::SourceReader;
use crate::target::questions::TargetConnection;

/// How long a log is waited for that a session before has not closed yet.
const CLOSING: Duration = Duration::from_secs(5);

/// The largest frame of the relay log: one record of any size, and a little more.
const MAX_FRAME: u32 = 1 << 30;

/// Positions that the session's master may resume from.
#[derive(Debug, Clone)]
pub(super) struct Known {
    at: Checkpoint,
    /// Who they were reached with, if it was another master.
    last_master: Option<ReplicationId>,
}

/// What a flow resumes from.
#[derive(Debug)]
pub(super) struct Resumed {
    pub position: Position,
    pub log: Option<RelayLog>,
    /// The next record that the source is asked for: behind the log.
    pub ask: Lsn,
}

impl Known {
    /// Decides what can be asked for with the target's positions.
    ///
    /// # Errors
    /// [`Error::OtherSource`] if they are of no use to this master.
    pub(super) fn find(at: &Checkpoint, release: &str, session: &Session) -> Result<Self, Error> {
        let takes = || Release::from_info(release).is_some_and(Release::takes_last_master);
        let last_master = match session.claim(&at.source_id, at.flows.len()) {
            // It keeps its id, and has taken over the data of another server meanwhile.
            Claim::Own if at.is_demoted => return Err(other_source(at, session, NoClaim::Demoted)),
            Claim::Own => None,
            Claim::LastMaster(id) => Some(id),
            Claim::IfReleaseTakes(id) if takes() => Some(id),
            Claim::IfReleaseTakes(_) => return Err(other_source(at, session, NoClaim::Stranger)),
            Claim::Nothing(why) => return Err(other_source(at, session, why)),
        };
        Ok(Self { at: at.clone(), last_master })
    }

    /// Whether they were reached with another master.
    pub(super) fn is_of_another(&self) -> bool {
        self.last_master.is_some()
    }

    /// The master that they were reached with, if it was another.
    pub(super) fn last_master(&self) -> Option<&ReplicationId> {
        self.last_master.as_ref()
    }

    /// Why they are of no use if the master refuses them, unless they are its own.
    pub(super) fn of_another(&self, session: &Session) -> Option<Error> {
        self.last_master.as_ref().map(|_| other_source(&self.at, session, NoClaim::Refused))
    }

    /// The positions.
    pub(super) fn checkpoint(&self) -> &Checkpoint {
        &self.at
    }

    /// Opens each flow's relay log, and adds what it holds. Up to gigabytes are read for that, on a thread that may wait.
    pub(super) async fn with_logs(&self, config: &Arc<EngineConfig>) -> Result<Vec<Resumed>, Error> {
        let (known, config) = (self.clone(), Arc::clone(config));
        on_disk(move || known.at.flows.keys().map(|flow| known.resumed(&config, *flow)).collect()).await
    }

    /// What each flow asks for.
    pub(super) fn requests(&self, resumed: &[Resumed]) -> Vec<Resume> {
        let asks: Vec<Lsn> = resumed.iter().map(|resumed| resumed.ask).collect();
        let request = |ask: &Lsn| match &self.last_master {
            None => Resume::Position(*ask),
            Some(id) => Resume::LastMaster(id.clone(), asks.clone()),
        };
        asks.iter().map(request).collect()
    }

    /// What the relay log adds to the position of the target.
    fn resumed(&self, config: &EngineConfig, id: FlowId) -> Result<Resumed, Error> {
        let position = self.at.flows.get(&id).copied().unwrap_or(Position::default());
        let flows = u16::try_from(self.at.flows.len()).unwrap_or(u16::MAX);
        // The log of another master belongs to the positions that were reached with it.
        let of = LogOwner { source_id: self.at.source_id.clone(), flows, flow: id };
        let mut log = open_log(config, &of)?;
        let held = log.as_ref().and_then(RelayLog::positions);
        let ask = match held.filter(|held| held.start <= position.heard.0 && position.heard.0 < held.end) {
            Some(held) => {
                info!(
                    flow = id.0,
                    records = held.end.saturating_sub(position.next.0),
                    "a run before has left a part of the journal on disk"
                );
                Lsn(held.end)
            }
            None => {
                // What it holds is older than the target, or does not reach back to it.
                if let Some(log) = &mut log {
                    log.clear().map_err(|error| Error::Flow { flow: id, error: FlowError::Relay(error) })?;
                }
                position.heard
            }
        };
        Ok(Resumed { position, log, ask })
    }

    /// The source has agreed to resume. If it is the successor of the one that the positions were reached with, they are
    /// made its own, before any flow writes: each transaction is guarded by the source's id, so from here on nothing of an
    /// older process takes effect, and what is killed behind this point finds positions of the new master.
    pub(super) async fn take_over(
        &self,
        config: &Arc<EngineConfig>,
        target: &mut TargetConnection,
        session: &Session,
        flows: &mut [Resumed],
    ) -> Result<(), Error> {
        let Some(was) = &self.last_master else { return Ok(()) };
        let source_id = session.replication_id.to_string();
        let moved = self.at.moved_to(&source_id);
        if !Checkpoint::replace(target, &self.at, &moved).await? {
            return Err(Error::Overtaken);
        }
        info!(%was, is = %session.replication_id, "a fail-over is followed: the source was promoted from a replica of the one before, and goes on from the same positions");
        for (resumed, (flow, position)) in flows.iter_mut().zip(&moved.flows) {
            resumed.position = *position;
            if resumed.ask == position.heard {
                // What is written from here on is the new master's.
                resumed.log = None;
                let of = LogOwner { source_id: source_id.clone(), flows: session.flows, flow: *flow };
                resumed.log = open_log_on_disk(config, of).await?;
            }
        }
        Ok(())
    }
}

fn other_source(at: &Checkpoint, session: &Session, why: NoClaim) -> Error {
    let side = |id: &str, flows: usize| format!("{id} with {flows} shards");
    let was = side(&at.source_id, at.flows.len());
    let is = side(&session.replication_id.to_string(), usize::from(session.flows));
    Error::OtherSource { why, was, is, id: session.replication_id.to_string() }
}

/// A master that a run has not followed, where only one that it has followed may be synchronised from.
pub(super) fn stranger(session: &Session) -> Error {
    let is = session.replication_id.to_string();
    Error::OtherSource { why: NoClaim::Stranger, was: "another source".to_owned(), id: is.clone(), is }
}

/// How far the source is ahead of what it was asked for.
pub(super) async fn cannot_resume(config: &Arc<EngineConfig>, asked: &[Resumed], release: &str) -> Error {
    let lsns = SourceReader::new(Arc::clone(config)).lsns().await.unwrap_or_default();
    let ahead = lsns.iter().zip(asked).map(|(lsn, asked)| lsn.0.saturating_sub(asked.ask.0));
    Error::CannotResume { behind: ahead.max(), backlog: Backlog::of_release(release) }
}

/// What the master calls its release. A user that may not ask gets nothing for an answer.
pub(crate) async fn release(control: &mut ControlConn) -> Result<String, Error> {
    let Reply::Bulk(text) = control.ask(&vec![b"INFO".to_vec(), b"server".to_vec()]).await? else {
        return Ok(String::new());
    };
    let text = String::from_utf8_lossy(&text);
    let named = text.lines().find_map(|line| line.strip_prefix("dragonfly_version:"));
    Ok(named.unwrap_or_default().trim().to_owned())
}

/// Whose log it is.
#[derive(Debug, Clone)]
pub(super) struct LogOwner {
    pub source_id: String,
    /// How many flows the source has.
    pub flows: u16,
    pub flow: FlowId,
}

/// Does something that may wait for a disk.
async fn on_disk<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))?
}

/// [`open_log`] on a thread that may wait.
pub(super) async fn open_log_on_disk(
    config: &Arc<EngineConfig>,
    of: LogOwner,
) -> Result<Option<RelayLog>, Error> {
    let config = Arc::clone(config);
    on_disk(move || open_log(&config, &of)).await
}

/// The same log, empty.
pub(super) async fn open_empty_log(
    config: &Arc<EngineConfig>,
    of: LogOwner,
) -> Result<Option<RelayLog>, Error> {
    let config = Arc::clone(config);
    on_disk(move || {
        let mut log = open_log(&config, &of)?;
        if let Some(log) = &mut log {
            log.clear().map_err(|error| Error::Flow { flow: of.flow, error: FlowError::Relay(error) })?;
        }
        Ok(log)
    })
    .await
}

/// A relay log that holds what the target lacks is read from its start.
pub(super) async fn relay_from(
    mut log: RelayLog,
    flow: FlowId,
    config: &EngineConfig,
) -> Result<(Option<RelayLog>, Relay), Error> {
    let held = log.positions().unwrap_or_default();
    let log = on_disk(move || {
        log.seek(held.start).map_err(|error| Error::Flow { flow, error: FlowError::Relay(error) })?;
        Ok(log)
    })
    .await?;
    let held = Lsn(held.start)..Lsn(held.end);
    Ok((Some(log), Relay::resumed(held, config.limits, config.clock.now())))
}

/// The folder of a flow's log.
fn folder(config: &EngineConfig, flow: FlowId) -> Option<PathBuf> {
    let dir = config.state_dir.as_ref().filter(|_| config.relay_max_bytes > 0)?;
    Some(dir.join("relay").join(flow.to_string()))
}

/// The flow's log, if one is to be used. One of another source is of no use and is removed.
fn open_log(config: &EngineConfig, of: &LogOwner) -> Result<Option<RelayLog>, Error> {
    let Some(dir) = folder(config, of.flow) else { return Ok(None) };
    let failed = |reason: String| Error::RelayLog { path: dir.clone(), reason };
    let identity =
        Identity::new(&of.source_id, of.flow.0, of.flows).map_err(|error| failed(error.to_string()))?;
    let options = Options { max_bytes: config.relay_max_bytes, frame_bytes: MAX_FRAME, ..Options::default() };
    std::fs::create_dir_all(&dir).map_err(|error| failed(error.to_string()))?;
    let opened = once_closed(|| RelayLog::open(&dir, identity.clone(), options));
    match opened {
        Ok((log, _)) => Ok(Some(log)),
        Err(error) if error.is_content() => {
            warn!(%error, "what the relay log holds is of no use and is removed");
            std::fs::remove_dir_all(&dir).map_err(|error| failed(error.to_string()))?;
            std::fs::create_dir_all(&dir).map_err(|error| failed(error.to_string()))?;
            let reopened = RelayLog::open(&dir, identity, options);
            reopened.map(|(log, _)| Some(log)).map_err(|error| failed(error.to_string()))
        }
        Err(error) => Err(failed(error.to_string())),
    }
}

/// A session that was broken off may still be writing for a moment.
fn once_closed<T>(open: impl Fn() -> Result<T, LogError>) -> Result<T, LogError> {
    let started = Instant::now();
    loop {
        match open() {
            Err(LogError::Locked { .. }) if Instant::now() < started + CLOSING => {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}
