//! First starts over a target that holds keys.

use dfly_replica::{OnConflict, OnStart};

use super::{ONCE, TARGETS, a_little};
use crate::run::Stage;

async fn started(nodes: usize, (on_start, on_conflict): (OnStart, OnConflict)) -> Stage {
    let mut stage = Stage::set(a_little(1), nodes).await.with(move |config| {
        config.on_start = on_start;
        config.on_conflict = on_conflict;
    });
    ["s", "extra", "df2redis:of-ours"].into_iter().for_each(|key| stage.target.plant(0, key));
    stage.go();
    stage
}

async fn replicated(nodes: usize, start: (OnStart, OnConflict), scenario: &str) {
    let mut stage = started(nodes, start).await;
    stage.settled().await;
    stage.one_by_one(ONCE).await;
    stage.one_by_one(["RPUSH newcomer a", "RPUSH newcomer b", "SET other 1", "APPEND other x"]).await;
    stage.stop().await;
    stage.go();
    stage.settled().await;
    stage.one_by_one(["INCR n", "APPEND s x"]).await;
    stage.stop().await;
    stage.compare(scenario);
}

#[tokio::test]
async fn mirror() {
    for nodes in TARGETS {
        replicated(nodes, (OnStart::Mirror, OnConflict::Overwrite), "mirror").await;
    }
}

#[tokio::test]
async fn merge() {
    for nodes in TARGETS {
        replicated(nodes, (OnStart::Merge, OnConflict::Overwrite), "merge").await;
    }
}

#[tokio::test]
async fn merge_and_keep() {
    for nodes in TARGETS {
        replicated(nodes, (OnStart::Merge, OnConflict::Skip), "merge-skip").await;
    }
}

#[tokio::test]
async fn flush() {
    for nodes in TARGETS {
        replicated(nodes, (OnStart::Flush, OnConflict::Overwrite), "start-flush").await;
    }
}

#[tokio::test]
async fn require_empty() {
    for nodes in TARGETS {
        let mut stage = started(nodes, (OnStart::RequireEmpty, OnConflict::Overwrite)).await;
        assert!(stage.run.take().unwrap().fails().await.contains("keys"));
        stage.compare("start-refused");
    }
}
