//! Users that may not do everything, servers that lack commands, and servers behind one address that are several.

use dfly_replica::{EngineConfig, Error, Lack, OnStart};
use dfly_testkit::{
    ClusterOptions, MasterOptions, Op, RedisCluster, RedisOptions, RedisServer, RewritingProxy, Rewritten,
    Script, ScriptedMaster,
};
use dfly_translate::{Policy, Rules};
use redis_resp::connection::{Credentials, Peer};
use tokio::time::timeout;

use crate::run::{endpoint, redis, user_keys};
use crate::workload::{LIMIT, Run, assert_equal, patient};

async fn master(script: Script) -> ScriptedMaster {
    ScriptedMaster::start(script, MasterOptions::default()).await.unwrap()
}

/// A server without these commands.
fn lacking(commands: &[&str]) -> RedisServer {
    RedisServer::start(RedisOptions { args: renamed(commands), ..RedisOptions::default() }).unwrap()
}

fn renamed(commands: &[&str]) -> Vec<String> {
    commands.iter().flat_map(|command| ["--rename-command", command, ""]).map(str::to_owned).collect()
}

/// A user with these rules behind `+@all`.
fn add_user(redis: &RedisServer, rules: &str) {
    let words = ["ACL", "SETUSER", "limited", "on", ">secret", "~*", "+@all"];
    let words: Vec<&[u8]> = words.into_iter().chain(rules.split(' ')).map(str::as_bytes).collect();
    redis.client().unwrap().expect(&words).unwrap();
}

fn as_user(config: &mut EngineConfig) {
    patient(config);
    config.rules = Rules::from(Policy::Fail).into();
    config.target.credentials = Some(Credentials { user: Some("limited".into()), password: "secret".into() });
}

async fn error_of<T>(run: Run<T>) -> Error {
    timeout(LIMIT, run.task).await.unwrap().unwrap().unwrap_err()
}

/// Values of every type, large ones among them, and flushes.
fn script() -> Script {
    let members = (0..3000).map(|n| format!("member-{n}")).collect::<Vec<_>>().join(" ");
    Script::new(2)
        .before("SET s v")
        .before("RPUSH l 1 2 3")
        .before("HSET h f v")
        .before("SADD t a b")
        .before("ZADD z 1.5 a")
        .before("XADD x 5-1 f v")
        .before(format!("RPUSH big {members}").as_str())
        .before("PEXPIREAT h 1990000000123")
        .before(Op::line("RPUSH l3 1").in_db(3))
}

/// C12: without RESTORE, everything is written by commands, whether the user may not use it or the server does not have it.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_without_restore() {
    let forbidden = redis();
    add_user(&forbidden, "-restore");
    let unknown = lacking(&["RESTORE"]);
    add_user(&unknown, "+@all");
    for redis in [forbidden, unknown] {
        let run = Run::go_on_with(master(script().stable("ZADD z 2 b")).await, redis, as_user);
        let report = run.ends_as_the_model().await;
        assert_eq!((report.refetched, report.losses.is_empty()), (0, true), "{report:?}");
    }
}

/// C13: what the source flushes is removed key by key, in the snapshot and in the journal, of one database and of all.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_without_flush() {
    let forbidden = redis();
    add_user(&forbidden, "-flushall -flushdb");
    let unknown = lacking(&["FLUSHALL", "FLUSHDB"]);
    add_user(&unknown, "+@all");
    for redis in [forbidden, unknown] {
        let script = script().during("SET during 1").during("FLUSHALL").during("SET after 2");
        let mut run = Run::go_on_with(master(script).await, redis, as_user);
        for flush in [Op::line("FLUSHDB").in_db(3), Op::line("FLUSHALL"), Op::line("FLUSHDB")] {
            run.master.apply("SET a 1").unwrap();
            run.master.apply(Op::line("SET a 3").in_db(3)).unwrap();
            run.caught_up().await;
            run.master.apply(flush).unwrap();
            run.master.apply("SET b 1").unwrap();
            run.caught_up().await;
        }
        run.ends_as_the_model().await;
    }
}

