//! P26: a target that stands still does not hold the source up. `SLOW_TARGET_SECONDS=120` for a longer stop.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use dfly_replica::{Engine, EngineConfig, Phase, Report, Stop};
use dfly_testkit::{RedisOptions, RedisServer};
use redis_resp::connection::Peer;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::source::{binary, endpoint, offsets, start};
use crate::sync::assert_equal;

/// How long the load runs with everything healthy, and how long the target stands still.
const HEALTHY: Duration = Duration::from_secs(3);
const STOPPED: u64 = 6;

/// How long catching up may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Writes a second, and the size of each value in bytes: 4 MB/s.
const RATE: u32 = 1000;
const VALUE: usize = 4096;

/// Over so many keys.
const KEYS: u32 = 5000;

/// One write: when it began, and how long it took.
type Sample = (Instant, Duration);

/// Writes at a steady pace until told to stop; what is late is not made up for.
fn write(master: &RedisServer, stop: &AtomicBool) -> Vec<Sample> {
    let (mut client, mut samples) = (master.client().unwrap(), Vec::new());
    let value = vec![b'v'; VALUE];
    while !stop.load(Relaxed) {
        let began = Instant::now();
        let serial = u32::try_from(samples.len()).unwrap();
        let key = format!("slow:{}", serial % KEYS);
        client.expect(&[b"SET", key.as_bytes(), &value]).unwrap();
        client.expect(&[b"INCR", format!("count:{}", serial % 97).as_bytes()]).unwrap();
        samples.push((began, Instant::now() - began));
        thread::sleep((Duration::from_secs(1) / RATE).saturating_sub(Instant::now() - began));
    }
    samples
}

/// The load of one phase.
struct Load {
    per_second: usize,
    p50: Duration,
    p99: Duration,
    longest: Duration,
}

impl Load {
    fn between(samples: &[Sample], from: Instant, to: Instant) -> Self {
        let within = samples.iter().filter(|(began, _)| (from..to).contains(began));
        let mut took: Vec<Duration> = within.map(|(_, took)| *took).collect();
        took.sort();
        let at = |percent: usize| took.get((took.len() * percent / 100).min(took.len().saturating_sub(1)));
        let at = |percent| at(percent).copied().unwrap_or(to - from);
        let millis = usize::try_from((to - from).as_millis()).unwrap().max(1);
        Self { per_second: took.len() * 1000 / millis, p50: at(50), p99: at(99), longest: at(100) }
    }
}

impl fmt::Display for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { per_second, p50, p99, longest } = self;
        write!(f, "{per_second} writes/s, median {p50:.1?}, p99 {p99:.1?}, longest {longest:.1?}")
    }
}

/// Generous, for a machine that does other things too. A source that is held up stands still for seconds.
fn assert_unhurt(healthy: &Load, stopped: &Load) {
    assert!(stopped.per_second * 3 > healthy.per_second, "{healthy} {stopped}");
    assert!(stopped.p99 < healthy.p99 * 10 + Duration::from_millis(200), "{healthy} {stopped}");
    assert!(stopped.longest < healthy.longest * 5 + Duration::from_secs(1), "{healthy} {stopped}");
}

struct Run {
    /// The most bytes that a flow has had on disk.
    most_relayed: Arc<AtomicU64>,
    reports: watch::Receiver<Report>,
    stop: watch::Sender<Stop>,
    engine: JoinHandle<Result<Report, dfly_replica::Error>>,
}

impl Run {
    async fn start(mut config: EngineConfig) -> Self {
        config.report_interval = Duration::from_millis(20);
        let (engine, mut reports) = Engine::new(config);
        let (stop, stopped) = watch::channel(Stop::Running);
        let engine = tokio::spawn(engine.run(stopped));
        let stable = timeout(LIMIT, reports.wait_for(|report| report.phase == Phase::StableSync)).await;
        assert!(stable.is_ok_and(|report| report.is_ok()), "no stable sync");
        let most_relayed = Arc::new(AtomicU64::new(0));
        let (most, mut seen) = (Arc::clone(&most_relayed), reports.clone());
        tokio::spawn(async move {
            while seen.changed().await.is_ok() {
                let flows = seen.borrow_and_update().flows.clone();
                most.fetch_max(flows.iter().map(|flow| flow.relay_bytes).max().unwrap_or(0), Relaxed);
            }
        });
        Self { most_relayed, reports, stop, engine }
    }

