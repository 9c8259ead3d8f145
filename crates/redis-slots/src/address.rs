//! Addresses of nodes. Some servers omit their own host in replies: it is then the host of the connection.

use std::fmt;

/// A host name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// Host name or address, an IPv6 address without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

/// The host of a node in a reply or redirection (server option `cluster-preferred-endpoint-type`; server
/// `cluster_legacy.c`, `clusterNodePreferredEndpoint`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// An address or a host name.
    Named(String),
    /// Empty or null: the host that the request was sent to. The server does not know its own address, or is configured
    /// not to send it.
    Asked,
    /// `?`: host names are preferred, and this node has none.
    Unknown,
}

impl Host {
    /// Parses a host as servers write it. Brackets around an address are removed.
    pub fn parse(text: &str) -> Self {
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        match bare {
            "" => Self::Asked,
            "?" => Self::Unknown,
            name => Self::Named(name.to_owned()),
        }
    }

    /// The host to connect to, if the request was sent to the host `asked`; `None` if it is unknown.
    pub fn resolve<'a>(&'a self, asked: &'a str) -> Option<&'a str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Asked => Some(asked),
            Self::Unknown => None,
        }
    }

    /// The address with `port`, which is unknown if it is 0.
    pub(crate) fn at(&self, asked: &str, port: u16) -> Option<Address> {
        let host = self.resolve(asked)?.to_owned();
        (port > 0).then_some(Address { host, port })
    }
}
