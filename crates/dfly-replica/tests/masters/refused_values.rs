//! C12: values that the target does not take: as a payload, or in any form.

use std::net::SocketAddr;

use bytes::Bytes;
use dfly_replica::{EngineConfig, Error, FlowError};
use dfly_testkit::{
    Containers, MasterOptions, RedisServer, RewritingProxy, Rewritten, Script, ScriptedMaster, SnapshotStyle,
};
use dfly_translate::{Loss, Policy, Rules};
use redis_resp::connection::Peer;

use crate::run::{endpoint, redis, user_keys};
use crate::workload::{Run, assert_equal, patient};

async fn master(script: Script) -> ScriptedMaster {
    ScriptedMaster::start(script, MasterOptions::default()).await.unwrap()
}

/// The run reaches the target through a proxy.
fn through(proxy: SocketAddr, config: &mut EngineConfig) {
    patient(config);
    config.target = endpoint(Peer::Target, proxy);
}

/// A payload that no server takes.
fn damaged(words: &[Bytes]) -> Rewritten {
    let mut words = words.to_vec();
    words[3] = Bytes::from_static(b"nonsense");
    Rewritten::To(words)
}

fn is(words: &[Bytes], name: &[u8], key: &[u8]) -> bool {
    words[0] == name && words.get(1).is_some_and(|word| word == key)
}

/// Values of every type, in the snapshot and in the journal.
fn script() -> Script {
    Script::new(2)
        .before("RPUSH l 1 2 3")
        .before("HSET h f v g w")
        .before("SADD t a b c")
        .before("ZADD z 1.5 a 2 b")
        .before("XADD x 5-1 f v")
        .before("PEXPIREAT h 1990000000123")
        .before("RPUSH l2 a")
        .before("SET s v")
        .stable("RPUSH l 4")
        .stable("HSET h2 f v")
        .stable("SET behind v")
}

/// One value is refused: it alone is written by commands. With many, no payload is sent any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_payload_is_written_by_commands() {
    for (all, expected) in [(false, 2), (true, 6)] {
        let redis = redis();
        let proxy = RewritingProxy::start(redis.address(), move |words| {
            match words[0] == b"RESTORE"[..] && (all || [&b"l"[..], b"h"].contains(&&words[1][..])) {
                true => damaged(words),
                false => Rewritten::AsItIs,
            }
        });
        let proxy = proxy.await.unwrap();
        let run = Run::go_on_with(master(script()).await, redis, |config| {
            config.rules = Rules::from(Policy::Fail).into();
            through(proxy.address(), config);
        });
        let report = run.ends_as_the_model().await;
        assert_eq!(report.refetched, expected, "{report:?}");
        assert!(report.losses.is_empty());
    }
}

/// So many refused payloads that none is sent any more.
#[tokio::test(flavor = "multi_thread")]
async fn many_refused_payloads() {
    let script =
        (0..2000).fold(Script::new(1), |script, n| script.before(format!("RPUSH l{n} a b").as_str()));
    let redis = redis();
    let is_payload = |words: &[Bytes]| words[0] == b"RESTORE"[..];
    let proxy = RewritingProxy::start(redis.address(), move |words| {
        if is_payload(words) { damaged(words) } else { Rewritten::AsItIs }
    });
    let proxy = proxy.await.unwrap();
    let run = Run::go_on_with(master(script).await, redis, |config| {
        through(proxy.address(), config);
        config.window.commands = 16;
    });
    let report = run.ends_as_the_model().await;
    assert!(report.refetched < 1500, "{}", report.refetched);
}

/// A list that the target takes in no form: what becomes of it is the policy's affair, with its key and the target's words.
fn refusing_bad(words: &[Bytes]) -> Rewritten {
    if is(words, b"RESTORE", b"bad") {
        return damaged(words);
    }
    if is(words, b"RPUSH", b"bad") && words.len() > 3 {
        return Rewritten::To([&b"LSET"[..], b"df2redis:none", b"0", b"x"].map(Bytes::from_static).into());
    }
    Rewritten::AsItIs
}

async fn with_bad(policy: Policy, redis: RedisServer) -> (Run<RedisServer>, RewritingProxy) {
    let proxy = RewritingProxy::start(redis.address(), refusing_bad).await.unwrap();
    let script = Script::new(1).before("RPUSH bad 1 2 3").before("RPUSH good 1").stable("SET behind v");
    let run = Run::go_on_with(master(script).await, redis, |config| {
        config.rules = Rules::from(policy).into();
        through(proxy.address(), config);
    });
    (run, proxy)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_taken_in_no_form_ends_the_run() {
    let (run, _proxy) = with_bad(Policy::Fail, redis()).await;
    let (task, _master, _redis) = (run.task, run.master, run.redis);
    let error = task.await.unwrap().unwrap_err();
    assert!(matches!(&error, Error::Flow { error: FlowError::Refused(_), .. }), "{error}");
    let error = error.to_string();
    assert!(error.contains("RPUSH \"bad\"") && error.contains("no such key"), "{error}");
}

/// Left out, it stays left out: what is added to it later makes no part of it, and it is taken once it can be.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_taken_in_no_form_is_left_out() {
    let (mut run, _proxy) = with_bad(Policy::Skip, redis()).await;
    run.caught_up().await;
    run.settled().await;
    for line in ["RPUSH bad 4", "RENAME good bad2", "SET more v"] {
        run.master.apply(line).unwrap();
    }
    let report = run
        .ends_as(|mut model, redis| {
            model.retain(|(_, key), _| key != "bad");
            assert_equal(&model, &user_keys(redis));
        })
        .await;
    let losses: Vec<_> = report.losses.iter().collect();
    assert_eq!(losses, [(Loss::Refused, 2)]);
}

/// A large value grows under a name of the tool, and a part of it is refused.
#[tokio::test(flavor = "multi_thread")]
async fn a_part_of_a_growing_value_is_refused() {
    for policy in [Policy::Fail, Policy::Skip] {
        let redis = redis();
        let proxy = RewritingProxy::start(redis.address(), |words| {
            let is_big = words.get(1).is_some_and(|key| key.ends_with(b"{big}") || key == "big");
            match words[0] == b"RPUSH"[..] && is_big {
                true => {
                    Rewritten::To([&b"LSET"[..], b"df2redis:none", b"0", b"x"].map(Bytes::from_static).into())
                }
                false => Rewritten::AsItIs,
            }
        });
        let proxy = proxy.await.unwrap();
        let members = (0..3000).map(|n| format!("member-{n}")).collect::<Vec<_>>().join(" ");
        let style = SnapshotStyle { containers: Containers::Plain, ..SnapshotStyle::default() };
        let script =
            Script::new(1).style(style).before(format!("RPUSH big {members}").as_str()).before("SET s v");
        let run = Run::go_on_with(master(script).await, redis, |config| {
            config.rules = Rules::from(policy).into();
            through(proxy.address(), config);
        });
        // As a payload it is taken.
        run.ends_as_the_model().await;
    }
}
