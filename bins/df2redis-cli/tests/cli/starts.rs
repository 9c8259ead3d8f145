//! Starts that do not go on, and how a script tells them apart.

use std::time::Duration;

use dfly_testkit::{MasterOptions, RedisOptions, RedisServer, Script, ScriptedMaster};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::binary::{spawn, stop};

const LIMIT: Duration = Duration::from_secs(60);

struct Servers {
    master: ScriptedMaster,
    redis: RedisServer,
}

impl Servers {
    async fn start(script: Script) -> Self {
        let master = ScriptedMaster::start(script, MasterOptions::default()).await.unwrap();
        Self { master, redis: RedisServer::start(RedisOptions::default()).unwrap() }
    }

    fn spawn(&self, flags: &[&str]) -> std::process::Child {
        let (source, target) = (format!("dragonfly://{}", self.master.address()), self.redis.url());
        spawn(&[&["replicate", "--source", &source, "--target", &target], flags].concat())
    }

    /// Until it ends by itself: the exit code and the log.
    async fn ends(&self, flags: &[&str]) -> (Option<i32>, String) {
        let child = self.spawn(flags);
        let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap());
        let output = timeout(LIMIT, output).await.unwrap().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    }

    /// Until everything is on the target, then stopped.
    async fn runs(&self, flags: &[&str]) -> (Option<i32>, String) {
        let child = self.spawn(flags);
        assert!(timeout(LIMIT, self.master.caught_up()).await.is_ok());
        let (status, log) = stop(child, Signal::INT);
        (status.code(), log)
    }

    fn get(&self, key: &str) -> Option<String> {
        self.redis.client().unwrap().expect(&[b"GET", key.as_bytes()]).unwrap().text()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_nothing_was_said_about() {
    let servers = Servers::start(Script::new(1).before("SET both ours")).await;
    servers.redis.client().unwrap().expect(&[b"SET", b"both", b"theirs"]).unwrap();
    let (code, log) = servers.ends(&[]).await;
    assert_eq!(code, Some(5), "{log}");
    assert!(log.contains("the target holds 1 key ") && log.contains("--on-start merge"), "{log}");
    let (code, log) = servers.ends(&["--on-start", "merge", "--on-conflict", "panic"]).await;
    assert_eq!(code, Some(6), "{log}");
    assert!(log.contains("both"), "{log}");
    assert_eq!(servers.get("both").as_deref(), Some("theirs"));
}

#[tokio::test(flavor = "multi_thread")]
async fn other_settings_and_another_source() {
    let servers = Servers::start(Script::new(1).before("SET s v")).await;
    assert_eq!(servers.runs(&[]).await.0, Some(0));
    let (code, log) = servers.ends(&["--map-db", "3=5"]).await;
    assert_eq!(code, Some(4), "{log}");
    assert!(log.contains("other settings (the defaults) than this run has (map-db 3=5)"), "{log}");
    servers.master.restart();
    let (code, log) = servers.ends(&[]).await;
    assert_eq!(code, Some(4), "{log}");
    assert!(
        log.contains("another process than the positions are of") && log.contains("--force-resync"),
        "{log}"
    );
    servers.master.apply("SET s w").unwrap();
    assert_eq!(servers.runs(&["--force-resync"]).await.0, Some(0));
    assert_eq!(servers.get("s").as_deref(), Some("w"));
}
