//! The relay log, while the target is slower than the source. In a cluster questions are answered meanwhile, so when positions
//! are stored between two batches is not certain.

use super::{ONCE, TARGETS, a_little};
use crate::run::Stage;

/// Enough to be moved to the log.
fn many() -> Vec<String> {
    (0..60).map(|i| format!("APPEND s {i:010}")).chain(ONCE.map(str::to_owned)).collect()
}

async fn behind(nodes: usize, dir: &std::path::Path) -> Stage {
    let dir = dir.to_path_buf();
    let mut stage = Stage::set(a_little(1), nodes).await.with(move |config| {
        config.state_dir = Some(dir.clone());
        config.read_ahead = 1 << 10;
        config.window.commands = 1;
    });
    stage.go();
    stage.settled().await;
    stage.held(["INCR n"]).await;
    stage.apply(many().iter().map(String::as_str));
    stage.run().reports(|report| report.flows[0].relay_bytes > 1000).await;
    let before = stage.run().relayed();
    stage.apply(many().iter().map(String::as_str));
    stage.run().reports(move |report| report.flows[0].relay_bytes > before + 1000).await;
    stage
}

/// What has piled up is applied when the target goes on.
#[tokio::test]
async fn until_the_target_goes_on() {
    for nodes in TARGETS {
        let dir = tempfile::tempdir().unwrap();
        let mut stage = behind(nodes, dir.path()).await;
        stage.target.release();
        stage.settled().await;
        stage.one_by_one(ONCE).await;
        stage.stop().await;
        stage.compare_without_borders("relayed");
    }
}

/// The next run goes on from the log.
#[tokio::test]
async fn until_the_next_run() {
    for nodes in TARGETS {
        let dir = tempfile::tempdir().unwrap();
        let mut stage = behind(nodes, dir.path()).await;
        stage.target.break_writers(0);
        stage.kill().await;
        stage.go();
        stage.settled().await;
        stage.one_by_one(ONCE).await;
        stage.stop().await;
        stage.compare_without_borders("relayed-to-the-next");
    }
}
