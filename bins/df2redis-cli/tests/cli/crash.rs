//! P18: the tool killed with SIGKILL, the target killed and started again, the source's connections cut, at random
//! moments under a workload that is not idempotent: the end equals the model, every time.
//!
//! `CRASHES=1000 make test-crash` for more than the handful that CI runs.

use std::process::Child;
use std::time::Duration;

use dfly_testkit::{MasterOptions, RedisOptions, RedisServer, Script, ScriptedMaster, keyspace};
use rustix::process::Signal;
use tokio::task::yield_now;
use tokio::time::timeout;

use crate::binary::{spawn_quiet, stop};

const LIMIT: Duration = Duration::from_secs(60);

struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }
}

/// Non-idempotent operations over few keys. Those that the model refuses are not journaled.
fn operation(random: &mut Random, serial: u64) -> String {
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

struct Run {
    master: ScriptedMaster,
    redis: RedisServer,
    tool: Child,
    random: Random,
    serial: u64,
}

impl Run {
    async fn start(seed: u64) -> Self {
        let master = ScriptedMaster::start(Script::new(3), MasterOptions::default()).await.unwrap();
        let options = RedisOptions { append_only: true, ..RedisOptions::default() };
        let redis = RedisServer::start(options).unwrap();
        let tool = tool(&master, &redis);
        let run = Self { master, redis, tool, random: Random(seed), serial: 0 };
        run.caught_up("at the start").await;
        run
    }

    async fn caught_up(&self, when: &str) {
        let caught_up = timeout(LIMIT, self.master.caught_up()).await;
        assert!(caught_up.is_ok(), "not caught up {when}: {:?}", self.master.violations());
    }

    async fn work(&mut self) {
        for _ in 0..self.random.below(400) {
            self.serial += 1;
            let line = operation(&mut self.random, self.serial);
            if self.master.apply(line.as_str()).is_ok() && self.serial.is_multiple_of(4) {
                yield_now().await;
            }
        }
    }

    /// Something dies, without a word, wherever it stands.
    fn accident(&mut self) {
        match self.random.below(4) {
            0 => self.master.cut(),
            1 => {
                self.redis.kill().unwrap();
                self.tool.wait().unwrap();
                self.redis.restart().unwrap();
                self.tool = tool(&self.master, &self.redis);
            }
            _ => {
                self.tool.kill().unwrap();
                self.tool.wait().unwrap();
                self.tool = tool(&self.master, &self.redis);
            }
        }
    }
}

fn tool(master: &ScriptedMaster, redis: &RedisServer) -> Child {
    let source = format!("dragonfly://{}", master.address());
    spawn_quiet(&["replicate", "--source", &source, "--target", &redis.url(), "--log-level", "error"])
}

#[tokio::test(flavor = "multi_thread")]
async fn every_record_once_whatever_is_killed() {
    let crashes: u64 = option_env!("CRASHES").map_or(30, |crashes| crashes.parse().unwrap());
    let mut run = Run::start(0x2545_f491_4f6c_dd1d).await;
    for crash in 0..crashes {
        run.work().await;
        run.accident();
        run.work().await;
        if crash % 10 == 9 {
            run.caught_up(&format!("after crash {crash}")).await;
        }
    }
    run.caught_up("at the end").await;
    let (status, log) = stop(run.tool, Signal::INT);
    assert_eq!(status.code(), Some(0), "{log}");
    let mut found = keyspace(&mut run.redis.client().unwrap()).unwrap();
    found.retain(|(_, key), _| !key.starts_with(b"df2redis:"));
    assert_eq!(found, run.master.keyspace());
    assert_eq!(run.master.violations(), [""; 0]);
}
