//! The state of a master: its sessions, their flows, and everything that it has received.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::time::Instant;

use bytes::Bytes;

use super::options::{Capa, MasterOptions};
use super::origin::Origin;
use super::pause::Pause;
use super::stream::FlowStream;

/// The state of a whole master, behind one lock.
pub(crate) struct State<O: Origin> {
    pub(crate) origin: O,
    pub(crate) options: MasterOptions,
    pub(crate) sessions: Vec<Session>,
    pub(super) connections: Vec<ConnectionLog>,
    pub(super) violations: Vec<String>,
    pub(super) released: bool,
    /// Slots of a node of a Dragonfly Cluster that belong to another node now.
    pub(crate) given_away: Vec<RangeInclusive<i64>>,
    pub(crate) pause: Pause,
}

/// The phase of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Preparation,
    FullSync,
    Stable,
}

/// Why a session is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The client closed one of its connections. The flows are closed; the control connection stays open.
    ByClient,
    /// The master closed everything.
    ByMaster,
}

/// One session, which `REPLCONF capa dragonfly` creates.
#[derive(Debug)]
pub(crate) struct Session {
    pub(super) sync_id: String,
    pub(crate) phase: Phase,
    pub(super) control: usize,
    pub(crate) flows: Vec<Option<Flow>>,
    pub(crate) ended: Option<Ended>,
    /// Whether everything was sent and acknowledged before it ended.
    pub(super) complete: bool,
}

/// One flow connection of a session.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(super) connection: usize,
    pub(super) partial: bool,
    pub(crate) stream: FlowStream,
    pub(super) acks: Vec<u64>,
}

/// What a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Control(Option<usize>),
    Flow { session: usize, flow: usize },
}

/// A connection and the commands that it sent.
#[derive(Debug)]
pub(super) struct ConnectionLog {
    pub(super) role: Role,
    pub(super) authenticated: bool,
    /// The selected database.
    pub(super) db: u32,
    pub(super) commands: Vec<Vec<Bytes>>,
    pub(super) transaction: Transaction,
}

/// What is stored under a key: its DUMP payload and its expiry, or why it is not told.
pub(super) type Stored = Result<Option<(Vec<u8>, i64)>, &'static str>;

/// A key that a connection watches, and what it held then.
#[derive(Debug)]
pub(super) struct Watched {
    pub(super) db: u32,
    pub(super) key: Bytes,
    pub(super) held: Stored,
}

/// The transaction of a connection.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    /// Keys that must not change until EXEC.
    pub(super) watched: Vec<Watched>,
    /// Commands that wait for EXEC, once MULTI has come.
    pub(super) queued: Option<Vec<Vec<Bytes>>>,
}

/// What a connection does with a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Reply(Vec<u8>),
    Silent,
    /// The connection is closed without a reply, as when a real master crashes.
    Crash,
    /// The reply is sent, and the connection becomes a flow.
    Flow {
        reply: Vec<u8>,
        session: usize,
        flow: usize,
    },
    /// The reply waits until every flow is in stable sync.
    StartStable {
        session: usize,
    },
}

impl Outcome {
    pub(super) fn error(text: &str) -> Self {
        Self::Reply(format!("-{text}\r\n").into_bytes())
    }

    pub(super) fn ok() -> Self {
        Self::Reply(b"+OK\r\n".to_vec())
    }
}

/// The answer to `TIME`: seconds and microseconds.
fn time(clock: fn() -> std::time::Duration) -> Outcome {
    let since_1970 = clock();
    let [seconds, micros] =
        [since_1970.as_secs(), u64::from(since_1970.subsec_micros())].map(|n| n.to_string());
    let part = |digits: &str| format!("${}\r\n{digits}\r\n", digits.len());
    Outcome::Reply(format!("*2\r\n{}{}", part(&seconds), part(&micros)).into_bytes())
}

impl<O: Origin> State<O> {
    pub(super) fn new(origin: O, options: MasterOptions) -> Self {
        let (sessions, connections, violations) = Default::default();
        let (given_away, pause) = Default::default();
        Self { origin, options, sessions, connections, violations, released: false, given_away, pause }
    }

    pub(super) fn connect(&mut self) -> usize {
        let authenticated = self.options.password.is_none();
        self.connections.push(ConnectionLog {
            role: Role::Control(None),
            authenticated,
            db: 0,
            commands: Vec::new(),
            transaction: Transaction::default(),
        });
        self.connections.len() - 1
    }

    /// Records that the client violated the protocol.
    pub(super) fn violation(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }

    pub(super) fn role(&self, connection: usize) -> Role {
        self.connections.get(connection).map_or(Role::Control(None), |log| log.role)
    }

    pub(super) fn flow_mut(&mut self, session: usize, flow: usize) -> Option<&mut Flow> {
        self.sessions.get_mut(session)?.flows.get_mut(flow)?.as_mut()
    }

    pub(super) fn flow(&self, session: usize, flow: usize) -> Option<&Flow> {
        self.sessions.get(session)?.flows.get(flow)?.as_ref()
    }

