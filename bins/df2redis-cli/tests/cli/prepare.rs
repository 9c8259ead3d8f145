//! `prepare`, and the same checks before a first start.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use dfly_testkit::{MasterOptions, RedisOptions, RedisServer, Script, ScriptedMaster};
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::timeout;

use crate::binary::{run, spawn, stderr, stop};

const LIMIT: Duration = Duration::from_secs(60);

struct Pair {
    master: ScriptedMaster,
    redis: RedisServer,
    state: tempfile::TempDir,
}

impl Pair {
    /// Some megabytes, and a server with these arguments.
    async fn new(args: &[&str]) -> Self {
        let value = "v".repeat(4000);
        let script =
            (0..1000).fold(Script::new(2), |script, n| script.before(format!("SET k{n} {value}").as_str()));
        let clock = Some((|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap()) as fn() -> Duration);
        let options = MasterOptions { clock, ..MasterOptions::default() };
        let master = ScriptedMaster::start(script, options).await.unwrap();
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let redis = RedisServer::start(RedisOptions { append_only: true, args, ..RedisOptions::default() });
        Self { master, redis: redis.unwrap(), state: tempfile::tempdir().unwrap() }
    }

    fn flags<'a>(&self, command: &'a str, more: &[&'a str]) -> Vec<String> {
        let state = self.state.path().to_str().unwrap().to_owned();
        let (source, target) = (format!("dragonfly://{}", self.master.address()), self.redis.url());
        let flags = [command, "--source", &source, "--target", &target, "--state-dir", &state];
        flags.iter().chain(more).map(|flag| (*flag).to_owned()).collect()
    }

    /// Runs a command to its end: the exit code, its output and its last line.
    async fn ends(&self, command: &str, more: &[&str]) -> (Option<i32>, String, String) {
        let flags = self.flags(command, more);
        let output =
            tokio::task::spawn_blocking(move || run(&flags.iter().map(String::as_str).collect::<Vec<_>>()));
        let output = timeout(LIMIT, output).await.unwrap().unwrap();
        let last = stderr(&output).lines().last().unwrap_or_default().to_owned();
        (output.status.code(), String::from_utf8(output.stdout).unwrap(), last)
    }

    fn keys(&self) -> Option<i64> {
        self.redis.client().unwrap().expect(&[b"DBSIZE"]).unwrap().int()
    }
}

/// The sentence of a blocker is that with which a run stops before its first write.
#[tokio::test(flavor = "multi_thread")]
async fn a_blocker_stops_a_first_start() {
    let pair = Pair::new(&["--maxmemory", "3mb"]).await;
    let (code, out, last) = pair.ends("prepare", &["--format", "json"]).await;
    assert_eq!(code, Some(13), "{last}");
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&report["blockers"], &report["warnings"]), (&1.into(), &0.into()), "{report}");
    for field in ["source", "target", "release", "flows", "estimates", "seconds", "findings"] {
        assert!(!report[field].is_null(), "{field}: {report}");
    }
    let blocker = report["findings"].as_array().unwrap().iter().find(|found| found["severity"] == "blocker");
    let blocker = blocker.unwrap();
    assert_eq!((&blocker["check"], &blocker["side"]), (&"target-memory".into(), &"target".into()));
    let means = blocker["means"].as_str().unwrap();
    assert!(last.contains(means.trim_end_matches('.')) && last.ends_with("[DF0011]"), "{last}");
    for command in ["replicate", "migrate"] {
        let (code, _, line) = pair.ends(command, &[]).await;
        assert_eq!(code, Some(13), "{line}");
        // What is free, and so the sentence, may differ by some kilobytes.
        assert!(
            line.contains("error: target-memory: The target needs about") && line.contains("(OOM)"),
            "{line}"
        );
        assert_eq!(pair.keys(), Some(0), "nothing is written");
    }
    let (code, _, line) = pair.ends("prepare", &["--skip-checks", "target-memory"]).await;
    assert_eq!((code, line.as_str()), (Some(0), ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table() {
    let pair = Pair::new(&["--appendfsync", "no"]).await;
    let (code, out, _) = pair.ends("prepare", &["--measure"]).await;
    assert_eq!(code, Some(0), "warnings do not change it: {out}");
    assert!(out.lines().all(|line| line.chars().count() <= 100), "{out}");
    for words in [
        "SOURCE\n",
        "TARGET\n",
        "BETWEEN THEM\n",
        "THIS HOST\n",
        "WARNING  target-persistence",
        "A run can begin: 1 warning",
    ] {
        assert!(out.contains(words), "{words}: {out}");
    }
    assert_eq!(pair.keys(), Some(0), "nothing is left on the target");
}

#[test]
fn a_check_that_there_is_not() {
    let output =
        run(&["prepare", "--source", "dragonfly://a", "--target", "redis://b", "--skip-checks", "memory"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("there is no check \"memory\""), "{}", stderr(&output));
}

/// Seconds cost the resume window: where there are positions, the run goes on at once, whatever is found.
#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_resumes_is_not_stopped() {
    let pair = Pair::new(&[]).await;
    let begin = || {
        let flags = pair.flags("replicate", &[]);
        spawn(&flags.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let child = begin();
    assert!(timeout(LIMIT, pair.master.caught_up()).await.is_ok());
    let (status, log) = stop(child, Signal::INT);
    assert_eq!(status.code(), Some(0), "{log}");
    let mut client = pair.redis.client().unwrap();
    // What is there fits; a first start would find that it does not.
    client.expect(&[b"CONFIG", b"SET", b"maxmemory", b"8mb"]).unwrap();
    let child = begin();
    assert!(timeout(LIMIT, pair.master.sessions_begun(2)).await.is_ok());
    assert!(timeout(LIMIT, pair.master.caught_up()).await.is_ok());
    let (status, log) = stop(child, Signal::INT);
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("asking the source to resume"), "{log}");
}
