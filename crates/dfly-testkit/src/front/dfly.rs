//! `DFLY FLOW`, `SYNC`, `STARTSTABLE` and `REPLICAOFFSET` (protocol section 2).

use bytes::Bytes;

use super::origin::{FlowAsk, Origin, PartialForm};
use super::replconf::{not_an_integer, number};
use super::state::{Ended, Flow, Outcome, Phase, Role, State};
use super::stream::FlowStream;

const INVALID_STATE: &str = "ERR invalid state";

impl<O: Origin> State<O> {
    pub(super) fn dfly(&mut self, connection: usize, args: &[Bytes]) -> Outcome {
        let Some((subcommand, rest)) = args.split_first() else {
            return Outcome::error("ERR wrong number of arguments for 'dfly' command");
        };
        match (subcommand.to_ascii_uppercase().as_slice(), rest) {
            (b"FLOW", rest) => self.dfly_flow(connection, rest),
            (b"SYNC", [sync_id]) => self.sync(sync_id),
            (b"STARTSTABLE", [sync_id]) => self.start_stable(sync_id),
            (b"REPLICAOFFSET", []) => {
                let lsns = self.origin.lsns();
                let numbers: String = lsns.iter().map(|lsn| format!(":{lsn}\r\n")).collect();
                Outcome::Reply(format!("*{}\r\n{numbers}", lsns.len()).into_bytes())
            }
            _ => Outcome::error("ERR syntax error"),
        }
    }

    fn dfly_flow(&mut self, connection: usize, args: &[Bytes]) -> Outcome {
        if self.options.loading {
            return Outcome::error("LOADING Dragonfly is loading the dataset in memory");
        }
        let ([master, sync_id, flow] | [master, sync_id, flow, _] | [master, sync_id, flow, _, _]) = args
        else {
            return Outcome::error("ERR syntax error");
        };
        let identity = self.origin.identity();
        if *master != identity.repl_id {
            return Outcome::error("ERR bad master id");
        }
        let Some(flow) = number(flow).and_then(|n| usize::try_from(n).ok()).filter(|n| *n < identity.shards)
        else {
            return not_an_integer();
        };
        let session = match self.session_of(sync_id) {
            Ok(session) => session,
            Err(outcome) => return outcome,
        };
        match self.phase_of(session) {
            Some(Phase::Preparation) => {}
            _ => return Outcome::error(INVALID_STATE),
        }
        match ask(FlowAsk { session, flow, lsn: None, last_master: None }, args, identity.shards) {
            Ok(ask) => self.grant(connection, &ask),
            Err(outcome) => outcome,
        }
    }

    fn grant(&mut self, connection: usize, ask: &FlowAsk) -> Outcome {
        let granted = match self.origin.flow(ask) {
            Ok(granted) => granted,
            Err(refusal) => return self.refuse(refusal),
        };
        let (session, flow) = (ask.session, ask.flow);
        let mangle = self.options.mangle.clone().filter(|m| (m.session, m.flow) == (session, flow));
        let stream = FlowStream::new(mangle);
        let made = Flow { connection, partial: granted.partial, stream, acks: Vec::new() };
        if let Some(slot) = self.sessions.get_mut(session).and_then(|session| session.flows.get_mut(flow)) {
            *slot = Some(made);
        }
        if let Some(log) = self.connections.get_mut(connection) {
            log.role = Role::Flow { session, flow };
        }
        let kind = if granted.partial { "PARTIAL" } else { "FULL" };
        let reply = format!("*2\r\n+{kind}\r\n+{}\r\n", granted.token).into_bytes();
        Outcome::Flow { reply, session, flow }
    }

    fn session_of(&self, sync_id: &Bytes) -> Result<usize, Outcome> {
        if number(sync_id.strip_prefix(b"SYNC").unwrap_or_default()).is_none() {
            return Err(Outcome::error("ERR bad sync id"));
        }
        let live = self.sessions.iter().position(|s| *sync_id == s.sync_id && s.ended.is_none());
        live.ok_or_else(|| Outcome::error("ERR syncid not found"))
    }

    fn phase_of(&self, session: usize) -> Option<Phase> {
        self.sessions.get(session).map(|session| session.phase)
    }

    fn kinds(&self, session: usize) -> Option<Vec<bool>> {
        self.sessions.get(session)?.flows.iter().map(|flow| flow.as_ref().map(|flow| flow.partial)).collect()
    }

