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
    browser.script(WATCH).await;
    // Numbers have changed often, whatever the host does meanwhile.
    browser.until_script("return window.changes >= 8").await;
    let spoken = browser.script("return window.spoken").await;
    let spoken: Vec<&str> = spoken.as_array().unwrap().iter().filter_map(|text| text.as_str()).collect();
    assert!(spoken.iter().all(|text| !text.contains(|c: char| c.is_ascii_digit())), "{spoken:?}");
    assert!(spoken.windows(2).all(|pair| pair[0] != pair[1]), "{spoken:?}");
    // The sentence may become another one if the host is busy; while it is the same, everything stays where it is.
    let places = browser.script("return window.places").await;
    let is_one = |places: &serde_json::Value| places.as_array().is_some_and(|places| places.len() == 1);
    assert!(places.as_object().unwrap().values().all(is_one), "{places:#}");
    run.end(browser).await;
}

/// Notes what is spoken, how often the first sentence is written anew, and where headings are by what is spoken.
const WATCH: &str = "window.spoken = []; window.changes = 0; window.places = {};
    const live = document.querySelector('[aria-live]');
    new MutationObserver(() => window.spoken.push(live.innerText))
        .observe(live, { childList: true, characterData: true, subtree: true });
    new MutationObserver(() => {
        window.changes += 1;
        const places = window.places[live.innerText] ??= [];
        const now = [...document.querySelectorAll('h2')]
            .map((heading) => Math.round(heading.getBoundingClientRect().top)).join();
        if (!places.includes(now)) places.push(now);
    }).observe(document.querySelector('[data-part=plots]'), { childList: true });";
