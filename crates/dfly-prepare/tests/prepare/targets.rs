//! What is wrong with a target.

use std::sync::Arc;

use dfly_prepare::{Check, Resolved, Severity};
use dfly_replica::{EngineConfig, OnStart};
use dfly_testkit::{Op, RedisOptions, RedisServer, Script};
use redis_resp::connection::{Credentials, Endpoint, Peer};
use tokio::task::JoinSet;

use crate::pair::{Pair, assert_found, assert_only, endpoint, of, prepare, redis, script};
use Severity::{Blocker, Ok, Warning};

/// C14: users that lack one command at a time.
#[tokio::test(flavor = "multi_thread")]
async fn users_that_lack_a_command() {
    let pair = Pair::new(script(), &[]).await;
    let lacking = [
        ("-eval", Blocker, "EVAL is forbidden"),
        ("-watch", Blocker, "WATCH is forbidden"),
        ("-multi", Blocker, "MULTI is forbidden"),
        ("-select", Blocker, "SELECT is forbidden"),
        ("-scan", Blocker, "SCAN is forbidden"),
        ("-dbsize", Blocker, "DBSIZE is forbidden"),
        ("-info", Blocker, "INFO is forbidden"),
        ("-time", Blocker, "TIME is forbidden"),
        ("-pttl", Blocker, "PTTL is forbidden"),
        ("-unlink", Blocker, "UNLINK is forbidden"),
        ("-hset", Blocker, "HSET is forbidden"),
        ("-zadd", Blocker, "ZADD is forbidden"),
        ("-pexpireat", Blocker, "PEXPIREAT is forbidden"),
        ("resetkeys ~app:*", Blocker, "keys under df2redis are forbidden"),
        ("-restore", Warning, "values are written by commands"),
        ("-flushall -flushdb", Warning, "what the source flushes is removed key by key"),
        ("-client", Warning, "connections have no name"),
    ];
    let mut runs = JoinSet::new();
    for (rules, severity, words) in lacking {
        let config = pair.limited(rules);
        runs.spawn(async move { (prepare(config).run().await, severity, words) });
    }
    while let Some(ended) = runs.join_next().await {
        let (report, severity, words) = ended.unwrap();
        assert_found(&report, Check::TargetCommands, severity, words);
    }
    let report = prepare(pair.limited("-config")).run().await;
    assert_found(&report, Check::TargetSettings, Warning, "CONFIG GET");
    assert_only(&report, &[Check::TargetSettings]);
}

/// C13: commands that the server does not have.
#[tokio::test(flavor = "multi_thread")]
async fn renamed_commands() {
    for (command, severity, words) in
        [("RESTORE", Warning, "RESTORE is unknown"), ("EVAL", Blocker, "EVAL is unknown")]
    {
        let pair = Pair::new(script(), &["--rename-command", command, ""]).await;
        let report = pair.found(|_| {}).await;
        assert_found(&report, Check::TargetCommands, severity, words);
    }
}

/// C7: a database of the source that the target lacks.
#[tokio::test(flavor = "multi_thread")]
async fn two_databases() {
    let pair = Pair::new(script().before(Op::line("SET other v").in_db(3)), &["--databases", "2"]).await;
    let report = pair.found(|_| {}).await;
    assert_found(&report, Check::Databases, Blocker, "the target has only 2 databases (0 to 1)");
    assert_only(&report, &[Check::Databases]);
    let mapped = |config: &mut EngineConfig| {
        Arc::make_mut(&mut config.rules).selection.dbs = "3=0".parse().unwrap();
    };
    assert_only(&pair.found(mapped).await, &[]);
}

#[tokio::test(flavor = "multi_thread")]
async fn too_little_memory() {
    let value = "v".repeat(4000);
    let large =
        (0..2000).fold(Script::new(2), |script, n| script.before(format!("SET k{n} {value}").as_str()));
    let pair = Pair::new(large, &["--maxmemory", "4mb"]).await;
    let report = pair.found(|_| {}).await;
    assert_found(&report, Check::TargetMemory, Blocker, "4.0 MiB (maxmemory)");
    assert_only(&report, &[Check::TargetMemory]);
    let at_start = prepare(pair.config()).at_start().await;
    assert_eq!(at_start.iter().map(|finding| finding.check).collect::<Vec<_>>(), [Check::TargetMemory]);
}

