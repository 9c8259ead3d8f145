//! One window of a headless Chromium.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use fantoccini::error::{CmdError, ErrorStatus};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::commands::OfSession;

/// What Chromium is started with: it asks nobody for anything.
const FLAGS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,900",
];

/// How long a page may take to show something.
const LIMIT: Duration = Duration::from_secs(60);

/// A window of a browser of its own.
#[derive(Debug)]
pub struct Browser {
    client: Client,
    driver: Child,
    /// The browser's own process. A driver that ends early leaves it behind.
    process: Option<Pid>,
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser whose reader has this language.
    pub async fn start(language: &str) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut driver = Command::new("chromedriver");
        driver.arg(format!("--port={port}")).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let driver = driver.spawn().expect("chromedriver is needed (Debian: chromium-driver)");
        let profile = tempfile::tempdir().unwrap();
        let mut flags: Vec<String> = FLAGS.iter().map(|flag| (*flag).to_owned()).collect();
        flags.push(format!("--user-data-dir={}", profile.path().display()));
        let options = json!({"args": flags, "prefs": {"intl.accept_languages": language}});
        let logs = json!({"browser": "ALL", "performance": "ALL"});
        let capabilities = json!({"goog:chromeOptions": options, "goog:loggingPrefs": logs});
        let url = format!("http://127.0.0.1:{port}");
        let client = connect(&url, &capabilities).await;
        let process = client.capabilities().and_then(|all| all.get("goog:processID")?.as_i64());
        let process = process.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Self { client, driver, process, _profile: profile }
    }

    /// Opens a page.
    pub async fn open(&self, url: &str) {
        self.client.goto(url).await.unwrap();
    }

    /// Runs a script, and gives what it returns.
    pub async fn script(&self, code: &str) -> Value {
        self.client.execute(code, Vec::new()).await.unwrap()
    }

    /// The text of the first element that a selector finds, without what is only spoken.
    pub async fn text(&self, selector: &str) -> String {
        let code = format!("return document.querySelector({selector:?})?.innerText ?? ''");
        let text = self.script(&code).await.as_str().unwrap_or_default().replace('\u{a0}', " ");
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// Waits until the text of an element is as it should be, and says how long that took.
    ///
    /// # Panics
    /// It does not become so.
    pub async fn until(&self, selector: &str, is_so: impl Fn(&str) -> bool) -> Duration {
        let began = Instant::now();
        loop {
            let text = self.text(selector).await;
            if is_so(&text) {
                return began.elapsed();
            }
            assert!(began.elapsed() < LIMIT, "{selector} still says \"{text}\"");
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until a script returns true.
    ///
    /// # Panics
    /// It does not.
    pub async fn until_script(&self, code: &str) {
        let began = Instant::now();
        while self.script(code).await != true {
            assert!(began.elapsed() < LIMIT, "not true: {code}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    /// Presses what a selector finds, once it is there. The page may change between the look and the press.
    ///
    /// # Panics
    /// It cannot be pressed.
    pub async fn press(&self, selector: &str) {
        let began = Instant::now();
        while let Err(error) = self.press_now(selector).await {
            assert!(is_gone(&error) && began.elapsed() < LIMIT, "{selector}: {error}");
            sleep(Duration::from_millis(50)).await;
        }
    }

    async fn press_now(&self, selector: &str) -> Result<(), CmdError> {
        self.client.find(Locator::Css(selector)).await?.click().await
    }

    /// Types into a field, instead of what it holds.
    pub async fn type_into(&self, selector: &str, text: &str) {
        let field = self.client.find(Locator::Css(selector)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// A picture of the whole page.
    pub async fn picture(&self, width: u32, is_dark: bool) -> Vec<u8> {
        let scheme = if is_dark { "dark" } else { "light" };
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.chromium("Emulation.setEmulatedMedia", json!({"features": features})).await;
        let sized =
            |height: u64| json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.chromium("Emulation.setDeviceMetricsOverride", sized(900)).await;
        let height = self.script("return document.documentElement.scrollHeight").await.as_u64().unwrap();
        self.chromium("Emulation.setDeviceMetricsOverride", sized(height)).await;
        let picture = self.client.screenshot().await.unwrap();
        self.chromium("Emulation.clearDeviceMetricsOverride", json!({})).await;
        picture
    }

    async fn chromium(&self, command: &str, params: Value) -> Value {
        self.of_session("goog/cdp/execute", json!({"cmd": command, "params": params})).await
    }

    async fn of_session(&self, path: &'static str, body: Value) -> Value {
        self.client.issue_cmd(OfSession { path, body }).await.unwrap()
    }

    async fn log(&self, kind: &str) -> Vec<String> {
        let entries = self.of_session("se/log", json!({"type": kind})).await;
        let entries = entries.as_array().cloned().unwrap_or_default();
        entries.iter().filter_map(|entry| Some(entry["message"].as_str()?.to_owned())).collect()
    }

    /// What was written to the console since this was asked last.
    pub async fn console(&self) -> Vec<String> {
        self.log("browser").await
    }

    /// The addresses that were asked for since this was asked last.
    pub async fn requests(&self) -> Vec<String> {
        let sent = |message: String| {
            let message: Value = serde_json::from_str(&message).ok()?;
            let message = message.get("message")?;
            let is_request = message["method"] == "Network.requestWillBeSent";
            Some(message["params"]["request"]["url"].as_str()?.to_owned()).filter(|_| is_request)
        };
        self.log("performance").await.into_iter().filter_map(sent).collect()
    }

    /// Ends the browser.
    pub async fn close(mut self) {
        self.client.clone().close().await.unwrap();
        self.process = None;
        self.driver.kill().unwrap();
        self.driver.wait().unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // A test has failed: its browser ends with it, and then its driver.
        if let Some(process) = self.process {
            let _told = kill_process(process, Signal::TERM);
        }
        let _told = kill_process(Pid::from_child(&self.driver), Signal::TERM);
        drop(self.driver.wait());
    }
}

/// Whether nothing was found, or what was found is not a part of the page any more.
fn is_gone(error: &CmdError) -> bool {
    let CmdError::Standard(error) = error else { return false };
    matches!(error.error, ErrorStatus::NoSuchElement | ErrorStatus::StaleElementReference)
}

/// The driver takes a moment to listen.
async fn connect(url: &str, capabilities: &Value) -> Client {
    let capabilities = capabilities.as_object().unwrap().clone();
    let began = Instant::now();
    loop {
        let mut builder = ClientBuilder::new(HttpConnector::new());
        match builder.capabilities(capabilities.clone()).connect(url).await {
            Ok(client) => return client,
            Err(error) => assert!(began.elapsed() < LIMIT, "no browser: {error}"),
        }
        sleep(Duration::from_millis(100)).await;
    }
}
