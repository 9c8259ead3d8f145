//! Finds out what a target is, from its own replies.

use redis_resp::connection::{Connection, ConnectionError, Credentials, Endpoint};
use redis_resp::{ErrorCode, Reply, ServerError};
use thiserror::Error;

/// Which kind of server it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// Redis.
    Redis,
    /// Valkey.
    Valkey,
}

/// How a server evicts keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Eviction {
    /// Its `maxmemory-policy`.
    pub policy: String,
    /// Its `maxmemory`, in bytes.
    pub memory: u64,
}

/// Servers of other kinds, with the field by which they say so.
const OTHER_KINDS: [(&str, &str); 2] = [("kvrocks_version", "Kvrocks"), ("garnet_version", "Garnet")];

/// What `INFO` says about a target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetInfo {
    /// Redis or Valkey.
    pub family: Family,
    /// Major and minor version.
    pub version: (u16, u16),
    /// The version as the server writes it.
    pub version_text: String,
    /// Whether it is a node of a cluster; `None` if it does not say, like some proxies.
    pub cluster: Option<bool>,
    /// What it says that it is; `master` if it does not say.
    pub role: String,
    /// The name of another kind of server, whose version says nothing of the commands that it has.
    pub other_kind: Option<&'static str>,
    /// How it evicts keys when its memory is full, if it does.
    pub eviction: Option<Eviction>,
    /// How many keys it has evicted since it was started; 0 if it does not say.
    pub evicted_keys: u64,
    /// Whether it is a Dragonfly, which cannot be a target.
    pub dragonfly: bool,
}

/// Why a server cannot be a target.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TargetError {
    /// The connection could not be opened, or it broke.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// A user or password is wrong or missing.
    #[error("the target refuses the login: {0}; give user and password in the target's address")]
    Login(ServerError),
    /// The target refuses a request.
    #[error("the target refuses {request}: {error}")]
    Refused {
        /// The request.
        request: &'static str,
        /// The target's reply.
        error: ServerError,
    },
    /// `INFO` does not contain a version.
    #[error("the target's INFO contains no redis_version: it is neither a Redis nor a Valkey")]
    Unknown,
}

impl TargetInfo {
    /// Opens a connection to a target, logs in, and asks what it is.
    ///
    /// # Errors
    /// [`TargetError`].
    pub async fn connect(endpoint: &Endpoint) -> Result<(Connection, Self), TargetError> {
        let mut connection = Self::log_in(endpoint).await?;
        match connection.ask(&["INFO"]).await? {
            Reply::Bulk(text) => {
                let info = Self::parse(&String::from_utf8_lossy(&text)).ok_or(TargetError::Unknown)?;
                Ok((connection, info))
            }
            Reply::Error(error) => Err(refused("INFO", error)),
            _ => Err(TargetError::Unknown),
        }
    }

    /// Opens a connection to a target and logs in.
    ///
    /// # Errors
    /// [`TargetError`].
    pub async fn log_in(endpoint: &Endpoint) -> Result<Connection, TargetError> {
        let mut connection = Connection::open(endpoint).await?;
        if let Some(credentials) = &endpoint.credentials {
            login(&mut connection, credentials).await?;
        }
        Ok(connection)
    }

    /// Which of these commands the server knows. If it does not say, none of them count as known.
    ///
    /// # Errors
    /// The connection's.
    pub async fn known_commands<'a>(
        connection: &mut Connection,
        names: &[&'a str],
    ) -> Result<Vec<&'a str>, ConnectionError> {
        let request: Vec<&str> = ["COMMAND", "INFO"].iter().chain(names).copied().collect();
        let Reply::Array(found) = connection.ask(&request).await? else { return Ok(Vec::new()) };
        Ok(names.iter().zip(found).filter(|(_, reply)| *reply != Reply::Nil).map(|(name, _)| *name).collect())
    }

    /// Parses the text of `INFO`. `None` if it contains no version.
    pub fn parse(info: &str) -> Option<Self> {
        let field = |name: &str| {
            info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
        };
        let valkey = field("valkey_version");
        let other = OTHER_KINDS.into_iter().find(|(name, _)| field(name).is_some());
        let own = other.and_then(|(name, _)| field(name));
        let version_text = valkey.or_else(|| field("redis_version")).or(own)?.to_owned();
        let mut numbers = version_text.split('.').map(str::parse);
        Some(Self {
            family: if valkey.is_some() { Family::Valkey } else { Family::Redis },
            version: (numbers.next()?.ok()?, numbers.next()?.ok()?),
            cluster: field("cluster_enabled").map(|enabled| enabled == "1"),
            role: field("role").unwrap_or("master").to_owned(),
            other_kind: other.map(|(_, name)| name),
            eviction: eviction(field("maxmemory_policy"), field("maxmemory")),
            evicted_keys: field("evicted_keys").and_then(|count| count.parse().ok()).unwrap_or(0),
            dragonfly: field("dragonfly_version").is_some(),
            version_text,
        })
    }
}

