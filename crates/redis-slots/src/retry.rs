//! What to do after an error reply.

use redis_resp::{ErrorCode, ServerError};

use crate::address::{Address, Host};
use crate::slot::Slot;

/// The target of a `MOVED` or `ASK` error: `MOVED 3999 127.0.0.1:6381` (server `cluster.c`,
/// `clusterRedirectClient`, which puts no brackets around an IPv6 address).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Redirect {
    /// The slot.
    pub slot: Slot,
    /// The host; empty means the host that replied.
    pub host: Host,
    /// The port, with TLS if the connection has TLS. It is 0 if the node has no such port.
    pub port: u16,
}

impl Redirect {
    /// Parses the address. `None` if it has no port.
    fn parse(found: &redis_resp::Redirect) -> Option<Self> {
        let (host, port) = found.address.rsplit_once(':')?;
        let port = port.parse().ok()?;
        Some(Self { slot: Slot(found.slot), host: Host::parse(host), port })
    }

    /// The address to connect to, if the error came from the host `asked`; `None` if the topology has to be read again.
    pub fn address(&self, asked: &str) -> Option<Address> {
        self.host.at(asked, self.port)
    }
}

/// What to do with a command after an error reply. In every case, the server did not execute the command.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Retry {
    /// Send it, and from now on every command of this slot, to another node.
    Moved(Redirect),
    /// Send it to another node once, after `ASKING`: the slot is being moved, and its missing keys are already there.
    Ask(Redirect),
    /// Send it again later: the slot is being moved, and the keys of the command are on both nodes.
    TryAgain,
    /// Read the topology again, and send it later: the slot has no owner, or the cluster has no majority.
    ClusterDown,
    /// Read the topology again, and send it to the new primary: the node is a replica now.
    ReadOnly,
    /// Send it again later: the node is loading its data set.
    Loading,
    /// Read the topology again, and send it later: a replica has lost its primary.
    MasterDown,
    /// Send it again later: a script is running on the node.
    Busy,
    /// Do not send it again: the error will not pass by itself.
    Never,
}

impl Retry {
    /// What to do after `error`.
    pub fn on_error(error: &ServerError) -> Self {
        match &error.code {
            ErrorCode::Moved(to) => Redirect::parse(to).map_or(Self::Never, Self::Moved),
            ErrorCode::Ask(to) => Redirect::parse(to).map_or(Self::Never, Self::Ask),
            ErrorCode::TryAgain => Self::TryAgain,
            ErrorCode::ClusterDown => Self::ClusterDown,
            ErrorCode::ReadOnly => Self::ReadOnly,
            ErrorCode::Loading => Self::Loading,
            ErrorCode::MasterDown => Self::MasterDown,
            ErrorCode::Busy => Self::Busy,
            // EXECABORT: the earlier error of the queued command decides.
            ErrorCode::ExecAbort
            | ErrorCode::Generic
            | ErrorCode::WrongType
            | ErrorCode::OutOfMemory
            | ErrorCode::CrossSlot
            | ErrorCode::NoAuth
            | ErrorCode::WrongPass
            | ErrorCode::NoPermission
            | ErrorCode::MisConf
            | ErrorCode::BusyKey
            | ErrorCode::NoReplicas
            | ErrorCode::NoScript => Self::Never,
        }
    }

    /// Whether the topology has to be read again.
    pub fn is_topology_stale(&self) -> bool {
        match self {
            Self::Moved(_) | Self::ClusterDown | Self::ReadOnly | Self::MasterDown => true,
            Self::Ask(_) | Self::TryAgain | Self::Loading | Self::Busy | Self::Never => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry(line: &str) -> Retry {
        Retry::on_error(&ServerError::parse(line.as_bytes()))
    }

    fn named(name: &str) -> Host {
        Host::Named(name.to_owned())
    }

    /// As Redis 7.0 and 8.6 and Valkey 9.1 write them, and with brackets, which none of them writes.
    #[test]
    fn redirects() {
        let to = |host, port| Redirect { slot: Slot(12182), host, port };
        for (address, redirect, resolved) in [
            ("127.0.0.1:21002", to(named("127.0.0.1"), 21002), Some("127.0.0.1:21002")),
            (
                "node1.example.com:21001",
                to(named("node1.example.com"), 21001),
                Some("node1.example.com:21001"),
            ),
            ("?:21002", to(Host::Unknown, 21002), None),
            (":21002", to(Host::Asked, 21002), Some("asked:21002")),
            ("::1:21002", to(named("::1"), 21002), Some("[::1]:21002")),
            ("[::1]:21002", to(named("::1"), 21002), Some("[::1]:21002")),
            ("127.0.0.1:0", to(named("127.0.0.1"), 0), None),
        ] {
            let address_of = redirect.address("asked").map(|address| address.to_string());
            assert_eq!(address_of.as_deref(), resolved, "{address}");
            assert_eq!(retry(&format!("MOVED 12182 {address}")), Retry::Moved(redirect.clone()));
            assert_eq!(retry(&format!("ASK 12182 {address}")), Retry::Ask(redirect));
        }
        for bad in ["MOVED 16384 a:1", "MOVED 1 a", "MOVED 1 a:65536", "ASK x a:1", "MOVED"] {
            assert_eq!(retry(bad), Retry::Never, "{bad}");
        }
    }

    /// Error lines of servers.
    #[test]
    fn refusals() {
        for (line, expected) in [
            ("TRYAGAIN Multiple keys request during rehashing of slot", Retry::TryAgain),
            ("CLUSTERDOWN The cluster is down", Retry::ClusterDown),
            ("CLUSTERDOWN The cluster is down and only accepts read commands", Retry::ClusterDown),
            ("CLUSTERDOWN Hash slot not served", Retry::ClusterDown),
            ("READONLY You can't write against a read only replica.", Retry::ReadOnly),
            ("LOADING Redis is loading the dataset in memory", Retry::Loading),
            ("LOADING Valkey is loading the dataset in memory", Retry::Loading),
            (
                "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
                Retry::MasterDown,
            ),
            ("BUSY Redis is busy running a script.", Retry::Busy),
            ("CROSSSLOT Keys in request don't hash to the same slot", Retry::Never),
            ("EXECABORT Transaction discarded because of previous errors.", Retry::Never),
            ("WRONGTYPE Operation against a key holding the wrong kind of value", Retry::Never),
            ("OOM command not allowed when used memory > 'maxmemory'.", Retry::Never),
            ("ERR unknown command 'x'", Retry::Never),
        ] {
            assert_eq!(retry(line), expected, "{line}");
        }
        assert!(retry("MOVED 1 a:1").is_topology_stale() && !retry("ASK 1 a:1").is_topology_stale());
    }
}
