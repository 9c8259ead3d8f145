//! Where a measurement writes to: a server, or a cluster.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use df2redis_benches::rig::process::cpu_seconds;
use df2redis_benches::rig::target::{CHECKPOINT, keys};
use dfly_testkit::{ClusterOptions, RedisClient, RedisCluster, RedisOptions, RedisServer};
use redis_resp::CommandBatch;
use redis_slots::Slot;

/// A target.
pub(crate) enum Place {
    Server(RedisServer),
    Cluster(RedisCluster),
}

impl Place {
    /// A single server, or a cluster of so many nodes.
    pub(crate) fn start(nodes: Option<usize>) -> Result<Self> {
        Ok(match nodes {
            None => Self::Server(RedisServer::start(RedisOptions::default())?),
            Some(primaries) => Self::Cluster(RedisCluster::start(&ClusterOptions {
                primaries,
                ..ClusterOptions::default()
            })?),
        })
    }

    pub(crate) fn name(&self) -> String {
        match self {
            Self::Server(_) => "a server".to_owned(),
            Self::Cluster(cluster) => format!("a cluster of {}", cluster.len()),
        }
    }

    fn servers(&self) -> Result<Vec<&RedisServer>> {
        match self {
            Self::Server(server) => Ok(vec![server]),
            Self::Cluster(cluster) => (0..cluster.len()).map(|node| Ok(cluster.node(node)?)).collect(),
        }
    }

    /// Where the tool finds it.
    pub(crate) fn url(&self) -> Result<String> {
        Ok(self.first()?.url())
    }

    /// The commands of each server: those whose key it holds.
    pub(crate) fn shares(&self, commands: &CommandBatch) -> Result<Vec<(SocketAddr, CommandBatch)>> {
        let addresses = self.servers()?.into_iter().map(RedisServer::address);
        let mut shares: Vec<_> = addresses.map(|address| (address, CommandBatch::default())).collect();
        let mut owners = BTreeMap::new();
        for command in (0..commands.len()).filter_map(|index| commands.command(index)) {
            let slot = Slot::of(command.arguments().nth(1).unwrap_or_default());
            let owner = match (self, owners.get(&slot)) {
                (Self::Server(_), _) => 0,
                (Self::Cluster(_), Some(known)) => *known,
                (Self::Cluster(cluster), None) => *owners.entry(slot).or_insert(cluster.owner(slot.0)?),
            };
            shares.get_mut(owner).context("a node that is not known")?.1.push_encoded(command);
        }
        Ok(shares)
    }

    fn first(&self) -> Result<&RedisServer> {
        self.servers()?.first().copied().context("a cluster without nodes")
    }

    /// CPU seconds of all servers.
    pub(crate) fn cpu_seconds(&self) -> Result<f64> {
        self.servers()?.into_iter().map(|server| cpu_seconds(server.pid())).sum()
    }

    /// Empties it, and gives a client of the server that will hold the positions.
    pub(crate) fn emptied(&self) -> Result<RedisClient> {
        for server in self.servers()? {
            server.client()?.expect(&[b"FLUSHALL", b"SYNC"])?;
        }
        match self {
            Self::Server(server) => Ok(server.client()?),
            Self::Cluster(cluster) => Ok(cluster.client_for(CHECKPOINT)?),
        }
    }

    /// Whether everything has arrived.
    pub(crate) fn check(&self, wanted: u32) -> Result<()> {
        let mut found = 0;
        for server in self.servers()? {
            found += keys(&mut server.client()?)?;
        }
        ensure!(found == i64::from(wanted), "{found} keys instead of {wanted} in {}", self.name());
        Ok(())
    }
}
