//! Proxies that play other servers.

use bytes::Bytes;
use dfly_prepare::{Check, Report, Severity};
use dfly_testkit::{Answer, Op, RefusingProxy, RewritingProxy, Rewritten};
use redis_resp::connection::Peer;

use crate::pair::{Pair, assert_found, endpoint, script};
use Severity::{Blocker, Warning};

async fn behind(pair: &Pair, rewrite: impl Fn(&[Bytes]) -> Rewritten + Send + Sync + 'static) -> Report {
    let proxy = RewritingProxy::start(pair.redis.address(), rewrite).await.unwrap();
    pair.found(|config| config.target = endpoint(Peer::Target, proxy.address())).await
}

/// C15: a sharded server behind one address.
#[tokio::test(flavor = "multi_thread")]
async fn several_servers_behind_one_address() {
    const CROSS: &str = "CROSSSLOT Keys in request don't hash to the same slot";
    let pair = Pair::new(script(), &[]).await;
    let report = behind(&pair, |words| {
        let has_second = words.iter().any(|word| word.ends_with(b"probe:{b}"));
        if words[0] == "EXISTS" && has_second { Rewritten::error(CROSS) } else { Rewritten::AsItIs }
    })
    .await;
    assert_found(&report, Check::TargetSharded, Blocker, "several servers behind one address");
}

/// C7: a proxy that answers OK to SELECT and ignores it.
#[tokio::test(flavor = "multi_thread")]
async fn select_is_ignored() {
    let pair = Pair::new(script().before(Op::line("SET other v").in_db(3)), &[]).await;
    let report = behind(&pair, |words| match &words[0][..] {
        b"SELECT" => Rewritten::To(vec!["SELECT".into(), "0".into()]),
        _ => Rewritten::AsItIs,
    })
    .await;
    assert_found(&report, Check::Databases, Blocker, "has only 1 databases");
}

/// C19: servers of other kinds.
#[tokio::test(flavor = "multi_thread")]
async fn other_kinds() {
    for (info, words) in [
        (
            "kvrocks_version:2.9.0\r\nredis_version:4.0.0\r\nrole:master\r\ncluster_enabled:0\r\n",
            "Kvrocks 2.9.0",
        ),
        ("garnet_version:1.0.40\r\nrole:master\r\ncluster_enabled:0\r\n", "Garnet 1.0.40"),
        ("redis_version:6.3.4\r\nrole:active-replica\r\ncluster_enabled:0\r\n", "KeyDB"),
    ] {
        let pair = Pair::new(script(), &[]).await;
        let report = behind(&pair, move |words| match &words[0][..] {
            b"INFO" => Rewritten::text(info),
            _ => Rewritten::AsItIs,
        })
        .await;
        assert_found(&report, Check::TargetKind, Warning, words);
    }
}

/// C12: a target that takes RESTORE and refuses the values.
#[tokio::test(flavor = "multi_thread")]
async fn payloads_are_refused() {
    let pair = Pair::new(script(), &[]).await;
    let proxy = RefusingProxy::start(pair.redis.address()).await.unwrap();
    let mut refused = Answer::error("RESTORE", "ERR Bad data format");
    refused.argument = Some("df2redis:probe:value".to_owned());
    proxy.answer([refused]);
    let report = pair.found(|config| config.target = endpoint(Peer::Target, proxy.address())).await;
    assert_found(&report, Check::TargetPayloads, Warning, "Bad data format");
}

/// C22: the target's clock.
#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_behind() {
    let pair = Pair::new(script(), &[]).await;
    let report = behind(&pair, |words| match &words[0][..] {
        b"TIME" => {
            let script = "local t=redis.call('TIME') return {tostring(t[1]-600),t[2]}";
            Rewritten::To(["EVAL", script, "0"].map(|word| Bytes::copy_from_slice(word.as_bytes())).into())
        }
        _ => Rewritten::AsItIs,
    })
    .await;
    assert_found(&report, Check::Clocks, Warning, "target's clock is 600 s behind");
}
