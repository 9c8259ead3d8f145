//! What a session resumes from: the target's positions, what the relay log adds to them, and whether they are of this
//! master, or of the one that it was promoted from.

use dfly_client::driver::ControlConn;
use dfly_client::{Claim, FlowId, NoClaim, Release, ReplicationId, Resume, Session};
use dfly_journal::Lsn;
use redis_resp::Reply;
use relay_log::{Identity, Options, RelayLog};
use tracing::{info, warn};

use crate::checkpoint::{Checkpoint, Position};
use crate::config::EngineConfig;
use crate::error::{Error, FlowError};
use crate::flow::folder;
use crate::target::TargetConnection;

/// The largest frame of the relay log: one record of any size, and a little more.
const MAX_FRAME: u32 = 1 << 30;

/// Positions that the session's master may resume from.
#[derive(Debug)]
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
    pub(super) fn find(at: &Checkpoint, (release, session): (&str, &Session)) -> Result<Self, Error> {
        let takes = || Release::from_info(release).is_some_and(Release::takes_last_master);
        let last_master = match session.claim(&at.source_id, at.flows.len()) {
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

    /// Why they are of no use if the master refuses them, unless they are its own.
    pub(super) fn of_another(&self, session: &Session) -> Option<Error> {
        self.last_master.as_ref().map(|_| other_source(&self.at, session, NoClaim::Refused))
    }

    /// Opens each flow's relay log, and adds what it holds.
    pub(super) fn with_logs(&self, config: &EngineConfig) -> Result<Vec<Resumed>, Error> {
        self.at.flows.keys().map(|flow| self.resumed(config, *flow)).collect()
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
        let position =
            self.at.flows.get(&id).copied().unwrap_or(Position { transaction: 0, next: Lsn::default() });
        let flows = u16::try_from(self.at.flows.len()).unwrap_or(u16::MAX);
        // The log of another master belongs to the positions that were reached with it.
        let mut log = open_log(config, (&self.at.source_id, flows), id)?;
        let held = log.as_ref().and_then(RelayLog::positions);
        let ask = match held.filter(|held| held.start <= position.next.0 && position.next.0 < held.end) {
            Some(held) => {
                info!(
                    flow = id.0,
                    records = held.end - position.next.0,
                    "a run before has left a part of the journal on disk"
                );
                Lsn(held.end)
            }
            None => {
                // What it holds is older than the target, or does not reach back to it.
                if let Some(log) = &mut log {
                    log.clear().map_err(|error| Error::Flow { flow: id, error: FlowError::Relay(error) })?;
                }
                position.next
            }
        };
        Ok(Resumed { position, log, ask })
    }

    /// The source has agreed to resume. If it is the successor of the one that the positions were reached with, they are
    /// made its own, before any flow writes: each transaction is guarded by the source's id, so from here on nothing of an
    /// older process takes effect, and what is killed behind this point finds positions of the new master.
    pub(super) async fn take_over(
        &self,
        config: &EngineConfig,
        target: &mut TargetConnection,
        (session, flows): (&Session, &mut [Resumed]),
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
            if resumed.ask == position.next {
                // What is written from here on is the new master's.
                resumed.log = None;
                resumed.log = open_log(config, (&source_id, session.flows), *flow)?;
            }
        }
        Ok(())
    }
}

fn other_source(at: &Checkpoint, session: &Session, why: NoClaim) -> Error {
    let side = |id: &str, flows: usize| format!("{id} with {flows} shards");
    let was = side(&at.source_id, at.flows.len());
    let is = side(&session.replication_id.to_string(), usize::from(session.flows));
    Error::OtherSource { why, was, is }
}

/// What the master calls its release. A user that may not ask gets nothing for an answer.
pub(super) async fn release(control: &mut ControlConn) -> Result<String, Error> {
    let Reply::Bulk(text) = control.ask(&vec![b"INFO".to_vec(), b"server".to_vec()]).await? else {
        return Ok(String::new());
    };
    let text = String::from_utf8_lossy(&text);
    let named = text.lines().find_map(|line| line.strip_prefix("dragonfly_version:"));
    Ok(named.unwrap_or_default().trim().to_owned())
}

/// The flow's log, if one is to be used. One of another source is of no use and is removed.
pub(super) fn open_log(
    config: &EngineConfig,
    (source_id, flows): (&str, u16),
    id: FlowId,
) -> Result<Option<RelayLog>, Error> {
    let Some(dir) = folder(config, id) else { return Ok(None) };
    let failed = |error: String| Error::Internal(format!("the relay log in {}: {error}", dir.display()));
    let identity = Identity::new(source_id, id.0, flows).map_err(|error| failed(error.to_string()))?;
    let options = Options { max_bytes: config.relay_max_bytes, frame_bytes: MAX_FRAME, ..Options::default() };
    std::fs::create_dir_all(&dir).map_err(|error| failed(error.to_string()))?;
    match RelayLog::open(&dir, identity.clone(), options) {
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
