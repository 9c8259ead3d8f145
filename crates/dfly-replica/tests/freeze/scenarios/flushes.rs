//! Flushes of the source.

use dfly_replica::EngineConfig;
use dfly_testkit::Op;
use dfly_translate::{Choice, Glob, Policy, Rules, Selection};

use super::{ONCE, TARGETS, a_little};
use crate::run::Stage;

/// Of all, of one database, with records before and behind them on both flows.
#[tokio::test]
async fn in_the_journal() {
    for nodes in TARGETS {
        let mut stage = Stage::set(a_little(2), nodes).await;
        stage.go();
        stage.settled().await;
        stage.one_by_one(["INCR n", "FLUSHALL", "INCR n", "APPEND s x", "FLUSHDB", "INCR n"]).await;
        stage.together(["INCR n", "APPEND s x", "FLUSHALL", "INCR n", "APPEND s x"]).await;
        if nodes == 1 {
            stage.one_by_one(["SET s 1", "SET n 1"].map(|line| Op::line(line).in_db(3))).await;
            stage.one_by_one([Op::line("FLUSHDB").in_db(3), Op::line("INCR n").in_db(3)]).await;
        }
        stage.stop().await;
        stage.go();
        stage.settled().await;
        stage.one_by_one(["INCR n"]).await;
        stage.stop().await;
        stage.compare("flush");
    }
}

/// The synchronisation begins anew.
#[tokio::test]
async fn in_the_snapshot() {
    for nodes in TARGETS {
        let script = a_little(1).during("SET during 1").during("FLUSHALL").during("SET after 2");
        let mut stage = Stage::set(script, nodes).await;
        stage.go();
        stage.settled().await;
        stage.one_by_one(["INCR n"]).await;
        stage.stop().await;
        stage.compare("flush-in-snapshot");
    }
}

fn some_keys(config: &mut EngineConfig) {
    let keys = Choice { allow: vec![Glob::new("[a-z]")], block: vec![Glob::new("t")] };
    let renames = vec!["s=renamed:s".parse().unwrap()];
    let selection = Selection { keys, renames, ..Selection::default() };
    config.rules = Rules { selection, ..Rules::from(Policy::Skip) }.into();
}

/// Where not everything is taken, only what may be the source's is removed.
#[tokio::test]
async fn of_what_is_taken() {
    for nodes in TARGETS {
        let mut stage = Stage::set(a_little(2), nodes).await.with(some_keys);
        stage.go();
        stage.settled().await;
        stage.target.plant(0, "of-others");
        stage.one_by_one(ONCE).await;
        stage.one_by_one(["SET long:name v", "FLUSHALL", "INCR n"]).await;
        stage.stop().await;
        stage.compare("selected");
    }
}

fn mapped(config: &mut EngineConfig) {
    let mut rules = Rules::from(Policy::Skip);
    rules.selection.dbs = "0=5,3=0,7=skip".parse().unwrap();
    config.rules = rules.into();
}

/// Databases that go elsewhere.
#[tokio::test]
async fn of_databases_that_go_elsewhere() {
    let mut stage = Stage::set(a_little(2).before(Op::line("SET s 3").in_db(3)), 1).await.with(mapped);
    stage.go();
    stage.settled().await;
    for db in [0, 3, 7] {
        stage.one_by_one(["INCR n", "APPEND s x"].map(|line| Op::line(line).in_db(db))).await;
    }
    for db in [7, 3, 0] {
        stage.one_by_one([Op::line("FLUSHDB").in_db(db), Op::line("INCR n").in_db(db)]).await;
    }
    stage.stop().await;
    stage.compare("mapped");
}
