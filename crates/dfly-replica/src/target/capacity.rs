//! How many connections and files a session needs, and whether the target and this process have room for them.

use std::fmt;

use redis_resp::Reply;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::debug;

use super::questions::{Part, TargetConnection};
use crate::error::Error;

/// Connections to each server of a target besides those of the flows: questions, walks through the keys, a flush.
const OTHER_CONNECTIONS: u64 = 4;

/// Files and connections of a process besides those that are counted: its standard streams, the runtime's, the state file,
/// questions to the source.
const OTHER_DESCRIPTORS: u64 = 32;

/// Files of the relay log of a flow that are open at the same time.
const RELAY_FILES: u64 = 4;

/// What a session consists of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SessionSize {
    pub flows: u64,
    /// Servers of the target.
    pub servers: u64,
    pub is_cluster: bool,
    pub has_relay: bool,
}

impl SessionSize {
    /// Connections of the flows to each server. In a cluster, a flow has another one for questions.
    fn of_flows(self) -> u64 {
        if self.is_cluster { 2 * self.flows } else { self.flows }
    }

    /// Files and connections of the process.
    fn descriptors(self) -> u64 {
        let of_source = self.flows;
        let of_target = self.servers * (self.of_flows() + OTHER_CONNECTIONS);
        let of_relay = if self.has_relay { self.flows * RELAY_FILES } else { 0 };
        OTHER_DESCRIPTORS + of_source + of_target + of_relay
    }
}

/// What a server says of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clients {
    connected: u64,
    most: u64,
}

/// Whether there is room for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Room {
    Enough,
    /// Not until others leave.
    Scarce,
    /// Not even alone.
    None,
}

impl Clients {
    /// `None`: the server does not say.
    fn parse(info: &str) -> Option<Self> {
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        Some(Self { connected: field("connected_clients:")?, most: field("maxclients:")? })
    }

    /// Whether it has room for so many connections of flows, and for others.
    fn room(self, of_flows: u64) -> Room {
        match () {
            () if of_flows + 1 > self.most => Room::None,
            () if self.connected + of_flows + OTHER_CONNECTIONS > self.most => Room::Scarce,
            () => Room::Enough,
        }
    }
}

/// A server that has room for a session only if others leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScarceClients {
    /// Which.
    pub server: String,
    /// Connections of a session.
    pub needed: u64,
    /// Connections that it has now.
    pub connected: u64,
    /// What it takes.
    pub most: u64,
}

impl fmt::Display for ScarceClients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { server, needed, connected, most } = self;
        write!(
            f,
            "{server} may have too few places for clients: {connected} of {most} are taken (maxclients), and a replication needs {needed}"
        )
    }
}

/// Counts what a session of so many flows needs. Gives the servers that have room for it only if others leave.
///
/// # Errors
/// [`Error::TooFewClients`] and [`Error::TooFewDescriptors`].
pub(crate) async fn check(
    target: &mut TargetConnection,
    flows: u16,
    has_relay: bool,
) -> Result<Vec<ScarceClients>, Error> {
    let parts = target.parts();
    let size = SessionSize {
        flows: flows.into(),
        servers: parts.len() as u64,
        is_cluster: target.has_slots(),
        has_relay,
    };
    let mut scarce = Vec::new();
    for part in parts {
        scarce.extend(check_clients(target, &part, size).await?);
    }
    check_descriptors(size.descriptors())?;
    Ok(scarce)
}

async fn check_clients(
    target: &mut TargetConnection,
    part: &Part,
    size: SessionSize,
) -> Result<Option<ScarceClients>, Error> {
    let Reply::Bulk(text) = target.ask_part(part, &["INFO", "clients"]).await? else { return Ok(None) };
    let Some(clients) = Clients::parse(&String::from_utf8_lossy(&text)) else { return Ok(None) };
    let server = match part {
        Part::Server => "the target".to_owned(),
        Part::Node(address) => format!("the target's node {address}"),
    };
    let needed = size.of_flows() + OTHER_CONNECTIONS;
    match clients.room(size.of_flows()) {
        Room::Enough => Ok(None),
        Room::Scarce => {
            Ok(Some(ScarceClients { server, needed, connected: clients.connected, most: clients.most }))
        }
        Room::None => Err(Error::TooFewClients { server, needed, flows: size.flows, most: clients.most }),
    }
}

/// The limit is raised as far as the system allows it.
fn check_descriptors(needed: u64) -> Result<(), Error> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= needed) {
        return Ok(());
    }
    if limit.maximum.is_some_and(|most| most < needed) {
        return Err(Error::TooFewDescriptors { needed, most: limit.maximum.unwrap_or_default() });
    }
    let raised = Rlimit { current: limit.maximum.or(Some(needed)), maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => {
            debug!(needed, from = limit.current, to = raised.current, "the limit of open files is raised");
            Ok(())
        }
        Err(error) => {
            debug!(%error, "the limit of open files cannot be raised");
            Err(Error::TooFewDescriptors { needed, most: limit.current.unwrap_or_default() })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// C23: flows times servers.
    #[test]
    fn what_a_session_needs() {
        let one = SessionSize { flows: 8, servers: 1, is_cluster: false, has_relay: false };
        assert_eq!((one.of_flows(), one.descriptors()), (8, 32 + 8 + 12));
        let many = SessionSize { flows: 8, servers: 30, is_cluster: true, has_relay: true };
        assert_eq!((many.of_flows(), many.descriptors()), (16, 32 + 8 + 600 + 32));
    }

    #[test]
    fn what_a_server_says_of_its_clients() {
        let clients = |connected, most| Clients { connected, most };
        let text = "# Clients\r\nconnected_clients:7\r\ncluster_connections:0\r\nmaxclients:100\r\n";
        assert_eq!(Clients::parse(text), Some(clients(7, 100)));
        assert_eq!(Clients::parse("connected_clients:7\r\n"), None);
        assert_eq!(clients(7, 100).room(89), Room::Enough);
        assert_eq!(clients(7, 100).room(90), Room::Scarce);
        assert_eq!((clients(7, 100).room(99), clients(0, 100).room(100)), (Room::Scarce, Room::None));
    }
}
