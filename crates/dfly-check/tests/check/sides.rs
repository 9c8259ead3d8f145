//! Two servers, and a comparison of them.

use std::net::SocketAddr;
use std::time::Duration;

use dfly_check::{Certainty, CheckConfig, Finding, Pair, Progress, Rounds, RunSignals, Store, Summary, What};
use dfly_replica::EngineConfig;
use dfly_testkit::{ClusterOptions, RedisClient, RedisCluster, RedisOptions, RedisServer};
use redis_resp::connection::{Endpoint, Peer};
use tokio::sync::watch;

/// The source, and a target.
pub(crate) struct Sides {
    pub source: RedisServer,
    pub target: Side,
}

/// A target.
pub(crate) enum Side {
    Server(RedisServer),
    Cluster(RedisCluster),
}

impl Side {
    pub(crate) fn address(&self) -> SocketAddr {
        match self {
            Self::Server(server) => server.address(),
            Self::Cluster(cluster) => cluster.node(0).unwrap().address(),
        }
    }

    /// Runs a command whose key is its second word, or its third if it has one of two words.
    pub(crate) fn run(&self, db: u32, words: &[&str]) {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let key_at = if words[0] == b"XGROUP" { 2 } else { 1 };
        let mut client = match self {
            Self::Server(server) => server.client().unwrap(),
            Self::Cluster(cluster) => cluster.client_for(words[key_at]).unwrap(),
        };
        if db > 0 {
            client.select(db).unwrap();
        }
        client.expect(&words).unwrap();
    }
}

pub(crate) fn server() -> RedisServer {
    RedisServer::start(RedisOptions::default()).unwrap()
}

impl Sides {
    pub(crate) fn standalone() -> Self {
        Self { source: server(), target: Side::Server(server()) }
    }

    pub(crate) fn cluster() -> Self {
        Self {
            source: server(),
            target: Side::Cluster(RedisCluster::start(&ClusterOptions::default()).unwrap()),
        }
    }

    pub(crate) fn source(&self) -> RedisClient {
        self.source.client().unwrap()
    }

    /// Runs a command on both sides.
    pub(crate) fn on_both(&self, db: u32, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        self.on_source(db, &words);
        self.target.run(db, &words);
    }

    pub(crate) fn on_source(&self, db: u32, words: &[&str]) {
        let mut client = self.source();
        client.select(db).unwrap();
        client.expect(&words.iter().map(|word| word.as_bytes()).collect::<Vec<_>>()).unwrap();
    }

    pub(crate) fn config(&self) -> CheckConfig {
        config(self.source.address(), self.target.address())
    }
}

/// The settings of a comparison between two addresses, without pauses.
pub(crate) fn config(source: SocketAddr, target: SocketAddr) -> CheckConfig {
    let endpoint = |peer, address: SocketAddr| Endpoint::new(peer, address.ip().to_string(), address.port());
    let engine = EngineConfig::new(endpoint(Peer::Source, source), endpoint(Peer::Target, target));
    CheckConfig { rounds: 2, pause: Duration::from_millis(10), connections: 2, ..CheckConfig::new(engine) }
}

/// What a comparison has found.
pub(crate) struct Checked {
    pub summary: Summary,
    pub findings: Vec<(Pair, Finding)>,
}

pub(crate) async fn check(config: CheckConfig) -> Checked {
    let store = Store::temporary().unwrap();
    let (progress, _shown) = watch::channel(Progress::default());
    let (_stop, stopped) = watch::channel(false);
    let summary = Rounds::new(config, &store, RunSignals { progress, stop: stopped }).run().await.unwrap();
    let findings = store.findings(None, 10_000).unwrap();
    Checked { summary, findings }
}

impl Checked {
    /// The keys that differ for certain, each with what differs.
    pub(crate) fn different(&self) -> Vec<(u32, String, Vec<What>)> {
        let row = |(pair, finding): &(Pair, Finding)| match finding {
            Finding::Different { different, certainty } => {
                assert_eq!(*certainty, Certainty::Differs, "{pair:?}");
                let name = String::from_utf8(pair.target.name.to_vec()).unwrap();
                Some((pair.target.db.0, name, different.what.clone()))
            }
            Finding::NotCompared { .. } => None,
        };
        self.findings.iter().filter_map(row).collect()
    }

    /// The reasons why keys could not be compared, by their names.
    pub(crate) fn not_compared(&self) -> Vec<(String, String)> {
        let row = |(pair, finding): &(Pair, Finding)| match finding {
            Finding::NotCompared { reason } => {
                Some((String::from_utf8(pair.source.name.to_vec()).unwrap(), reason.clone()))
            }
            Finding::Different { .. } => None,
        };
        self.findings.iter().filter_map(row).collect()
    }
}
