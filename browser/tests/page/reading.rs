//! How the page is read: languages, without its script, by the keyboard.

use df2redis_browser::Browser;

use crate::run::{Run, script};

#[tokio::test(flavor = "multi_thread")]
async fn both_languages() {
    let run = Run::start(script(2, 100), &[]).await;
    let browser = Browser::start("zh-CN,zh").await;
    browser.open(&run.url).await;
    browser.until(".sentence", |text| text.starts_with("已同步")).await;
    assert_eq!(browser.script("return document.documentElement.lang").await, "zh");
    assert!(browser.script("return document.title").await.as_str().unwrap().starts_with("已同步"));
    browser.press("nav a[lang=en]").await;
    browser.until(".sentence", |text| text.starts_with("In sync")).await;
    run.end(browser).await;
}

/// What a screen reader is told does not change with every number, and nothing moves while numbers do.
#[tokio::test(flavor = "multi_thread")]
async fn nothing_chatters_and_nothing_jumps() {
    let run = Run::start(script(2, 100), &[]).await;
    let browser = run.followed().await;
    browser.until("#speed", |text| text.contains("/s")).await;
    let watch = "window.spoken = 0; window.places = new Set();
        new MutationObserver(() => { window.spoken += 1; }).observe(document.querySelector('[aria-live]'),
            { childList: true, characterData: true, subtree: true });
        setInterval(() => window.places.add([...document.querySelectorAll('h2')]
            .map((heading) => Math.round(heading.getBoundingClientRect().top)).join()), 100);";
    browser.script(watch).await;
    tokio::time::sleep(std::time::Duration::from_secs(6)).await;
    assert_eq!(browser.script("return window.spoken").await, 0);
    assert_eq!(browser.script("return window.places.size").await, 1);
    run.end(browser).await;
}
