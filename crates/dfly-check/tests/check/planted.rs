//! P21: a planted difference of each kind is found in each mode that promises it, and named.

use dfly_check::{Mode, Outcome, What};

use crate::sides::{Sides, check};

/// Equal keys of every type, in every encoding, in a database.
fn plant_equal(sides: &Sides, db: u32) {
    for nth in 0..40 {
        sides.on_both(db, &format!("SET string:{nth} value{nth}"));
    }
    for line in [
        "SET int 12345",
        "SET expiring v PXAT 99999999999999",
        "SET empty_ish \u{0}",
        "RPUSH list a b 1 2 c",
        "SADD ints 3 1 2",
        "SADD set b a c d",
        "HSET hash f1 v1 f2 v2 n 7",
        "ZADD zset 1.5 a inf b -0 c 1e300 d",
        "XADD stream 1-1 f v g w",
        "XADD stream 2-1 f v2 g w2",
        "XGROUP CREATE stream group 1-1",
        "XGROUP CREATECONSUMER stream group alice",
        "SETBIT bits 7 1",
    ] {
        sides.on_both(db, line);
    }
}

/// The commands that make each side differ, what then differs by name, and the first mode that tells it.
type Row = (&'static str, &'static [&'static str], &'static [&'static str], &'static [What], Mode);

const ROWS: &[Row] = &[
    ("missing", &["SET missing v"], &[], &[What::Missing], Mode::Outline),
    ("extra", &[], &["SET extra v"], &[What::Extra], Mode::Outline),
    ("type", &["SET type v"], &["RPUSH type v"], &[What::Type], Mode::Outline),
    ("expiry", &["SET expiry v"], &["SET expiry v EX 1000"], &[What::Expiry], Mode::Outline),
    (
        "expiry2",
        &["SET expiry2 v PXAT 99999999990000"],
        &["SET expiry2 v PXAT 99999999995000"],
        &[What::Expiry],
        Mode::Outline,
    ),
    ("longer", &["SET longer abc"], &["SET longer abcd"], &[What::Length, What::Value], Mode::Length),
    ("value", &["SET value abc"], &["SET value abd"], &[What::Value], Mode::Smart),
    ("item", &["RPUSH item a b c"], &["RPUSH item a x c"], &[What::Elements { differ: 1 }], Mode::Smart),
    ("order", &["RPUSH order a b c"], &["RPUSH order a c b"], &[What::Elements { differ: 2 }], Mode::Smart),
    (
        "fewer",
        &["RPUSH fewer a b c"],
        &["RPUSH fewer a b"],
        &[What::Length, What::Elements { differ: 1 }],
        Mode::Length,
    ),
    ("member", &["SADD member a b"], &["SADD member a c"], &[What::Elements { differ: 2 }], Mode::Smart),
    ("number", &["SADD number 1 2"], &["SADD number 1 3"], &[What::Elements { differ: 2 }], Mode::Smart),
    ("field", &["HSET field a 1 b 2"], &["HSET field a 1 b 3"], &[What::Elements { differ: 1 }], Mode::Smart),
    (
        "fields",
        &["HSET fields a 1 b 2"],
        &["HSET fields a 1"],
        &[What::Length, What::Elements { differ: 1 }],
        Mode::Length,
    ),
    (
        "score",
        &["ZADD score 1 a 2 b"],
        &["ZADD score 1 a 2.0000000000000004 b"],
        &[What::Elements { differ: 1 }],
        Mode::Smart,
    ),
    ("entry", &["XADD entry 1-1 f v"], &["XADD entry 1-1 f w"], &[What::Elements { differ: 1 }], Mode::Smart),
    (
        "added",
        &["XADD added 1-1 f v", "XADD added 2-1 f v", "XDEL added 2-1"],
        &["XADD added 1-1 f v"],
        &[What::StreamState],
        Mode::Smart,
    ),
    (
        "group",
        &["XADD group 1-1 f v", "XGROUP CREATE group g 0"],
        &["XADD group 1-1 f v"],
        &[What::Groups { differ: 1 }],
        Mode::Smart,
    ),
    (
        "group2",
        &["XADD group2 1-1 f v", "XGROUP CREATE group2 g 0"],
        &["XADD group2 1-1 f v", "XGROUP CREATE group2 g 1-1"],
        &[What::Groups { differ: 1 }],
        Mode::Smart,
    ),
    (
        "consumer",
        &["XADD consumer 1-1 f v", "XGROUP CREATE consumer g 0", "XGROUP CREATECONSUMER consumer g a"],
        &["XADD consumer 1-1 f v", "XGROUP CREATE consumer g 0", "XGROUP CREATECONSUMER consumer g b"],
        &[What::Consumers { differ: 2 }],
        Mode::Smart,
    ),
];

fn plant(sides: &Sides, db: u32) {
    for (_, source, target, _, _) in ROWS {
        for line in *source {
            sides.on_source(db, &line.split(' ').collect::<Vec<_>>());
        }
        for line in *target {
            sides.target.run(db, &line.split(' ').collect::<Vec<_>>());
        }
    }
    // One entry is delivered on both sides, and acknowledged on one.
    let keys = ["XADD pending 1-1 f v", "XGROUP CREATE pending g 0"];
    keys.iter().for_each(|line| sides.on_both(db, line));
    sides.on_both(db, "XGROUP CREATECONSUMER pending g a");
    sides.on_both(db, "XCLAIM pending g a 0 1-1 TIME 1000 RETRYCOUNT 3 FORCE");
    sides.target.run(db, &["XACK", "pending", "g", "1-1"]);
}

fn expected(dbs: &[u32], mode: Mode) -> Vec<(u32, String, Vec<What>)> {
    let pending = ("pending", &[What::Pending { differ: 1 }][..], Mode::Smart);
    let rows = ROWS.iter().map(|(key, _, _, what, since)| (*key, *what, *since)).chain([pending]);
    let rows: Vec<_> = rows.filter(|(_, _, since)| *since <= mode).collect();
    let mut all = Vec::new();
    for db in dbs {
        for (key, what, _) in &rows {
            let told =
                |what: &What| mode >= Mode::Smart || !matches!(what, What::Value | What::Elements { .. });
            all.push((*db, (*key).to_owned(), what.iter().copied().filter(told).collect()));
        }
    }
    all.sort();
    all
}

async fn every_mode(sides: &Sides, dbs: &[u32]) {
    for db in dbs {
        plant_equal(sides, *db);
    }
    for mode in [Mode::Outline, Mode::Length, Mode::Smart, Mode::Full] {
        let checked = check(dfly_check::CheckConfig { mode, ..sides.config() }).await;
        assert_eq!(checked.summary.outcome(), Outcome::Equal, "{mode:?} {:?}", checked.findings);
        assert_eq!(checked.summary.equal, 50 * dbs.len() as u64);
    }
    for db in dbs {
        plant(sides, *db);
    }
    for mode in [Mode::Outline, Mode::Length, Mode::Smart, Mode::Full] {
        let checked = check(dfly_check::CheckConfig { mode, ..sides.config() }).await;
        let mut different = checked.different();
        different.sort();
        assert_eq!(different, expected(dbs, mode), "{mode:?}");
        assert_eq!(checked.summary.outcome(), Outcome::Different);
        assert_eq!(checked.summary.certain, different.len() as u64);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_server_in_several_databases() {
    every_mode(&Sides::standalone(), &[0, 3, 15]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn on_a_cluster() {
    every_mode(&Sides::cluster(), &[0]).await;
}
