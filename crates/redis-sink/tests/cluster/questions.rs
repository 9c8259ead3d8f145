use std::collections::BTreeMap;

use dfly_testkit::{ClusterOptions, RedisCluster};
use redis_resp::Reply;
use redis_resp::connection::Credentials;
use redis_sink::WindowLimits;
use redis_sink::cluster::{Claim, ClusterConnection, ClusterError, ClusterPipeline, Unit, position_key};
use redis_slots::Slot;

use crate::load::{FIELD, PREFIX, options, run, text};

/// Questions find their node while a slot is on its way and behind it, and reach every primary.
#[tokio::test]
async fn questions_find_their_node() {
    let cluster = RedisCluster::start(&ClusterOptions::default()).unwrap();
    let mut asker = ClusterConnection::open(&options(&cluster)).await.unwrap();
    let mut ask = async |line: &str| {
        let words: Vec<&str> = line.split(' ').collect();
        asker.ask(words[1].as_bytes(), &words).await.unwrap()
    };
    for i in 0..30 {
        assert_eq!(ask(&format!("SET key{i} {i}")).await, Reply::Simple("OK".to_owned()));
    }
    let slot = cluster.slot(b"foo").unwrap();
    assert_eq!(ask("SET foo 1").await, Reply::Simple("OK".to_owned()));
    let migration = cluster.begin_migration(slot, 0).unwrap();
    cluster.move_keys(migration, 10).unwrap();
    assert_eq!(ask("GET foo").await, Reply::Bulk("1".into()));
    assert_eq!(ask("INCR {foo}new").await, Reply::Integer(1));
    cluster.finish_migration(migration).unwrap();
    assert_eq!(ask("INCR {foo}new").await, Reply::Integer(2));
    assert!(matches!(ask("LPUSH foo 1").await, Reply::Error(_)));

    let sizes = asker.ask_all(&["DBSIZE"]).await.unwrap();
    assert_eq!(sizes.len(), 3);
    let total: i64 =
        sizes.iter().map(|(_, reply)| if let Reply::Integer(size) = reply { *size } else { 0 }).sum();
    assert_eq!(total, 32);
    let ports: Vec<u16> = (0..3).map(|node| cluster.node(node).unwrap().address().port()).collect();
    let mut found: Vec<u16> = asker.primaries().map(|address| address.port).collect();
    found.sort_by_key(|port| ports.iter().position(|known| known == port));
    assert_eq!(found, ports);
}

#[tokio::test]
async fn positions_are_read_wherever_their_slots_are() {
    let cluster = RedisCluster::start(&ClusterOptions::default()).unwrap();
    let mut expected = BTreeMap::new();
    for slot in [3u16, 5000, 6000, 16000] {
        let key = position_key(PREFIX, Slot(slot));
        let value = format!("{slot}7");
        cluster
            .client_for(&key)
            .unwrap()
            .expect(&[b"HSET", &key, FIELD.as_bytes(), value.as_bytes()])
            .unwrap();
        expected.insert(Slot(slot), u64::from(slot) * 10 + 7);
    }
    expected.insert(Slot(4), 0);
    cluster.migrate_slot(3, 2).unwrap();
    let migration = cluster.begin_migration(6000, 0).unwrap();
    cluster.move_keys(migration, 1).unwrap();
    let mut asker = ClusterConnection::open(&options(&cluster)).await.unwrap();
    assert_eq!(asker.positions(expected.keys().copied()).await.unwrap(), expected);
}

/// Every node is logged in to, under the name that is given.
#[tokio::test]
async fn every_node_is_logged_in_to() {
    let cluster = RedisCluster::start(&ClusterOptions::default()).unwrap();
    for node in 0..3 {
        run(&mut cluster.client(node).unwrap(), "ACL SETUSER writer on >secret ~* &* +@all");
    }
    let credentials =
        |password: &str| Credentials { user: Some("writer".to_owned()), password: password.into() };
    let mut options = options(&cluster);
    options.endpoint.credentials = Some(credentials("wrong"));
    let refused = ClusterPipeline::<()>::open(options.clone(), WindowLimits::default()).await;
    assert!(matches!(refused, Err(ClusterError::Login(_))));
    options.endpoint.credentials = Some(credentials("secret"));
    let mut pipeline = ClusterPipeline::open(options, WindowLimits::default()).await.unwrap();
    let units = ["a", "b", "c"].map(|key| {
        let mut batch = redis_resp::CommandBatch::default();
        batch.push(&[b"SET", key.as_bytes(), b"1"]);
        Unit::plain(Slot::of(key.as_bytes()), &mut batch)
    });
    let owners = ["a", "b", "c"].map(|key| cluster.owner(Slot::of(key.as_bytes()).0).unwrap());
    pipeline.submit(units, ());
    while pipeline.settled().is_none() {
        pipeline.progress().await.unwrap();
    }
    for node in owners {
        let list = text(&mut cluster.client(node).unwrap(), "CLIENT LIST");
        assert!(
            list.lines().any(|line| line.contains("name=df2redis ") && line.contains("user=writer ")),
            "{list}"
        );
    }
}

/// A run that was overtaken writes nothing on a connection that it opens later.
#[tokio::test]
async fn a_claim_is_asked_for_before_each_connection_is_used() {
    let cluster = RedisCluster::start(&ClusterOptions::default()).unwrap();
    let mut owner = cluster.client_for(b"df2redis:checkpoint").unwrap();
    run(&mut owner, "HSET df2redis:checkpoint owner me");
    let (key, field) = ("df2redis:checkpoint".to_owned(), "owner".to_owned());
    let claim = Some(Claim { key, field, value: "me".to_owned() });
    let mut options = options(&cluster);
    options.claim = claim;
    let mut pipeline = ClusterPipeline::open(options, WindowLimits::default()).await.unwrap();
    let unit = |value: &[u8]| {
        let mut batch = redis_resp::CommandBatch::default();
        batch.push(&[b"SET", b"key", value]);
        [Unit::plain(Slot::of(b"key"), &mut batch)]
    };
    pipeline.submit(unit(b"1"), ());
    while pipeline.settled().is_none() {
        pipeline.progress().await.unwrap();
    }
    run(&mut owner, "HSET df2redis:checkpoint owner other");
    let mut node = cluster.client_for(b"key").unwrap();
    run(&mut node, "CLIENT KILL TYPE normal");
    pipeline.submit(unit(b"2"), ());
    let error = loop {
        if let Err(error) = pipeline.progress().await {
            break error;
        }
    };
    assert!(matches!(error, ClusterError::Overtaken), "{error}");
    assert_eq!(text(&mut node, "GET key"), "1");
}
