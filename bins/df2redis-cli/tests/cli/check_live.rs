//! Comparisons of a live Dragonfly under load, in step and in rounds, by the real binary: 10,000 keys, and four clients that write
//! to them. In step nothing that is equal is called different, and what was planted is found every time. Needs
//! `DF2REDIS_DRAGONFLY`; `CHECKS=10` is how many comparisons there are of each kind, `WRITES=20000` how many writes the clients
//! make in a second.

use std::net::SocketAddr;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use dfly_testkit::{RedisClient, RedisOptions, RedisServer};

use crate::binary::{run, stderr};
use crate::cutover_live::run::{Kind, Target, Tool, tool};
use crate::cutover_live::{dragonfly, stdout, until};

/// Keys that are written to.
const KEYS: u64 = 10_000;

/// Clients that write at the same time.
const WRITERS: u64 = 4;

/// No client writes for longer.
const LONGEST: Duration = Duration::from_secs(300);

fn number(name: &str, default: u64) -> u64 {
    std::env::var_os(name).and_then(|number| number.to_str()?.parse().ok()).unwrap_or(default)
}

fn checks() -> u64 {
    number("CHECKS", 2)
}

/// A replication of a source that is written to.
struct Run {
    source: RedisServer,
    target: Target,
    state: tempfile::TempDir,
    _tool: Tool,
}

impl Run {
    fn start(kind: Kind) -> Option<Self> {
        let flags = ["--proactor_threads=2"];
        let source = RedisServer::start(RedisOptions::dragonfly(dragonfly()?, &flags)).unwrap();
        fill(&mut source.client().unwrap());
        let (target, state) = (Target::start(kind), tempfile::tempdir().unwrap());
        let tool = tool(&source, &target, &state);
        let run = Self { source, target, state, _tool: tool };
        until("in sync", || {
            let status = run_in(&run.state, "status", &[]);
            stdout(&status).contains("in order: in sync")
        });
        Some(run)
    }

    /// Compares in step if the replication is asked, else in rounds.
    fn check(&self, state: &tempfile::TempDir, more: &[&str]) -> Output {
        let (from, to) = (format!("dragonfly://{}", self.source.address()), self.target.url());
        let sides = ["--source", &from, "--target", &to];
        run_in(state, "check", &[&sides[..], more].concat())
    }

    /// At the server of the target that holds the key.
    fn on_target(&self, words: &[&str]) {
        let bytes: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
        let took = self.target.servers().iter().any(|server| {
            let reply = server.client().unwrap().command(&bytes).unwrap();
            reply.error().is_none()
        });
        assert!(took, "{words:?}");
    }
}

fn run_in(state: &tempfile::TempDir, command: &str, more: &[&str]) -> Output {
    run(&[&[command, "--state-dir", state.path().to_str().unwrap()], more].concat())
}

/// Strings, hashes, lists, sets and sorted sets; and five keys that nobody writes to.
fn fill(client: &mut RedisClient) {
    let commands: Vec<Vec<String>> = (0..KEYS).map(|key| write(key, key)).collect();
    commands.chunks(1000).for_each(|part| drop(client.pipeline(part).unwrap()));
    let still = [
        "SET still:value v",
        "SET still:expiry v",
        "SET still:gone v",
        "RPUSH still:list a b",
        "SADD still:set a b",
    ];
    let words = |line: &str| line.split(' ').map(str::to_owned).collect::<Vec<_>>();
    client.pipeline(&still.map(words)).unwrap();
}

fn write(key: u64, number: u64) -> Vec<String> {
    let words = match key % 5 {
        0 => format!("SET string:{key} {number}"),
        1 => format!("HSET hash:{key} f{} {number}", number % 20),
        2 => format!("LPUSH list:{key} {number}"),
        3 => format!("SADD set:{key} {}", number % 50),
        _ => format!("ZADD zset:{key} {number} m{}", number % 20),
    };
    words.split(' ').map(str::to_owned).collect()
}

/// Clients that write until they are told to end.
struct Writers {
    ends: Arc<AtomicBool>,
    written: Arc<AtomicU64>,
    began: Instant,
    clients: Vec<JoinHandle<()>>,
}

