//! What is wrong with a cluster.

use dfly_prepare::{Check, Report, Severity};
use dfly_testkit::{Certificates, ClusterOptions, RedisCluster};
use redis_resp::connection::{Endpoint, Peer, Tls, TlsSettings};
use redis_sink::cluster::AddressMap;

use crate::pair::{Pair, assert_found, endpoint, of, script};
use Severity::{Blocker, Ok, Warning};

async fn found(cluster: &RedisCluster, map: &[&str]) -> Report {
    let pair = Pair::new(script(), &[]).await;
    pair.found(|config| {
        config.target = endpoint(Peer::Target, cluster.node(0).unwrap().address());
        config.target_addresses = AddressMap::parse(map.iter().copied()).unwrap();
    })
    .await
}

/// C18: every node announces a host name that means nothing here.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_mean_nothing_here() {
    let announced = "--cluster-announce-hostname db.invalid --cluster-preferred-endpoint-type hostname";
    let args = announced.split(' ').map(str::to_owned).collect();
    let cluster = RedisCluster::start(&ClusterOptions { args, ..ClusterOptions::default() }).unwrap();
    let report = found(&cluster, &[]).await;
    assert_found(&report, Check::ClusterNodes, Blocker, "db.invalid");
    let report = found(&cluster, &["db.invalid=127.0.0.1"]).await;
    assert_eq!(of(&report, Check::ClusterNodes).severity, Ok, "{report:?}");
    // Three primaries without replicas, and without files.
    assert_found(&report, Check::TargetReplicas, Warning, "3 primaries have no replica");
    assert_found(&report, Check::TargetPersistence, Warning, "appendonly yes");
}

#[tokio::test(flavor = "multi_thread")]
async fn slots() {
    let cluster = RedisCluster::start(&ClusterOptions::default()).unwrap();
    let slot = cluster.slot(b"k1").unwrap();
    let from = cluster.owner(slot).unwrap();
    let migration = cluster.begin_migration(slot, (from + 1) % 3).unwrap();
    let report = found(&cluster, &[]).await;
    assert_found(&report, Check::ClusterSlots, Warning, "1 slot is being moved");
    cluster.finish_migration(migration).unwrap();
    let lost = cluster.slot(b"k2").unwrap();
    for node in 0..cluster.len() {
        cluster
            .client(node)
            .unwrap()
            .expect(&[b"CLUSTER", b"DELSLOTS", lost.to_string().as_bytes()])
            .unwrap();
    }
    let report = found(&cluster, &[]).await;
    assert_found(&report, Check::ClusterSlots, Blocker, &format!("slot {lost}"));
}

/// C20: TLS for clients, and none on the bus.
#[tokio::test(flavor = "multi_thread")]
async fn no_tls_between_the_nodes() {
    let certificates = Certificates::for_loopback().unwrap();
    let args = "--tls-cluster no --tls-replication no".split(' ').map(str::to_owned).collect();
    let options = ClusterOptions { tls: Some(certificates.server(false)), args, ..ClusterOptions::default() };
    let cluster = RedisCluster::start(&options).unwrap();
    let settings = TlsSettings { ca: Some(certificates.ca()), ..TlsSettings::default() };
    let tls = Some(Tls::new(&settings).unwrap());
    let pair = Pair::new(script(), &[]).await;
    let address = cluster.node(0).unwrap().tls_address().unwrap();
    let report =
        pair.found(|config| config.target = Endpoint { tls, ..endpoint(Peer::Target, address) }).await;
    let finding = of(&report, Check::ClusterBusTls);
    assert!(finding.severity != Ok && finding.sentence().contains("tls-cluster yes"), "{finding:?}");
}
