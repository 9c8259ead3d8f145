//! A comparison from the page, with the token and without.

use crate::run::{Run, TOKEN, script};

#[tokio::test(flavor = "multi_thread")]
async fn a_comparison_shows_what_differs() {
    let run = Run::start(script(2, 300), &[]).await;
    let browser = run.followed().await;
    run.redis.client().unwrap().expect(&[b"HSET", b"user:7", b"name", b"somebody else"]).unwrap();
    browser.press("[data-opens=check]").await;
    browser.type_into("#ask-check-token", "a guess").await;
    browser.press("#ask-check button[type=submit]").await;
    browser.until("#ask-check .answer", |text| text.contains("the token is not the run's")).await;
    browser.type_into("#ask-check [name=token]", TOKEN).await;
    browser.press("#ask-check button[type=submit]").await;
    browser
        .until("[data-part=check] .verdict", |text| {
            text.starts_with("1 of ") && text.ends_with("keys differs")
        })
        .await;
    browser.until(".way .failed .name", |text| text == "Checked").await;
    browser.press("[data-opens=differences]").await;
    browser.press("#ask-differences button[type=submit]").await;
    browser.until("#ask-differences .keys", |text| text.contains("user:7")).await;
    assert!(!browser.text("body").await.contains("somebody else"), "values are never shown");
    browser.press("#ask-differences [data-closes]").await;
    browser.press("[data-opens=check-repair]").await;
    browser.press("#ask-check-repair button[type=submit]").await;
    browser.until("[data-part=check] .verdict", |text| text.ends_with("are equal")).await;
    run.end(browser).await;
}
