//! Other releases of the target: what is said of each, and that nothing wrong is. Runs where `DF2REDIS_TARGETS` names a folder with
//! their launchers, as `crates/dfly-testkit/targets/fetch.sh` leaves them there.

use std::path::{Path, PathBuf};

use dfly_prepare::{Check, Report, Severity};
use dfly_testkit::{Answer, RedisOptions, RedisServer, RefusingProxy};
use redis_resp::connection::Peer;

use crate::pair::{Pair, assert_found, assert_only, endpoint, of, script};

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) fn folder() -> Option<PathBuf> {
    let folder = std::env::var_os("DF2REDIS_TARGETS").map(PathBuf::from);
    if folder.is_none() {
        println!("skipped: DF2REDIS_TARGETS names no folder with servers");
    }
    folder
}

/// A server of this release; `None`: there is no launcher.
#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
pub(crate) fn server(folder: &Path, name: &str) -> Option<RedisServer> {
    let program = folder.join(name);
    if !program.is_file() {
        println!("skipped: there is no {}", program.display());
        return None;
    }
    let options = RedisOptions { program: program.into(), append_only: true, ..RedisOptions::default() };
    Some(RedisServer::start(options).unwrap())
}

/// A pair with this server, whose source says that one of its keys is a document.
async fn found(redis: &RedisServer, with_document: bool) -> Report {
    let pair = Pair::new(script(), &[]).await;
    let proxy = RefusingProxy::start(pair.master.address()).await.unwrap();
    let document = Answer {
        command: "TYPE".to_owned(),
        argument: Some("k77".to_owned()),
        reply: "+ReJSON-RL\r\n".to_owned(),
    };
    proxy.answer(with_document.then_some(document));
    pair.found(|config| {
        config.source = endpoint(Peer::Source, proxy.address());
        config.target = endpoint(Peer::Target, redis.address());
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_wrong_is_said_of_other_releases() {
    let Some(folder) = folder() else { return };
    for (name, kind) in [
        ("redis-6.2", "Redis 6.2"),
        ("redis-7.4", "Redis 7.4"),
        ("redis-7.4-modules", "Redis 7.4"),
        ("redis-8.0", "Redis 8.0"),
        ("redis-8.6", "Redis 8.6"),
        ("valkey-8.1", "Valkey 8.1"),
        ("valkey-9.1", "Valkey 9.1"),
    ] {
        let Some(redis) = server(&folder, name) else { continue };
        let report = found(&redis, false).await;
        assert_only(&report, &[]);
        assert!(of(&report, Check::TargetKind).means.contains(kind), "{name}: {report:#?}");
        assert!(of(&report, Check::TargetPayloads).means.contains("String"), "{name}: {report:#?}");
        let left = redis.client().unwrap().expect(&[b"DBSIZE"]).unwrap().int();
        assert_eq!(left, Some(0), "{name}: something is left");
    }
}

/// Documents are copied where the target has the module.
#[tokio::test(flavor = "multi_thread")]
async fn documents() {
    let Some(folder) = folder() else { return };
    if let Some(without) = server(&folder, "redis-7.4") {
        assert_found(&found(&without, true).await, Check::UnsupportedTypes, Severity::Blocker, "ReJSON-RL");
    }
    if let Some(with) = server(&folder, "redis-7.4-modules") {
        assert_only(&found(&with, true).await, &[]);
    }
}
