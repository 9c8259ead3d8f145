//! Repairs while nobody writes to the source.

use dfly_check::{Outcome, Progress, Repair, Rounds, RunSignals, Store};
use tokio::sync::watch;

use crate::sides::Sides;

const SOURCE: &[&str] = &[
    "SET missing v PXAT 99999999999999",
    "SET value right",
    "RPUSH list a b c",
    "HSET hash f v g w",
    "SADD set a b 1",
    "ZADD zset 1.5 a",
    "XADD stream 1-1 f v",
    "XGROUP CREATE stream g 0",
    "SET expiry v",
];

const TARGET: &[&str] = &[
    "SET value wrong",
    "RPUSH list a x",
    "HSET hash f other",
    "RPUSH set it_is_a_list",
    "ZADD zset 2.5 a 3 b",
    "XADD stream 1-1 f other",
    "SET expiry v EX 1000",
    "SET extra v",
];

async fn makes_equal(sides: Sides) {
    for line in SOURCE {
        sides.on_source(0, &line.split(' ').collect::<Vec<_>>());
    }
    for line in TARGET {
        sides.target.run(0, &line.split(' ').collect::<Vec<_>>());
    }
    let store = Store::temporary().unwrap();
    let (progress, _shown) = watch::channel(Progress::default());
    let (_stop, stopped) = watch::channel(false);
    let rounds = Rounds::new(sides.config(), &store, RunSignals { progress, stop: stopped });
    assert_eq!(rounds.run().await.unwrap().different, 9);
    let dry = Repair::begin(&sides.config(), &store, true).await.unwrap().run().await.unwrap();
    assert_eq!((dry.copied, dry.removed, dry.failed.len()), (8, 1, 0));
    assert_eq!(rounds.verify().await.unwrap().different, 9, "a dry run changes nothing");
    let done = Repair::begin(&sides.config(), &store, false).await.unwrap().run().await.unwrap();
    assert_eq!((done.copied, done.removed, done.failed), (8, 1, vec![]));
    let summary = rounds.verify().await.unwrap();
    assert_eq!(summary.outcome(), Outcome::Equal, "{:?}", store.findings(None, 100).unwrap());
    assert_eq!(rounds.run().await.unwrap().outcome(), Outcome::Equal);
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_server() {
    makes_equal(Sides::standalone()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster() {
    makes_equal(Sides::cluster()).await;
}
