//! No secret and no value is told by logs, errors, answers of the API, or the process list.

use std::fs;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

use dfly_testkit::{MasterOptions, RedisOptions, RedisServer, Script, ScriptedMaster};
use replica_api::client::Client;
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::timeout;

use crate::binary::{command, run, spawn, stderr, stop};

const LIMIT: Duration = Duration::from_secs(30);

/// Passwords, a token, and what values hold.
const SECRETS: [&str; 4] = ["s0urce-secret", "t4rget-secret", "t0ken-secret", "v4lue-of-a-key"];

fn no_secret(place: &str, text: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{place} tells {secret}: {text}");
    }
}

fn file(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// What other users of the host see of a process.
fn process_line(child: &Child) -> String {
    String::from_utf8_lossy(&fs::read(format!("/proc/{}/cmdline", child.id())).unwrap()).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_tells_none() {
    let folder = tempfile::tempdir().unwrap();
    let script = Script::new(1).before("SET k v4lue-of-a-key").stable("HSET h f v4lue-of-a-key");
    let options = MasterOptions { password: Some(SECRETS[0].into()), ..MasterOptions::default() };
    let master = ScriptedMaster::start(script, options).await.unwrap();
    let redis =
        RedisServer::start(RedisOptions { requirepass: Some(SECRETS[1].into()), ..RedisOptions::default() });
    let redis = redis.unwrap();
    let (source, target) =
        (format!("dragonfly://{}", master.address()), format!("redis://{}", redis.address()));
    let passwords = [file(folder.path(), "source", SECRETS[0]), file(folder.path(), "target", SECRETS[1])];
    let token = file(folder.path(), "token", SECRETS[2]);
    let state = folder.path().join("state").display().to_string();
    let args = ["--source", &source, "--target", &target, "--state-dir", &state, "--log-level", "trace"];
    let files = [
        "--source-password-file",
        &passwords[0],
        "--target-password-file",
        &passwords[1],
        "--control-token-file",
        &token,
    ];
    let child = spawn(&[&["replicate"], &args[..], &files[..]].concat());
    assert!(timeout(LIMIT, master.caught_up()).await.is_ok());
    no_secret("the process list", &process_line(&child));
    let client = Client::socket(&Path::new(&state).join("control.sock")).unwrap();
    let document: Value = client.get("openapi.json").await.unwrap();
    for (path, methods) in document["paths"].as_object().unwrap() {
        if methods.get("get").is_some() && !path.ends_with("/cutover") {
            let answer: Value = client.get(path.trim_start_matches("/api/v1/")).await.unwrap();
            no_secret(path, &answer.to_string());
        }
    }
    for command in ["status", "check"] {
        let output = run(&[&[command], &args[..6], &files[..4]].concat());
        no_secret(command, &String::from_utf8_lossy(&output.stdout));
        no_secret(command, &stderr(&output));
    }
    let (status, log) = stop(child, Signal::TERM);
    assert_eq!(status.code(), Some(0));
    assert!(log.contains("DEBUG"), "it was told to say a lot");
    no_secret("the log", &log);
    for entry in fs::read_dir(&state).unwrap() {
        let path = entry.unwrap().path();
        no_secret(
            &path.display().to_string(),
            &String::from_utf8_lossy(&fs::read(&path).unwrap_or_default()),
        );
    }
}

/// Secrets in addresses are redacted, and an error about an address does not repeat it.
#[test]
fn settings_and_errors_tell_none() {
    let source = format!("dragonfly://ann:{}@127.0.0.1:1", SECRETS[0]);
    let target = format!("redis://:{}@127.0.0.1:1", SECRETS[1]);
    for args in [
        &["config", "print", "--origin", "--source", &source, "--target", &target][..],
        &["replicate", "--source", &source, "--target", &target],
        &["migrate", "--dry-run", "--source", &source, "--target", &target],
        &["replicate", "--source", &format!("{source}:x"), "--target", &target],
        &["check", "--source", &source, "--target", &format!("{target}/one")],
    ] {
        let output = command(args).env("DF2REDIS_LOG_LEVEL", "trace").output().unwrap();
        no_secret(&format!("{args:?}")[..20], &String::from_utf8_lossy(&output.stdout));
        no_secret("an error", &stderr(&output));
    }
}
