//! Flows: one connection per shard of the master (protocol sections 1.4 and 2.1).

use std::fmt;

use dfly_journal::Lsn;
use redis_resp::Reply;

use crate::answer::{accepted, text};
use crate::error::{HandshakeError, Stage};
use crate::flow_start::{FlowStart, SyncKind};
use crate::session::{ReplicationId, Session};
use crate::{Request, request};

/// The number of a flow, which is the number of a shard of the master.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FlowId(pub u16);

impl fmt::Display for FlowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a flow resumes. All flows of a session resume in the same way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resume {
    /// Nowhere: a full synchronisation.
    Nothing,
    /// At this position of the same master process.
    Position(Lsn),
    /// At the positions, one per flow, that were reached with the master that this one was promoted from (v1.30 and later).
    LastMaster(ReplicationId, Vec<Lsn>),
}

/// `DFLY FLOW` for one flow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowRequest<'a> {
    /// The session that the flow belongs to.
    pub session: &'a Session,
    /// Which flow.
    pub flow: FlowId,
    /// Where it resumes.
    pub resume: &'a Resume,
}

impl FlowRequest<'_> {
    /// The request, to be sent on the connection of the flow.
    pub fn request(&self) -> Request {
        let flow = self.flow.to_string();
        let id = self.session.replication_id.to_string();
        let mut out = request(&["DFLY", "FLOW", &id, &self.session.sync_id, &flow]);
        match self.resume {
            Resume::Nothing => {}
            Resume::Position(lsn) => out.push(lsn.to_string().into_bytes()),
            Resume::LastMaster(master, lsns) => {
                out.push(master.to_string().into_bytes());
                let lsns: Vec<String> = lsns.iter().map(Lsn::to_string).collect();
                out.push(lsns.join("-").into_bytes());
            }
        }
        out
    }

    /// Parses the reply.
    ///
    /// # Errors
    /// [`HandshakeError`] if the master refuses, or the reply is malformed.
    pub fn on_reply(&self, reply: &Reply) -> Result<FlowStart, HandshakeError> {
        let Reply::Array(elements) = reply else {
            return Err(match accepted(Stage::Flow, reply) {
                Err(error) => error,
                Ok(()) => HandshakeError::unexpected(Stage::Flow, reply),
            });
        };
        let resumable = *self.resume != Resume::Nothing;
        let fits = |start: &FlowStart| resumable || start.kind == SyncKind::Full;
        start(elements).filter(fits).ok_or_else(|| HandshakeError::unexpected(Stage::Flow, reply))
    }
}

fn start(elements: &[Reply]) -> Option<FlowStart> {
    let [kind, token] = elements else { return None };
    let kind = match text(kind)? {
        "FULL" => SyncKind::Full,
        "PARTIAL" => SyncKind::Partial,
        _ => return None,
    };
    Some(FlowStart { kind, token: text(token)?.as_bytes().try_into().ok()? })
}

#[cfg(test)]
mod tests {
    use redis_resp::ServerError;

    use super::*;
    use crate::session::{MasterVersion, PartialStart, Plan};

    fn session(flows: u16) -> Session {
        let replication_id = ReplicationId::parse(&"b".repeat(40)).unwrap();
        Session { replication_id, sync_id: "SYNC2".into(), flows, version: MasterVersion(5), lineage: None }
    }

    fn reply(kind: &str) -> Reply {
        Reply::Array(vec![Reply::Simple(kind.into()), Reply::Simple("c".repeat(40))])
    }

    #[test]
    fn the_three_forms() {
        let (session, id) = (session(2), "b".repeat(40));
        let old = ReplicationId::parse(&"d".repeat(40)).unwrap();
        for (resume, tail) in [
            (Resume::Nothing, String::new()),
            (Resume::Position(Lsn(134)), " 134".into()),
            (Resume::LastMaster(old, vec![Lsn(7), Lsn(8)]), format!(" {} 7-8", "d".repeat(40))),
        ] {
            let request = FlowRequest { session: &session, flow: FlowId(1), resume: &resume }.request();
            let line = request.iter().map(|w| String::from_utf8_lossy(w)).collect::<Vec<_>>().join(" ");
            assert_eq!(line, format!("DFLY FLOW {id} SYNC2 1{tail}"));
        }
    }

    #[test]
    fn answers() {
        let session = session(1);
        let flow = FlowRequest { session: &session, flow: FlowId(0), resume: &Resume::Nothing };
        assert_eq!(flow.on_reply(&reply("FULL")).unwrap().kind, SyncKind::Full);
        let unasked = flow.on_reply(&reply("PARTIAL"));
        assert!(matches!(unasked, Err(HandshakeError::Unexpected { .. })), "no position was asked for");
        assert!(matches!(flow.on_reply(&reply("HALF")), Err(HandshakeError::Unexpected { .. })));
        let lost = Reply::Error(ServerError::parse(b"ERR syncid not found"));
        assert!(matches!(flow.on_reply(&lost), Err(HandshakeError::SessionLost { stage: Stage::Flow, .. })));
        let loading = Reply::Error(ServerError::parse(b"LOADING Dragonfly is loading the dataset in memory"));
        assert_eq!(flow.on_reply(&loading), Err(HandshakeError::Loading));
    }

    /// I5: all flows are full or all are partial.
    #[test]
    fn plans() {
        let session = session(2);
        let start = |kind| FlowStart { kind, token: [b'c'; 40] };
        let (full, partial) = (start(SyncKind::Full), start(SyncKind::Partial));
        assert!(matches!(session.plan(&[full.clone(), full.clone()]), Ok(Plan::Full(_))));
        assert!(matches!(session.plan(&[partial.clone(), partial.clone()]), Ok(Plan::Partial(_))));
        assert_eq!(session.plan(&[full.clone(), partial]), Err(HandshakeError::Mixed));
        assert_eq!(session.plan(&[full]), Err(HandshakeError::Mixed));
    }

    /// Protocol section 6.2: flow B on `+OK`, flow A on `invalid state`, and nothing on any other refusal.
    #[test]
    fn a_partial_session_in_both_forms() {
        let session = session(1);
        let start = FlowStart { kind: SyncKind::Partial, token: [b'c'; 40] };
        let Ok(Plan::Partial(plan)) = session.plan(&[start]) else { panic!("all flows are partial") };
        assert_eq!(plan.request(), request(&["DFLY", "STARTSTABLE", "SYNC2"]));
        let error = |line: &str| Reply::Error(ServerError::parse(line.as_bytes()));
        assert_eq!(plan.clone().on_reply(&Reply::Simple("OK".into())), Ok(PartialStart::Journal));
        let lost = plan.clone().on_reply(&error("ERR syncid not found"));
        assert!(matches!(lost, Err(HandshakeError::SessionLost { stage: Stage::StartStable, .. })));
        assert!(plan.clone().on_reply(&Reply::Nil).is_err());
        let Ok(PartialStart::Snapshot(plan)) = plan.on_reply(&error("ERR invalid state")) else {
            panic!("flow A")
        };
        assert_eq!(plan.sync_request(), request(&["DFLY", "SYNC", "SYNC2"]));
        let stable = plan.on_sync_reply(&Reply::Simple("OK".into())).unwrap();
        assert_eq!(stable.request(), request(&["DFLY", "STARTSTABLE", "SYNC2"]));
    }
}
