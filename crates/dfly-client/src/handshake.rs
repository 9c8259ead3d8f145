//! The requests of the control connection, in order (protocol section 1.2).

use std::fmt;

use redis_resp::{ErrorCode, Reply};

use crate::answer::{accepted, text};
use crate::error::{HandshakeError, Stage};
use crate::session::{MasterVersion, ReplicationId, Session};
use crate::{Request, request};

/// The version that is announced to the master. It enables LSN markers on every release since v1.16, and is below the
/// version that enables search opcodes, whose layout changed without a new version (protocol section 1.3).
const CLIENT_VERSION: &str = "4";

/// The largest number of flows that a master may announce. The native replica has the same limit.
const MAX_FLOWS: i64 = 1024;

/// How the replica introduces itself to the master.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    /// `AUTH [user] password`, if the master requires a login.
    pub login: Option<Request>,
    /// The port that the master shows for this replica in `INFO replication`.
    pub announce_port: u16,
    /// The id of the replica: 40 hexadecimal characters, unique.
    pub replica_id: String,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let login = self.login.as_ref().map(|_secret| "***");
        f.debug_struct("Identity").field("login", &login).field("replica_id", &self.replica_id).finish()
    }
}

/// The handshake of the control connection. `CLIENT-VERSION` exists only in a state with a session, because it crashes a
/// master without one.
#[derive(Debug, Clone)]
pub struct Handshake {
    identity: Identity,
    expect: Expect,
}

#[derive(Debug, Clone)]
enum Expect {
    Auth,
    Ping,
    ListeningPort,
    CapaEof,
    CapaDragonfly,
    ClientId(Session),
    ClientVersion(Session),
}

/// The result of a reply.
#[derive(Debug)]
pub enum Progress {
    /// The handshake continues with [`Handshake::request`] of this.
    Continue(Handshake),
    /// The session is established. Flows can be opened.
    Done(Session),
}

impl Handshake {
    /// A handshake that starts with `AUTH` if there is a login, otherwise with `PING`.
    pub fn new(identity: Identity) -> Self {
        let expect = if identity.login.is_some() { Expect::Auth } else { Expect::Ping };
        Self { identity, expect }
    }

    /// The next request.
    pub fn request(&self) -> Request {
        match &self.expect {
            Expect::Auth => self.identity.login.clone().unwrap_or_default(),
            Expect::Ping => request(&["PING"]),
            Expect::ListeningPort => {
                request(&["REPLCONF", "listening-port", &self.identity.announce_port.to_string()])
            }
            Expect::CapaEof => request(&["REPLCONF", "capa", "eof", "capa", "psync2"]),
            Expect::CapaDragonfly => request(&["REPLCONF", "capa", "dragonfly"]),
            Expect::ClientId(_) => request(&["REPLCONF", "CLIENT-ID", &self.identity.replica_id]),
            Expect::ClientVersion(_) => request(&["REPLCONF", "CLIENT-VERSION", CLIENT_VERSION]),
        }
    }

    /// Parses the reply to the last request.
    ///
    /// # Errors
    /// [`HandshakeError`] if no session can be established.
    pub fn on_reply(self, reply: Reply) -> Result<Progress, HandshakeError> {
        let next = match self.expect {
            Expect::Auth => {
                login(&reply)?;
                Expect::Ping
            }
            Expect::Ping => {
                pong(&reply)?;
                Expect::ListeningPort
            }
            Expect::ListeningPort => {
                accepted(Stage::Replconf, &reply)?;
                Expect::CapaEof
            }
            Expect::CapaEof => {
                accepted(Stage::Replconf, &reply)?;
                Expect::CapaDragonfly
            }
            Expect::CapaDragonfly => Expect::ClientId(session(reply)?),
            // CLIENT-ID is informative, and masters before v1.11 do not know it, so an error reply is ignored.
            Expect::ClientId(session) => Expect::ClientVersion(session),
            Expect::ClientVersion(session) => {
                accepted(Stage::Client, &reply)?;
                return Ok(Progress::Done(session));
            }
        };
        Ok(Progress::Continue(Self { identity: self.identity, expect: next }))
    }
}

pub(crate) fn login(reply: &Reply) -> Result<(), HandshakeError> {
    match reply {
        Reply::Error(error) => Err(HandshakeError::Login(error.clone())),
        other => accepted(Stage::Auth, other),
    }
}

fn pong(reply: &Reply) -> Result<(), HandshakeError> {
    match reply {
        Reply::Simple(text) if text == "PONG" => Ok(()),
        other => accepted(Stage::Ping, other),
    }
}

fn session(reply: Reply) -> Result<Session, HandshakeError> {
    match reply {
        Reply::Simple(ok) if ok == "OK" => Err(HandshakeError::NotDragonfly),
        Reply::Error(error) if error.line.contains("Replicating a replica") => {
            accepted(Stage::Capa, &Reply::Error(error)).and(Err(HandshakeError::NotDragonfly))
        }
        Reply::Error(error) if error.code == ErrorCode::Generic => Err(HandshakeError::NotDragonfly),
        Reply::Array(elements) if elements.len() < 4 => {
            Err(HandshakeError::TooOld { elements: elements.len() })
        }
        Reply::Array(elements) => from_elements(&elements)
            .ok_or_else(|| HandshakeError::unexpected(Stage::Capa, &Reply::Array(elements))),
        other => match accepted(Stage::Capa, &other) {
            Err(error) => Err(error),
            Ok(()) => Err(HandshakeError::NotDragonfly),
        },
    }
}

