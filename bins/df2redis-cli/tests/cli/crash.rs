//! P18: the tool killed with SIGKILL, the target killed and started again, both at once, the source's connections cut,
//! the target's connections broken, at random moments under a workload that is not idempotent: the end equals the model,
//! every time.
//!
//! `make test-crash RUNS=1000` for more than the handful that CI runs.

use std::process::Child;
use std::time::{Duration, Instant};

use dfly_testkit::{MasterOptions, RedisOptions, RedisServer, Script, ScriptedMaster, keyspace};
use rustix::process::Signal;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::binary::{spawn_quiet, stop};

const LIMIT: Duration = Duration::from_secs(60);

pub(crate) struct Random(pub u64);

impl Random {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// Non-idempotent operations over few keys. Those that the model refuses are not journaled.
pub(crate) fn operation(random: &mut Random, serial: u64) -> String {
    let k = random.below(5);
    match random.below(12) {
        0 => format!("INCR n{k}"),
        1 => format!("APPEND s{k} {}", serial % 10),
        2 => format!("LPUSH l{k} {serial}"),
        3 => format!("RPUSH l{k} {serial}"),
        4 => format!("RPOP l{k}"),
        5 => format!("ZINCRBY z{k} 1.5 m"),
        6 => format!("HINCRBY h{k} f 3"),
        7 => format!("XADD x{k} {serial}-1 f v"),
        8 => format!("SET s{k} {serial}"),
        9 => format!("DEL s{k} l{k}"),
        10 => format!("RENAME s{k} s{}", random.below(5)),
        _ => format!("SADD t{k} {}", serial % 50),
    }
}

/// How many there are to be.
pub(crate) fn accidents() -> u64 {
    std::env::var_os("RUNS").map_or(30, |runs| runs.to_str().unwrap().parse().unwrap())
}

/// A scripted master with a workload that is not idempotent.
pub(crate) struct Source {
    pub master: ScriptedMaster,
    pub random: Random,
    serial: u64,
}

impl Source {
    pub(crate) async fn start(seed: u64) -> Self {
        let master = ScriptedMaster::start(Script::new(3), MasterOptions::default()).await.unwrap();
        Self { master, random: Random(seed), serial: 0 }
    }

    pub(crate) async fn work(&mut self) {
        for _ in 0..self.random.below(400) {
            self.serial += 1;
            let line = operation(&mut self.random, self.serial);
            if self.master.apply(line.as_str()).is_ok() && self.serial.is_multiple_of(4) {
                yield_now().await;
            }
        }
    }

    /// Waits until everything is acknowledged. A tool that was started while the target was away has ended, and says so by
    /// its exit code: it is started again.
    pub(crate) async fn caught_up(
        &self,
        (tool, start): (&mut Child, impl Fn(&ScriptedMaster) -> Child),
        when: &str,
    ) {
        let deadline = Instant::now() + LIMIT;
        while timeout(Duration::from_millis(200), self.master.caught_up()).await.is_err() {
            assert!(Instant::now() < deadline, "not caught up {when}: {:?}", self.master.violations());
            if let Some(status) = tool.try_wait().unwrap() {
                assert_eq!(status.code(), Some(5), "{status}");
                *tool = start(&self.master);
            }
        }
    }
}

pub(crate) fn kill(tool: &mut Child) {
    tool.kill().unwrap();
    tool.wait().unwrap();
}

struct Run {
    source: Source,
    redis: RedisServer,
    tool: Child,
    /// Where the tool keeps the journal that the target was too slow for.
    state: tempfile::TempDir,
}

impl Run {
    async fn start(seed: u64) -> Self {
        let source = Source::start(seed).await;
        let options = RedisOptions { append_only: true, ..RedisOptions::default() };
        let redis = RedisServer::start(options).unwrap();
        let state = tempfile::tempdir().unwrap();
        let tool = tool((&source.master, &redis), &state);
        let mut run = Self { source, redis, tool, state };
        run.caught_up("at the start").await;
        run
    }

    async fn caught_up(&mut self, when: &str) {
        let (redis, state) = (&self.redis, &self.state);
        let start = |master: &ScriptedMaster| tool((master, redis), state);
        self.source.caught_up((&mut self.tool, start), when).await;
    }

    /// Something dies, without a word, wherever it stands.
    fn accident(&mut self) {
        match self.source.random.below(6) {
            0 => self.source.master.cut(),
            1 => {
                self.redis.kill().unwrap();
                self.redis.restart().unwrap();
            }
            2 => {
                self.redis.kill().unwrap();
                kill(&mut self.tool);
                self.redis.restart().unwrap();
                self.start_tool();
            }
            3 => {
                let mut client = self.redis.client().unwrap();
                client.expect(&[b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"yes"]).unwrap();
            }
            _ => {
                kill(&mut self.tool);
                self.start_tool();
            }
        }
    }

    fn start_tool(&mut self) {
        self.tool = tool((&self.source.master, &self.redis), &self.state);
    }
}

fn tool((master, redis): (&ScriptedMaster, &RedisServer), state: &tempfile::TempDir) -> Child {
    let (source, dir) = (format!("dragonfly://{}", master.address()), state.path().to_str().unwrap());
    let servers = ["replicate", "--source", &source, "--target", &redis.url(), "--state-dir", dir];
    spawn_quiet(&[&servers[..], &["--log-level", "error"]].concat())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_once_whatever_is_killed() {
    let crashes = accidents();
    let mut run = Run::start(0x2545_f491_4f6c_dd1d).await;
    for crash in 0..crashes {
        run.source.work().await;
        run.accident();
        run.source.work().await;
        if crash % 10 == 9 {
            run.caught_up(&format!("after crash {crash}")).await;
        }
    }
    run.caught_up("at the end").await;
    let (status, log) = stop(run.tool, Signal::INT);
    assert_eq!(status.code(), Some(0), "{log}");
    let mut found = keyspace(&mut run.redis.client().unwrap()).unwrap();
    found.retain(|(_, key), _| !key.starts_with(b"df2redis:"));
    assert_eq!(found, run.source.master.keyspace());
    assert_eq!(run.source.master.violations(), [""; 0]);
}
