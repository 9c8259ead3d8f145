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
