//! A cutover from the button, and its undoing.

use crate::run::{Run, TOKEN, script};

#[tokio::test(flavor = "multi_thread")]
async fn a_cutover_from_the_button_and_back() {
    let run = Run::start(script(2, 300), &[]).await;
    let browser = run.followed().await;
    browser.press("[data-opens=cutover]").await;
    browser.until("#ask-cutover .plan", |text| text.contains("Stop writes at the source")).await;
    browser.type_into("#ask-cutover-token", TOKEN).await;
    browser.press("#ask-cutover [name=dry-run]").await;
    browser.until("#ask-cutover .answer", |text| text.contains("nothing was stopped")).await;
    assert!(!run.master.is_paused());
    let is_off = "return document.querySelector('[name=cut-over]').disabled";
    browser.type_into("#ask-cutover-name", "another").await;
    assert_eq!(browser.script(is_off).await, true, "the target's name is wrong");
    browser.type_into("#ask-cutover-name", &run.target()).await;
    assert_eq!(browser.script(is_off).await, false);
    browser.press("#ask-cutover [data-closes]").await;
    run.cut_over(&browser).await;
    browser.until(".sentence", |text| text.starts_with("Safe to switch")).await;
    assert!(run.master.is_paused());
    assert!(
        browser.text("[data-part=cutover]").await.contains("The target holds every record of the source")
    );
    browser.press("[data-opens=release]").await;
    browser.press("#ask-release button[type=submit]").await;
    browser
        .until("[data-part=cutover] .verdict", |text| text.starts_with("Writes are not stopped any more"))
        .await;
    browser.until(".sentence", |text| text.starts_with("In sync")).await;
    assert!(!run.master.is_paused());
    run.end(browser).await;
}

/// The target goes away while the cutover waits for it: writes were never stopped for longer than they may be.
#[tokio::test(flavor = "multi_thread")]
async fn a_cutover_that_is_ended_before_it_is_safe() {
    let run = Run::start(script(2, 300), &[]).await;
    let browser = run.followed().await;
    run.redis.pause().unwrap();
    browser.until(".sentence", |text| text.starts_with("The target has not answered")).await;
    browser.press("[data-opens=cutover]").await;
    browser.type_into("#ask-cutover-token", TOKEN).await;
    browser.type_into("#ask-cutover-name", &run.target()).await;
    browser.press("#ask-cutover [name=cut-over]").await;
    browser.until(".steps .now", |text| text.starts_with("Wait until the target")).await;
    browser.press("[data-opens=release]").await;
    browser.press("#ask-release button[type=submit]").await;
    browser.until("[data-part=cutover]", |text| text.contains("writes go on")).await;
    assert!(!run.master.is_paused());
    run.redis.resume().unwrap();
    browser.until(".sentence", |text| text.starts_with("In sync")).await;
    run.end(browser).await;
}