fn from_elements(elements: &[Reply]) -> Option<Session> {
    let [id, sync_id, Reply::Integer(flows), Reply::Integer(version), rest @ ..] = elements else {
        return None;
    };
    let sync_id = text(sync_id)?.to_owned();
    sync_id.strip_prefix("SYNC")?.parse::<u64>().ok()?;
    Some(Session {
        replication_id: ReplicationId::parse(text(id)?)?,
        sync_id,
        flows: u16::try_from(*flows).ok().filter(|_| (1..=MAX_FLOWS).contains(flows))?,
        version: MasterVersion(u32::try_from(*version).ok()?),
        lineage: rest.first().and_then(text).and_then(ReplicationId::parse),
    })
}

#[cfg(test)]
mod tests {
    use redis_resp::ServerError;

    use super::*;

    fn identity(password: Option<&str>) -> Identity {
        let login = password.map(|password| request(&["AUTH", password]));
        Identity { login, announce_port: 0, replica_id: "a".repeat(40) }
    }

    fn error(line: &str) -> Reply {
        Reply::Error(ServerError::parse(line.as_bytes()))
    }

    /// Answers the request `at` with `reply`, and every other one positively. Returns the requests and the result.
    fn run(
        at: &str,
        reply: &Reply,
        password: Option<&str>,
    ) -> (Vec<String>, Result<Session, HandshakeError>) {
        let mut asked = Vec::new();
        let mut handshake = Handshake::new(identity(password));
        loop {
            let line =
                handshake.request().iter().map(|w| String::from_utf8_lossy(w)).collect::<Vec<_>>().join(" ");
            let answer = match line.as_str() {
                line if line.starts_with(at) => reply.clone(),
                "PING" => Reply::Simple("PONG".into()),
                "REPLCONF capa dragonfly" => capa(5),
                _ => Reply::Simple("OK".into()),
            };
            asked.push(line);
            match handshake.on_reply(answer) {
                Ok(Progress::Continue(next)) => handshake = next,
                Ok(Progress::Done(session)) => return (asked, Ok(session)),
                Err(error) => return (asked, Err(error)),
            }
        }
    }

    fn capa(elements: usize) -> Reply {
        let id = || Reply::Simple("0123456789abcdef0123456789abcdef01234567".into());
        let all = [id(), Reply::Simple("SYNC7".into()), Reply::Integer(3), Reply::Integer(5), id()];
        Reply::Array(all[..elements].to_vec())
    }

    #[test]
    fn the_whole_order() {
        let (asked, session) = run("none", &Reply::Nil, Some("s3cret"));
        assert_eq!(
            asked,
            [
                "AUTH s3cret",
                "PING",
                "REPLCONF listening-port 0",
                "REPLCONF capa eof capa psync2",
                "REPLCONF capa dragonfly",
                &format!("REPLCONF CLIENT-ID {}", "a".repeat(40)),
                "REPLCONF CLIENT-VERSION 4",
            ]
        );
        let session = session.unwrap();
        assert_eq!((session.sync_id.as_str(), session.flows, session.lineage.is_some()), ("SYNC7", 3, true));
    }

    #[test]
    fn four_elements_are_enough_and_three_are_refused() {
        let (_, session) = run("REPLCONF capa dragonfly", &capa(4), None);
        assert_eq!(session.unwrap().lineage, None);
        let (asked, refused) = run("REPLCONF capa dragonfly", &capa(3), None);
        assert_eq!(refused, Err(HandshakeError::TooOld { elements: 3 }));
        assert!(!asked.iter().any(|line| line.contains("CLIENT")), "P28: {asked:?}");
    }

    #[test]
    fn refusals_are_told_apart() {
        use HandshakeError as E;
        let capa = "REPLCONF capa dragonfly";
        assert_eq!(run(capa, &Reply::Simple("OK".into()), None).1, Err(E::NotDragonfly));
        assert_eq!(run(capa, &error("ERR syntax error"), None).1, Err(E::NotDragonfly));
        let replica = run(capa, &error("ERR Replicating a replica is unsupported"), None).1;
        assert!(matches!(replica, Err(E::IsReplica(_))), "{replica:?}");
        let replica = run("REPLCONF listening", &error("ERR Replicating a replica is unsupported"), None).1;
        assert!(matches!(replica, Err(E::IsReplica(_))), "as v1.40.1 does: {replica:?}");
        assert!(matches!(run("AUTH", &error("WRONGPASS invalid"), Some("x")).1, Err(E::Login(_))));
        assert!(matches!(run("PING", &error("NOAUTH Authentication required."), None).1, Err(E::Login(_))));
        assert_eq!(run("PING", &error("LOADING Dragonfly is loading"), None).1, Err(E::Loading));
        assert!(matches!(
            run("REPLCONF", &error("NOPERM bob has no ACL permissions"), None).1,
            Err(E::Permission(_))
        ));
        let nonsense = Reply::Array(vec![Reply::Nil, Reply::Nil, Reply::Nil, Reply::Nil]);
        assert!(matches!(run(capa, &nonsense, None).1, Err(E::Unexpected { stage: Stage::Capa, .. })));
    }

    #[test]
    fn a_refused_client_id_is_no_reason_to_stop() {
        assert!(run("REPLCONF CLIENT-ID", &error("ERR syntax error"), None).1.is_ok());
    }
}
