//! Where a server is, and how to log in.

use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::ConnectionError;
use super::tls::Tls;

/// The default timeout for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// The default timeout for a reply. It is generous because Dragonfly's STARTSTABLE waits until every flow is drained.
const REPLY_TIMEOUT: Duration = Duration::from_secs(60);

/// A user and a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user; `None` for the default user.
    pub user: Option<String>,
    /// The password.
    pub password: Password,
}

/// A password, or where it is.
#[derive(Clone, PartialEq, Eq)]
pub enum Password {
    /// The password itself.
    Text(String),
    /// The file that holds it. It is read for every new connection, so the password may change while the program runs. A line
    /// break at the end does not belong to the password.
    File(PathBuf),
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(_) => f.write_str("***"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

impl From<&str> for Password {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Password {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl Credentials {
    /// The arguments of `AUTH [user] password`, for a login at `peer`.
    ///
    /// # Errors
    /// [`ConnectionError::Password`], if the file of the password cannot be read.
    pub async fn request(&self, peer: Peer) -> Result<Vec<Vec<u8>>, ConnectionError> {
        let password = match &self.password {
            Password::Text(text) => text.clone().into_bytes(),
            Password::File(path) => read(path).await.map_err(|error| ConnectionError::Password {
                peer,
                path: path.clone(),
                error,
            })?,
        };
        let words = ["AUTH"].into_iter().chain(self.user.as_deref()).map(|word| word.as_bytes().to_vec());
        Ok(words.chain([password]).collect())
    }
}

/// The password in a file, read where blocking is allowed.
async fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    let path = path.to_owned();
    let mut text = tokio::task::spawn_blocking(move || std::fs::read(path)).await??;
    for end in [b'\n', b'\r'] {
        text.pop_if(|last| *last == end);
    }
    Ok(text)
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
    /// The socket of this machine where the server listens, if any; then `host` and `port` are ignored, and there is no TLS.
    pub socket: Option<PathBuf>,
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
            socket: None,
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
        Self { host: host.into(), port, socket: None, address: None, sentinels: None, ..self.clone() }
    }

    /// The same server at each address that its host currently resolves to; with Sentinels, which know it, or a socket of this
    /// machine, as it is.
    ///
    /// # Errors
    /// The error of the resolver.
    pub async fn resolved(&self) -> std::io::Result<Vec<Self>> {
        if self.sentinels.is_some() || self.socket.is_some() {
            return Ok(vec![self.clone()]);
        }
        let addresses = tokio::net::lookup_host((self.host.as_str(), self.port)).await?;
        Ok(addresses.map(|address| Self { address: Some(address), ..self.clone() }).collect())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.sentinels, &self.socket) {
            (Some(sentinels), _) => sentinels.fmt(f),
            (None, Some(socket)) => write!(f, "unix:{}", socket.display()),
            (None, None) => match self.address.filter(|address| address.ip().to_string() != self.host) {
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
            credentials: Some(Credentials { user: None, password: "secret".into() }),
        };
        let watched = Endpoint { sentinels: Some(sentinels), ..plain };
        assert_eq!(watched.to_string(), "orders of the sentinels a:26379,b:2");
        assert_eq!(watched.at("c", 3).to_string(), "c:3");
        assert!(!format!("{watched:?}").contains("secret"));
    }

    #[tokio::test]
    async fn a_password_is_read_anew_for_each_login() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("password");
        let credentials =
            Credentials { user: Some("ann".to_owned()), password: Password::File(path.clone()) };
        for (text, password) in [("one\n", "one"), ("two\r\n", "two"), ("a\n b\n\n", "a\n b\n"), ("", "")] {
            std::fs::write(&path, text).unwrap();
            let request = credentials.request(Peer::Target).await.unwrap();
            assert_eq!(request, [b"AUTH".to_vec(), b"ann".to_vec(), password.into()]);
        }
        std::fs::remove_file(&path).unwrap();
        let error = credentials.request(Peer::Source).await.unwrap_err().to_string();
        assert!(error.starts_with("the password for the source cannot be read from /"), "{error}");
    }
}
