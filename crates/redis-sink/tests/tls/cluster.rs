use std::time::Duration;

use dfly_testkit::{Certificates, ClusterOptions as Servers, RedisCluster, Reply};
use redis_resp::CommandBatch;
use redis_sink::WindowLimits;
use redis_sink::cluster::{
    AddressMap, ClusterConnection, ClusterOptions, ClusterPipeline, KnownNodes, Pauses, Unit,
};
use redis_slots::Slot;
use tokio::time::timeout;

use crate::{LONG, endpoint};

const KEYS: usize = 300;

fn options(cluster: &RedisCluster, certificates: &Certificates) -> ClusterOptions {
    ClusterOptions {
        endpoint: endpoint(cluster.node(0).unwrap().tls_address().unwrap(), certificates),
        others: Vec::new(),
        known: KnownNodes::default(),
        addresses: AddressMap::default(),
        name: "df2redis".to_owned(),
        reserved_prefix: "df2redis:".to_owned(),
        field: "flow:0".to_owned(),
        claim: None,
        pauses: Pauses { longest: Duration::from_millis(100), ..Pauses::default() },
        jitter: Duration::from_millis(1),
        patience: Duration::from_secs(10),
        memo: None,
        split: None,
        look_every: Duration::from_secs(10),
    }
}

/// The nodes take connections in the clear too: their clients say whether all came with TLS.
fn encrypted_clients(cluster: &RedisCluster, node: usize) -> Vec<bool> {
    let port = cluster.node(node).unwrap().tls_address().unwrap().port();
    let list = cluster.client(node).unwrap().expect(&[b"CLIENT", b"LIST"]).unwrap().text().unwrap();
    let ours = list.lines().filter(|client| client.contains("name=df2redis"));
    ours.map(|client| client.contains(&format!("laddr=127.0.0.1:{port} "))).collect()
}

/// Every node is reached at its port with TLS, by what the topology tells and by redirects: a slot moves meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn every_node_over_tls() {
    let certificates = Certificates::for_loopback().unwrap();
    let servers = Servers { tls: Some(certificates.server(true)), ..Servers::default() };
    let cluster = RedisCluster::start(&servers).unwrap();
    let options = options(&cluster, &certificates);
    let limits = WindowLimits { commands: 512, bytes: 1 << 20 };
    let mut pipeline = ClusterPipeline::open(options.clone(), limits).await.unwrap();
    for round in 0..2 {
        for number in 0..KEYS {
            let key = format!("key:{number}");
            let mut batch = CommandBatch::default();
            batch.push(&[b"APPEND", key.as_bytes(), format!("{round}").as_bytes()]);
            pipeline.submit([Unit::plain(Slot::of(key.as_bytes()), &mut batch)], (round, number));
        }
        let mut settled = Vec::new();
        while settled.len() < KEYS {
            timeout(LONG, pipeline.progress()).await.unwrap().unwrap();
            settled.extend(std::iter::from_fn(|| pipeline.settled()));
        }
        assert_eq!(settled, (0..KEYS).map(|number| (round, number)).collect::<Vec<_>>());
        if round == 0 {
            move_a_slot(&cluster);
        }
    }
    assert!(pipeline.take_refusals().is_empty() && pipeline.take_lost().is_empty());
    for node in 0..3 {
        assert_eq!(encrypted_clients(&cluster, node), [true]);
    }
    let mut asker = ClusterConnection::open(&options).await.unwrap();
    for number in 0..KEYS {
        let key = format!("key:{number}");
        let value = asker.ask(key.as_bytes(), &["GET", &key]).await.unwrap();
        assert_eq!(value, redis_resp::Reply::Bulk("01".into()));
    }
}

/// C20: servers before Redis 7.2 tell no TLS ports unless the nodes use TLS among themselves. Later ones do.
#[tokio::test]
async fn no_tls_between_the_nodes() {
    let certificates = Certificates::for_loopback().unwrap();
    let args = "--tls-cluster no --tls-replication no".split(' ').map(str::to_owned).collect();
    let servers = Servers { tls: Some(certificates.server(true)), args, ..Servers::default() };
    let cluster = RedisCluster::start(&servers).unwrap();
    match ClusterConnection::open(&options(&cluster, &certificates)).await {
        Ok(mut asker) => assert_eq!(asker.ask_all(&["PING"]).await.unwrap().len(), 3),
        Err(error) => assert!(error.to_string().contains("\"tls-cluster yes\""), "{error}"),
    }
}

/// The slot of the first key, without its keys being of use for anything but that.
fn move_a_slot(cluster: &RedisCluster) {
    let slot = cluster.slot(b"key:0").unwrap();
    let (from, to) = (cluster.owner(slot).unwrap(), (cluster.owner(slot).unwrap() + 1) % 3);
    let value = cluster.client(from).unwrap().expect(&[b"GETDEL", b"key:0"]).unwrap();
    cluster.migrate_slot(slot, to).unwrap();
    let value = value.bytes().unwrap();
    let set = cluster.client_for(b"key:0").unwrap().expect(&[b"SET", b"key:0", &value]).unwrap();
    assert_eq!(set, Reply::Simple("OK".to_owned()));
}
