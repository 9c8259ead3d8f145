//! `demo --live`, and what a newcomer tries meanwhile: status, check, cutover.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Output};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::binary::{run, signal, spawn, stderr};

const LIMIT: Duration = Duration::from_secs(30);

struct Demo {
    child: Child,
    config: String,
    _folder: tempfile::TempDir,
}

impl Demo {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().display().to_string();
        let mut child = spawn(&["demo", "--live", "120", "--state-dir", &dir]);
        let log = BufReader::new(child.stderr.take().unwrap()).lines();
        std::thread::spawn(move || log.map_while(Result::ok).for_each(drop));
        let config = Path::new(&dir).join("demo.toml").display().to_string();
        let demo = Self { child, config, _folder: folder };
        let end = Instant::now() + LIMIT;
        while demo.status().and_then(|status| status.get("in_sync")?.as_bool()) != Some(true) {
            assert!(Instant::now() < end, "the demo does not come in sync");
            std::thread::sleep(Duration::from_millis(50));
        }
        demo
    }

    fn run(&self, command: &str, more: &[&str]) -> Output {
        run(&[&[command, "--config", &self.config], more].concat())
    }

    fn status(&self) -> Option<Value> {
        serde_json::from_slice(&self.run("status", &["--format", "json"]).stdout).ok()
    }

    /// Ends it; gives what it wrote.
    fn end(self) -> (Option<i32>, String) {
        signal(&self.child, Signal::INT);
        let output = self.child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_newcomer_tries_everything() {
    let demo = Demo::start();
    let shown = demo.run("status", &[]);
    assert_eq!(shown.status.code(), Some(0), "{}", stderr(&shown));
    assert!(stdout(&shown).starts_with("state        in order: in sync\n"), "{}", stdout(&shown));
    let checked = demo.run("check", &[]);
    assert_eq!(checked.status.code(), Some(0), "{}{}", stdout(&checked), stderr(&checked));
    assert!(stderr(&checked).contains("comparing in step with it"), "{}", stderr(&checked));
    assert!(stdout(&checked).ends_with("both sides are equal\n"), "{}", stdout(&checked));
    let dry = demo.run("cutover", &["--dry-run"]);
    assert_eq!(dry.status.code(), Some(0), "{}", stderr(&dry));
    let cut = demo.run("cutover", &[]);
    assert_eq!(cut.status.code(), Some(0), "{}{}", stdout(&cut), stderr(&cut));
    assert!(stdout(&cut).contains("safe to switch"), "{}", stdout(&cut));
    let records = |demo: &Demo| demo.status().and_then(|status| status["records"].as_u64()).unwrap();
    let stopped = records(&demo);
    let released = demo.run("cutover", &["--release"]);
    assert_eq!(released.status.code(), Some(0), "{}{}", stdout(&released), stderr(&released));
    let end = Instant::now() + LIMIT;
    while records(&demo) == stopped {
        assert!(Instant::now() < end, "writes go on behind the release");
        std::thread::sleep(Duration::from_millis(50));
    }
    let (code, table) = demo.end();
    assert_eq!(code, Some(0), "{table}");
    assert!(table.contains("The Redis holds what the Dragonfly held."), "{table}");
}
