//! C16: passwords in files.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use dfly_testkit::{MasterOptions, RedisOptions, RedisServer, Script, ScriptedMaster};
use rustix::process::Signal;
use tokio::time::timeout;

use crate::binary::{run, signal, spawn, stderr};

const LIMIT: Duration = Duration::from_secs(60);

fn write(dir: &Path, name: &str, password: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, password).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn change_while_the_run_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let options = MasterOptions { password: Some("s1".into()), ..MasterOptions::default() };
    let master = ScriptedMaster::start(Script::new(1).before("SET k v"), options).await.unwrap();
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let mut client = redis.client().unwrap();
    let mut set_password = |password: &[u8]| {
        client
            .expect(&[b"ACL", b"SETUSER", b"ann", b"reset", b"on", password, b"+@all", b"~*", b"&*"])
            .unwrap();
        client.expect(&[b"CLIENT", b"KILL", b"USER", b"ann"]).unwrap();
    };
    set_password(b">t1");
    let source = write(dir.path(), "source", "s1\n");
    let target = write(dir.path(), "target", "wrong");
    let (from, to) =
        (format!("dragonfly://{}", master.address()), format!("redis://ann@{}", redis.address()));
    let args = [
        ["replicate", "--source", &from, "--target", &to].as_slice(),
        &["--source-password-file", &source, "--target-password-file", &target],
    ]
    .concat();
    let arguments: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
    let refused =
        tokio::task::spawn_blocking(move || run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()));
    let refused = refused.await.unwrap();
    let log = stderr(&refused);
    assert_eq!(refused.status.code(), Some(5), "{log}");
    assert!(
        log.lines().last().unwrap().starts_with("error: the target refuses the login: WRONGPASS"),
        "{log}"
    );
    write(dir.path(), "target", "t1");
    let mut child = spawn(&args);
    let lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let (said, mut heard) = tokio::sync::mpsc::channel(1024);
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| said.blocking_send(line)));
    assert!(timeout(LIMIT, master.caught_up()).await.is_ok());
    set_password(b">t2");
    master.apply("SET k w").unwrap();
    let mut log = Vec::new();
    for words in ["WRONGPASS", "the target answers again"] {
        let found = timeout(LIMIT, async {
            while let Some(line) = heard.recv().await {
                log.push(line.clone());
                if line.contains(words) {
                    return;
                }
            }
        });
        assert!(found.await.is_ok(), "{words}: {log:?}");
        write(dir.path(), "target", "t2");
    }
    assert!(timeout(LIMIT, master.caught_up()).await.is_ok());
    signal(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(0), "{log:?}");
    let told = log.iter().filter(|line| line.contains("WRONGPASS")).count();
    assert_eq!(told, 1, "{log:?}");
    assert!(!log.iter().any(|line| line.contains("s1") || line.contains("t1")), "{log:?}");
}
