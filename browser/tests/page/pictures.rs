//! Pictures of six situations in three widths, light and dark, to be looked at: in `target/pictures`, or where
//! `DF2REDIS_PICTURES` says.

use std::path::PathBuf;

use df2redis_browser::Browser;

use crate::run::{Run, TOKEN, script};

fn folder() -> PathBuf {
    let named = std::env::vars().find_map(|(name, value)| (name == "DF2REDIS_PICTURES").then_some(value));
    let folder = named.map_or_else(|| PathBuf::from("target/pictures"), PathBuf::from);
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

async fn pictures(browser: &Browser, situation: &str) {
    for width in [400, 800, 1600] {
        for (is_dark, scheme) in [(false, "light"), (true, "dark")] {
            let picture = browser.picture(width, is_dark).await;
            std::fs::write(folder().join(format!("{situation}-{width}-{scheme}.png")), &picture).unwrap();
            let is_too_wide =
                "return document.documentElement.scrollWidth > document.documentElement.clientWidth";
            assert_eq!(browser.script(is_too_wide).await, false, "{situation} at {width}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshot_and_in_sync() {
    let (run, browser) = Run::in_snapshot().await;
    browser.until(".sentence", |text| text.contains("left")).await;
    pictures(&browser, "snapshot").await;
    run.let_snapshot_end(&browser).await;
    browser.until(".sentence", |text| text.starts_with("In sync")).await;
    browser.until("#speed", |text| text.contains("Source writes")).await;
    pictures(&browser, "in-sync").await;
    run.end(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn target_away() {
    let run = Run::start(script(2, 300), &[]).await;
    let browser = run.followed().await;
    run.redis.pause().unwrap();
    browser.until(".sentence", |text| text.starts_with("The target has not answered for 1")).await;
    pictures(&browser, "target-away").await;
    run.end(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_found_and_cut_over() {
    let run = Run::start(script(2, 300), &[]).await;
    let browser = run.followed().await;
    run.redis.client().unwrap().expect(&[b"HSET", b"user:7", b"name", b"somebody else"]).unwrap();
    browser.press("[data-opens=check]").await;
    browser.type_into("#ask-check [name=token]", TOKEN).await;
    browser.press("#ask-check button[type=submit]").await;
    browser.until("[data-part=check] .verdict", |text| text.ends_with("keys differs")).await;
    pictures(&browser, "differences-found").await;
    browser.press("[data-opens=check-repair]").await;
    browser.press("#ask-check-repair button[type=submit]").await;
    browser.until("[data-part=check] .verdict", |text| text.ends_with("are equal")).await;
    browser.press("[data-opens=cutover]").await;
    browser.type_into("#ask-cutover-name", &run.target()).await;
    pictures(&browser, "cut-over-dialog").await;
    browser.press("#ask-cutover [data-closes]").await;
    run.cut_over(&browser).await;
    browser.until(".sentence", |text| text.starts_with("Safe to switch")).await;
    pictures(&browser, "cut-over").await;
    run.end(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_flows() {
    let run = Run::start(script(100, 2000), &[]).await;
    let browser = run.followed().await;
    browser.until("#flows tbody", |text| text.matches("follows").count() == 100).await;
    pictures(&browser, "a-hundred-flows").await;
    run.end(browser).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chinese() {
    let run = Run::start(script(2, 300), &[]).await;
    let browser = Browser::start("zh-CN,zh").await;
    browser.open(&run.url).await;
    browser.until(".sentence", |text| text.starts_with("已同步")).await;
    pictures(&browser, "in-chinese").await;
    browser.press("[data-opens=cutover]").await;
    pictures(&browser, "cut-over-dialog-in-chinese").await;
    run.end(browser).await;
}
