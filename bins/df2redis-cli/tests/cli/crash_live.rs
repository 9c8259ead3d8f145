//! As `crash.rs`, from a live Dragonfly: the tool and the target killed at random moments while a client writes. Needs
//! `DF2REDIS_DRAGONFLY`, the path of a Dragonfly binary; without it the test says in one line that it was skipped.

use std::collections::BTreeMap;
use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dfly_testkit::{CanonicalValue, RedisOptions, RedisServer, keyspace};
use rustix::process::Signal;

use crate::binary::{spawn_quiet, stop};
use crate::crash::{Random, accidents, operation};

const LIMIT: Duration = Duration::from_secs(60);

struct Run {
    master: RedisServer,
    redis: RedisServer,
    tool: Child,
    state: tempfile::TempDir,
    random: Random,
    serial: u64,
}

impl Run {
    fn start(binary: std::ffi::OsString) -> Self {
        let master = RedisServer::start(RedisOptions::dragonfly(binary, &["--proactor_threads=2"])).unwrap();
        let redis =
            RedisServer::start(RedisOptions { append_only: true, ..RedisOptions::default() }).unwrap();
        let state = tempfile::tempdir().unwrap();
        let tool = tool((&master, &redis), &state);
        Self { master, redis, tool, state, random: Random(0x9e37_79b9_7f4a_7c15), serial: 0 }
    }

    fn work(&mut self) {
        let mut client = self.master.client().unwrap();
        for _ in 0..self.random.below(400) {
            self.serial += 1;
            let line = operation(&mut self.random, self.serial);
            let words: Vec<&[u8]> = line.split(' ').map(str::as_bytes).collect();
            // What it refuses it does not journal.
            client.command(&words).unwrap();
        }
    }

    fn accident(&mut self) {
        match self.random.below(4) {
            0 => {
                self.redis.kill().unwrap();
                self.redis.restart().unwrap();
            }
            1 => {
                let mut client = self.redis.client().unwrap();
                client.expect(&[b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"yes"]).unwrap();
            }
            _ => {
                self.tool.kill().unwrap();
                self.tool.wait().unwrap();
                self.tool = tool((&self.master, &self.redis), &self.state);
            }
        }
    }

    /// Waits until both hold the same; a tool that was started while the target was away is started again.
    fn ends_equal(&mut self, when: &str) {
        let (wanted, deadline) = (held(&self.master), Instant::now() + LIMIT);
        loop {
            let found = held(&self.redis);
            if found == wanted {
                return;
            }
            assert!(Instant::now() < deadline, "{when}: {:?}", first_difference(&wanted, &found));
            if let Some(status) = self.tool.try_wait().unwrap() {
                assert_eq!(status.code(), Some(5), "{status}");
                self.tool = tool((&self.master, &self.redis), &self.state);
            }
            sleep(Duration::from_millis(100));
        }
    }
}

fn tool((master, redis): (&RedisServer, &RedisServer), state: &tempfile::TempDir) -> Child {
    let (source, dir) = (format!("dragonfly://{}", master.address()), state.path().to_str().unwrap());
    let servers = ["replicate", "--source", &source, "--target", &redis.url(), "--state-dir", dir];
    spawn_quiet(&[&servers[..], &["--log-level", "error"]].concat())
}

type Keys = BTreeMap<(u32, Bytes), CanonicalValue>;

fn held(server: &RedisServer) -> Keys {
    let mut keys = keyspace(&mut server.client().unwrap()).unwrap();
    keys.retain(|(_, key), _| !key.starts_with(b"df2redis:"));
    keys
}

fn first_difference(wanted: &Keys, found: &Keys) -> Option<String> {
    let place = wanted.keys().chain(found.keys()).find(|place| wanted.get(*place) != found.get(*place))?;
    Some(format!("{place:?}: {:?} instead of {:?}", found.get(place), wanted.get(place)))
}

#[test]
fn every_record_once_from_a_live_master() {
    let Some(binary) = std::env::var_os("DF2REDIS_DRAGONFLY") else {
        println!("skipped: DF2REDIS_DRAGONFLY names no Dragonfly");
        return;
    };
    let mut run = Run::start(binary);
    let crashes = accidents();
    for crash in 0..crashes {
        run.work();
        run.accident();
        run.work();
        if crash % 10 == 9 {
            run.ends_equal(&format!("after crash {crash}"));
        }
    }
    run.ends_equal("at the end");
    assert!(!held(&run.master).is_empty());
    let (status, log) = stop(run.tool, Signal::INT);
    assert_eq!(status.code(), Some(0), "{log}");
}
