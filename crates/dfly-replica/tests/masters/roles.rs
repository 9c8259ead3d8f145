//! C19: what a server calls itself does not decide whether it is a target.

use dfly_replica::Error;
use dfly_testkit::{MasterOptions, RedisServer, RewritingProxy, Rewritten, Script, ScriptedMaster};
use redis_resp::connection::Peer;
use tokio::time::timeout;

use crate::run::{endpoint, redis, user_keys};
use crate::workload::{LIMIT, Run, patient};

fn script() -> Script {
    Script::new(2).before("SET s v").before("RPUSH l 1 2").before("HSET h f v").stable("RPUSH l 3")
}

/// A run into a server that says this of itself, and lacks RESTORE if `is_other`.
async fn into(said: &'static str, is_other: bool) -> (Run, RewritingProxy) {
    let redis: RedisServer = redis();
    let proxy = RewritingProxy::start(redis.address(), move |words| match &words[0][..] {
        b"INFO" if words.get(1).is_none_or(|section| section == "server") => Rewritten::text(said),
        b"RESTORE" if is_other => Rewritten::error("ERR unknown command"),
        _ => Rewritten::AsItIs,
    });
    let proxy = proxy.await.unwrap();
    let master = ScriptedMaster::start(script(), MasterOptions::default()).await.unwrap();
    let run = Run::go_on_with(master, redis, |config| {
        patient(config);
        config.target = endpoint(Peer::Target, proxy.address());
    });
    (run, proxy)
}

/// A KeyDB whose primaries copy each other, and servers of other kinds, which are as old as they like.
#[tokio::test(flavor = "multi_thread")]
async fn servers_that_take_writes() {
    let keydb = "redis_version:6.3.4\r\nrole:active-replica\r\ncluster_enabled:0\r\nrun_id:a\r\n";
    let kvrocks =
        "redis_version:4.0.0\r\nkvrocks_version:2.9.0\r\nrole:master\r\ncluster_enabled:0\r\nrun_id:a\r\n";
    let garnet = "garnet_version:1.0.40\r\nrole:master\r\ncluster_enabled:0\r\nrun_id:a\r\n";
    for (said, is_other) in [(keydb, false), (kvrocks, true), (garnet, true)] {
        let (run, _proxy) = into(said, is_other).await;
        run.ends_as_the_model().await;
    }
}

/// A replica takes no writes, or loses them.
#[tokio::test(flavor = "multi_thread")]
async fn replicas() {
    for (read_only, said) in [("yes", "takes no writes"), ("no", "loses them")] {
        let redis = redis();
        let mut client = redis.client().unwrap();
        client.expect(&[b"REPLICAOF", b"127.0.0.1", b"1"]).unwrap();
        client.expect(&[b"CONFIG", b"SET", b"replica-read-only", read_only.as_bytes()]).unwrap();
        let master = ScriptedMaster::start(script(), MasterOptions::default()).await.unwrap();
        let run = Run::go_on_with(master, redis, patient);
        let (task, redis) = (run.task, run.redis);
        let error = timeout(LIMIT, task).await.unwrap().unwrap().unwrap_err();
        assert!(matches!(error, Error::Unfit { .. }) && error.to_string().contains(said), "{error}");
        assert!(user_keys(&redis).is_empty());
    }
}
