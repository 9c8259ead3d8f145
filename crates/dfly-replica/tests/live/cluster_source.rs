//! C44: a live node of a Dragonfly Cluster gives slots away while it is followed.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use dfly_replica::{Engine, EngineConfig, Report, Stop};
use dfly_testkit::{RedisClient, RedisOptions, RedisServer};
use redis_resp::connection::Peer;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::source::{binary, endpoint, start};

const LIMIT: Duration = Duration::from_secs(60);

const KEYS: usize = 5000;

/// Tells the node that it has the slots up to `last`, and another one the rest.
fn give(admin: &mut RedisClient, master: &RedisServer, last: u16) {
    let id = admin.expect(&[b"CLUSTER", b"MYID"]).unwrap().text().unwrap();
    let shard = |first: u16, last: u16, id: &str, port: u16| {
        format!(
            r#"{{"slot_ranges":[{{"start":{first},"end":{last}}}],"master":{{"id":"{id}","ip":"127.0.0.1","port":{port}}},"replicas":[]}}"#
        )
    };
    let ours = shard(0, last, &id, master.address().port());
    let config = format!("[{ours},{}]", shard(last + 1, 16383, &"f".repeat(40), 1));
    admin.expect(&[b"DFLYCLUSTER", b"CONFIG", config.as_bytes()]).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_are_given_away() {
    let Some(binary) = binary("slots_are_given_away") else { return };
    let admin_port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let admin_flag = format!("--admin_port={admin_port}");
    let master = start(&binary, &["--proactor_threads=3", "--cluster_mode=yes", &admin_flag]);
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let mut admin = RedisClient::connect(SocketAddr::from(([127, 0, 0, 1], admin_port))).unwrap();
    give(&mut admin, &master, 16_000);
    let mut client = master.client().unwrap();
    let mut slots = Vec::new();
    for n in 0..KEYS {
        let key = format!("key:{n}");
        slots.push(client.expect(&[b"CLUSTER", b"KEYSLOT", key.as_bytes()]).unwrap().int().unwrap());
        // The node refuses what it has no slot for.
        client.command(&[b"SET", key.as_bytes(), b"v"]).unwrap();
    }
    let mut config = EngineConfig::new(endpoint(Peer::Source, &master), endpoint(Peer::Target, &redis));
    config.report_interval = Duration::from_millis(20);
    let (engine, mut reports) = Engine::new(config);
    let (stop, stopped) = watch::channel(Stop::Running);
    let run = tokio::spawn(engine.run(stopped));
    let follows =
        |report: &Report| report.events.iter().any(|event| event.text.contains("follows the journal"));
    assert!(timeout(LIMIT, reports.wait_for(follows)).await.is_ok());
    for last in [12_000u16, 7000, 6999] {
        give(&mut admin, &master, last);
        let held = |redis: &RedisServer| {
            let mut target = redis.client().unwrap();
            let there = |n: usize| {
                target.expect(&[b"EXISTS", format!("key:{n}").as_bytes()]).unwrap().int() == Some(1)
            };
            (0..KEYS).map(there).collect::<Vec<bool>>()
        };
        let expected: Vec<bool> = slots.iter().map(|slot| *slot <= i64::from(last)).collect();
        let gone = async {
            while held(&redis) != expected {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let is_gone = timeout(LIMIT, gone).await.is_ok();
        assert!(is_gone, "up to slot {last}: {:?}", reports.borrow().events);
    }
    stop.send_replace(Stop::Drain);
    let report = run.await.unwrap().unwrap();
    assert!(report.losses.is_empty(), "{report:?}");
}
