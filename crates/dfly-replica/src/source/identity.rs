//! What a source says of itself: whether it is a master, which process it is, and how many keys it holds.

use dfly_client::driver::ControlConn;
use dfly_wire::UnixMillis;
use redis_resp::connection::ConnectionError;
use redis_resp::{ErrorCode, Reply};
use tracing::warn;

use crate::clock::Clock;
use crate::target::replies::time_of;

/// What a server is in its own replication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Master,
    /// It follows another server, and holds what that one gives it.
    Replica,
}

/// What a source has said of itself; `None`: it does not say, or its user may not ask.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct SourceIdentity {
    pub role: Option<Role>,
    /// The replication id of a master. That of a replica is its master's.
    pub id: Option<String>,
    /// Keys in all databases.
    pub keys: Option<u64>,
}

/// What a source holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Holdings {
    /// The databases in which it has keys; none if it does not say.
    pub dbs: Vec<u32>,
    /// Keys in all of them, if it says so.
    pub keys: Option<u64>,
}

impl Holdings {
    /// Asks for them.
    ///
    /// # Errors
    /// The connection's; a refusal is an answer.
    pub(crate) async fn ask(control: &mut ControlConn) -> Result<Self, ConnectionError> {
        match control.ask(&words(&["INFO", "keyspace"])).await? {
            Reply::Bulk(text) => Ok(Self::from_info(&String::from_utf8_lossy(&text))),
            _ => Ok(Self::default()),
        }
    }

    fn from_info(text: &str) -> Self {
        let db = |line: &str| line.strip_prefix("db")?.split_once(':')?.0.parse().ok();
        Self { dbs: text.lines().filter_map(db).collect(), keys: keys_in(text) }
    }
}

/// Asks the source for its time, and tells the clock.
///
/// # Errors
/// The connection's; a refusal is an answer.
pub(crate) async fn ask_time(control: &mut ControlConn, clock: &Clock) -> Result<(), ConnectionError> {
    let before = clock.host();
    let reply = control.ask(&words(&["TIME"])).await?;
    let host = UnixMillis(before.0.midpoint(clock.host().0));
    if let Some(ahead) = time_of(&reply).and_then(|shown| clock.hear(shown, host))
        && ahead.abs() >= SKEW
    {
        warn!(
            ahead_ms = ahead,
            "the source's clock differs from this host's; what has expired is decided by the source's"
        );
    }
    Ok(())
}

/// Clocks that differ by so much are worth a word, in milliseconds.
const SKEW: i64 = 1000;

/// A source that is not what it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Changed {
    #[error("the source is a replica of another server now")]
    Demoted,
    #[error("another process answers at the source's address now")]
    Replaced,
}

impl SourceIdentity {
    /// Asks for all of it.
    ///
    /// # Errors
    /// The connection's; a refusal is an answer.
    pub(crate) async fn ask(control: &mut ControlConn) -> Result<Self, ConnectionError> {
        let info = control.ask(&words(&["INFO", "replication"])).await?;
        let identity = match &info {
            Reply::Bulk(text) => Self::from_info(&String::from_utf8_lossy(text)),
            _ => Self { role: Self::ask_role(control).await?, ..Self::default() },
        };
        let keys = Holdings::ask(control).await?.keys;
        Ok(Self { keys, ..identity })
    }

    /// A user that may not run INFO may run ROLE; one that may run neither runs REPLCONF, which a replica refuses.
    async fn ask_role(control: &mut ControlConn) -> Result<Option<Role>, ConnectionError> {
        let role = control.ask(&words(&["ROLE"])).await?;
        if let Some(role) = of_role(&role) {
            return Ok(Some(role));
        }
        let reply = control.ask(&words(&["REPLCONF", "listening-port", "0"])).await?;
        Ok(of_replconf(&reply))
    }

    /// From `INFO replication`.
    fn from_info(text: &str) -> Self {
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        let role = match value("role:") {
            Some("master") => Some(Role::Master),
            Some("slave" | "replica") => Some(Role::Replica),
            _ => None,
        };
        let id = value("master_replid:").filter(|_| role == Some(Role::Master)).map(str::to_owned);
        Self { role, id, keys: None }
    }

