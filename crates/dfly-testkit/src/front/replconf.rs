//! `REPLCONF` (protocol section 1.2).

use bytes::Bytes;

use super::options::Capa;
use super::origin::Origin;
use super::state::{Ended, Outcome, Phase, Role, Session, State};

impl<O: Origin> State<O> {
    pub(super) fn replconf(&mut self, connection: usize, args: &[Bytes]) -> Outcome {
        let lower: Vec<Vec<u8>> = args.iter().map(|arg| arg.to_ascii_lowercase()).collect();
        let words: Vec<&[u8]> = lower.iter().map(Vec::as_slice).collect();
        match words.as_slice() {
            [] => Outcome::ok(),
            [b"capa", b"dragonfly"] => self.capa(connection),
            [b"client-version", number] => self.client_version(connection, number),
            [b"ack", _] => self.ack_on_control(),
            [b"client-id", _] if self.options.capa == Capa::Redis => {
                Outcome::error("ERR Unrecognized REPLCONF option: client-id")
            }
            [b"client-id", _] => Outcome::ok(),
            pairs => self.pairs(pairs),
        }
    }

    fn pairs(&self, words: &[&[u8]]) -> Outcome {
        let (pairs, rest) = words.as_chunks::<2>();
        if !rest.is_empty() {
            return Outcome::error("ERR syntax error");
        }
        for [option, value] in pairs {
            match *option {
                b"listening-port" if number(value).is_none() => return not_an_integer(),
                b"listening-port" | b"ip-address" | b"capa" => {}
                _ if self.options.capa == Capa::Old => {}
                _ => return Outcome::error("ERR syntax error"),
            }
        }
        Outcome::ok()
    }

    fn capa(&mut self, connection: usize) -> Outcome {
        match self.options.capa {
            Capa::Redis => return Outcome::ok(),
            Capa::Replica => return Outcome::error("ERR Replicating a replica is unsupported"),
            Capa::Dragonfly | Capa::FourElements | Capa::Old => {}
        }
        let session = self.sessions.len();
        let complete = self.sessions.last().is_none_or(|session| session.complete);
        if let Err(refusal) = self.origin.open(session, complete) {
            return self.refuse(refusal);
        }
        let identity = self.origin.identity();
        let sync_id = format!("SYNC{}", session + 1);
        self.sessions.push(Session {
            sync_id: sync_id.clone(),
            phase: Phase::Preparation,
            control: connection,
            flows: (0..identity.shards).map(|_| None).collect(),
            ended: None,
            complete: false,
        });
        if let Some(log) = self.connections.get_mut(connection) {
            log.role = Role::Control(Some(session));
        }
        let (id, shards) = (identity.repl_id, identity.shards);
        let head = format!("+{id}\r\n+{sync_id}\r\n:{shards}\r\n");
        Outcome::Reply(match self.options.capa {
            Capa::Old => format!("*3\r\n{head}").into_bytes(),
            Capa::FourElements => format!("*4\r\n{head}:{}\r\n", identity.version).into_bytes(),
            _ => format!("*5\r\n{head}:{}\r\n+{}\r\n", identity.version, identity.lineage_id).into_bytes(),
        })
    }

    pub(super) fn refuse(&mut self, refusal: super::Refusal) -> Outcome {
        self.violations.extend(refusal.violation);
        Outcome::error(refusal.reply)
    }

    /// A real master does not check whether the session exists, and crashes if it does not (P28).
    fn client_version(&mut self, connection: usize, text: &[u8]) -> Outcome {
        let session = match self.role(connection) {
            Role::Control(Some(session)) => self.sessions.get(session),
            Role::Control(None) | Role::Flow { .. } => None,
        };
        match (self.options.capa, session) {
            (Capa::Redis, _) => Outcome::error("ERR Unrecognized REPLCONF option: client-version"),
            (Capa::Old, _) => Outcome::ok(),
            // The master has closed this connection while the request was in flight, so nobody reads it.
            (_, Some(session)) if session.ended == Some(Ended::ByMaster) => Outcome::Crash,
            (_, Some(session)) if session.ended.is_none() => match number(text) {
                Some(_) => Outcome::ok(),
                None => not_an_integer(),
            },
            _ => {
                self.violation("P28: CLIENT-VERSION without a live session crashes a real master");
                Outcome::Crash
            }
        }
    }

    fn ack_on_control(&mut self) -> Outcome {
        self.violation("REPLCONF ACK on a connection that is not a flow");
        Outcome::Silent
    }

    /// Handles a command on a flow connection, where only ACK is allowed. Returns the bytes to insert into the stream, if
    /// any.
    pub(super) fn on_flow(&mut self, (session, flow): (usize, usize), command: &[Bytes]) -> Option<Vec<u8>> {
        let ack = match command {
            [replconf, ack, value]
                if replconf.eq_ignore_ascii_case(b"REPLCONF") && ack.eq_ignore_ascii_case(b"ACK") =>
            {
                number(value)
            }
            _ => None,
        };
        match ack {
            Some(lsn) => self.ack((session, flow), lsn),
            None => self.violation(format!("flow {flow}: {command:?} where only REPLCONF ACK is allowed")),
        }
        (self.options.capa == Capa::Old).then(|| {
            self.violation("P28: a 1.0-1.3 master writes its reply to an ACK into the data stream");
            b"+OK\r\n".to_vec()
        })
    }

    fn ack(&mut self, (session, flow): (usize, usize), lsn: u64) {
        let stable = self.sessions.get(session).is_some_and(|session| session.phase == Phase::Stable);
        let reachable = self.ever_sent(flow);
        let Some(found) = self.flow_mut(session, flow) else { return };
        let start = found.stream.start_lsn;
        let early = !stable || found.stream.token_end.is_none_or(|end| found.stream.taken < end);
        let before = found.acks.last().copied().unwrap_or(start);
        found.acks.push(lsn);
        if early {
            self.violation(format!("session {session}, flow {flow}: ACK {lsn} before stable sync"));
        } else if lsn > reachable {
            self.violation(format!(
                "P19: session {session}, flow {flow}: ACK {lsn}, only {reachable} was sent"
            ));
        } else if lsn < before {
            self.violation(format!("P19: session {session}, flow {flow}: ACK {lsn} after {before}"));
        }
    }

    /// The highest LSN that any session can have reached with a flow: a replica may hold records that it asks for once more,
    /// because it has not heard what became of them.
    fn ever_sent(&self, flow: usize) -> u64 {
        let flows = self.sessions.iter().filter_map(|session| session.flows.get(flow)?.as_ref());
        flows.map(|flow| flow.stream.reachable_lsn()).max().unwrap_or(0)
    }
}

pub(super) fn not_an_integer() -> Outcome {
    Outcome::error("ERR value is not an integer or out of range")
}

pub(super) fn number(text: &[u8]) -> Option<u64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}
