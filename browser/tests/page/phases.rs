//! What the page says while the run goes on.

use std::time::Duration;

use df2redis_browser::Browser;

use crate::run::{Run, script};

#[tokio::test(flavor = "multi_thread")]
async fn the_phases_pass_by() {
    let run = Run::start(script(2, 20_000), &["--snapshot-bytes-per-second", "60KiB"]).await;
    let browser = Browser::start("en-US").await;
    browser.open(&run.url).await;
    browser
        .until(".sentence", |text| {
            text.starts_with("Copying the snapshot:") && text.contains("% ") || text.contains("%,")
        })
        .await;
    assert_eq!(browser.text(".way .now .name").await, "Snapshot");
    assert!(browser.text("#cut-over").await.contains("once the journal is followed"));
    // Nobody has loaded the page again.
    browser.until(".sentence", |text| text.starts_with("In sync")).await;
    assert_eq!(browser.text(".way .now .name").await, "In sync");
    browser.until(".touch", |text| text == "Live").await;
    browser.until("#flows tbody", |text| text.matches("follows").count() == 2).await;
    assert!(
        browser.text("#state .sides").await.contains("Redis 7"),
        "{}",
        browser.text("#state .sides").await
    );
    run.end(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_away_is_told_within_three_seconds() {
    let run = Run::start(script(2, 500), &[]).await;
    let browser = run.followed().await;
    run.redis.pause().unwrap();
    let took = browser.until(".sentence", |text| text.starts_with("The target has not answered for")).await;
    assert!(took <= Duration::from_secs(3), "{took:?}");
    browser.until("#speed", |text| text.contains("Target behind") && !text.contains("Target behind 0")).await;
    assert!(browser.text(".headline").await.contains("The journal goes to disk"));
    run.redis.resume().unwrap();
    browser.until(".sentence", |text| text.starts_with("In sync")).await;
    run.end(browser).await;
}
