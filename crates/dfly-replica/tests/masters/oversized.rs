//! C21: commands that the target does not survive reading: it closes the connection, whether it says why or not.

use dfly_replica::{EngineConfig, Error, FlowError};
use dfly_testkit::{
    MasterOptions, RedisOptions, RedisServer, RewritingProxy, Rewritten, Script, ScriptedMaster,
};
use dfly_translate::{Loss, Policy, Rules};
use redis_resp::connection::Peer;
use tokio::time::timeout;

use crate::run::{endpoint, redis, user_keys};
use crate::workload::{LIMIT, Run, assert_equal, patient};

/// The smallest limit that a server takes.
const LIMIT_BYTES: usize = 1 << 20;

fn limited() -> RedisServer {
    let args = ["--proto-max-bulk-len", "1mb"].map(str::to_owned).into();
    RedisServer::start(RedisOptions { args, ..RedisOptions::default() }).unwrap()
}

async fn master(script: Script) -> ScriptedMaster {
    ScriptedMaster::start(script, MasterOptions::default()).await.unwrap()
}

/// A string above the limit, in the snapshot or in the journal.
async fn with_large(in_journal: bool, policy: Policy, redis: RedisServer) -> Run {
    let large = format!("SET large {}", "0123456789abcdef".repeat(LIMIT_BYTES / 16 + 1));
    let script = Script::new(1).before("SET small v").before("RPUSH l a b");
    let script = match in_journal {
        true => script.stable(large.as_str()).stable("APPEND large x"),
        false => script.before(large.as_str()),
    };
    Run::go_on_with(master(script.stable("SET behind v")).await, redis, |config| {
        patient(config);
        config.rules = Rules::from(policy).into();
        // The value comes in one piece.
        config.limits.piece = 8 << 20;
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_above_the_limit_ends_the_run() {
    for in_journal in [false, true] {
        let run = with_large(in_journal, Policy::Fail, limited()).await;
        let (task, _master, _redis) = (run.task, run.master, run.redis);
        let error = timeout(LIMIT, task).await.unwrap().unwrap().unwrap_err();
        assert!(matches!(&error, Error::Flow { error: FlowError::Refused(_), .. }), "{error}");
        let text = error.to_string();
        assert!(text.contains("\"large\"") && text.contains("takes 1048576 (proto-max-bulk-len)"), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_above_the_limit_is_left_out() {
    for in_journal in [false, true] {
        let run = with_large(in_journal, Policy::Skip, limited()).await;
        let report = run
            .ends_as(|mut model, redis| {
                model.retain(|(_, key), _| key != "large");
                assert_equal(&model, &user_keys(redis));
            })
            .await;
        let losses: Vec<_> = report.losses.iter().map(|(loss, _)| loss).collect();
        assert_eq!(losses, [Loss::Refused]);
        assert!(!report.retries.contains_key("target connection"), "{report:?}");
    }
}

/// A value that grows beyond the limit by pieces that do not.
#[tokio::test(flavor = "multi_thread")]
async fn a_string_that_grows_above_the_limit() {
    let large = format!("SET large {}", "0123456789abcdef".repeat(LIMIT_BYTES / 16 + 1));
    let script = Script::new(1).before("SET small v").before(large.as_str());
    let run = Run::go_on_with(master(script).await, limited(), |config| {
        patient(config);
        config.rules = Rules::from(Policy::Skip).into();
        config.limits.piece = 64 << 10;
    });
    run.ends_as(|mut model, redis| {
        model.retain(|(_, key), _| key != "large");
        assert_equal(&model, &user_keys(redis));
    })
    .await;
}

/// A target that does not say its limit, and says why it closes the connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_limit_that_is_not_known() {
    let redis = limited();
    let words: [&[u8]; 4] = [b"ACL", b"SETUSER", b"default", b"-config"];
    redis.client().unwrap().expect(&words).unwrap();
    let run = with_large(false, Policy::Skip, redis).await;
    let (task, _master, _redis) = (run.task, run.master, run.redis);
    let text = timeout(LIMIT, task).await.unwrap().unwrap().unwrap_err().to_string();
    assert!(text.contains("SET \"large\"") || text.contains("broken the connection"), "{text}");
}

fn through(config: &mut EngineConfig, proxy: &RewritingProxy) {
    patient(config);
    config.target = endpoint(Peer::Target, proxy.address());
}

/// A target that closes the connection whenever it reads one key, and says nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_breaks_every_connection() {
    for in_journal in [false, true] {
        let redis = redis();
        let proxy = RewritingProxy::start(redis.address(), |words| {
            if words.get(1).is_some_and(|key| key == "bad") { Rewritten::Closed } else { Rewritten::AsItIs }
        });
        let proxy = proxy.await.unwrap();
        let script = Script::new(1).before("SET s v");
        let bad = "SET bad 0123456789012345678901234567890123456789012345678901234567890123456789";
        let script = if in_journal { script.stable(bad) } else { script.before(bad) };
        let run = Run::go_on_with(master(script).await, redis, |config| {
            through(config, &proxy);
            config.reconnect.give_up_after = None;
        });
        let (task, _master, _redis) = (run.task, run.master, run.redis);
        let error = timeout(LIMIT, task).await.unwrap().unwrap().unwrap_err();
        assert!(matches!(&error, Error::Flow { error: FlowError::BreaksConnection { .. }, .. }), "{error}");
        assert!(error.to_string().contains("SET \"bad\""), "{error}");
    }
}