impl Writers {
    fn start(source: SocketAddr) -> Self {
        let (ends, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let client = |nth| {
            let (ends, written) = (Arc::clone(&ends), Arc::clone(&written));
            spawn(move || keep_writing(nth, source, &ends, &written))
        };
        let clients = (0..WRITERS).map(client).collect();
        let writers = Self { ends, written, began: Instant::now(), clients };
        until("written to", || writers.written.load(SeqCst) > KEYS);
        writers
    }

    /// Gives how many writes the source took in a second.
    fn end(self) -> u64 {
        let millis = u64::try_from((Instant::now() - self.began).as_millis()).unwrap().max(1);
        self.ends.store(true, SeqCst);
        self.clients.into_iter().for_each(|client| client.join().unwrap());
        self.written.load(SeqCst) * 1000 / millis
    }
}

fn keep_writing(nth: u64, source: SocketAddr, ends: &AtomicBool, written: &AtomicU64) {
    let mut client = RedisClient::connect(source).unwrap();
    let (rate, mut own) = (number("WRITES", 5000), 0);
    let (mut number, began) = (nth, Instant::now());
    while !ends.load(SeqCst) && (Instant::now() - began) < LONGEST {
        // Every key gets a write now and then; every hundredth write goes to one of ten keys.
        let key = |number: u64| {
            if number.is_multiple_of(100) { number / 100 % 10 } else { number.wrapping_mul(7919) % KEYS }
        };
        let part: Vec<Vec<String>> = (0..50)
            .map(|_| {
                number = number.wrapping_add(WRITERS);
                let key = key(number);
                // Lists do not grow for ever.
                if key % 5 == 2 && number.is_multiple_of(3) {
                    vec!["LTRIM".into(), format!("list:{key}"), "0".into(), "20".into()]
                } else {
                    write(key, number)
                }
            })
            .collect();
        client.pipeline(&part).unwrap();
        written.fetch_add(part.len() as u64, SeqCst);
        own += part.len() as u64;
        sleep(Duration::from_micros(own * WRITERS * 1_000_000 / rate).saturating_sub(Instant::now() - began));
    }
}

/// What a line of a comparison's summary counts.
fn counted(output: &Output, name: &str) -> u64 {
    let text = stdout(output);
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let count = line.and_then(|rest| rest.split_whitespace().next()?.parse().ok());
    assert!(count.is_some(), "no count of {name}: {text}{}", stderr(output));
    count.unwrap()
}

#[expect(clippy::print_stdout, reason = "figures are what this is for")]
fn no_false_verdict(kind: Kind) {
    let Some(live) = Run::start(kind) else { return };
    let writers = Writers::start(live.source.address());
    let (mut times, elsewhere) = (Vec::new(), tempfile::tempdir().unwrap());
    for nth in 0..checks() {
        let began = Instant::now();
        let equal = live.check(&live.state, &[]);
        times.push((Instant::now() - began).as_millis());
        assert_eq!(equal.status.code(), Some(0), "comparison {nth}: {}{}", stdout(&equal), stderr(&equal));
        assert!(counted(&equal, "compared") >= KEYS, "{}", stdout(&equal));
        let rounds = live.check(&elsewhere, &["--rounds", "3"]);
        println!(
            "{kind:?} {nth}: in step equal, {} not compared, {} ms; in rounds: {} different, of which certainly {}, exit code {:?}",
            counted(&equal, "not compared"),
            times.last().unwrap(),
            counted(&rounds, "different"),
            certain(&rounds),
            rounds.status.code()
        );
    }
    let planted: [&[&str]; 5] = [
        &["SET", "still:value", "w"],
        &["PEXPIREAT", "still:expiry", "1990000000000"],
        &["DEL", "still:gone"],
        &["LSET", "still:list", "0", "x"],
        &["SADD", "still:set", "c"],
    ];
    for nth in 0..checks() {
        planted.iter().for_each(|words| live.on_target(words));
        let file = live.state.path().join(format!("found{nth}.db")).display().to_string();
        let different = live.check(&live.state, &["--report", &file]);
        assert_eq!(different.status.code(), Some(3), "{}{}", stdout(&different), stderr(&different));
        assert_eq!(counted(&different, "different"), 5, "comparison {nth}: {}", stdout(&different));
        let report = stdout(&run(&["check", "report", &file, "--format", "json"]));
        let found: Vec<&str> = report.lines().filter(|line| line.contains("still:")).collect();
        assert_eq!(found.len(), 5, "{report}");
        assert!(found.iter().all(|line| line.contains("\"lsn\"")), "{report}");
    }
    let repaired = live.check(&live.state, &["--repair"]);
    assert_eq!(repaired.status.code(), Some(0), "{}{}", stdout(&repaired), stderr(&repaired));
    println!("{kind:?}: {} writes a second", writers.end());
}

/// Of what differs in rounds, what changed on neither side.
fn certain(output: &Output) -> u64 {
    let text = stdout(output);
    let changes =
        text.lines().find(|line| line.starts_with("different")).and_then(|line| line.split_once('('));
    let changes = changes.and_then(|(_, rest)| rest.split_whitespace().next()?.parse().ok()).unwrap_or(0);
    counted(output, "different").saturating_sub(changes)
}

#[test]
fn no_false_verdict_about_a_server() {
    no_false_verdict(Kind::Server);
}

#[test]
fn no_false_verdict_about_a_cluster() {
    no_false_verdict(Kind::Cluster);
}
