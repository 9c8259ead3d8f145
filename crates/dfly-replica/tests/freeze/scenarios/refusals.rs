//! Commands that the target refuses, and connections to it that break.

use super::{ONCE, TARGETS, a_little};
use crate::run::Stage;

const WRONG_TYPE: &str = "WRONGTYPE Operation against a key holding the wrong kind of value";

/// Refused when its transaction runs: the key is read again, and what is made of it behind.
#[tokio::test]
async fn inside_a_transaction() {
    for nodes in TARGETS {
        let mut stage = Stage::set(a_little(1), nodes).await;
        stage.go();
        stage.settled().await;
        stage.target.refuse("RPUSH l", (0, 1), WRONG_TYPE);
        stage.one_by_one(["RPUSH l d", "INCR n"]).await;
        stage.target.refuse("RPUSH l", (0, 1), WRONG_TYPE);
        stage.together(["INCR n", "RPUSH l e", "APPEND s x"]).await;
        stage.target.refuse("RPUSH l", (0, 1), WRONG_TYPE);
        stage.together(["RPUSH l f", "RENAME l l2", "RENAME l2 l"]).await;
        stage.stop().await;
        stage.compare("refused");
    }
}

/// What passes.
const FOR_NOW: [&str; 6] = [
    "LOADING Redis is loading the dataset in memory",
    "OOM command not allowed when used memory > 'maxmemory'.",
    "READONLY You can't write against a read only replica.",
    "BUSY Redis is busy running a script.",
    "CLUSTERDOWN The cluster is down",
    "TRYAGAIN Multiple keys request during rehashing of slot",
];

/// Refused for now: the transaction is sent again.
#[tokio::test]
async fn for_a_while() {
    for nodes in TARGETS {
        let mut stage = Stage::set(a_little(1), nodes).await;
        stage.go();
        stage.settled().await;
        for error in FOR_NOW {
            stage.target.refuse("INCR n", (0, 2), error);
            stage.one_by_one(["INCR n", "APPEND s x"]).await;
        }
        stage.stop().await;
        stage.compare("refused-for-now");
    }
}

/// A command of a slot is carried out though the one before it was refused for now: the key is read again.
#[tokio::test]
async fn out_of_order() {
    let mut stage = Stage::set(a_little(1), 3).await;
    stage.go();
    stage.settled().await;
    stage.target.refuse("SET n 1", (0, 1), FOR_NOW[5]);
    stage.together(["SET n 1", "SET n 2", "SET s 1"]).await;
    stage.one_by_one(["INCR n"]).await;
    stage.stop().await;
    stage.compare("out-of-order");
}

/// The connection breaks behind transactions that are not answered, some of which were carried out.
#[tokio::test]
async fn broken_connections() {
    for (carried_out, name) in [(0, "none"), (1, "one"), (3, "all")] {
        for nodes in TARGETS {
            let mut stage = Stage::set(a_little(1), nodes).await;
            stage.go();
            stage.settled().await;
            stage.held(["INCR n", "APPEND s x", "RPUSH l d"]).await;
            stage.target.break_writers(carried_out);
            stage.settled().await;
            stage.one_by_one(ONCE).await;
            stage.stop().await;
            stage.compare(&format!("broken-behind-{name}"));
        }
    }
}

/// Refused for good, so that nobody can tell which key is meant: the run ends, and the target says why.
#[tokio::test]
async fn for_good() {
    let mut stage = Stage::set(a_little(1), 1).await;
    stage.go();
    stage.settled().await;
    stage.target.refuse("HSET df2redis:checkpoint", (0, 1), WRONG_TYPE);
    stage.apply(["INCR n"]);
    assert!(stage.run.take().unwrap().fails().await.contains("WRONGTYPE"));
    stage.go();
    assert!(stage.run.take().unwrap().fails().await.contains("WRONGTYPE"));
    stage.compare("refused-for-good");
}