/// A server without a limit evicts nothing.
fn eviction(policy: Option<&str>, memory: Option<&str>) -> Option<Eviction> {
    let policy = policy.filter(|policy| *policy != "noeviction")?.to_owned();
    let memory = memory?.parse().ok().filter(|memory| *memory > 0)?;
    Some(Eviction { policy, memory })
}

async fn login(connection: &mut Connection, credentials: &Credentials) -> Result<(), TargetError> {
    match connection.log_in(credentials).await? {
        Reply::Error(error) => Err(TargetError::Login(error)),
        _ => Ok(()),
    }
}

fn refused(request: &'static str, error: ServerError) -> TargetError {
    match error.code {
        ErrorCode::NoAuth | ErrorCode::WrongPass => TargetError::Login(error),
        _ => TargetError::Refused { request, error },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_versions() {
        let redis = "# Server\r\nredis_version:7.0.15\r\n# Replication\r\nrole:master\r\n# Cluster\r\ncluster_enabled:0\r\n";
        let info = TargetInfo::parse(redis).unwrap();
        assert_eq!(
            (info.family, info.version, info.cluster, info.role.as_str()),
            (Family::Redis, (7, 0), Some(false), "master")
        );
        let valkey = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\nrole:slave\r\ncluster_enabled:1\r\n";
        let info = TargetInfo::parse(valkey).unwrap();
        assert_eq!(
            (info.family, info.version, info.cluster, info.role.as_str()),
            (Family::Valkey, (9, 1), Some(true), "slave")
        );
        let dragonfly = "redis_version:7.4.0\r\ndragonfly_version:df-v1.40.1\r\nrole:master\r\n";
        assert!(TargetInfo::parse(dragonfly).unwrap().dragonfly);
        assert_eq!(TargetInfo::parse("redis_version:7.0.0\r\n").unwrap().cluster, None);
        assert_eq!(TargetInfo::parse("role:master\r\n"), None);
    }

    /// C11: a policy alone evicts nothing.
    #[test]
    fn what_a_server_evicts() {
        let evicts = |limit: u64, policy| {
            let text = format!("redis_version:7.0.0\r\nmaxmemory:{limit}\r\nmaxmemory_policy:{policy}\r\n");
            TargetInfo::parse(&text).unwrap().eviction.map(|eviction| eviction.policy)
        };
        assert_eq!(evicts(100, "volatile-lru").as_deref(), Some("volatile-lru"));
        assert_eq!((evicts(0, "allkeys-lru"), evicts(100, "noeviction")), (None, None));
        let counted = TargetInfo::parse("redis_version:7.0.0\r\nevicted_keys:12\r\n").unwrap();
        assert_eq!((counted.evicted_keys, counted.eviction), (12, None));
    }

    /// C19: the version of another kind of server says nothing.
    #[test]
    fn other_kinds() {
        let kvrocks = TargetInfo::parse("redis_version:4.0.0\r\nkvrocks_version:2.9.0\r\n").unwrap();
        assert_eq!((kvrocks.other_kind, kvrocks.version), (Some("Kvrocks"), (4, 0)));
        let garnet = TargetInfo::parse("garnet_version:1.0.40\r\n").unwrap();
        assert_eq!((garnet.other_kind, garnet.version), (Some("Garnet"), (1, 0)));
        let keydb = TargetInfo::parse("redis_version:6.3.4\r\nrole:active-replica\r\n").unwrap();
        assert_eq!((keydb.other_kind, keydb.role.as_str()), (None, "active-replica"));
    }
}
