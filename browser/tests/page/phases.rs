//! What the page says while the run goes on.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::run::{Run, script};

/// Notes by the browser's own clock when the first sentence says that the target is away.
const NOTES_CHANGE: &str = "new MutationObserver(() => {
    const text = document.querySelector('.sentence').innerText;
    if (text.startsWith('The target has not answered')) window.changedAt ??= Date.now();
}).observe(document.querySelector('[data-part=headline]'), { childList: true });";

/// Milliseconds since 1970. Browser and test are on one host.
fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_phases_pass_by() {
    let (run, browser) = Run::in_snapshot().await;
    browser.until(".sentence", |text| text.starts_with("Copying the snapshot: ") && text.contains('%')).await;
    assert_eq!(browser.text(".way .now .name").await, "Snapshot");
    assert!(browser.text("#cut-over").await.contains("once the run follows the journal"));
    run.let_snapshot_end(&browser).await;
    // Nobody has loaded the page again.
    browser.until(".sentence", |text| text.starts_with("In sync")).await;
    assert_eq!(browser.text(".way .now .name").await, "In sync");
    browser.until(".touch", |text| text == "Live").await;
    browser.until("#flows tbody", |text| text.matches("follows").count() == 2).await;
    let sides = browser.text("#state .sides").await;
    assert!(sides.contains("Redis 7"), "{sides}");
    run.end(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_away_is_told_within_three_seconds() {
    let run = Run::start(script(2, 500), &[]).await;
    let browser = run.followed().await;
    browser.script(NOTES_CHANGE).await;
    let paused = now();
    run.redis.pause().unwrap();
    browser.until(".sentence", |text| text.starts_with("The target has not answered for")).await;
    let took = browser.script("return window.changedAt").await.as_u64().unwrap().saturating_sub(paused);
    assert!(took <= 3000, "{took} ms");
    browser.until("#speed", |text| text.contains("Target behind") && !text.contains("Target behind 0")).await;
    assert!(browser.text(".headline").await.contains("The journal goes to disk"));
    run.redis.resume().unwrap();
    browser.until(".sentence", |text| text.starts_with("In sync")).await;
    run.end(browser).await;
}
