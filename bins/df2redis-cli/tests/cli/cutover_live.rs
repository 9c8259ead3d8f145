//! Cutovers of a live Dragonfly under load: no acknowledged write is missing on the target, none is there twice, and writes go on
//! behind every failure. Needs `DF2REDIS_DRAGONFLY`, the path of a Dragonfly binary; without it the tests say in one line that
//! they were skipped. `CUTOVERS=50` is how many there are of each method.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::{Child, Output};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{JoinHandle, sleep, spawn as spawn_thread};
use std::time::{Duration, Instant};

use dfly_testkit::{RedisClient, RedisOptions, RedisServer, Reply};

use crate::binary::{run, spawn_quiet, stderr};

const LIMIT: Duration = Duration::from_secs(60);

/// Clients that write at the same time.
const WRITERS: usize = 4;

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
fn dragonfly() -> Option<OsString> {
    let binary = std::env::var_os("DF2REDIS_DRAGONFLY");
    if binary.is_none() {
        println!("skipped: DF2REDIS_DRAGONFLY names no Dragonfly");
    }
    binary
}

fn cutovers() -> u64 {
    let count = std::env::var_os("CUTOVERS").and_then(|count| count.to_str()?.parse().ok());
    count.unwrap_or(3)
}

/// Lists of each client: its numbers go to one after the other.
const LISTS: u64 = 64;

/// A client that appends its numbers to lists of its own, and counts those that were acknowledged.
struct Writer {
    acknowledged: Arc<AtomicU64>,
    ends: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Writer {
    fn start(nth: usize, source: SocketAddr) -> Self {
        let (acknowledged, ends) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (counter, end) = (Arc::clone(&acknowledged), Arc::clone(&ends));
        let thread = spawn_thread(move || {
            let Ok(mut client) = RedisClient::connect(source) else { return };
            while !end.load(SeqCst) {
                let number = counter.load(SeqCst);
                let (key, value) = (format!("writer:{nth}:{}", number % LISTS), number.to_string());
                match client.command(&[b"RPUSH", key.as_bytes(), value.as_bytes()]) {
                    Ok(Reply::Int(_)) => drop(counter.fetch_add(1, SeqCst)),
                    // The source has shut down, or refuses writes.
                    _ => return,
                }
            }
        });
        Self { acknowledged, ends, thread }
    }
}

struct Run {
    source: RedisServer,
    redis: RedisServer,
    tool: Child,
    state: tempfile::TempDir,
    writers: Vec<Writer>,
}

impl Run {
    fn start(binary: OsString) -> Self {
        let source = RedisServer::start(RedisOptions::dragonfly(binary, &["--proactor_threads=2"])).unwrap();
        let redis = RedisServer::start(RedisOptions::default()).unwrap();
        let state = tempfile::tempdir().unwrap();
        let tool = tool((&source, &redis), &state);
        let writers = (0..WRITERS).map(|nth| Writer::start(nth, source.address())).collect();
        let run = Self { source, redis, tool, state, writers };
        run.until("in sync", || stdout(&run.ask("status", &[])).contains("in order: in sync"));
        run
    }

    fn ask(&self, command: &str, more: &[&str]) -> Output {
        run(&[&[command, "--state-dir", self.state.path().to_str().unwrap()], more].concat())
    }

    fn until(&self, what: &str, is: impl Fn() -> bool) {
        let deadline = Instant::now() + LIMIT;
        while !is() {
            assert!(Instant::now() < deadline, "not {what} in time");
            sleep(Duration::from_millis(20));
        }
    }

    fn acknowledged(&self) -> Vec<u64> {
        self.writers.iter().map(|writer| writer.acknowledged.load(SeqCst)).collect()
    }

    fn writes_go_on(&self) {
        let before = self.acknowledged();
        self.until("written to again", || {
            self.acknowledged().iter().zip(&before).all(|(now, before)| now > before)
        });
    }

    /// Each list on the target is what was acknowledged: every number once, in order.
    fn nothing_is_lost(&self, when: &str) {
        let mut client = self.redis.client().unwrap();
        for (nth, acknowledged) in self.acknowledged().into_iter().enumerate() {
            for list in 0..LISTS {
                let key = format!("writer:{nth}:{list}");
                let Reply::Array(items) = client.expect(&[b"LRANGE", key.as_bytes(), b"0", b"-1"]).unwrap()
                else {
                    continue;
                };
                let numbers = items.iter().map(|item| match item {
                    Reply::Bulk(text) => String::from_utf8_lossy(text).into_owned(),
                    _ => String::new(),
                });
                let step = usize::try_from(LISTS).unwrap();
                let expected = (list..acknowledged).step_by(step).map(|number| number.to_string());
                assert!(numbers.eq(expected), "{when}: {key} has other numbers");
            }
        }
    }

