//! Into a cluster, and what is left there removed.

use std::time::Duration;

use dfly_testkit::{
    ClusterOptions, CompareOptions, MasterOptions, RecordedMaster, Recording, RedisCluster, RedisOptions,
    RedisServer, Row, Script, ScriptedMaster,
};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::binary::{run, spawn, stderr, stop};

const LIMIT: Duration = Duration::from_secs(60);

fn text(args: &[&str]) -> String {
    let output = run(args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    String::from_utf8(output.stdout).unwrap()
}

fn reserved(cluster: &RedisCluster) -> usize {
    cluster.keyspace().unwrap().keys().filter(|(_, key)| key.starts_with(b"df2redis:")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn replicated_and_cleaned_up() {
    let cluster = RedisCluster::start(&ClusterOptions::default()).unwrap();
    let recording = Recording::bundled("requirepass").unwrap();
    let rows: Vec<Row> = recording.expected().iter().filter(|row| row.db == 0).cloned().collect();
    let master = RecordedMaster::start(recording, MasterOptions::default()).await.unwrap();
    let source = format!("dragonfly://:s3cret@{}", master.address());
    let target = cluster.node(1).unwrap().url();
    let servers = ["replicate", "--source", &source, "--target", &target];
    let child = spawn(&[&servers[..], &["--on-unsupported", "skip", "--map-db", "3=skip"]].concat());
    assert!(timeout(LIMIT, master.finished()).await.is_ok(), "{:?}", master.violations());

    let refused = run(&["cleanup", "--target", &target]);
    assert_eq!(refused.status.code(), Some(5), "{}", stderr(&refused));
    assert!(stderr(&refused).contains("df2redis writes to the target"), "{}", stderr(&refused));

    let (status, log) = stop(child, Signal::INT);
    assert_eq!(status.code(), Some(0), "{log}");
    let options = CompareOptions { reserved_prefix: Some("df2redis:".into()), ..CompareOptions::default() };
    let comparison = cluster.compare(&rows, &options).unwrap();
    assert!(comparison.is_equal(), "{:#?}", comparison.differences);

    let before = reserved(&cluster);
    assert!(before > 0);
    let counted = text(&["cleanup", "--target", &target, "--dry-run"]);
    assert!(counted.contains(&format!("{before}  would be removed in total")), "{counted}");
    assert_eq!(reserved(&cluster), before);
    assert!(text(&["cleanup", "--target", &target]).contains(&format!("{before}  removed in total")));
    assert_eq!(reserved(&cluster), 0);
    assert!(cluster.compare(&rows, &options).unwrap().is_equal(), "the keys themselves stay");
    assert!(text(&["cleanup", "--target", &target]).contains("holds no keys of df2redis"));
    // C26: of several nodes, one that is dead is passed over.
    let several = format!("redis://127.0.0.1:1,{}", cluster.node(2).unwrap().address());
    assert!(text(&["cleanup", "--target", &several]).contains("holds no keys of df2redis"));
}

/// What `--target-mode` says is held against what the server says.
#[test]
fn modes() {
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let url = redis.url();
    for (mode, code, words) in [
        ("cluster", 5, "is a single server, not a node of a cluster"),
        ("both", 2, "not one of auto, standalone, cluster"),
    ] {
        let output = run(&["cleanup", "--target", &url, "--target-mode", mode]);
        assert_eq!(output.status.code(), Some(code), "{}", stderr(&output));
        assert!(stderr(&output).contains(words), "{}", stderr(&output));
    }
    assert!(text(&["cleanup", "--target", &url, "--target-mode", "standalone"]).contains("no keys"));
}

/// C18: every node announces a host name that means nothing here. The error names the option, and with it the run gets
/// through, also where a node redirects it.
#[tokio::test(flavor = "multi_thread")]
async fn announced_addresses_that_cannot_be_reached() {
    let announced = "--cluster-announce-hostname db.invalid --cluster-preferred-endpoint-type hostname";
    let args = announced.split(' ').map(str::to_owned).collect();
    let cluster = RedisCluster::start(&ClusterOptions { args, ..ClusterOptions::default() }).unwrap();
    let master =
        ScriptedMaster::start(Script::new(1).before("SET foo 1"), MasterOptions::default()).await.unwrap();
    let (source, target) = (format!("dragonfly://{}", master.address()), cluster.node(0).unwrap().url());
    let servers = ["replicate", "--source", &source, "--target", &target];
    let refused = run(&servers);
    let line = stderr(&refused).lines().last().unwrap().to_owned();
    assert_eq!(refused.status.code(), Some(5), "{line}");
    assert!(line.contains("the cluster announces a node at db.invalid:"), "{line}");
    assert!(line.contains("--target-address-map ANNOUNCED=REACHABLE"), "{line}");

    let map = ["--target-address-map", "db.invalid=127.0.0.1"];
    let child = spawn(&[&servers[..], &map].concat());
    assert!(timeout(LIMIT, master.caught_up()).await.is_ok());
    cluster.migrate_slot(cluster.slot(b"foo").unwrap(), 0).unwrap();
    master.apply("INCR foo").unwrap();
    assert!(timeout(LIMIT, master.caught_up()).await.is_ok());
    let (status, log) = stop(child, Signal::INT);
    assert_eq!(status.code(), Some(0), "{log}");
    let value = cluster.client_for(b"foo").unwrap().expect(&[b"GET", b"foo"]).unwrap();
    assert_eq!(value.text().as_deref(), Some("2"));
    let cleanup = ["cleanup", "--target", &target];
    assert_eq!(run(&cleanup).status.code(), Some(5));
    assert!(text(&[&cleanup[..], &map].concat()).contains("removed in total"));
}
