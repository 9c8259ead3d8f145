//! What cannot be compared is never called equal: it is counted and named.

use dfly_check::{CheckConfig, Mode, Outcome};
use dfly_testkit::{Answer, RefusingProxy};

use crate::sides::{Sides, check, config};

async fn proxies(sides: &Sides) -> (RefusingProxy, RefusingProxy, CheckConfig) {
    let source = RefusingProxy::start(sides.source.address()).await.unwrap();
    let target = RefusingProxy::start(sides.target.address()).await.unwrap();
    let config = config(source.address(), target.address());
    (source, target, config)
}

fn keys_of_every_type(sides: &Sides) {
    for line in [
        "SET string v",
        "RPUSH list a b",
        "SADD set a b",
        "HSET hash f v",
        "ZADD zset 1 a",
        "XADD stream 1-1 f v",
        "XGROUP CREATE stream g 0",
        "XGROUP CREATECONSUMER stream g c",
        "XCLAIM stream g c 0 1-1 TIME 5000 RETRYCOUNT 2 FORCE",
    ] {
        sides.on_both(0, line);
    }
}

/// Either side may forbid DUMP, MEMORY USAGE, PEXPIRETIME and GETRANGE: other commands tell the same.
#[tokio::test(flavor = "multi_thread")]
async fn a_side_without_dump_is_read_by_commands() {
    let sides = Sides::standalone();
    keys_of_every_type(&sides);
    let (source, target, config) = proxies(&sides).await;
    let noperm = |name: &str| Answer::error(name, "NOPERM this user has no permissions");
    let unknown = |name: &str| Answer::error(name, "ERR unknown command `x`");
    for (on_source, on_target) in [
        (vec![noperm("DUMP")], vec![]),
        (vec![], vec![unknown("DUMP")]),
        (vec![noperm("DUMP"), noperm("MEMORY")], vec![noperm("DUMP"), unknown("PEXPIRETIME")]),
        (vec![noperm("GETRANGE")], vec![]),
        (vec![], vec![noperm("GETRANGE")]),
    ] {
        source.answer(on_source.clone());
        target.answer(on_target.clone());
        let checked = check(config.clone()).await;
        assert_eq!(
            checked.summary.outcome(),
            Outcome::Equal,
            "{on_source:?} {on_target:?} {:?}",
            checked.findings
        );
        assert_eq!(checked.summary.equal, 6);
    }
    for line in ["RPUSH list c", "SADD set c", "HSET hash f w", "ZADD zset 2 a", "XACK stream g 1-1"] {
        sides.target.run(0, &line.split(' ').collect::<Vec<_>>());
    }
    source.answer([noperm("DUMP")]);
    target.answer([]);
    let checked = check(config).await;
    let different: Vec<String> = checked.different().into_iter().map(|(_, key, _)| key).collect();
    assert_eq!(different, ["hash", "list", "set", "stream", "zset"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_may_not_be_read_are_named() {
    let sides = Sides::standalone();
    keys_of_every_type(&sides);
    let (source, target, config) = proxies(&sides).await;
    let of_key = |command: &str, key: &str| Answer {
        argument: Some(key.to_owned()),
        ..Answer::error(command, "NOPERM no permissions to access a key")
    };
    source.answer([]);
    target.answer(["GETRANGE", "TYPE", "DUMP", "PEXPIRETIME"].map(|command| of_key(command, "list")));
    for mode in [Mode::Outline, Mode::Full] {
        let checked = check(CheckConfig { mode, ..config.clone() }).await;
        assert_eq!(checked.summary.outcome(), Outcome::Incomplete, "{mode:?}");
        assert_eq!((checked.summary.not_compared, checked.summary.equal), (1, 5));
        let named = checked.not_compared();
        assert_eq!(named.len(), 1);
        assert!(named[0].0 == "list" && named[0].1.contains("on the target"), "{named:?}");
        assert!(named[0].1.contains("NOPERM"), "{named:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scan_that_is_refused_is_a_gap() {
    let sides = Sides::standalone();
    keys_of_every_type(&sides);
    let (source, target, config) = proxies(&sides).await;
    source.answer([Answer::error("SCAN", "NOPERM no SCAN")]);
    let checked = check(config.clone()).await;
    assert_eq!(checked.summary.outcome(), Outcome::Incomplete);
    assert!(checked.summary.gaps.iter().any(|gap| gap.contains("database 0")), "{:?}", checked.summary.gaps);
    source.answer([]);
    target.answer([Answer::error("SCAN", "NOPERM no SCAN")]);
    let checked = check(config).await;
    assert_eq!((checked.summary.outcome(), checked.summary.equal), (Outcome::Incomplete, 6));
    assert!(
        checked.summary.gaps.iter().any(|gap| gap.contains("only the target")),
        "{:?}",
        checked.summary.gaps
    );
}

/// Two databases of the source have no place in a cluster.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_without_a_place_is_a_gap() {
    let sides = Sides::cluster();
    sides.on_both(0, "SET k v");
    sides.on_source(3, &["SET", "k", "v"]);
    let checked = check(sides.config()).await;
    assert_eq!((checked.summary.outcome(), checked.summary.equal), (Outcome::Incomplete, 1));
    assert!(checked.summary.gaps[0].contains("--map-db 3=skip"), "{:?}", checked.summary.gaps);
}

/// A source that tells when members expire, and a target beside whose key the tool has noted it.
#[tokio::test(flavor = "multi_thread")]
async fn members_that_expire_are_compared_with_the_notes_beside_the_key() {
    let sides = Sides::standalone();
    sides.on_both(0, "SADD {k}set a b");
    let (source, _target, config) = proxies(&sides).await;
    let of_each = Answer { command: "FIELDTTL".into(), argument: None, reply: ":100\r\n".into() };
    source.answer([Answer::error("DUMP", "NOPERM"), of_each]);
    let config = CheckConfig { expiry_tolerance: std::time::Duration::from_secs(20), ..config };
    let checked = check(config.clone()).await;
    assert_eq!(checked.findings.len(), 1, "{:?}", checked.findings);
    let due =
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() + 100_000;
    let due = due.to_string();
    sides.target.run(0, &["ZADD", "df2redis:expiry:{k}set", &due, "a", &due, "b"]);
    let checked = check(config.clone()).await;
    assert_eq!(checked.summary.outcome(), Outcome::Equal, "{:?}", checked.findings);
    // The same in pieces.
    let limits = dfly_check::ReadLimits { text: 1, value: 1, together: 1 };
    let in_pieces = CheckConfig { limits, ..config };
    let checked = check(in_pieces.clone()).await;
    assert_eq!(checked.summary.outcome(), Outcome::Equal, "{:?}", checked.findings);
    sides.target.run(0, &["ZREM", "df2redis:expiry:{k}set", "b"]);
    let found = check(in_pieces).await.different();
    assert_eq!(found[0].2, [dfly_check::What::FieldExpiries { differ: 1 }]);
}

/// What was compared before is told, and what was not is never called equal.
#[tokio::test(flavor = "multi_thread")]
async fn a_side_that_goes_away_is_a_gap() {
    for dies in ["source", "target"] {
        let sides = Sides::standalone();
        for nth in 0..3000 {
            sides.on_both(0, &format!("SET key:{nth} v"));
        }
        let (source, target, config) = proxies(&sides).await;
        let mut proxies = vec![("source", source), ("target", target)];
        let config = CheckConfig { requests_per_second: Some(5000), ..config };
        let store = dfly_check::Store::temporary().unwrap();
        let (progress, mut shown) = tokio::sync::watch::channel(dfly_check::Progress::default());
        let (_stop, stopped) = tokio::sync::watch::channel(false);
        let rounds =
            dfly_check::Rounds::new(config, &store, dfly_check::RunSignals { progress, stop: stopped });
        let dying = async {
            shown.wait_for(|progress| progress.keys > 500).await.unwrap();
            proxies.retain(|(side, _)| *side != dies);
        };
        let (summary, ()) = tokio::join!(rounds.run(), dying);
        let summary = summary.unwrap();
        assert_eq!(summary.outcome(), Outcome::Incomplete, "{dies} {summary:?}");
        assert!(
            summary.equal >= 500 && summary.equal < 3000 && !summary.gaps.is_empty(),
            "{dies} {summary:?}"
        );
    }
}