/// C11: what evicts.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_evicts() {
    let pair = Pair::new(script(), &["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"]).await;
    let report = pair.found(|_| {}).await;
    assert_found(&report, Check::TargetEviction, Blocker, "allkeys-lru");
    let report = pair.found(|config| config.allows_evictions = true).await;
    assert_found(&report, Check::TargetEviction, Warning, "allkeys-lru");
    assert_only(&report, &[Check::TargetEviction]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_kept() {
    let pair = Pair::new(script(), &["--appendonly", "no"]).await;
    let report = pair.found(|_| {}).await;
    assert_found(&report, Check::TargetPersistence, Warning, "loses everything");
    let mut client = pair.redis.client().unwrap();
    client.expect(&[b"CONFIG", b"SET", b"save", b"3600 1"]).unwrap();
    let report = pair.found(|_| {}).await;
    assert_found(&report, Check::TargetPersistence, Warning, "since its last RDB file");
    client.expect(&[b"CONFIG", b"SET", b"appendonly", b"yes", b"appendfsync", b"no"]).unwrap();
    let report = pair.found(|_| {}).await;
    assert_found(&report, Check::TargetPersistence, Warning, "appendfsync no");
    assert_only(&report, &[Check::TargetPersistence]);
}

/// C10 and C23: connections that are closed, and places that are too few.
#[tokio::test(flavor = "multi_thread")]
async fn tiny_limits() {
    let pair = Pair::new(script(), &["--timeout", "1"]).await;
    assert_found(&pair.found(|_| {}).await, Check::TargetTimeout, Warning, "idle for 1 s");
    let many = Pair::new(
        (0..9).fold(Script::new(24), |script, n| script.before(format!("SET k{n} v").as_str())),
        &["--maxclients", "20"],
    )
    .await;
    assert_found(&many.found(|_| {}).await, Check::TargetClients, Blocker, "takes 20 clients");
    let scarce = Pair::new(script(), &["--maxclients", "6"]).await;
    let report = scarce.found(|_| {}).await;
    assert_found(&report, Check::TargetClients, Warning, "too few places");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas() {
    let pair = Pair::new(script(), &["--min-replicas-to-write", "1"]).await;
    let report = pair.found(|_| {}).await;
    assert_found(&report, Check::TargetReplicas, Blocker, "NOREPLICAS");
    let primary = redis(&[]);
    let port = primary.address().port().to_string();
    let replica = Pair::new(script(), &["--replicaof", &format!("127.0.0.1 {port}")]).await;
    let report = replica.found(|_| {}).await;
    assert_found(&report, Check::TargetRole, Blocker, "name its primary");
}

/// Keys of others, positions of a run before, and another run.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_already() {
    let pair = Pair::new(script(), &[]).await;
    let mut client = pair.redis.client().unwrap();
    client.expect(&[b"SET", b"theirs", b"v"]).unwrap();
    let report = pair.found(|_| {}).await;
    assert_found(&report, Check::TargetKeys, Blocker, "the target holds 1 key");
    let report = pair.found(|config| config.on_start = OnStart::Merge).await;
    assert_only(&report, &[]);
    assert!(
        of(&report, Check::TargetKeys).means.contains("do not have stay")
            || of(&report, Check::TargetKeys).severity == Ok
    );
    client.expect(&[b"DEL", b"theirs"]).unwrap();
    client.expect(&[b"HSET", b"df2redis:checkpoint", b"settings", b"map-db 3=5"]).unwrap();
    let report = pair.found(|_| {}).await;
    assert_found(&report, Check::TargetPositions, Blocker, "other settings (map-db 3=5)");
    client.expect(&[b"DEL", b"df2redis:checkpoint"]).unwrap();
    client.expect(&[b"CLIENT", b"SETNAME", b"df2redis"]).unwrap();
    let report = pair.found(|_| {}).await;
    assert_found(&report, Check::TargetWriter, Warning, "1 connection");
}

/// C17 and others: addresses and logins.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_and_logins() {
    let pair = Pair::new(script(), &[]).await;
    let gone = RedisServer::start(RedisOptions::default()).unwrap().address();
    let report = pair.found(|config| config.other_sources = vec![endpoint(Peer::Source, gone)]).await;
    assert_found(&report, Check::SourceAddresses, Warning, "1 of 2 addresses");
    assert_only(&report, &[Check::SourceAddresses]);
    let report = pair.found(|config| config.target = endpoint(Peer::Target, gone)).await;
    assert_found(&report, Check::TargetAddresses, Blocker, "cannot connect to the target");
    let unknown = |config: &mut EngineConfig| config.target.host = "name.invalid".to_owned();
    assert_found(&pair.found(unknown).await, Check::TargetAddresses, Blocker, "name.invalid");
    let wrong = |config: &mut EngineConfig| {
        config.target.credentials = Some(Credentials { user: None, password: "wrong".into() });
    };
    assert_found(&pair.found(wrong).await, Check::TargetLogin, Blocker, "refuses the login");
}

/// A name that stands for an address at which nobody listens, and for one that is right.
fn two_addresses(endpoint: Endpoint) -> Resolved {
    Box::pin(async move {
        let at = |host: [u8; 4]| Endpoint { address: Some((host, endpoint.port).into()), ..endpoint.clone() };
        Result::Ok(vec![at([127, 0, 0, 1]), at([127, 0, 0, 2])])
    })
}

/// C17: each new connection may try the dead address first.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_a_dead_address() {
    let pair = Pair::new(script(), &[]).await;
    let mut prepare = prepare(pair.config());
    prepare.config.source.host = "localhost".to_owned();
    prepare.config.target.host = "localhost".to_owned();
    prepare.resolve = two_addresses;
    let report = prepare.run().await;
    for (check, port) in [
        (Check::SourceAddresses, pair.master.address().port()),
        (Check::TargetAddresses, pair.redis.address().port()),
    ] {
        let dead = format!("1 of 2 addresses cannot be used: 127.0.0.2:{port} of localhost:{port} (");
        assert_found(&report, check, Warning, &dead);
    }
    assert_only(&report, &[Check::SourceAddresses, Check::TargetAddresses]);
}

/// The directory of the state.
#[tokio::test(flavor = "multi_thread")]
async fn no_place_for_the_state() {
    let pair = Pair::new(script(), &[]).await;
    let report = pair.found(|config| config.state_dir = None).await;
    assert_found(&report, Check::StateDir, Warning, "There is no state directory");
    let report = pair.found(|config| config.state_dir = Some("/proc/version".into())).await;
    assert_found(&report, Check::StateDir, Blocker, "cannot be used");
}
