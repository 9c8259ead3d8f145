//! Filters, renames, mapped databases, policies, reserved keys, expired keys, samples.

use std::sync::Arc;

use dfly_check::{CheckConfig, Outcome, Sample, What};
use dfly_replica::EngineConfig;
use dfly_translate::{Choice, Glob, Rules, Selection};

use crate::sides::{Sides, check};

fn with(config: &CheckConfig, rules: Rules) -> CheckConfig {
    let engine = EngineConfig { rules: Arc::new(rules), ..(*config.engine).clone() };
    CheckConfig { engine: Arc::new(engine), ..config.clone() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_settings_leave_out_is_not_compared() {
    let sides = Sides::standalone();
    let selection = Selection {
        dbs: "0=5,3=skip".parse().unwrap(),
        keys: Choice { allow: Vec::new(), block: vec![Glob::new("tmp:*")] },
        kinds: Choice { allow: Vec::new(), block: vec![dfly_rdb::ValueKind::Set] },
        renames: vec!["old:=new:".parse().unwrap()],
        ..Selection::default()
    };
    let config = with(&sides.config(), Rules { selection, ..Rules::default() });
    sides.on_source(0, &["SET", "old:a", "v"]);
    sides.target.run(5, &["SET", "new:a", "v"]);
    sides.on_source(0, &["SET", "plain", "v"]);
    sides.target.run(5, &["SET", "plain", "v"]);
    sides.on_source(0, &["SET", "tmp:1", "v"]);
    sides.on_source(0, &["SADD", "set", "v"]);
    sides.on_source(3, &["SET", "skipped", "v"]);
    // Nothing of the source can become these.
    sides.target.run(5, &["SET", "tmp:2", "v"]);
    sides.target.run(3, &["SET", "foreign", "v"]);
    sides.target.run(5, &["SET", "df2redis:checkpoint", "v"]);
    sides.target.run(5, &["SET", "df2redis@other:x", "v"]);
    let checked = check(config.clone()).await;
    assert_eq!(checked.summary.outcome(), Outcome::Equal, "{:?}", checked.findings);
    assert_eq!((checked.summary.equal, checked.summary.unselected), (2, 2));
    assert_eq!(checked.summary.foreign, 1);
    // Under the old name it is a key that only the target has.
    sides.target.run(5, &["SET", "new:b", "v"]);
    sides.target.run(5, &["SET", "new:a", "other"]);
    let checked = check(config).await;
    let expected = [
        (5, "new:a".to_owned(), vec![What::Length, What::Value]),
        (5, "new:b".to_owned(), vec![What::Extra]),
    ];
    assert_eq!(checked.different(), expected);
    assert_eq!(&checked.findings[1].0.source.name[..], b"old:b");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reserved_key_of_the_source_is_counted() {
    let sides = Sides::standalone();
    sides.on_source(0, &["SET", "df2redis:x", "v"]);
    let checked = check(sides.config()).await;
    assert_eq!(checked.summary.outcome(), Outcome::Equal);
    assert_eq!(checked.summary.left_out.get("reserved-key"), Some(&1));
}

/// A server that does not remove what has expired: it is no difference.
#[tokio::test(flavor = "multi_thread")]
async fn expired_keys_and_close_expiries_are_equal() {
    let sides = Sides::standalone();
    sides.on_source(0, &["SET", "near", "v", "PXAT", "99999999990000"]);
    sides.target.run(0, &["SET", "near", "v", "PXAT", "99999999990900"]);
    // It is gone on one side, and on the other its time has come.
    sides.on_source(0, &["SET", "gone", "v", "PX", "1"]);
    let checked = check(sides.config()).await;
    assert_eq!(checked.summary.outcome(), Outcome::Equal, "{:?}", checked.findings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sample_compares_a_share_and_says_so() {
    let sides = Sides::standalone();
    for nth in 0..500 {
        sides.on_both(0, &format!("SET key:{nth} v"));
    }
    let config = CheckConfig { sample: Some("20%".parse::<Sample>().unwrap()), ..sides.config() };
    let checked = check(config).await;
    let summary = &checked.summary;
    assert_eq!(summary.outcome(), Outcome::Equal);
    assert!((50..150).contains(&summary.compared), "{}", summary.compared);
    assert_eq!(summary.compared + summary.unsampled, 500);
    let text = summary.confidence().unwrap();
    assert!(
        text.starts_with("with 95 % confidence fewer than ") && text.ends_with(" of 500 keys differ"),
        "{text}"
    );
    assert!(summary.text().contains("the sample is equal"));
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_are_kept() {
    let sides = Sides::standalone();
    for nth in 0..300 {
        sides.on_both(0, &format!("SET key:{nth} v"));
    }
    // Where a key has an expiry, all are asked for theirs.
    sides.on_both(0, "SET key:0 v EX 500");
    // What is asked last is not waited for.
    let began = std::time::Instant::now();
    // Some 1,200 requests for values, and a few more.
    let config = CheckConfig { requests_per_second: Some(600), ..sides.config() };
    let checked = check(config).await;
    let took = std::time::Instant::now() - began;
    assert_eq!((checked.summary.outcome(), checked.summary.equal), (Outcome::Equal, 300));
    assert!(took.as_millis() > 800, "{took:?}");
}

/// Where no key has an expiry, none is asked for one, and an empty text is still told from no key. Both sides ask once one has.
#[tokio::test(flavor = "multi_thread")]
async fn expiries_that_are_counted() {
    let sides = Sides::standalone();
    for nth in 0..300 {
        sides.on_both(0, &format!("SET key:{nth} v"));
    }
    sides.on_source(0, &["SET", "empty", ""]);
    sides.target.run(0, &["SET", "empty", ""]);
    let calls = || {
        let info = sides.source().expect(&[b"INFO", b"commandstats"]).unwrap().text().unwrap();
        let of_expiry = info.lines().find_map(|line| line.strip_prefix("cmdstat_pexpiretime:calls="));
        of_expiry.map_or(0, |counts| counts.split(',').next().unwrap().parse::<u64>().unwrap())
    };
    assert_eq!(check(sides.config()).await.summary.equal, 301);
    assert_eq!(calls(), 1, "of the empty text alone");
    sides.target.run(0, &["DEL", "empty"]);
    sides.on_source(0, &["PEXPIREAT", "key:7", "99999999999999"]);
    let checked = check(sides.config()).await;
    let mut found: Vec<String> = checked.different().into_iter().map(|(_, key, _)| key).collect();
    found.sort();
    assert_eq!(found, ["empty", "key:7"]);
    assert!(calls() > 300);
}
