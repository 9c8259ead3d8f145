//! Where a measurement writes to: a server, or a cluster.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use dfly_testkit::{ClusterOptions, RedisClient, RedisCluster, RedisOptions, RedisServer};

use crate::process::cpu_seconds;
use crate::target::{CHECKPOINT, keys};

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

    pub(crate) fn address(&self) -> Result<SocketAddr> {
        Ok(self.first()?.address())
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