    fn sync(&mut self, sync_id: &Bytes) -> Outcome {
        let session = match self.session_of(sync_id) {
            Ok(session) => session,
            Err(outcome) => return outcome,
        };
        let form = self.origin.identity().partial_form;
        match (self.phase_of(session), self.kinds(session)) {
            (Some(Phase::Preparation), Some(kinds)) if allowed(&kinds, form) => {}
            _ => return Outcome::error(INVALID_STATE),
        }
        for flow in 0..self.origin.identity().shards {
            let part = self.origin.first(session, flow);
            match (part, self.flow_mut(session, flow)) {
                (Some(part), Some(flow)) => flow.stream.begin(&part),
                _ => self.end(session, Ended::ByMaster),
            }
        }
        self.set_phase(session, Phase::FullSync);
        Outcome::ok()
    }

    fn start_stable(&mut self, sync_id: &Bytes) -> Outcome {
        let session = match self.session_of(sync_id) {
            Ok(session) => session,
            Err(outcome) => return outcome,
        };
        let form = self.origin.identity().partial_form;
        match (self.phase_of(session), self.kinds(session)) {
            (Some(Phase::FullSync), Some(_)) => {
                self.check_fullsync_end(session);
                Outcome::StartStable { session }
            }
            (Some(Phase::Preparation), Some(kinds)) if !kinds.contains(&false) => match form {
                PartialForm::StartStable => Outcome::StartStable { session },
                PartialForm::Sync => Outcome::error(INVALID_STATE),
            },
            (Some(Phase::Preparation), _) => {
                self.violation(
                    "STARTSTABLE before SYNC while a flow is FULL or missing crashes a real master",
                );
                Outcome::Crash
            }
            _ => Outcome::error(INVALID_STATE),
        }
    }

    /// P20: STARTSTABLE blocks the whole source, so a client may send it only after FULLSYNC_END on every flow.
    fn check_fullsync_end(&mut self, session: usize) {
        let unseen = |flow: &Flow| flow.stream.taken < flow.stream.fullsync_end;
        let flows = self.sessions.get(session).map(|session| session.flows.as_slice()).unwrap_or_default();
        let early: Vec<usize> =
            (0..).zip(flows).filter(|(_, f)| f.as_ref().is_some_and(unseen)).map(|(i, _)| i).collect();
        if !early.is_empty() {
            self.violation(format!("P20: STARTSTABLE before FULLSYNC_END of flows {early:?}"));
        }
    }

    pub(super) fn set_phase(&mut self, session: usize, phase: Phase) {
        if let Some(session) = self.sessions.get_mut(session) {
            session.phase = phase;
        }
    }

    /// Whether every flow's first part has been written to its socket. `None` if the session is over.
    pub(super) fn first_parts_sent(&self, session: usize) -> Option<bool> {
        let session = self.sessions.get(session).filter(|session| session.ended.is_none())?;
        let sent = |flow: &Flow| flow.stream.written >= flow.stream.first_len;
        Some(session.flows.iter().all(|flow| flow.as_ref().is_some_and(sent)))
    }

    /// Whether every flow's token has been written to its socket. `None` if the session is over.
    pub(super) fn tokens_sent(&self, session: usize) -> Option<bool> {
        let session = self.sessions.get(session).filter(|session| session.ended.is_none())?;
        let sent = |flow: &Flow| flow.stream.token_end.is_some_and(|end| flow.stream.written >= end);
        Some(session.flows.iter().all(|flow| flow.as_ref().is_some_and(sent)))
    }

    /// Adds every flow's second part. From then on, the journal may be sent.
    pub(super) fn go_stable(&mut self, session: usize) {
        for flow in 0..self.origin.identity().shards {
            let part = self.origin.second(session, flow);
            match (part, self.flow_mut(session, flow)) {
                (Some(part), Some(flow)) => flow.stream.go_stable(&part),
                _ => self.end(session, Ended::ByMaster),
            }
        }
        self.set_phase(session, Phase::Stable);
    }
}

/// Whether SYNC is allowed: the flows must be all FULL, or all PARTIAL on a master that uses SYNC for partial flows.
fn allowed(partial: &[bool], form: PartialForm) -> bool {
    !partial.contains(&true) || (form == PartialForm::Sync && !partial.contains(&false))
}

fn ask(plain: FlowAsk, args: &[Bytes], shards: usize) -> Result<FlowAsk, Outcome> {
    match args {
        [_, _, _, lsn] => {
            let lsn = number(lsn).ok_or_else(not_an_integer)?;
            Ok(FlowAsk { lsn: Some(lsn), ..plain })
        }
        [_, _, _, id, vector] => {
            let lsns = vector.split(|b| *b == b'-').map(number).collect::<Option<Vec<u64>>>();
            let lsns = lsns.ok_or_else(not_an_integer)?;
            let id = String::from_utf8_lossy(id).into_owned();
            match lsns.len() == shards {
                true => Ok(FlowAsk { last_master: Some((id, lsns)), ..plain }),
                false => Err(Outcome::error("ERR syntax error")),
            }
        }
        _ => Ok(plain),
    }
}
