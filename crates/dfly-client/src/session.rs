//! A replication session, and the plan that its flows' answers lead to.

use std::fmt;

use redis_resp::Reply;

use crate::answer::accepted;
use crate::error::{HandshakeError, Stage};
use crate::flow::{FlowStart, SyncKind};
use crate::{Request, request};

/// A master's replication id: 40 hexadecimal characters, new at each start of its process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ReplicationId(pub(crate) String);

impl ReplicationId {
    /// The id, if `text` has the form of one.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == 40 && text.bytes().all(|b| b.is_ascii_hexdigit())).then(|| Self(text.to_owned()))
    }
}

impl fmt::Display for ReplicationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The number that a master announces: the ordinal of a C++ enum whose first member was removed in v1.22, so 4 is
/// v1.16 to v1.21 or v1.30 to v1.36 (protocol section 1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MasterVersion(pub u32);

/// What the control connection agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The master's replication id.
    pub replication_id: ReplicationId,
    /// The id of this session, `SYNC<k>`.
    pub sync_id: String,
    /// How many flows the master has, one a shard.
    pub flows: u16,
    /// What the master announces.
    pub version: MasterVersion,
    /// The id of the root master of a cascade (v1.40 and later).
    pub lineage: Option<ReplicationId>,
}

/// What the flows' answers come to. All are full or all are partial (invariant I5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Plan {
    /// Every flow starts with a snapshot.
    Full(FullPlan),
    /// Every flow goes on from its position.
    Partial(PartialPlan),
}

/// `DFLY SYNC` first, and only its success gives what `DFLY STARTSTABLE` needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FullPlan {
    sync_id: String,
}

/// Partial synchronisation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartialPlan {
    sync_id: String,
}

/// The right to ask for the stable stream. Exists only after a successful `DFLY SYNC`, or when every flow is partial:
/// a master from v1.35 on crashes when it is asked in any other state (protocol section 2.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartStable {
    sync_id: String,
}

impl Session {
    /// Decides how to go on from the answers of all flows.
    ///
    /// # Errors
    /// [`HandshakeError::Mixed`] if they differ, or if there are not as many as flows.
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
    /// `DFLY SYNC`. Every flow must be read by then: bytes come before the reply does.
    pub fn sync_request(&self) -> Request {
        request(&["DFLY", "SYNC", &self.sync_id])
    }

    /// Takes the reply to [`Self::sync_request`].
    ///
    /// # Errors
    /// [`HandshakeError`] when the master refuses.
    pub fn on_sync_reply(self, reply: &Reply) -> Result<StartStable, HandshakeError> {
        accepted(Stage::Sync, reply)?;
        Ok(StartStable { sync_id: self.sync_id })
    }
}

impl PartialPlan {
    /// `DFLY STARTSTABLE`, which tells by its reply how the master goes on: its version number does not (protocol
    /// section 6.2).
    pub fn request(&self) -> Request {
        StartStable { sync_id: self.sync_id.clone() }.request()
    }

    /// Takes the reply to [`Self::request`].
    ///
    /// # Errors
    /// [`HandshakeError`] when the master refuses.
    pub fn on_reply(self, reply: &Reply) -> Result<PartialStart, HandshakeError> {
        match reply {
            Reply::Error(error) if error.line.ends_with("invalid state") => {
                Ok(PartialStart::Snapshot(FullPlan { sync_id: self.sync_id }))
            }
            other => accepted(Stage::StartStable, other).map(|()| PartialStart::Journal),
        }
    }
}

/// In which form a partial session's records come (protocol section 6.2, flows A and B).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartialStart {
    /// The journal, from the position that was asked for (flow B, v1.35 and later).
    Journal,
    /// After `DFLY SYNC`, the form of a snapshot that holds journal blobs alone, of which the first is the record that was
    /// asked for; the journal follows it (flow A, up to v1.34).
    Snapshot(FullPlan),
}

impl StartStable {
    /// `DFLY STARTSTABLE`. After a snapshot it is sent only when every flow has shown `FULLSYNC_END` (P20).
    pub fn request(&self) -> Request {
        request(&["DFLY", "STARTSTABLE", &self.sync_id])
    }

    /// Takes the reply to [`Self::request`].
    ///
    /// # Errors
    /// [`HandshakeError`] when the master refuses.
    pub fn on_reply(&self, reply: &Reply) -> Result<(), HandshakeError> {
        accepted(Stage::StartStable, reply)
    }
}
