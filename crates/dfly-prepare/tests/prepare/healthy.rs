//! Pairs that are as they should be.

use std::time::Duration;

use dfly_prepare::{Check, Severity};
use dfly_testkit::{
    Certificates, ClusterOptions, RedisCluster, RedisOptions, RedisSentinels, RedisServer, Script,
    ScriptedMaster, SentinelOptions,
};
use redis_resp::connection::{Endpoint, Peer, Sentinels, Tls, TlsSettings};

use crate::pair::{Pair, assert_only, endpoint, of, options, prepare, script};

#[tokio::test(flavor = "multi_thread")]
async fn a_plain_pair() {
    let pair = Pair::new(script(), &[]).await;
    let report = pair.found(|_| {}).await;
    assert_only(&report, &[]);
    for (check, words) in [
        (Check::SourceKeys, "204 keys in 1 database"),
        (Check::SourceCommands, "every command"),
        (Check::TargetKind, "Redis 7"),
        (Check::TargetKeys, "empty"),
        (Check::TargetPayloads, "String"),
        (Check::Databases, "1 database of the source"),
        (Check::RoundTrips, "to the source and back"),
        (Check::StateDir, "are free under"),
    ] {
        let finding = of(&report, check);
        assert!(finding.means.contains(words) && finding.remedy.is_none(), "{finding:?}");
    }
    let mut client = pair.redis.client().unwrap();
    assert_eq!(client.expect(&[b"DBSIZE"]).unwrap().int(), Some(0), "nothing is left on the target");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster() {
    let options =
        ClusterOptions { replicas_per_primary: 1, args: append_only(), ..ClusterOptions::default() };
    let cluster = RedisCluster::start(&options).unwrap();
    let pair = Pair::new(script(), &[]).await;
    let report =
        pair.found(|config| config.target = endpoint(Peer::Target, cluster.node(0).unwrap().address())).await;
    assert_only(&report, &[]);
    assert!(of(&report, Check::ClusterNodes).means.contains("Each of the 6 nodes"), "{report:?}");
    assert!(of(&report, Check::ClusterSlots).means.contains("3 primaries"), "{report:?}");
    assert!(of(&report, Check::TargetPayloads).means.contains("String"), "{report:?}");
}

fn append_only() -> Vec<String> {
    ["--appendonly", "yes"].map(str::to_owned).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_sentinels() {
    let servers = RedisSentinels::start(&SentinelOptions::default()).unwrap();
    for server in [&servers.first, &servers.second] {
        server.client().unwrap().expect(&[b"CONFIG", b"SET", b"appendonly", b"yes"]).unwrap();
    }
    let pair = Pair::new(script(), &[]).await;
    let addresses =
        servers.sentinels.iter().map(|at| ("127.0.0.1".to_owned(), at.address().port())).collect();
    let sentinels = Sentinels { addresses, service: servers.service().to_owned(), credentials: None };
    let report = pair.found(|config| config.target.sentinels = Some(sentinels)).await;
    assert_only(&report, &[]);
    assert!(of(&report, Check::TargetReplicas).means.contains("1 replica"), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls() {
    let certificates = Certificates::for_loopback().unwrap();
    let tls = Some(certificates.server(false));
    let redis =
        RedisServer::start(RedisOptions { append_only: true, tls, ..RedisOptions::default() }).unwrap();
    let pair = Pair::new(script(), &[]).await;
    let settings = TlsSettings { ca: Some(certificates.ca()), ..TlsSettings::default() };
    let trusted = Endpoint {
        tls: Some(Tls::new(&settings).unwrap()),
        ..endpoint(Peer::Target, redis.tls_address().unwrap())
    };
    let report = pair.found(|config| config.target = trusted).await;
    assert_only(&report, &[]);
    assert!(of(&report, Check::TargetTls).means.contains("is verified"), "{report:?}");

    let insecure = TlsSettings { insecure: true, ..TlsSettings::default() };
    let target = Endpoint {
        tls: Some(Tls::new(&insecure).unwrap()),
        ..endpoint(Peer::Target, redis.tls_address().unwrap())
    };
    let report = pair.found(|config| config.target = target).await;
    assert_only(&report, &[Check::TargetTls]);
    assert_eq!(of(&report, Check::TargetTls).severity, Severity::Warning);

    let nothing = TlsSettings::default();
    let untrusted = Endpoint {
        tls: Some(Tls::new(&nothing).unwrap()),
        ..endpoint(Peer::Target, redis.tls_address().unwrap())
    };
    let report = pair.found(|config| config.target = untrusted).await;
    assert_eq!(of(&report, Check::TargetTls).severity, Severity::Blocker, "{report:?}");
}

/// Seconds, with many flows too.
#[tokio::test(flavor = "multi_thread")]
async fn sixty_four_flows() {
    let script =
        (0..2000).fold(Script::new(64), |script, n| script.before(format!("SET k{n} value").as_str()));
    let pair = Pair::new(script, &[]).await;
    let mut prepare = prepare(pair.config());
    prepare.measures = true;
    let report = prepare.run().await;
    assert_only(&report, &[]);
    assert_eq!(report.flows, Some(64));
    assert!(report.seconds < 5.0, "{}", report.seconds);
    assert!(of(&report, Check::Duration).means.contains("2000 keys"), "{report:?}");
    assert!(pair.master.violations().is_empty(), "{:?}", pair.master.violations());
}

/// Before a first start it takes no time, and nothing is said.
#[tokio::test(flavor = "multi_thread")]
async fn a_first_start() {
    let pair = Pair::new(script(), &[]).await;
    let began = std::time::Instant::now();
    let findings = prepare(pair.config()).at_start().await;
    let took = std::time::Instant::now().duration_since(began);
    assert_eq!(findings, Vec::new());
    assert!(took < Duration::from_secs(1), "{took:?}");
}

/// A side that is away is the engine's affair.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_is_away() {
    let pair = Pair::new(script(), &[]).await;
    let gone = ScriptedMaster::start(Script::new(1), options()).await.unwrap().address();
    let mut config = pair.config();
    config.source = endpoint(Peer::Source, gone);
    assert_eq!(prepare(config.clone()).at_start().await, Vec::new());
    let report = prepare(config).run().await;
    assert_only(&report, &[Check::SourceAddresses]);
    assert_eq!(of(&report, Check::SourceAddresses).severity, Severity::Blocker);
}