    /// Handles a command of a control connection, or of a connection that is not a flow yet.
    pub(super) fn handle(&mut self, connection: usize, command: &[Bytes]) -> Outcome {
        let name = command.first().map(|name| name.to_ascii_uppercase()).unwrap_or_default();
        let args: Vec<Bytes> = command.iter().skip(1).cloned().collect();
        let authenticated = match self.connections.get_mut(connection) {
            None => false,
            Some(log) => {
                log.commands.push(command.to_vec());
                log.authenticated
            }
        };
        match name.as_slice() {
            b"AUTH" => self.auth(connection, &args),
            _ if !authenticated => Outcome::error("NOAUTH Authentication required."),
            _ if let Some(error) = self.refusal_of(&name, &args) => Outcome::error(error),
            _ if let Some(outcome) = self.in_transaction(connection, &name, command) => outcome,
            b"PING" => Outcome::Reply(b"+PONG\r\n".to_vec()),
            b"REPLCONF" => self.replconf(connection, &args),
            b"DFLY" if self.options.capa != Capa::Redis => self.dfly(connection, &args),
            b"INFO" => Outcome::Reply(bulk(&self.info())),
            b"TIME" => self.options.clock.map_or_else(|| Outcome::error("ERR unknown command `TIME`"), time),
            b"ROLE" => Outcome::Reply(b"*2\r\n$6\r\nmaster\r\n*0\r\n".to_vec()),
            b"SELECT" | b"DUMP" | b"PEXPIRETIME" | b"PTTL" | b"EXISTS" | b"TYPE" => {
                self.keyspace(connection, &name, &args)
            }
            b"SCAN" => self.scan(connection, &args),
            b"MEMORY" => self.memory(connection, &args),
            b"CLIENT" => match self.pause.client(&args, Instant::now()) {
                Ok(()) => Outcome::ok(),
                Err(error) => Outcome::error(error),
            },
            other => Outcome::error(&format!("ERR unknown command `{}`", String::from_utf8_lossy(other))),
        }
    }

    /// The error for a command that is refused by its name, or by its name and first argument.
    fn refusal_of(&self, name: &[u8], args: &[Bytes]) -> Option<&'static str> {
        let first = args.first().map(|first| first.to_ascii_uppercase()).unwrap_or_default();
        let whole = [name, b" ", &first].concat();
        let mut refused = self.options.refused.iter().filter(|_| !self.released);
        let is_it = |refused: &str| refused.as_bytes() == name || refused.as_bytes() == whole;
        refused.find(|(refused, _)| is_it(refused)).map(|(_, error)| *error)
    }

    fn auth(&mut self, connection: usize, args: &[Bytes]) -> Outcome {
        let Some(wanted) = self.options.password.clone() else {
            return Outcome::error(
                "ERR AUTH <password> called without any password configured for the default user",
            );
        };
        let right = match args {
            [password] => *password == wanted && self.options.user.is_none(),
            [user, password] => {
                *password == wanted && *user == self.options.user.as_deref().unwrap_or("default")
            }
            _ => return Outcome::error("ERR syntax error"),
        };
        if !right {
            return Outcome::error("WRONGPASS invalid username-password pair or user is disabled.");
        }
        if let Some(log) = self.connections.get_mut(connection) {
            log.authenticated = true;
        }
        Outcome::ok()
    }

    fn info(&self) -> String {
        let identity = self.origin.identity();
        let release = self.options.release.as_ref().unwrap_or(&identity.release);
        let (server, role) = match self.options.capa {
            Capa::Redis => (String::new(), "master"),
            Capa::Replica => (format!("dragonfly_version:{release}\r\n"), "replica"),
            _ => (format!("dragonfly_version:{release}\r\n"), "master"),
        };
        let (shards, id) = (identity.shards, &identity.repl_id);
        let counts = self.origin.key_counts().map_or_else(String::new, |counts| {
            let line = |(db, keys): (&u32, &usize)| format!("db{db}:keys={keys},expires=0\r\n");
            format!("\r\n# Keyspace\r\n{}", counts.iter().map(line).collect::<String>())
        });
        format!(
            "# Server\r\nredis_version:7.4.0\r\n{server}thread_count:{shards}\r\n\r\n\
             # Replication\r\nrole:{role}\r\nconnected_slaves:0\r\nmaster_replid:{id}\r\n{counts}"
        )
    }

    /// The client closed a connection, so its session is over.
    pub(super) fn disconnected(&mut self, connection: usize) {
        let session = match self.role(connection) {
            Role::Control(session) => session,
            // This also holds for a connection that another one has replaced (protocol section 2.1).
            Role::Flow { session, .. } => Some(session),
        };
        if let Some(session) = session {
            self.end(session, Ended::ByClient);
        }
    }

    /// Ends a session, unless it is already over.
    pub(crate) fn end(&mut self, session: usize, how: Ended) {
        let complete = self.is_complete(session);
        if let Some(session) = self.sessions.get_mut(session).filter(|session| session.ended.is_none()) {
            session.complete = complete;
            session.ended = Some(how);
        }
    }

    /// Whether everything of a session has been sent and its last ACKs have arrived.
    pub(super) fn is_complete(&self, session: usize) -> bool {
        let Some(session) = self.sessions.get(session) else { return false };
        let done = |flow: &Flow| {
            let last_ack = flow.acks.last().is_some_and(|ack| *ack >= flow.stream.final_lsn());
            flow.stream.written == flow.stream.len() && last_ack
        };
        session.phase == Phase::Stable && session.flows.iter().all(|flow| flow.as_ref().is_some_and(done))
    }

    /// Whether everything of a session has been written to its sockets.
    pub(super) fn is_sent(&self, session: usize) -> bool {
        let sent = |flow: &Flow| flow.stream.written == flow.stream.len();
        self.sessions.get(session).is_some_and(|session| {
            session.phase == Phase::Stable && session.flows.iter().all(|flow| flow.as_ref().is_some_and(sent))
        })
    }

    /// The control connections of sessions that the master has closed.
    pub(super) fn closed_controls(&self) -> BTreeSet<usize> {
        let closed = self.sessions.iter().filter(|session| session.ended == Some(Ended::ByMaster));
        closed.map(|session| session.control).collect()
    }
}

/// `text` as a bulk string.
pub(super) fn bulk(text: &str) -> Vec<u8> {
    format!("${}\r\n{text}\r\n", text.len()).into_bytes()
}
