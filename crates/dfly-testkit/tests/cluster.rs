//! A real cluster: formed, resharded with the window of ASK held open, and with a primary killed.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

use dfly_testkit::{ClusterError, ClusterOptions, RedisClient, RedisCluster, Reply};

fn run(client: &mut RedisClient, line: &str) -> Reply {
    let args: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
    client.command(&args).unwrap()
}

fn text(client: &mut RedisClient, line: &str) -> String {
    match run(client, line) {
        Reply::Error(text) => text,
        reply => reply.text().unwrap_or_default(),
    }
}

#[test]
fn keys_go_to_their_owners() {
    let cluster = RedisCluster::start(&ClusterOptions::default()).unwrap();
    assert_eq!((cluster.len(), cluster.is_empty()), (3, false));
    for i in 0..100 {
        let key = format!("key{i}");
        let mut client = cluster.client_for(key.as_bytes()).unwrap();
        assert_eq!(text(&mut client, &format!("SET {key} {i}")), "OK");
    }
    assert_eq!(cluster.keyspace().unwrap().len(), 100);
    // A Redis 7.0 says that foo is in slot 12182, which the third of three owns.
    assert_eq!((cluster.slot(b"foo").unwrap(), cluster.owner(12182).unwrap()), (12182, 2));
    assert_eq!(
        [0, 5460, 5461, 10921, 10922, 16383].map(|slot| cluster.owner(slot).unwrap()),
        [0, 0, 1, 1, 2, 2]
    );
    let port = cluster.node(2).unwrap().address().port();
    assert_eq!(text(&mut cluster.client(0).unwrap(), "GET foo"), format!("MOVED 12182 127.0.0.1:{port}"));
    assert!(matches!(cluster.node(3), Err(ClusterError::Missing(_))));
    let pids: Vec<u32> = (0..3).map(|i| cluster.node(i).unwrap().pid()).collect();
    drop(cluster);
    for pid in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid} lives on");
    }
}

#[test]
fn a_slot_is_held_on_its_way() {
    let cluster = RedisCluster::start(&ClusterOptions::default()).unwrap();
    let (mut source, mut target) = (cluster.client(2).unwrap(), cluster.client(0).unwrap());
    for i in 0..250 {
        assert_eq!(text(&mut source, &format!("SET {{foo}}{i} {i}")), "OK");
    }
    let migration = cluster.begin_migration(12182, 0).unwrap();
    assert_eq!((migration.from, migration.to), (2, 0));
    assert_eq!(text(&mut source, "GET {foo}1"), "1");
    let ask = format!("ASK 12182 127.0.0.1:{}", cluster.node(0).unwrap().address().port());
    assert_eq!(text(&mut source, "GET {foo}new"), ask);
    assert_eq!(cluster.move_keys(migration, 100).unwrap(), 100);
    let asked = (0..250).filter(|i| text(&mut source, &format!("GET {{foo}}{i}")) == ask).count();
    assert_eq!(asked, 100);
    assert!(text(&mut target, "GET {foo}1").starts_with("MOVED 12182 "));
    assert_eq!(text(&mut target, "ASKING"), "OK");
    assert_eq!(text(&mut target, "SET {foo}new x"), "OK");
    let all: Vec<String> = (0..250).map(|i| format!("{{foo}}{i}")).collect();
    assert!(text(&mut source, &format!("MGET {}", all.join(" "))).starts_with("TRYAGAIN "));
    cluster.finish_migration(migration).unwrap();
    assert_eq!(cluster.owner(12182).unwrap(), 0);
    assert_eq!(text(&mut target, "GET {foo}new"), "x");
    assert_eq!(cluster.keyspace().unwrap().len(), 251);
    let moved = format!("MOVED 12182 {}", cluster.node(0).unwrap().address());
    for i in [1, 2] {
        assert_eq!(text(&mut cluster.client(i).unwrap(), "GET {foo}1"), moved);
    }
    cluster.migrate_slot(12182, 1).unwrap();
    assert_eq!(text(&mut cluster.client_for(b"foo").unwrap(), "GET {foo}249"), "249");
    assert_eq!(cluster.owner(12182).unwrap(), 1);
}

#[test]
fn a_replica_takes_over() {
    let options = ClusterOptions { replicas_per_primary: 1, ..ClusterOptions::default() };
    let mut cluster = RedisCluster::start(&options).unwrap();
    assert_eq!(cluster.len(), 6);
    let mut client = cluster.client(2).unwrap();
    assert_eq!(text(&mut client, "SET foo 1"), "OK");
    assert_eq!(run(&mut client, "WAIT 1 5000"), Reply::Int(1));
    cluster.kill(2).unwrap();
    assert_eq!(cluster.wait_failover(2).unwrap(), 5);
    assert_eq!(text(&mut cluster.client_for(b"foo").unwrap(), "GET foo"), "1");
    assert_eq!(cluster.keyspace().unwrap().len(), 1);
    cluster.restart(2).unwrap();
    assert_eq!(cluster.id(2).unwrap(), text(&mut cluster.client(2).unwrap(), "CLUSTER MYID"));
}
