//! Bad input: one clear line that names what was found and what to do, no panic, an exit code of its own.

use dfly_testkit::{Capa, Mangle, MasterOptions, RecordedMaster, Recording, RedisOptions, RedisServer};
use std::process::Output;

use crate::binary::{command, run, stderr};

/// The last line, which says why it ended; the others are log lines.
fn reason(output: &Output) -> String {
    let text = stderr(output);
    assert!(!text.contains("panicked"), "{text}");
    let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 1, "{text}");
    errors.concat()
}

fn expect(args: &[&str], code: i32, words: &[&str]) {
    let output = run(args);
    let line = reason(&output);
    assert_eq!(output.status.code(), Some(code), "{line}");
    for word in words {
        assert!(line.contains(word), "{word} is missing in: {line}");
    }
}

#[test]
fn flags_and_files() {
    expect(&["replicate"], 2, &["--source"]);
    expect(&["replicate", "--source", "dragonfly://h"], 2, &["--target"]);
    expect(
        &["replicate", "--source", "http://h", "--target", "redis://h"],
        2,
        &["source's address", "dragonfly://"],
    );
    let both = ["replicate", "--source", "dragonfly://h", "--target", "redis://h"];
    expect(&[&both[..], &["--on-unsupported", "ignore"]].concat(), 2, &["ignore", "fail, warn, skip"]);
    let no_tls = ["--target-tls-ca", "ca.crt"];
    expect(&[&both[..], &no_tls].concat(), 2, &["--target-tls-", "does not use TLS", "rediss://"]);
    let encrypted = ["replicate", "--source", "dragonfly://h", "--target", "rediss://h"];
    let no_file = ["--target-tls-ca", "/nonexistent.crt"];
    expect(
        &[&encrypted[..], &no_file].concat(),
        2,
        &["cannot set up TLS for the target", "/nonexistent.crt", "No such file"],
    );
    expect(&["replicate", "--config", "/nonexistent.toml"], 2, &["/nonexistent.toml"]);
    let unknown = run(&["replicat"]);
    assert_eq!(unknown.status.code(), Some(2));
}

#[test]
fn nobody_listens() {
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let target = redis.url();
    expect(
        &["replicate", "--source", "dragonfly://127.0.0.1:1", "--target", &target],
        1,
        &["cannot connect to the source at 127.0.0.1:1", "refused"],
    );
    expect(
        &["replicate", "--source", "dragonfly://127.0.0.1:1", "--target", "redis://127.0.0.1:1"],
        5,
        &["cannot connect to the target at 127.0.0.1:1"],
    );
}

/// A real Redis as the source.
#[test]
fn a_redis_as_the_source() {
    let start = || RedisServer::start(RedisOptions::default()).unwrap();
    let (source, target) = (start(), start());
    let url = format!("dragonfly://{}", source.address());
    expect(&["replicate", "--source", &url, "--target", &target.url()], 1, &["not a Dragonfly"]);
}

async fn served(options: MasterOptions) -> (RecordedMaster, RedisServer) {
    let recording = Recording::bundled("requirepass").unwrap();
    (
        RecordedMaster::start(recording, options).await.unwrap(),
        RedisServer::start(RedisOptions::default()).unwrap(),
    )
}

async fn against(options: MasterOptions, login: &str, (code, words): (i32, &[&str])) {
    let (master, redis) = served(options).await;
    let source = format!("dragonfly://{login}{}", master.address());
    let target = redis.url();
    let args = ["replicate", "--source", &source, "--target", &target, "--on-unsupported", "skip"];
    let mut command = command(&args);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    let line = reason(&output);
    assert_eq!(output.status.code(), Some(code), "{line}");
    for word in words {
        assert!(line.contains(word), "{word} is missing in: {line}");
    }
    assert!(!line.contains("s3cret") && !line.contains("wrong-password"), "{line}");
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_that_cannot_be_followed() {
    let good = ":s3cret@";
    let plain = MasterOptions::default;
    against(
        plain(),
        ":wrong-password@",
        (1, &["the source refuses the login", "WRONGPASS", "user and password"]),
    )
    .await;
    against(plain(), "", (1, &["the source refuses the login", "NOAUTH"])).await;
    let capa = |capa| MasterOptions { capa, ..plain() };
    against(capa(Capa::Redis), good, (1, &["not a Dragonfly", "Redis and Valkey"])).await;
    against(capa(Capa::Replica), good, (1, &["itself a replica", "name its master"])).await;
    against(capa(Capa::Old), good, (1, &["before v1.4", "upgrade"])).await;
    let mangle = Mangle { session: 0, flow: 1, offset: 9, remove: 0, insert: vec![0xe9] };
    let unknown = MasterOptions { mangle: Some(mangle), ..plain() };
    against(unknown, good, (1, &["flow 1", "unknown opcode 0xe9", "offset 9"])).await;
}