    /// Waits until everything that the master has is durable, and ends the run.
    async fn finish(mut self, master: &RedisServer) -> Report {
        let wanted = offsets(&mut master.client().unwrap());
        let arrived = |report: &Report| {
            let durable = report.flows.iter().map(|flow| flow.positions.map_or(0, |at| at.durable.0));
            report.flows.len() == wanted.len()
                && durable.zip(&wanted).all(|(durable, wanted)| durable >= *wanted)
        };
        let caught_up =
            timeout(LIMIT, self.reports.wait_for(arrived)).await.is_ok_and(|report| report.is_ok());
        assert!(caught_up, "not caught up: {:?} instead of {wanted:?}", self.reports.borrow().flows);
        self.stop.send_replace(Stop::Drain);
        self.engine.await.unwrap().unwrap()
    }
}

/// The load with everything healthy, and with `server` standing still. Afterwards nothing is written any longer.
fn with_a_stop(master: &RedisServer, server: &RedisServer, stopped: Duration) -> (Load, Load) {
    let stop = AtomicBool::new(false);
    let phases = || {
        let began = Instant::now();
        thread::sleep(HEALTHY);
        server.pause().unwrap();
        let paused = Instant::now();
        thread::sleep(stopped);
        let over = Instant::now();
        server.resume().unwrap();
        thread::sleep(Duration::from_secs(1));
        stop.store(true, Relaxed);
        (began, paused, over)
    };
    let ((began, paused, over), samples) = thread::scope(|scope| {
        let writer = scope.spawn(|| write(master, &stop));
        (phases(), writer.join().unwrap())
    });
    (Load::between(&samples, began, paused), Load::between(&samples, paused, over))
}

/// Resident memory of this process, in MiB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() >> 10
}

fn stop_seconds() -> Duration {
    Duration::from_secs(
        option_env!("SLOW_TARGET_SECONDS").map_or(STOPPED, |seconds| seconds.parse().unwrap()),
    )
}

fn config(master: &RedisServer, redis: &RedisServer, state: &tempfile::TempDir) -> EngineConfig {
    let mut config = EngineConfig::new(endpoint(Peer::Source, master), endpoint(Peer::Target, redis));
    config.state_dir = Some(state.path().to_owned());
    config
}

const SHAPE: &[&str] = &["--proactor_threads=2"];

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_stands_still_does_not_hold_the_source_up() {
    let Some(binary) = binary("a_target_that_stands_still_does_not_hold_the_source_up") else { return };
    let (master, redis) = (start(&binary, SHAPE), RedisServer::start(RedisOptions::default()).unwrap());
    let state = tempfile::tempdir().unwrap();
    let mut config = config(&master, &redis, &state);
    // So that a short stop reaches the disk too.
    config.read_ahead = 2 << 20;
    let run = Run::start(config).await;
    let before = resident();
    let (healthy, stopped) = tokio::task::block_in_place(|| with_a_stop(&master, &redis, stop_seconds()));
    let relayed = run.most_relayed.clone();
    run.finish(&master).await;
    let relayed = relayed.load(Relaxed);
    let grown = resident().saturating_sub(before);
    println!(
        "target healthy {healthy}\ntarget stopped {stopped}\nrelayed {relayed} bytes, grown by {grown} MiB"
    );
    assert_equal(&master, &redis);
    assert!(relayed > 0, "nothing went to the disk");
    assert_unhurt(&healthy, &stopped);
    assert!(grown < 200, "{grown} MiB more");
}

/// A target that is given up, connected to in vain, and then goes on with what it was sent before.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_given_up_is_found_again() {
    let Some(binary) = binary("a_target_that_is_given_up_is_found_again") else { return };
    let (master, redis) = (start(&binary, SHAPE), RedisServer::start(RedisOptions::default()).unwrap());
    let state = tempfile::tempdir().unwrap();
    let mut config = config(&master, &redis, &state);
    config.target_timeout = Duration::from_millis(500);
    config.target.reply_timeout = Duration::from_millis(700);
    config.read_ahead = 1 << 20;
    let run = Run::start(config).await;
    let (healthy, stopped) =
        tokio::task::block_in_place(|| with_a_stop(&master, &redis, Duration::from_secs(4)));
    run.finish(&master).await;
    println!("target healthy {healthy}\ntarget given up {stopped}");
    assert_equal(&master, &redis);
    assert_unhurt(&healthy, &stopped);
}

/// What a replica of the source's own kind does to it; nothing to hold it to. The master cuts it off before the writer's
/// own patience of 30 s ends.
#[test]
fn beside_a_replica_that_stands_still() {
    let Some(binary) = binary("beside_a_replica_that_stands_still") else { return };
    let (master, replica) =
        (start(&binary, &[SHAPE, &["--replication_timeout=20000"]].concat()), start(&binary, SHAPE));
    let port = master.address().port().to_string();
    replica.client().unwrap().expect(&[b"REPLICAOF", b"127.0.0.1", port.as_bytes()]).unwrap();
    let (healthy, stopped) = with_a_stop(&master, &replica, stop_seconds());
    println!("replica healthy {healthy}\nreplica stopped {stopped}");
    assert!(healthy.per_second > 0);
}