/// C13: a start that empties the target does it key by key too.
#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_empties_a_target_without_flush() {
    let redis = lacking(&["FLUSHALL", "FLUSHDB"]);
    add_user(&redis, "+@all");
    let mut client = redis.client().unwrap();
    for n in 0..2000 {
        client.expect(&[b"SET", format!("other:{n}").as_bytes(), b"v"]).unwrap();
    }
    client.expect(&[b"SELECT", b"5"]).unwrap();
    client.expect(&[b"SET", b"other", b"v"]).unwrap();
    let run = Run::go_on_with(master(script()).await, redis, |config| {
        as_user(config);
        config.on_start = OnStart::Flush;
    });
    run.ends_as_the_model().await;
}

/// C12 and C13: the same in a cluster.
#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_without_restore_and_flush() {
    let args = renamed(&["FLUSHALL", "FLUSHDB", "RESTORE"]);
    let cluster = RedisCluster::start(&ClusterOptions { args, ..ClusterOptions::default() }).unwrap();
    for node in 0..cluster.len() {
        let slot = |key: &String| cluster.owner(cluster.slot(key.as_bytes()).unwrap()).unwrap() == node;
        let key = (0..100).map(|n| format!("other:{n}")).find(slot).unwrap();
        cluster.client(node).unwrap().expect(&[b"SET", key.as_bytes(), b"v"]).unwrap();
    }
    let script =
        Script::new(2).before("SET s v").before("RPUSH l 1 2 3").before("HSET h f v").before("SADD t a");
    let mut run = Run::go_on_with(master(script).await, cluster, |config| {
        patient(config);
        config.rules = Rules::from(Policy::Fail).into();
        config.on_start = OnStart::Flush;
    });
    run.caught_up().await;
    run.master.apply("FLUSHALL").unwrap();
    for n in 0..50 {
        run.master.apply(format!("RPUSH k{n} v").as_str()).unwrap();
    }
    run.ends_as(|model, cluster| {
        let mut keys = cluster.keyspace().unwrap();
        keys.retain(|(_, key), _| !key.starts_with(b"df2redis:"));
        assert_equal(&model, &keys);
    })
    .await;
}

/// C14: everything that is lacking is named at once, before anything is written, with what it is for.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_user_lacks_is_named() {
    let redis = redis();
    add_user(&redis, "-eval -watch -scan -multi +multi -zadd -client|setname");
    let run = Run::go_on_with(master(script()).await, redis, as_user);
    let error = error_of(run).await;
    let Error::Lacks { lacks, .. } = &error else { panic!("{error}") };
    assert_eq!(lacks.len(), 4, "{error}");
    let text = error.to_string();
    for named in [
        "EVAL is forbidden (to check the position inside each transaction)",
        "WATCH is forbidden (to carry out each transaction once)",
        "SCAN is forbidden",
        "ZADD is forbidden (to write values)",
    ] {
        assert!(text.contains(named), "{text}");
    }
    assert!(!text.contains("SETNAME"), "{text}");
}

/// C14: a user that may not even ask what the server is.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_info() {
    let redis = redis();
    add_user(&redis, "-info -eval");
    let error = error_of(Run::go_on_with(master(script()).await, redis, as_user)).await;
    let text = error.to_string();
    assert!(text.contains("INFO is forbidden") && text.contains("EVAL is forbidden"), "{text}");
}

/// C14: a user that may not touch this tool's own keys.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_without_the_reserved_keys() {
    let redis = redis();
    add_user(&redis, "resetkeys ~app:*");
    let error = error_of(Run::go_on_with(master(script()).await, redis, as_user)).await;
    assert!(matches!(&error, Error::Lacks { lacks, .. } if *lacks == [Lack::Keys]), "{error}");
}

/// C14: what can be done without is done without.
#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_may_do_little_more_than_is_needed() {
    let redis = redis();
    add_user(&redis, "-client -config -acl -flushall -flushdb -restore -command -slowlog -debug");
    let run =
        Run::go_on_with(master(script().stable("FLUSHALL").stable("SET behind v")).await, redis, as_user);
    run.ends_as_the_model().await;
}

