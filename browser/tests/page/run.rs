//! A real run of the real binary, with its page.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use df2redis_browser::Browser;
use dfly_testkit::{MasterOptions, Op, RedisOptions, RedisServer, Script, ScriptedMaster};
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio::time::sleep;

/// The token of every run.
pub(crate) const TOKEN: &str = "open-sesame";

/// Asks how far the cutover is.
const CUTOVER: &str = "return fetch('/api/v1/cutover').then((answer) => answer.json())";

/// A run that replicates a scripted master, which is written to all the time.
pub(crate) struct Run {
    pub url: String,
    pub redis: RedisServer,
    pub master: Arc<ScriptedMaster>,
    child: Child,
    writer: JoinHandle<()>,
    goes_on: Arc<AtomicBool>,
    _folder: TempDir,
}

fn program() -> String {
    std::env::vars()
        .find_map(|(name, value)| (name == "DF2REDIS_CLI").then_some(value))
        .expect("DF2REDIS_CLI names the program; make test-page sets it")
}

/// Users, so that the snapshot takes a moment.
pub(crate) fn script(shards: usize, users: u32) -> Script {
    (0..users).fold(Script::new(shards), |script, user| {
        script.before(Op::line(&format!("HSET user:{user} name user-{user} mail user-{user}@example.net")))
    })
}

/// So many bytes that a snapshot with a limit goes on for minutes.
fn long_snapshot() -> Script {
    let about = "x".repeat(250);
    (0..20_000).fold(Script::new(2), |script, user| {
        script.before(Op::line(&format!("HSET user:{user} name user-{user} about {about}")))
    })
}

impl Run {
    pub(crate) async fn start(script: Script, flags: &[&str]) -> Self {
        let master = Arc::new(ScriptedMaster::start(script, MasterOptions::default()).await.unwrap());
        let redis = RedisServer::start(RedisOptions::default()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let token = folder.path().join("token");
        std::fs::write(&token, TOKEN).unwrap();
        let at = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let mut command = Command::new(program());
        command.args(["replicate", "--source", &format!("dragonfly://{}", master.address())]);
        command.args(["--target", &redis.url(), "--dashboard-addr", &at]);
        command.args(["--state-dir", folder.path().join("state").to_str().unwrap()]);
        command.args(["--control-token-file", token.to_str().unwrap()]).args(flags);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let goes_on = Arc::new(AtomicBool::new(true));
        let writer = tokio::spawn(write(Arc::clone(&master), Arc::clone(&goes_on)));
        wait_for(&at).await;
        Self { url: format!("http://{at}/"), redis, master, child, writer, goes_on, _folder: folder }
    }

    /// Opens the page in a browser, once the run follows the journal.
    pub(crate) async fn followed(&self) -> Browser {
        let browser = Browser::start("en-US").await;
        browser.open(&self.url).await;
        browser.until(".sentence", |text| text.starts_with("In sync")).await;
        browser
    }

    /// A run whose snapshot goes on until [`Self::let_snapshot_end`], with its page open before it begins.
    pub(crate) async fn in_snapshot() -> (Self, Browser) {
        let browser = Browser::start("en-US").await;
        let run = Self::start(long_snapshot(), &["--snapshot-bytes-per-second", "32KiB"]).await;
        browser.open(&run.url).await;
        (run, browser)
    }

    /// Lifts the limit of the snapshot, as anybody may who has the token.
    pub(crate) async fn let_snapshot_end(&self, browser: &Browser) {
        let lift = format!(
            "return fetch('/api/v1/limits', {{ method: 'POST', body: '{{}}', headers: {{
                'Content-Type': 'application/json', Authorization: 'Bearer {TOKEN}' }} }})
                .then((response) => response.status)"
        );
        assert_eq!(browser.script(&lift).await, 200);
    }

    /// Cuts over from the button until it is safe. Doubts let writes go on, as they should: then a person tries again.
    pub(crate) async fn cut_over(&self, browser: &Browser) {
        for _attempt in 0..5 {
            browser.press("[data-opens=cutover]:enabled").await;
            browser.type_into("#ask-cutover-token", TOKEN).await;
            browser.type_into("#ask-cutover-name", &self.target()).await;
            browser.press("#ask-cutover [name=cut-over]").await;
            // It is closed once the run has begun.
            browser.until_script("return !document.querySelector('#ask-cutover').open").await;
            browser.until_script(&format!("{CUTOVER}.then((state) => state.is_decided)")).await;
            let told = browser.script(&format!("{CUTOVER}.then((state) => state.text)")).await;
            if told.as_str().is_some_and(|text| text.starts_with("safe to switch")) {
                return;
            }
            println!("{told}");
        }
        panic!("not safe in five attempts");
    }

    pub(crate) fn target(&self) -> String {
        self.redis.address().to_string()
    }

    /// Ends the run; the browser has neither asked another host nor written an error.
    pub(crate) async fn end(mut self, browser: Browser) {
        let console = browser.console().await;
        let expected = |line: &String| line.contains("401 (Unauthorized)");
        assert!(console.iter().all(|line| expected(line)), "{console:#?}");
        let requests = browser.requests().await;
        assert!(!requests.is_empty());
        // The browser's own first page is a part of it.
        let ours = |url: &&String| ["data:", "chrome:", &self.url].iter().any(|start| url.starts_with(start));
        assert!(requests.iter().all(|url| ours(&url)), "{requests:#?}");
        browser.close().await;
        self.goes_on.store(false, Ordering::Relaxed);
        (&mut self.writer).await.unwrap();
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.writer.abort();
        drop(self.redis.resume());
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A hundred records a second, but none while writes are paused.
async fn write(master: Arc<ScriptedMaster>, goes_on: Arc<AtomicBool>) {
    for nth in 0u64.. {
        sleep(Duration::from_millis(10)).await;
        if !goes_on.load(Ordering::Relaxed) {
            return;
        }
        if !master.is_paused() {
            master.apply(Op::line(&format!("SET session:{} at-{nth}", nth % 200))).unwrap();
        }
    }
}

async fn wait_for(at: &str) {
    for _ in 0..600 {
        if std::net::TcpStream::connect(at).is_ok() {
            return;
        }
        sleep(Duration::from_millis(50)).await;
    }
    panic!("the page is not served at {at}");
}
