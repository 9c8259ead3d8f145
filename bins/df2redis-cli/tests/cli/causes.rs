//! First causes: for each way in which a source or a target refuses, at the start, in the snapshot, in the journal and at a
//! flush, what a person is told last, and with which exit code.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::time::Duration;

use dfly_testkit::{
    Answer, Mangle, MasterOptions, RedisOptions, RedisServer, RefusingProxy, Script, ScriptedMaster,
};
use rustix::process::Signal;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;

use crate::binary::{signal, spawn};

const LIMIT: Duration = Duration::from_secs(20);

/// When the target begins to refuse.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Start,
    Snapshot,
    Journal,
    Flush,
}

use Phase::{Flush, Journal, Snapshot, Start};

/// What comes of it.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The run ends with this code, and these words are in its last line.
    Exit(i32, &'static [&'static str]),
    /// The run says this, waits, and goes on when the target does.
    Waits(&'static str),
    /// The run says this, and does without.
    GoesOn(&'static str),
}

use End::{Exit, GoesOn, Waits};

/// A run of the binary, and what it has logged.
struct Running {
    child: Child,
    lines: Receiver<String>,
    log: Vec<String>,
}

impl Running {
    fn start(source: &str, target: &str, flags: &[&str]) -> Self {
        let mut child = spawn(&[&["replicate", "--source", source, "--target", target], flags].concat());
        let read = BufReader::new(child.stderr.take().unwrap()).lines();
        let (said, lines) = channel(10_000);
        std::thread::spawn(move || read.map_while(Result::ok).try_for_each(|line| said.blocking_send(line)));
        Self { child, lines, log: Vec::new() }
    }

    /// Reads the log until a line has these words, or to its end.
    async fn says(&mut self, words: &str) -> bool {
        let found = timeout(LIMIT, async {
            while let Some(line) = self.lines.recv().await {
                let is_it = line.contains(words);
                self.log.push(line);
                if is_it {
                    return true;
                }
            }
            false
        });
        found.await.unwrap_or(false)
    }

    /// Waits until it ends by itself: the exit code and the last line.
    async fn ends(&mut self) -> (Option<i32>, String) {
        self.says("no line has these words").await;
        if self.child.try_wait().unwrap().is_none()
            && self.log.last().is_none_or(|line| !line.starts_with("error: "))
        {
            self.child.kill().unwrap();
        }
        (self.child.wait().unwrap().code(), self.log.last().cloned().unwrap_or_default())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already, unless a test fails.
        drop(self.child.kill());
    }
}

/// Strings, a list and a key in another database, before the snapshot.
fn script() -> Script {
    let script = (0..50).fold(Script::new(2), |script, n| script.before(format!("SET k{n} v").as_str()));
    script.before("RPUSH list a b c").before(dfly_testkit::Op::line("SET other v").in_db(3))
}

fn error(command: &str, line: &str) -> Vec<Answer> {
    vec![Answer::error(command, line)]
}

/// An error to commands with this argument alone.
fn error_with(command: &str, argument: &str, line: &str) -> Vec<Answer> {
    vec![Answer { argument: Some(argument.to_owned()), ..Answer::error(command, line) }]
}

fn bytes(command: &str, reply: &str) -> Vec<Answer> {
    vec![Answer { command: command.to_owned(), argument: None, reply: reply.to_owned() }]
}

/// A target that gives these answers from a phase on; what is wrong with what comes of it.
async fn target_refuses(phase: Phase, answers: Vec<Answer>, end: End) -> Result<(), String> {
    let shown = format!("{phase:?} {answers:?}");
    let master = ScriptedMaster::start(script(), MasterOptions::default()).await.unwrap();
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let proxy = RefusingProxy::start(redis.address()).await.unwrap();
    if matches!(phase, Start | Snapshot) {
        proxy.answer(answers.clone());
    }
    let (source, target) =
        (format!("dragonfly://{}", master.address()), format!("redis://{}", proxy.address()));
    let mut run = Running::start(&source, &target, &[]);
    if matches!(phase, Journal | Flush) {
        assert!(timeout(LIMIT, master.caught_up()).await.is_ok(), "{shown}");
        assert!(timeout(LIMIT, whole(&redis)).await.is_ok(), "{shown}");
        proxy.answer(answers);
        match phase {
            Flush => master.apply("FLUSHALL").unwrap(),
            _ => master.apply("RPUSH list d").unwrap(),
        }
    }
    let as_expected = match end {
        Exit(code, words) => {
            let (status, line) = run.ends().await;
            let has_words = words.iter().all(|word| line.contains(word)) && !line.contains("STARTSTABLE");
            status == Some(code) && line.starts_with("error: ") && has_words
        }
        GoesOn(words) => {
            let goes_on = run.says(words).await && timeout(LIMIT, master.caught_up()).await.is_ok();
            signal(&run.child, Signal::INT);
            run.ends().await.0 == Some(0) && goes_on
        }
        Waits(words) => {
            let is_said = run.says(words).await;
            proxy.answer([]);
            let goes_on = is_said && timeout(LIMIT, master.caught_up()).await.is_ok();
            signal(&run.child, Signal::INT);
            run.ends().await.0 == Some(0) && goes_on
        }
    };
    as_expected.then_some(()).ok_or_else(|| format!("{shown}: {end:?} was expected, not {:#?}", run.log))
}

/// Waits until the first synchronisation is complete: nothing of what it has written is noted any more.
async fn whole(redis: &RedisServer) {
    let notes = || {
        let keys = dfly_testkit::keyspace(&mut redis.client().unwrap()).unwrap();
        keys.keys().any(|(_, key)| key.starts_with(b"df2redis:written:"))
    };
    while notes() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

async fn table(rows: Vec<(Phase, Vec<Answer>, End)>) {
    let mut wrong = Vec::new();
    for (phase, answers, end) in rows {
        wrong.extend(target_refuses(phase, answers, end).await.err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const NOPERM: &str = "NOPERM this user has no permissions";

#[tokio::test(flavor = "multi_thread")]
async fn targets_at_the_start() {
    let replica = "redis_version:7.0.15\r\nrole:slave\r\ncluster_enabled:0\r\n";
    let replica = format!("${}\r\n{replica}\r\n", replica.len());
    table(vec![
        (
            Start,
            error("INFO", "NOAUTH Authentication required."),
            Exit(5, &["the target refuses the login: NOAUTH"]),
        ),
        (Start, error("INFO", NOPERM), Exit(5, &["INFO is forbidden (to tell"])),
        (Start, error("HMGET", NOPERM), Exit(5, &["HMGET is forbidden (for the positions"])),
        (Start, error("HGETALL", NOPERM), Exit(5, &["HGETALL is forbidden (for the positions"])),
        (Start, error("HSET", NOPERM), Exit(5, &["HSET is forbidden (for the positions"])),
        (Start, bytes("INFO", "nonsense\r\n"), Exit(5, &["the target does not speak RESP"])),
        (Start, bytes("INFO", &replica), Exit(5, &["is a replica that takes writes", "name its primary"])),
        (Start, error("INFO", "LOADING Redis is loading the dataset in memory"), Waits("LOADING")),
        (Start, error("INFO", "ERR max number of clients reached"), Waits("max number of clients")),
        (Start, error("HGETALL", "MASTERDOWN Link with MASTER is down"), Waits("MASTERDOWN")),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_in_the_snapshot() {
    table(vec![
        (Snapshot, error("SET", NOPERM), Exit(5, &["SET is forbidden (to write values)"])),
        (Snapshot, error("RESTORE", NOPERM), GoesOn("values are written by commands")),
        (
            Snapshot,
            error("RESTORE", "ERR Bad data format"),
            GoesOn("it is refetched and written in another form"),
        ),
        (Snapshot, error_with("SELECT", "3", NOPERM), Exit(5, &["SELECT", "NOPERM"])),
        (Snapshot, error("SET", "ERR unknown command 'SET'"), Exit(5, &["SET is unknown (to write values)"])),
        (Snapshot, bytes("SET", "nonsense\r\n"), Exit(5, &["the target does not speak RESP"])),
        (Snapshot, error("SET", "OOM command not allowed"), Waits("the target is out of memory: OOM")),
        (Snapshot, error("SET", "MISCONF no disk"), Waits("the target cannot save its data")),
        (Snapshot, error("SET", "NOREPLICAS Not enough"), Waits("the target has too few replicas")),
        (Snapshot, error("SET", "READONLY You can't write"), Waits("the target is a replica now")),
        (Snapshot, error("SET", "LOADING Redis is loading"), Waits("the target is loading its data")),
        (
            Snapshot,
            error("SET", "NOAUTH Authentication required."),
            Waits("the target refuses the login: NOAUTH"),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_in_the_journal() {
    table(vec![
        (Journal, error("RPUSH", NOPERM), Exit(5, &["the target refuses RPUSH \"list\"", "NOPERM"])),
        (
            Journal,
            error("RPUSH", "ERR unknown command 'RPUSH'"),
            Exit(5, &["RPUSH \"list\"", "unknown command"]),
        ),
        (Journal, error("EVAL", NOPERM), Exit(5, &["the target refuses a script", "NOPERM"])),
        (Journal, error("WATCH", NOPERM), Exit(5, &["the target refuses WATCH", "NOPERM"])),
        (Journal, error("MULTI", NOPERM), Exit(5, &["the target refuses MULTI", "NOPERM"])),
        (Journal, error_with("HSET", "flow:", NOPERM), Exit(5, &["the target refuses HSET", "NOPERM"])),
        (Journal, bytes("RPUSH", "nonsense\r\n"), Exit(5, &["the target does not speak RESP"])),
        (Journal, error("RPUSH", "OOM command not allowed"), Waits("the target is out of memory: OOM")),
        (Journal, error("RPUSH", "MISCONF no disk"), Waits("the target cannot save its data")),
        (Journal, error("RPUSH", "READONLY You can't write"), Waits("the target is a replica now")),
        (Journal, error("WATCH", "LOADING Redis is loading"), Waits("the target is loading its data")),
        (Journal, error("WATCH", "BUSY Redis is busy"), Waits("a script or a module keeps the target busy")),
        (
            Journal,
            error("WATCH", "NOAUTH Authentication required."),
            Waits("the target refuses the login: NOAUTH"),
        ),
        (
            Journal,
            bytes("EXEC", "*-1\r\n"),
            Waits("somebody else has moved this run's position on the target"),
        ),
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_at_a_flush() {
    table(vec![
        (Flush, error("FLUSHALL", NOPERM), Exit(5, &["the target refuses FLUSHALL", "NOPERM"])),
        (
            Flush,
            error("FLUSHALL", "ERR unknown command 'FLUSHALL'"),
            Exit(5, &["FLUSHALL", "unknown command"]),
        ),
        (Flush, error("EVAL", NOPERM), Exit(5, &["the target refuses a script", "NOPERM"])),
        (Flush, bytes("FLUSHALL", "nonsense\r\n"), Exit(5, &["the target does not speak RESP"])),
        (Flush, error("WATCH", "LOADING Redis is loading"), Waits("the target is loading its data")),
        (Flush, error("FLUSHALL", "READONLY You can't write"), Waits("the target is a replica now")),
        (
            Flush,
            error("WATCH", "NOAUTH Authentication required."),
            Waits("the target refuses the login: NOAUTH"),
        ),
    ])
    .await;
}

/// A target that lacks a database of the source.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_the_target_lacks() {
    let master = ScriptedMaster::start(script(), MasterOptions::default()).await.unwrap();
    let args = vec!["--databases".to_owned(), "2".to_owned()];
    let redis = RedisServer::start(RedisOptions { args, ..RedisOptions::default() }).unwrap();
    let source = format!("dragonfly://{}", master.address());
    let (status, line) = Running::start(&source, &redis.url(), &[]).ends().await;
    assert_eq!(status, Some(5), "{line}");
    assert!(
        line.starts_with("error: the source has data in database 3") && line.contains("--map-db"),
        "{line}"
    );
}

async fn source_refuses(options: MasterOptions, code: i32, words: &[&str]) {
    let shown = format!("{options:?}");
    let master = ScriptedMaster::start(script(), options).await.unwrap();
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let source = format!("dragonfly://{}", master.address());
    let (status, line) = Running::start(&source, &redis.url(), &[]).ends().await;
    assert_eq!(status, Some(code), "{shown}: {line}");
    for word in words {
        assert!(
            line.starts_with("error: ") && line.contains(word),
            "{shown}: \"{word}\" is missing in {line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sources_at_the_start_and_in_the_snapshot() {
    let plain = MasterOptions::default;
    let refused = |command: &'static str, line| MasterOptions { refused: vec![(command, line)], ..plain() };
    let lacks = "the source's user lacks a permission: NOPERM";
    for (options, words) in [
        (
            MasterOptions { password: Some("p".to_owned()), ..plain() },
            &["the source refuses the login: NOAUTH"][..],
        ),
        (refused("PING", NOPERM), &[lacks]),
        (refused("REPLCONF", NOPERM), &[lacks]),
        (refused("DFLY FLOW", NOPERM), &[lacks]),
        (refused("DFLY SYNC", NOPERM), &[lacks]),
        (refused("DFLY STARTSTABLE", NOPERM), &[lacks]),
        (refused("DFLY FLOW", "ERR no"), &["the source refuses DFLY FLOW: ERR no"]),
        (refused("DFLY SYNC", "ERR no"), &["the source refuses DFLY SYNC: ERR no"]),
        (refused("DFLY STARTSTABLE", "ERR no"), &["the source refuses DFLY STARTSTABLE: ERR no"]),
        (
            refused("REPLCONF", "ERR Replicating a replica is unsupported"),
            &["itself a replica", "name its master"],
        ),
        (mangled(9, &[0xe9]), &["flow 0", "the snapshot cannot be read", "0xe9", "offset 9"]),
    ] {
        source_refuses(options, 1, words).await;
    }
}

fn mangled(offset: usize, insert: &[u8]) -> MasterOptions {
    let mangle = Mangle { session: 0, flow: 0, offset, remove: 0, insert: insert.to_vec() };
    MasterOptions { mangle: Some(mangle), ..MasterOptions::default() }
}

/// What the journal of a source holds in place of a record: nonsense, and an error line.
#[tokio::test(flavor = "multi_thread")]
async fn sources_in_the_journal() {
    let redis = || RedisServer::start(RedisOptions::default()).unwrap();
    let master = ScriptedMaster::start(script(), MasterOptions::default()).await.unwrap();
    let target = redis();
    let mut run = Running::start(&format!("dragonfly://{}", master.address()), &target.url(), &[]);
    assert!(timeout(LIMIT, master.caught_up()).await.is_ok());
    let length = master.sent(0, 0);
    signal(&run.child, Signal::INT);
    assert_eq!(run.ends().await.0, Some(0), "{:#?}", run.log);
    for (bytes, end) in [
        (&[0xe9][..], Exit(1, &["flow 0", "the journal cannot be read", "0xe9"])),
        (b"-ERR bye\r\n", Waits("the source ends the replication: ERR bye")),
    ] {
        let (master, target) =
            (ScriptedMaster::start(script(), mangled(length, bytes)).await.unwrap(), redis());
        let mut run = Running::start(&format!("dragonfly://{}", master.address()), &target.url(), &[]);
        assert!(timeout(LIMIT, master.stable()).await.is_ok());
        for n in 0..10 {
            master.apply(format!("SET k{n} w").as_str()).unwrap();
        }
        match end {
            Exit(code, words) => {
                let (status, line) = run.ends().await;
                assert_eq!(status, Some(code), "{:#?}", run.log);
                assert!(words.iter().all(|word| line.contains(word)), "{line}");
            }
            Waits(words) | GoesOn(words) => {
                assert!(run.says(words).await, "{:#?}", run.log);
                assert!(timeout(LIMIT, master.caught_up()).await.is_ok(), "{:#?}", run.log);
                signal(&run.child, Signal::INT);
                assert_eq!(run.ends().await.0, Some(0), "{:#?}", run.log);
            }
        }
    }
}

/// A key that has to be refetched, and that the source does not give: the target holds another type under its name.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_refuses_a_refetch() {
    let options = MasterOptions { refused: vec![("DUMP", NOPERM)], ..MasterOptions::default() };
    let master = ScriptedMaster::start(script(), options).await.unwrap();
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    let mut run = Running::start(&format!("dragonfly://{}", master.address()), &redis.url(), &[]);
    assert!(timeout(LIMIT, master.caught_up()).await.is_ok());
    redis.client().unwrap().expect(&[b"SET", b"list", b"no list"]).unwrap();
    master.apply("RPUSH list d").unwrap();
    let (status, line) = run.ends().await;
    assert_eq!(status, Some(1), "{:#?}", run.log);
    for word in ["key \"list\"", "has to be read again from the source", "DUMP: NOPERM", "--on-unsupported"] {
        assert!(line.contains(word), "\"{word}\" is missing in {line}");
    }
}