    /// Whether it is still the master `id`. What it does not say counts as unchanged.
    ///
    /// # Errors
    /// [`Changed`].
    pub(crate) fn check(&self, id: &str) -> Result<(), Changed> {
        if self.role == Some(Role::Replica) {
            return Err(Changed::Demoted);
        }
        match &self.id {
            Some(found) if found != id => Err(Changed::Replaced),
            _ => Ok(()),
        }
    }
}

fn words(words: &[&str]) -> Vec<Vec<u8>> {
    words.iter().map(|word| word.as_bytes().to_vec()).collect()
}

fn of_role(reply: &Reply) -> Option<Role> {
    let Reply::Array(elements) = reply else { return None };
    match elements.first()? {
        Reply::Bulk(role) if role == "master" => Some(Role::Master),
        Reply::Simple(role) if role == "master" => Some(Role::Master),
        Reply::Bulk(role) if role == "slave" || role == "replica" => Some(Role::Replica),
        Reply::Simple(role) if role == "slave" || role == "replica" => Some(Role::Replica),
        _ => None,
    }
}

fn of_replconf(reply: &Reply) -> Option<Role> {
    match reply {
        Reply::Simple(_) => Some(Role::Master),
        Reply::Error(error) if error.code == ErrorCode::Generic && error.line.contains("replica") => {
            Some(Role::Replica)
        }
        _ => None,
    }
}

/// From `INFO keyspace`; `None` if it does not say.
fn keys_in(text: &str) -> Option<u64> {
    if !text.contains("# Keyspace") {
        return None;
    }
    let count = |line: &str| {
        let counts = line.strip_prefix("db")?.split_once(':')?.1;
        counts.split(',').find_map(|field| field.strip_prefix("keys="))?.trim().parse::<u64>().ok()
    };
    Some(text.lines().filter_map(count).sum())
}

#[cfg(test)]
mod tests {
    use redis_resp::ServerError;

    use super::*;

    #[test]
    fn masters_and_replicas_tell_themselves_apart() {
        let id = "df2233710d1e0b6c0b5715cbf44f1b9ca6217c0e";
        let master = format!("# Replication\r\nrole:master\r\nconnected_slaves:1\r\nmaster_replid:{id}\r\n");
        let identity = SourceIdentity::from_info(&master);
        assert_eq!((identity.role, identity.id.as_deref()), (Some(Role::Master), Some(id)));
        assert_eq!(identity.check(id), Ok(()));
        assert_eq!(identity.check(&id.replace('d', "e")), Err(Changed::Replaced));
        let replica = format!("# Replication\r\nrole:slave\r\nmaster_host:h\r\nmaster_replid:{id}\r\n");
        let identity = SourceIdentity::from_info(&replica);
        assert_eq!((identity.role, identity.check(id)), (Some(Role::Replica), Err(Changed::Demoted)));
        assert_eq!(SourceIdentity::default().check(id), Ok(()), "what is not said counts as unchanged");
    }

    #[test]
    fn other_ways_to_tell_a_role() {
        let text = |text: &str| Reply::Bulk(text.as_bytes().to_vec().into());
        assert_eq!(of_role(&Reply::Array(vec![text("master"), Reply::Array(vec![])])), Some(Role::Master));
        assert_eq!(of_role(&Reply::Array(vec![text("slave"), text("h")])), Some(Role::Replica));
        let error = |line: &str| Reply::Error(ServerError::parse(line.as_bytes()));
        assert_eq!(of_role(&error("NOPERM no")), None);
        assert_eq!(of_replconf(&error("ERR Replicating a replica is unsupported")), Some(Role::Replica));
        assert_eq!(of_replconf(&error("NOPERM no")), None);
        assert_eq!(of_replconf(&Reply::Simple("OK".into())), Some(Role::Master));
    }

    #[test]
    fn keys_of_all_databases_are_counted() {
        let text = "# Keyspace\r\ndb0:keys=40,expires=0,avg_ttl=-1\r\ndb3:keys=2,expires=1\r\n";
        assert_eq!(
            (keys_in(text), keys_in("# Keyspace\r\n"), keys_in("# Server\r\n")),
            (Some(42), Some(0), None)
        );
    }
}
