//! Small strings, of which many are read with one request.

use dfly_check::{CheckConfig, Outcome, What};
use dfly_testkit::{Answer, RedisClient, RefusingProxy, Reply};

use crate::sides::{Side, Sides, check, config};

/// More than are read one by one before any are read together, for each of two connections.
const STRINGS: usize = 6000;

/// Strings of two databases; those of the second expire.
fn filled() -> Sides {
    let sides = Sides::standalone();
    for mut client in clients(&sides) {
        let name = |nth: usize| format!("key:{nth}");
        let lasting = |nth| vec!["SET".to_owned(), name(nth), format!("value:{nth}")];
        let expiring =
            |nth| [lasting(nth), vec!["PXAT".to_owned(), (4_000_000_000_000 + nth).to_string()]].concat();
        client.pipeline(&(0..STRINGS).map(lasting).collect::<Vec<_>>()).unwrap();
        client.select(1).unwrap();
        client.pipeline(&(0..STRINGS).map(expiring).collect::<Vec<_>>()).unwrap();
    }
    sides
}

fn clients(sides: &Sides) -> [RedisClient; 2] {
    let Side::Server(target) = &sides.target else { panic!("a server is needed") };
    [sides.source(), target.client().unwrap()]
}

/// How often a server has carried out MGET.
fn reads_together(client: &mut RedisClient) -> u64 {
    let Reply::Bulk(told) = client.expect(&[b"INFO", b"commandstats"]).unwrap() else { panic!() };
    let told = String::from_utf8_lossy(&told).into_owned();
    let calls = told.lines().find_map(|line| line.strip_prefix("cmdstat_mget:calls="));
    calls.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_among_many_small_strings() {
    let sides = filled();
    sides.on_both(0, "RPUSH list a b");
    for mut client in clients(&sides) {
        client.expect(&[b"SET", b"empty", b""]).unwrap();
    }
    let equal = check(sides.config()).await;
    assert_eq!(equal.summary.outcome(), Outcome::Equal, "{:?}", equal.findings);
    assert_eq!(equal.summary.equal, 2 * STRINGS as u64 + 2);
    for mut client in clients(&sides) {
        let calls = reads_together(&mut client);
        // Of 48 pages at least 40 are read together.
        assert!((20..=60).contains(&calls), "{calls}");
    }
    for (db, line) in [
        (0, "SET key:1 other"),
        (0, "DEL key:2"),
        (0, "SET extra v"),
        (0, "DEL key:3"),
        (0, "RPUSH key:3 value:3"),
        (0, "DEL empty"),
        (1, "PEXPIREAT key:4 5000000000000"),
        (1, "PERSIST key:5"),
        (1, "DEL key:6"),
    ] {
        sides.target.run(db, &line.split(' ').collect::<Vec<_>>());
    }
    let large = "x".repeat(1 << 20);
    sides.target.run(0, &["SET", "key:7", &large]);
    let found = check(sides.config()).await.different();
    let found: Vec<(u32, &str, &[What])> =
        found.iter().map(|(db, key, what)| (*db, key.as_str(), what.as_slice())).collect();
    assert_eq!(
        found,
        [
            (0, "empty", &[What::Missing][..]),
            (0, "extra", &[What::Extra]),
            (0, "key:1", &[What::Length, What::Value]),
            (0, "key:2", &[What::Missing]),
            (0, "key:3", &[What::Type]),
            (0, "key:7", &[What::Length]),
            (1, "key:4", &[What::Expiry]),
            (1, "key:5", &[What::Expiry]),
            (1, "key:6", &[What::Missing]),
        ]
    );
}

/// A side that forbids MGET is asked for each string.
#[tokio::test(flavor = "multi_thread")]
async fn a_side_without_mget() {
    let sides = filled();
    let source = RefusingProxy::start(sides.source.address()).await.unwrap();
    let target = RefusingProxy::start(sides.target.address()).await.unwrap();
    let config: CheckConfig = config(source.address(), target.address());
    source.answer([Answer::error("MGET", "NOPERM this user has no permissions")]);
    target.answer([Answer::error("MGET", "ERR unknown command 'MGET'")]);
    let checked = check(config).await;
    assert_eq!(checked.summary.outcome(), Outcome::Equal, "{:?}", checked.findings);
    assert_eq!(checked.summary.equal, 2 * STRINGS as u64);
    for mut client in clients(&sides) {
        assert_eq!(reads_together(&mut client), 0);
    }
}