    fn end(mut self) {
        self.writers.iter().for_each(|writer| writer.ends.store(true, SeqCst));
        self.tool.kill().unwrap();
        self.tool.wait().unwrap();
        drop(self.source);
        self.writers.drain(..).for_each(|writer| writer.thread.join().unwrap());
    }
}

fn tool((source, redis): (&RedisServer, &RedisServer), state: &tempfile::TempDir) -> Child {
    let (from, dir) = (format!("dragonfly://{}", source.address()), state.path().to_str().unwrap());
    let servers = ["replicate", "--source", &from, "--target", &redis.url(), "--state-dir", dir];
    spawn_quiet(&[&servers[..], &["--log-level", "info"]].concat())
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// For how long writes were stopped, as the evidence says.
fn millis(told: &str) -> Option<u64> {
    let before = told.split("writes have been stopped for ").nth(1)?;
    before.split(' ').next()?.parse().ok()
}

#[expect(clippy::print_stdout, reason = "figures are what it is run for")]
fn median_and_worst(method: &str, mut times: Vec<u64>) {
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    println!(
        "{method}: {} cutovers, writes stopped for {median} ms (median), {:?} ms (worst)",
        times.len(),
        times.last()
    );
}

/// By a pause: what queued behind it is carried out when it ends, and comes to the target too.
#[test]
fn a_pause_loses_nothing() {
    let Some(binary) = dragonfly() else { return };
    let run = Run::start(binary);
    for verify in ["none", "recent"] {
        let mut times = Vec::new();
        for nth in 0..cutovers() {
            run.writes_go_on();
            let safe = run.ask("cutover", &["--verify", verify]);
            assert_eq!(safe.status.code(), Some(0), "{}{}", stdout(&safe), stderr(&safe));
            run.nothing_is_lost(&format!("cutover {nth}"));
            times.extend(millis(&stdout(&safe)));
            let released = run.ask("cutover", &["--release"]);
            assert_eq!(released.status.code(), Some(0), "{}{}", stdout(&released), stderr(&released));
        }
        median_and_worst(&format!("pause, --verify {verify}"), times);
    }
    run.writes_go_on();
    run.end();
}

#[test]
fn a_takeover_loses_nothing() {
    let Some(binary) = dragonfly() else { return };
    let mut times = Vec::new();
    for nth in 0..cutovers() {
        let run = Run::start(binary.clone());
        run.writes_go_on();
        let safe = run.ask("cutover", &["--method", "takeover", "--shut-down-source"]);
        assert_eq!(safe.status.code(), Some(0), "{}{}", stdout(&safe), stderr(&safe));
        run.until("shut down", || run.writers.iter().all(|writer| writer.thread.is_finished()));
        run.nothing_is_lost(&format!("takeover {nth}"));
        times.extend(millis(&stdout(&safe)));
        run.end();
    }
    median_and_worst("takeover", times);
}

/// The user has stopped writes.
#[test]
fn none_is_safe_when_nobody_writes() {
    let Some(binary) = dragonfly() else { return };
    let run = Run::start(binary);
    run.writes_go_on();
    run.writers.iter().for_each(|writer| writer.ends.store(true, SeqCst));
    run.until("silent", || run.writers.iter().all(|writer| writer.thread.is_finished()));
    for _ in 0..cutovers() {
        let safe = run.ask("cutover", &["--method", "none"]);
        assert_eq!(safe.status.code(), Some(0), "{}{}", stdout(&safe), stderr(&safe));
        run.nothing_is_lost("nobody writes");
        run.ask("cutover", &["--release"]);
    }
    run.end();
}

/// Whatever goes wrong, writes go on, within two seconds.
#[test]
fn every_failure_ends_the_pause() {
    let Some(binary) = dragonfly() else { return };
    let mut run = Run::start(binary);
    let code = |output: &Output| output.status.code();
    assert_eq!(code(&run.ask("cutover", &["--hook-before", "false"])), Some(10));
    run.writes_go_on();
    assert_eq!(code(&run.ask("cutover", &["--hook-after", "false"])), Some(11), "writes stay stopped");
    run.ask("cutover", &["--release"]);
    run.writes_go_on();
    run.redis.pause().unwrap();
    let silent = run.ask("cutover", &["--timeout", "1", "--patience", "1"]);
    assert_eq!(code(&silent), Some(10), "{}", stdout(&silent));
    run.writes_go_on();
    run.redis.resume().unwrap();
    run.until("in sync", || stdout(&run.ask("status", &[])).contains("in order: in sync"));
    assert_eq!(code(&run.ask("cutover", &[])), Some(0));
    let killed = Instant::now();
    run.tool.kill().unwrap();
    run.tool.wait().unwrap();
    run.writes_go_on();
    let stopped = Instant::now() - killed;
    assert!(stopped < Duration::from_millis(2500), "{stopped:?}: a term of the pause is two seconds");
    println!("the tool killed: writes go on after {} ms", stopped.as_millis());
    run.tool = tool((&run.source, &run.redis), &run.state);
    run.until("in sync", || stdout(&run.ask("status", &[])).contains("in order: in sync"));
    assert_eq!(code(&run.ask("cutover", &[])), Some(0));
    run.nothing_is_lost("behind all of it");
    run.end();
}