/// C14: records that become commands that a user may not use are refetched. Nothing is refused.
#[tokio::test(flavor = "multi_thread")]
async fn records_of_forbidden_commands() {
    for rules in [
        "-lpush -incr -mset -zincrby -hincrby -lset",
        "-@all +@read +@connection +@transaction +@scripting +info +time +set +del +unlink +hset +hdel +sadd +srem +zadd \
         +zrem +rpush +append +xadd +xgroup +xsetid +xclaim +xdel +rename +pexpireat",
    ] {
        let forbidden = redis();
        add_user(&forbidden, rules);
        let script = script()
            .stable("LPUSH l 0")
            .stable("INCR n")
            .stable("MSET a 1 b 2")
            .stable("ZINCRBY z 2 a")
            .stable("HINCRBY h n 3")
            .stable("LSET l 0 v")
            .stable("RENAME s s2")
            .stable("LPUSH l 00");
        let run = Run::go_on_with(master(script).await, forbidden, as_user);
        let report = run.ends_as_the_model().await;
        assert!(report.refetched > 0 && report.losses.is_empty(), "{rules}: {report:?}");
    }
}

/// C14: the nodes of a cluster are asked one by one.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_with_another_user() {
    let cluster = RedisCluster::start(&ClusterOptions::default()).unwrap();
    for node in 0..cluster.len() {
        let rules: &[&[u8]] = if node == 2 { &[b"-wait", b"-asking"] } else { &[b"+@all"] };
        let words: [&[u8]; 7] = [b"ACL", b"SETUSER", b"limited", b"on", b">secret", b"~*", b"+@all"];
        cluster.client(node).unwrap().expect(&[&words[..], rules].concat()).unwrap();
    }
    let third = cluster.node(2).unwrap().address().to_string();
    let cluster = std::sync::Arc::new(cluster);
    for wait_replicas in [1, 0] {
        let master = master(Script::new(1).before("SET k v")).await;
        let run = Run::go_on_with(master, std::sync::Arc::clone(&cluster), |config| {
            as_user(config);
            config.wait_replicas = wait_replicas;
        });
        let text = error_of(run).await.to_string();
        assert!(text.contains(&third) && text.contains("ASKING is forbidden"), "{text}");
        assert_eq!(text.contains("WAIT is forbidden"), wait_replicas > 0, "{text}");
    }
}

/// C15: several servers behind one address refuse two keys in one script, or in one transaction.
#[tokio::test(flavor = "multi_thread")]
async fn several_servers_behind_one_address() {
    const CROSS: &str = "CROSSSLOT Keys in request don't hash to the same slot";
    for name in ["EVAL", "EXISTS"] {
        let redis = redis();
        let proxy = RewritingProxy::start(redis.address(), move |words| {
            let has_second = words.iter().any(|word| word.ends_with(b"probe:{b}"));
            if words[0] == name && has_second { Rewritten::error(CROSS) } else { Rewritten::AsItIs }
        });
        let proxy = proxy.await.unwrap();
        let run = Run::go_on_with(master(script()).await, redis, |config| {
            patient(config);
            config.target = endpoint(Peer::Target, proxy.address());
        });
        let (task, redis) = (run.task, run.redis);
        let text = timeout(LIMIT, task).await.unwrap().unwrap().unwrap_err().to_string();
        assert!(text.contains("several servers behind one address") && text.contains(CROSS), "{text}");
        assert!(user_keys(&redis).is_empty(), "nothing was written");
    }
}

/// A server that carries out commands behind MULTI at once is not asked anything that would do harm.
#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_transactions() {
    let redis = redis();
    redis.client().unwrap().expect(&[b"SET", b"mine", b"v"]).unwrap();
    let proxy = RewritingProxy::start(redis.address(), |words| match &words[0][..] {
        b"MULTI" => Rewritten::To(vec!["PING".into()]),
        _ => Rewritten::AsItIs,
    });
    let proxy = proxy.await.unwrap();
    let run = Run::go_on_with(master(script()).await, redis, |config| {
        patient(config);
        config.target = endpoint(Peer::Target, proxy.address());
        config.on_start = OnStart::Flush;
    });
    let (task, redis) = (run.task, run.redis);
    let error = timeout(LIMIT, task).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(&error, Error::Lacks { lacks, .. } if *lacks == [Lack::Transactions]), "{error}");
    assert_eq!(user_keys(&redis).len(), 1);
}
