//! `migrate`: to its goal, its report and its exit codes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use dfly_testkit::{MasterOptions, RedisOptions, RedisServer, Script, ScriptedMaster, install_script};
use serde_json::Value;

use crate::binary::{command, run, stderr};

struct Sides {
    master: ScriptedMaster,
    redis: RedisServer,
}

impl Sides {
    async fn start(script: Script) -> Self {
        Self {
            master: ScriptedMaster::start(script, MasterOptions::default()).await.unwrap(),
            redis: RedisServer::start(RedisOptions::default()).unwrap(),
        }
    }

    /// Runs the binary while the master answers.
    async fn migrate(&self, more: &[&str]) -> Output {
        let (source, target) =
            (format!("dragonfly://{}", self.master.address()), format!("redis://{}", self.redis.address()));
        let args = ["migrate", "--source", &source, "--target", &target];
        let mut command = command(&[&args[..], more].concat());
        tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
    }

    fn keys(&self) -> u64 {
        let answer = self.redis.client().unwrap().expect(&[b"DBSIZE"]).unwrap();
        match answer {
            dfly_testkit::Reply::Int(keys) => u64::try_from(keys).unwrap(),
            _ => u64::MAX,
        }
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn script() -> Script {
    Script::new(2)
        .before("SET a secret-value")
        .before("SET b 2")
        .before("HSET h f v")
        .before("ZADD z 1 m")
        .during("INCR b")
        .stable("RPUSH l x y")
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_when_the_target_has_everything_and_says_what_came() {
    let sides = Sides::start(script()).await;
    let output = sides.migrate(&["--verify", "full"]).await;
    let told = stdout(&output);
    assert_eq!(output.status.code(), Some(0), "{told}{}", stderr(&output));
    for line in [
        "keys            4, of 2 flows, ",
        "  string        2\n",
        "  hash          1\n",
        "  zset          1\n",
        "left out        nothing\n",
        "verdict         both sides are equal: 5 keys compared (mode full), 0 differ, 0 could not be compared\n",
    ] {
        assert!(told.contains(line), "{line} in {told}");
    }
    assert!(!told.contains("secret-value") && !stderr(&output).contains("secret-value"));
}

/// What a script reads, and that it goes on where it stood.
#[tokio::test(flavor = "multi_thread")]
async fn again_it_resumes_and_tells_json() {
    let sides = Sides::start(script()).await;
    let first = sides.migrate(&["--format", "json"]).await;
    assert_eq!(first.status.code(), Some(0), "{}", stderr(&first));
    let told: Value = serde_json::from_slice(&first.stdout).unwrap();
    assert_eq!((&told["keys"], &told["keys-by-type"]["string"]), (&4.into(), &2.into()), "{told}");
    assert!(told.get("verdict").is_none() && told["seconds"]["snapshot"].is_number(), "{told}");
    assert_eq!(told["lsns"].as_array().unwrap().len(), 2, "{told}");
    sides.master.apply("SET later v").unwrap();
    let second = sides.migrate(&["--format", "json", "--until-lag", "0"]).await;
    let told: Value = serde_json::from_slice(&second.stdout).unwrap();
    assert_eq!((second.status.code(), &told["keys"]), (Some(0), &0.into()), "{}", stderr(&second));
    assert_eq!(told["records"], 1, "{told}");
}

/// A dry run finds what a start would stop at, and leaves no key.
#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_writes_nothing() {
    let sides = Sides::start(script()).await;
    let output = sides.migrate(&["--dry-run"]).await;
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let told = stdout(&output);
    assert!(told.contains("2 flows, 4 keys\n"), "{told}");
    assert!(told.contains("would begin     a full synchronisation into an empty target\n"), "{told}");
    assert_eq!((sides.keys(), sides.master.flow_commands().len()), (0, 0));
    sides.redis.client().unwrap().expect(&[b"SET", b"foreign", b"v"]).unwrap();
    let refused = sides.migrate(&["--dry-run"]).await;
    let started = sides.migrate(&[]).await;
    assert_eq!((refused.status.code(), started.status.code()), (Some(5), Some(5)));
    let last = |output: &Output| stderr(output).lines().last().unwrap_or_default().to_owned();
    assert_eq!(last(&refused), last(&started), "the same sentence");
    let mirrored = sides.migrate(&["--dry-run", "--on-start", "mirror", "--format", "json"]).await;
    let told: Value = serde_json::from_slice(&mirrored.stdout).unwrap();
    assert_eq!((&told["begins"], &told["target-keys"]), (&"mirror".into(), &1.into()));
}

/// RedisShake as its documentation says: it is given a configuration file, and writes lines.
fn stand_in(folder: &Path, ends_with: u8) -> PathBuf {
    let path = folder.join("redis-shake");
    let script = format!(
        "cp \"$1\" {0}/shake.toml\nstat -c %a \"$1\" > {0}/mode\necho 'scan progress 50%'\nexit {ends_with}\n",
        folder.display()
    );
    install_script(&path, &script).unwrap();
    path
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_shake_copies() {
    let source = RedisServer::start(RedisOptions::default()).unwrap();
    let target =
        RedisServer::start(RedisOptions { requirepass: Some("p@ss".into()), ..RedisOptions::default() });
    let target = target.unwrap();
    source.client().unwrap().expect(&[b"SET", b"k", b"v"]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let program = stand_in(folder.path(), 0).display().to_string();
    let (from, to) =
        (format!("dragonfly://{}", source.address()), format!("redis://:p%40ss@{}", target.address()));
    let args = [
        "migrate",
        "--source",
        &from,
        "--target",
        &to,
        "--engine",
        "redis-shake",
        "--engine-binary",
        &program,
    ];
    let output = run(&args);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("scan progress 50%"), "its lines are passed on");
    assert!(stdout(&output).contains("verdict         not known"), "{}", stdout(&output));
    let file: toml::Table = fs::read_to_string(folder.path().join("shake.toml")).unwrap().parse().unwrap();
    assert_eq!(file["scan_reader"]["address"].as_str(), Some(source.address().to_string().as_str()));
    assert_eq!(file["redis_writer"]["password"].as_str(), Some("p@ss"));
    assert_eq!(file["advanced"]["rdb_restore_command_behavior"].as_str(), Some("panic"));
    assert_eq!(fs::read_to_string(folder.path().join("mode")).unwrap(), "600\n", "it holds passwords");
    // It has copied nothing, and the comparison says so.
    let compared = run(&[&args[..], &["--verify", "full"]].concat());
    assert_eq!(compared.status.code(), Some(3), "{}", stdout(&compared));
    let failing = stand_in(folder.path(), 1).display().to_string();
    let failed = run(&[&args[..8], &[&failing]].concat());
    assert_eq!(failed.status.code(), Some(1));
    assert!(stderr(&failed).contains("RedisShake ended with exit status: 1"), "{}", stderr(&failed));
    let missing = run(&[&args[..8], &["/nowhere/redis-shake"]].concat());
    assert!(stderr(&missing).contains("install RedisShake 4"), "{}", stderr(&missing));
    let renamed = run(&[&args[..], &["--rename-keys", "a=b"]].concat());
    assert_eq!(renamed.status.code(), Some(2), "{}", stderr(&renamed));
}
