//! A replication session, and the plan that results from the replies of its flows.

use std::time::Duration;

use std::fmt;

use redis_resp::Reply;

use crate::answer::accepted;
use crate::error::{HandshakeError, Stage};
use crate::flow_start::{FlowStart, SyncKind};
use crate::{Request, request};

/// A master's replication id: 40 hexadecimal characters, new at each start of the process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReplicationId(pub(crate) String);

impl ReplicationId {
    /// Parses an id.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for ReplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The version number that a master announces: the ordinal of a C++ enum whose first member was removed in v1.22. So 4
/// means v1.16 to v1.21 or v1.30 to v1.36 (protocol section 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MasterVersion(pub u32);

/// The result of the handshake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The master's replication id.
    pub replication_id: ReplicationId,
    /// The id of this session, `SYNC<k>`.
    pub sync_id: String,
    /// The number of flows, one per shard.
    pub flows: u16,
    /// The version that the master announces.
    pub version: MasterVersion,
    /// The id of the root master of a replication chain (v1.40 and later).
    pub lineage: Option<ReplicationId>,
}

/// How a session continues after all flows are opened. All flows are full or all are partial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Every flow starts with a snapshot.
    Full(FullPlan),
    /// Every flow resumes at its position.
    Partial(PartialPlan),
}

/// A full synchronisation. It starts with `DFLY SYNC`, whose success gives the [`StartStable`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullPlan {
    sync_id: String,
}

/// A partial synchronisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialPlan {
    sync_id: String,
}

/// The request for the stable stream. It exists only after a successful `DFLY SYNC`, or if every flow is partial: in any
/// other state, `DFLY STARTSTABLE` crashes a master since v1.35 (protocol section 2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartStable {
    sync_id: String,
}

impl Session {
    /// The request that takes the source over: it takes no writes from then on, waits up to `within` (whole seconds, one at the
    /// least) until every flow has acknowledged its last record, and shuts down. Only in stable sync (protocol section 2.7).
    pub fn take_over(&self, within: Duration) -> Request {
        let seconds = within.as_secs().max(1).to_string();
        request(&["DFLY", "TAKEOVER", &seconds, &self.sync_id])
    }

    /// The plan for the replies of all flows.
    ///
    /// # Errors
    /// [`HandshakeError::Mixed`] if the replies differ in kind, or their number is not the number of flows.
    pub fn plan(&self, starts: &[FlowStart]) -> Result<Plan, HandshakeError> {
        let full = starts.iter().filter(|start| start.kind == SyncKind::Full).count();
        let sync_id = self.sync_id.clone();
        match full {
            _ if starts.len() != usize::from(self.flows) => Err(HandshakeError::Mixed),
            0 => Ok(Plan::Partial(PartialPlan { sync_id })),
            n if n == starts.len() => Ok(Plan::Full(FullPlan { sync_id })),
            _ => Err(HandshakeError::Mixed),
        }
    }
}

impl FullPlan {
    /// `DFLY SYNC`. Every flow must be read from now on: its bytes arrive before the reply.
    pub fn sync_request(&self) -> Request {
        request(&["DFLY", "SYNC", &self.sync_id])
    }

    /// Parses the reply to [`Self::sync_request`].
    ///
    /// # Errors
    /// [`HandshakeError`] if the master refuses.
    pub fn on_sync_reply(self, reply: &Reply) -> Result<StartStable, HandshakeError> {
        accepted(Stage::Sync, reply)?;
        Ok(StartStable { sync_id: self.sync_id })
    }
}

impl PartialPlan {
    /// `DFLY STARTSTABLE`. The reply decides the form of the records, because the version number of the master does not
    /// (protocol section 6.2).
    pub fn request(&self) -> Request {
        StartStable { sync_id: self.sync_id.clone() }.request()
    }

    /// Parses the reply to [`Self::request`].
    ///
    /// # Errors
    /// [`HandshakeError`] if the master refuses.
    pub fn on_reply(self, reply: &Reply) -> Result<PartialStart, HandshakeError> {
        match reply {
            Reply::Error(error) if error.line.ends_with("invalid state") => {
                Ok(PartialStart::Snapshot(FullPlan { sync_id: self.sync_id }))
            }
            other => accepted(Stage::StartStable, other).map(|()| PartialStart::Journal),
        }
    }
}

/// The form in which a partial session receives its records (protocol section 6.2, flows A and B).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartialStart {
    /// The journal, from the requested position on (flow B, v1.35 and later).
    Journal,
    /// A snapshot, after `DFLY SYNC`, that contains only journal blobs and begins with the requested record. The journal
    /// follows it (flow A, up to v1.34).
    Snapshot(FullPlan),
}

impl StartStable {
    /// `DFLY STARTSTABLE`. After a snapshot, send it only when every flow has received `FULLSYNC_END`.
    pub fn request(&self) -> Request {
        request(&["DFLY", "STARTSTABLE", &self.sync_id])
    }

    /// Parses the reply to [`Self::request`].
    ///
    /// # Errors
    /// [`HandshakeError`] if the master refuses.
    pub fn on_reply(&self, reply: &Reply) -> Result<(), HandshakeError> {
        accepted(Stage::StartStable, reply)
    }
}
