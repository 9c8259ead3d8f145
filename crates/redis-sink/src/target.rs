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
    /// Whether it is a replica, which does not accept writes.
    pub replica: bool,
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
        let mut connection = Connection::open(endpoint).await?;
        if let Some(credentials) = &endpoint.credentials {
            login(&mut connection, credentials).await?;
        }
        match connection.ask(&["INFO"]).await? {
            Reply::Bulk(text) => {
                let info = Self::parse(&String::from_utf8_lossy(&text)).ok_or(TargetError::Unknown)?;
                Ok((connection, info))
            }
            Reply::Error(error) => Err(refused("INFO", error)),
            _ => Err(TargetError::Unknown),
        }
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
        let version_text = valkey.or_else(|| field("redis_version"))?.to_owned();
        let mut numbers = version_text.split('.').map(str::parse);
        Some(Self {
            family: if valkey.is_some() { Family::Valkey } else { Family::Redis },
            version: (numbers.next()?.ok()?, numbers.next()?.ok()?),
            cluster: field("cluster_enabled").map(|enabled| enabled == "1"),
            replica: field("role").is_some_and(|role| role != "master"),
            dragonfly: field("dragonfly_version").is_some(),
            version_text,
        })
    }
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
            (info.family, info.version, info.cluster, info.replica),
            (Family::Redis, (7, 0), Some(false), false)
        );
        let valkey = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:9.1.2\r\nrole:slave\r\ncluster_enabled:1\r\n";
        let info = TargetInfo::parse(valkey).unwrap();
        assert_eq!(
            (info.family, info.version, info.cluster, info.replica),
            (Family::Valkey, (9, 1), Some(true), true)
        );
        let dragonfly = "redis_version:7.4.0\r\ndragonfly_version:df-v1.40.1\r\nrole:master\r\n";
        assert!(TargetInfo::parse(dragonfly).unwrap().dragonfly);
        assert_eq!(TargetInfo::parse("redis_version:7.0.0\r\n").unwrap().cluster, None);
        assert_eq!(TargetInfo::parse("role:master\r\n"), None);
    }
}
