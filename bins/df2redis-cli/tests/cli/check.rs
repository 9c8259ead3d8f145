//! `check`: exit codes, reports, and what is refused.

use std::process::Output;

use dfly_testkit::{RedisOptions, RedisServer};

use crate::binary::{run, stderr};

struct Sides {
    source: RedisServer,
    target: RedisServer,
}

impl Sides {
    fn start() -> Self {
        let server = || RedisServer::start(RedisOptions::default()).unwrap();
        Self { source: server(), target: server() }
    }

    fn check(&self, more: &[&str]) -> Output {
        let source = format!("dragonfly://{}", self.source.address());
        let target = format!("redis://{}", self.target.address());
        let args = ["check", "--source", &source, "--target", &target, "--round-pause", "10ms"];
        run(&[&args[..], more].concat())
    }

    fn on_target(&self, words: &[&str]) {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.target.client().unwrap().expect(&words).unwrap();
    }

    fn on_source(&self, words: &[&str]) {
        let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        self.source.client().unwrap().expect(&words).unwrap();
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// P34: equal, different and incomplete have exit codes of their own.
#[test]
fn exit_codes() {
    let sides = Sides::start();
    sides.on_source(&["SET", "k", "secret"]);
    sides.on_target(&["SET", "k", "secret"]);
    let equal = sides.check(&[]);
    assert_eq!(equal.status.code(), Some(0), "{}", stderr(&equal));
    assert!(stdout(&equal).ends_with("both sides are equal\n"), "{}", stdout(&equal));
    sides.on_target(&["SET", "k", "hidden"]);
    let different = sides.check(&[]);
    assert_eq!(different.status.code(), Some(3));
    let told = stdout(&different);
    assert!(told.contains("db 0 k: value; source: string of 6; target: string of 6\n"), "{told}");
    assert!(!told.contains("secret") && !told.contains("hidden") && !stderr(&different).contains("hidden"));
    assert_eq!(sides.check(&["--mode", "length"]).status.code(), Some(0));
    // Nobody may look for keys that only the target has.
    sides.on_target(&["SET", "k", "secret"]);
    sides.on_target(&["ACL", "SETUSER", "default", "-scan"]);
    let incomplete = sides.check(&[]);
    assert_eq!(incomplete.status.code(), Some(8), "{}", stdout(&incomplete));
    assert!(stdout(&incomplete).contains("not everything was compared: keys that only the target has"));
    assert!(!stdout(&incomplete).contains("are equal"));
}

#[test]
fn reports_and_repairs() {
    let sides = Sides::start();
    sides.on_source(&["SET", "k", "v"]);
    sides.on_target(&["SET", "extra", "v"]);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("found").display().to_string();
    assert_eq!(sides.check(&["--report", &file]).status.code(), Some(3));
    let report = run(&["check", "report", &file]);
    assert_eq!(report.status.code(), Some(3));
    assert!(stdout(&report).contains("db 0 extra: extra; source: none; target: string of 1"));
    let json = run(&["check", "report", &file, "--format", "json"]);
    assert!(stdout(&json).lines().all(|line| line.starts_with('{')), "{}", stdout(&json));
    let none = run(&["check", "report", &dir.path().join("none").display().to_string()]);
    assert_eq!(none.status.code(), Some(1), "{}", stderr(&none));
    let refused = sides.check(&["--repair"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--offline"), "{}", stderr(&refused));
    let dry = sides.check(&["--repair", "--offline", "--dry-run"]);
    assert_eq!(dry.status.code(), Some(3));
    let repaired = sides.check(&["--repair", "--offline"]);
    assert_eq!(repaired.status.code(), Some(0), "{}", stderr(&repaired));
    assert_eq!(sides.check(&[]).status.code(), Some(0));
    let nothing = sides.check(&["--report", &file, "--resume"]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(stderr(&nothing).contains("no comparison that was stopped"), "{}", stderr(&nothing));
}

#[test]
fn what_is_wrong_is_named() {
    let sides = Sides::start();
    for (args, said) in [
        (&["--mode", "deep"][..], "outline, length, full, smart"),
        (&["--sample", "0%"], "is not a share of the keys"),
        (&["--expiry-tolerance", "1h"], "write 1s or 500ms"),
        (&["--qps", "0"], "the minimum is 1"),
        (&["--resume"], "--report"),
        (&["--dry-run"], "--repair"),
        (&["--engine", "redis-full-check", "--repair", "--offline"], "this tool's own engine"),
        (&["--map-db", "x"], "--map-db"),
    ] {
        let output = sides.check(args);
        assert_eq!(output.status.code(), Some(2), "{args:?} {}", stderr(&output));
        assert!(stderr(&output).contains(said), "{args:?} {}", stderr(&output));
    }
    let missing = sides.check(&["--engine", "redis-full-check", "--engine-binary", "/nowhere/full-check"]);
    assert_eq!(missing.status.code(), Some(1));
    assert!(stderr(&missing).contains("install redis-full-check"), "{}", stderr(&missing));
    let away = run(&["check", "--source", "dragonfly://127.0.0.1:1", "--target", "redis://127.0.0.1:1"]);
    assert_eq!(away.status.code(), Some(5), "{}", stderr(&away));
}
