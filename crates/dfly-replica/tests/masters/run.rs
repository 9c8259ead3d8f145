//! One recorded session into one Redis.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use dfly_replica::{Engine, EngineConfig, Error, Reconnect, Report, Stop};
use dfly_testkit::{
    CanonicalValue, CompareOptions, Comparison, MasterOptions, RecordedMaster, Recording, RedisCluster,
    RedisOptions, RedisServer, compare, keyspace,
};
use dfly_translate::{Policy, Rules};
use redis_resp::connection::{Credentials, Endpoint, Peer};
use tokio::sync::watch;
use tokio::time::timeout;

/// Far beyond what any recorded session takes; a test that hangs fails by it.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

pub(crate) fn endpoint(peer: Peer, at: SocketAddr) -> Endpoint {
    Endpoint {
        connect_timeout: Duration::from_secs(5),
        reply_timeout: Duration::from_secs(20),
        ..Endpoint::new(peer, at.ip().to_string(), at.port())
    }
}

/// Somewhere to replicate to.
pub(crate) trait Target {
    /// Where it listens, or one of its nodes.
    fn address(&self) -> SocketAddr;
}

impl Target for RedisServer {
    fn address(&self) -> SocketAddr {
        Self::address(self)
    }
}

impl<T: Target> Target for Arc<T> {
    fn address(&self) -> SocketAddr {
        T::address(self)
    }
}

impl Target for RedisCluster {
    fn address(&self) -> SocketAddr {
        self.node(0).unwrap().address()
    }
}

/// As [`config_for`], with the recording's password.
pub(crate) fn config(master: &RecordedMaster, redis: &impl Target) -> EngineConfig {
    let mut config = config_for(master.address(), redis);
    config.source.credentials =
        master.recording().password().map(|password| Credentials { user: None, password: password.into() });
    config
}

/// Everything that is left out is counted; a source that stays away ends the run at the second failure to connect;
/// values above 8 KiB arrive in pieces.
pub(crate) fn config_for(source: SocketAddr, redis: &impl Target) -> EngineConfig {
    let mut config =
        EngineConfig::new(endpoint(Peer::Source, source), endpoint(Peer::Target, redis.address()));
    config.limits.piece = 8 << 10;
    config.rules = Rules::from(Policy::Skip).into();
    config.ack_interval = Duration::from_millis(20);
    config.reconnect = Reconnect {
        first_delay: Duration::from_millis(1),
        longest_delay: Duration::from_millis(2),
        give_up_after: Some(Duration::ZERO),
    };
    config
}

/// Runs until the recording is sent and acknowledged to its end, then stops the run.
pub(crate) async fn to_the_end(config: EngineConfig, master: &RecordedMaster) -> Result<Report, Error> {
    let (engine, _reports) = Engine::new(config);
    let (stop, stopped) = watch::channel(Stop::Running);
    let mut run = std::pin::pin!(engine.run(stopped));
    tokio::select! {
        done = &mut run => return done,
        finished = timeout(LIMIT, master.finished()) => {
            assert!(finished.is_ok(), "{}: not at its end in time; violations {:?}", master.recording().meta.scenario, master.violations());
        }
    }
    stop.send_replace(Stop::Drain);
    run.await
}

/// Runs until the run ends by itself.
pub(crate) async fn until_it_ends(config: EngineConfig) -> Result<Report, Error> {
    let (engine, _reports) = Engine::new(config);
    let (_stop, stopped) = watch::channel(Stop::Running);
    timeout(LIMIT, engine.run(stopped)).await.unwrap_or_else(|_| panic!("the run did not end"))
}

/// Everything in a Redis but this tool's own keys.
pub(crate) fn user_keys(redis: &RedisServer) -> BTreeMap<(u32, Bytes), CanonicalValue> {
    let mut keys = keyspace(&mut redis.client().unwrap()).unwrap();
    keys.retain(|(_, key), _| !key.starts_with(b"df2redis:") && !key.starts_with(b"df2redis@"));
    keys
}

pub(crate) fn redis() -> RedisServer {
    RedisServer::start(RedisOptions::default()).unwrap()
}

pub(crate) fn comparing(recording: &Recording) -> CompareOptions {
    CompareOptions {
        replayed: recording.journal_arguments(),
        entries_read_may_be_unknown: true,
        reserved_prefix: Some("df2redis:".into()),
        ..CompareOptions::default()
    }
}

pub(crate) fn differences(redis: &RedisServer, recording: &Recording) -> Comparison {
    let options = comparing(recording);
    let mut comparison = compare(&mut redis.client().unwrap(), recording.expected(), &options).unwrap();
    // What this master held in other databases than 0 was not recorded, as cluster clients have no SELECT.
    if recording.meta.scenario == "journal-cluster-emulated" {
        comparison.differences.retain(|difference| difference.db == 0);
    }
    comparison
}

/// Replicates a recording as `options` serve it; the end must be what the real master held.
pub(crate) async fn replicate(recording: Recording, options: MasterOptions) -> (RecordedMaster, Report) {
    let redis = redis();
    let master = RecordedMaster::start(recording, options).await.unwrap();
    let report = to_the_end(config(&master, &redis), &master).await.unwrap();
    let comparison = differences(&redis, master.recording());
    assert!(comparison.is_equal(), "{}: {:#?}", master.recording().meta.scenario, comparison.differences);
    assert_eq!(master.violations(), [""; 0], "{}", master.recording().meta.scenario);
    (master, report)
}
