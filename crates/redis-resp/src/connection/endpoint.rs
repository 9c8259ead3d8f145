//! Where a server is, and how to log in.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use super::tls::Tls;

/// The default timeout for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The default timeout for a reply. It is generous because Dragonfly's STARTSTABLE waits until every flow is drained.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// A user and a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user; `None` for the default user.
    pub user: Option<String>,
    /// The password.
    pub password: String,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).field("password", &"***").finish()
    }
}

impl Credentials {
    /// The arguments of `AUTH [user] password`.
    pub fn request(&self) -> Vec<Vec<u8>> {
        let words = ["AUTH"].into_iter().chain(self.user.as_deref()).chain([self.password.as_str()]);
        words.map(|word| word.as_bytes().to_vec()).collect()
    }
}

/// Which end of the replication a server is. Error messages name the server by this word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// Where data comes from.
    Source,
    /// Where data goes.
    Target,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Source => "source",
            Self::Target => "target",
        })
    }
}

/// Where a server listens, how to log in, and how long to wait for it.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Which end of the replication the server is.
    pub peer: Peer,
    /// Host name or address. If `sentinels` is set, they say where the server is, and `host` and `port` are ignored.
    pub host: String,
    /// Port.
    pub port: u16,
    /// One of the addresses that the host resolves to; `None` for the one that accepts first.
    pub address: Option<SocketAddr>,
    /// How to log in, if at all.
    pub credentials: Option<Credentials>,
    /// The TLS configuration for every connection; `None` for connections without TLS.
    pub tls: Option<Tls>,
    /// The Sentinels that are asked where the server is, if any.
    pub sentinels: Option<Sentinels>,
    /// The longest wait for a connection, TLS included.
    pub connect_timeout: Duration,
    /// The longest wait for a reply.
    pub reply_timeout: Duration,
}

/// The Sentinels that monitor a primary and its replicas. They are asked for every new connection, so a connection that is
/// opened after a fail-over leads to the new primary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentinels {
    /// Hosts and ports, in the order in which they are asked.
    pub addresses: Vec<(String, u16)>,
    /// The name by which they know the primary.
    pub service: String,
    /// How to log in to the Sentinels. The server's credentials are separate.
    pub credentials: Option<Credentials>,
}

impl Endpoint {
    /// A server without login and TLS, with the default timeouts: 10 s for a connection, 60 s for a reply.
    pub fn new(peer: Peer, host: impl Into<String>, port: u16) -> Self {
        Self {
            peer,
            host: host.into(),
            port,
            address: None,
            credentials: None,
            tls: None,
            sentinels: None,
            connect_timeout: CONNECT_TIMEOUT,
            reply_timeout: REPLY_TIMEOUT,
        }
    }

    /// The same endpoint at another address. No Sentinel is asked for it.
    #[must_use]
    pub fn at(&self, host: impl Into<String>, port: u16) -> Self {
        Self { host: host.into(), port, address: None, sentinels: None, ..self.clone() }
    }

    /// The same server at each address that its host currently resolves to; with Sentinels, which know it, as it is.
    ///
    /// # Errors
    /// The error of the resolver.
    #[cfg(feature = "tokio")]
    pub async fn resolved(&self) -> std::io::Result<Vec<Self>> {
        if self.sentinels.is_some() {
            return Ok(vec![self.clone()]);
        }
        let addresses = tokio::net::lookup_host((self.host.as_str(), self.port)).await?;
        Ok(addresses.map(|address| Self { address: Some(address), ..self.clone() }).collect())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sentinels {
            Some(sentinels) => sentinels.fmt(f),
            None => match self.address.filter(|address| address.ip().to_string() != self.host) {
                Some(address) => write!(f, "{}:{} ({})", self.host, self.port, address.ip()),
                None => write!(f, "{}:{}", self.host, self.port),
            },
        }
    }
}

impl fmt::Display for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses = self.addresses.iter().map(|(host, port)| format!("{host}:{port}"));
        write!(f, "{} of the sentinels {}", self.service, addresses.collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_messages_say() {
        let plain = Endpoint::new(Peer::Target, "h", 1);
        let sentinels = Sentinels {
            addresses: vec![("a".to_owned(), 26379), ("b".to_owned(), 2)],
            service: "orders".to_owned(),
            credentials: Some(Credentials { user: None, password: "secret".to_owned() }),
        };
        let watched = Endpoint { sentinels: Some(sentinels), ..plain };
        assert_eq!(watched.to_string(), "orders of the sentinels a:26379,b:2");
        assert_eq!(watched.at("c", 3).to_string(), "c:3");
        assert!(!format!("{watched:?}").contains("secret"));
    }
}
