//! `dashboard`: the page of a run in another process, from before it begins to after it has ended.

use std::process::Child;

use crate::binary::{run, spawn_quiet, stderr};
use crate::page_run::{PageRun, free_address, get, until};

/// A dashboard that ends with its test.
struct Dashboard {
    address: String,
    child: Child,
}

impl Dashboard {
    fn start(flags: &[&str]) -> Self {
        let address = free_address();
        let child = spawn_quiet(&[&["dashboard", "--dashboard-addr", &address], flags].concat());
        until("the dashboard", || get(&address, "/assets/page.css"));
        Self { address, child }
    }

    /// The page, whole, as somebody without a script reads it.
    fn page(&self) -> String {
        let (code, _, page) = get(&self.address, "/").unwrap();
        assert_eq!(code, 200);
        page
    }

    fn until_says(&self, sentence: &str) -> String {
        until(sentence, || Some(self.page()).filter(|page| page.contains(sentence)))
    }
}

impl Drop for Dashboard {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_begins_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    let early = Dashboard::start(&["--state-dir", &dir]);
    early.until_says("No run answers yet");

    let run = PageRun::start_in(folder, 100, &[]).await;
    run.until_in_sync().await;
    early.until_says("In sync");
    let by_address = Dashboard::start(&["--control", &format!("http://{}", run.address)]);
    let page = by_address.until_says("In sync");
    assert!(page.contains("Redis 7") && page.contains(&run.redis.address().to_string()), "{page}");
    let (code, _, status) = get(&by_address.address, "/api/v1/status").unwrap();
    assert!(code == 200 && status.contains("\"phase\":\"stable-sync\""), "{status}");
    // Metrics are the run's own.
    assert_eq!(get(&by_address.address, "/metrics").unwrap().0, 404);

    let folder = run.stop();
    let page = early.until_says("The run does not answer");
    assert!(
        page.contains("Redis 7") && page.contains("It last answered at"),
        "what it said last is still shown"
    );
    by_address.until_says("The run does not answer");
    let late = Dashboard::start(&["--state-dir", &folder.path().display().to_string()]);
    let page = late.until_says("The run does not answer");
    assert!(page.contains("<th scope=\"row\">1</th>"), "the flows that it has saved: {page}");
    assert_eq!(get(&late.address, "/api/v1/status").unwrap().0, 502);
}

#[test]
fn a_run_has_to_be_named() {
    let output = run(&["dashboard"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("name the run: --state-dir"), "{}", stderr(&output));
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(&["dashboard", "--state-dir", "/nonexistent", "--dashboard-addr", &address]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains(&format!("--dashboard-addr {address}")), "{}", stderr(&output));
}
