//! C1, C2: the source is demoted, or comes back without its data. The target loses nothing to it.

use std::time::Duration;

use dfly_replica::{Control, Engine, EngineConfig, Error, Report, Stop};
use dfly_testkit::{RedisClient, RedisOptions, RedisServer};
use redis_resp::connection::Peer;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use crate::source::{binary, endpoint, offsets, start};
use crate::sync::assert_equal;
use crate::writers::{fill, write};

const LIMIT: Duration = Duration::from_secs(60);

/// How often a state is asked for that a server tells only when it is asked.
const LOOK: Duration = Duration::from_millis(50);

struct Following {
    redis: RedisServer,
    reports: watch::Receiver<Report>,
    control: Control,
    stop: watch::Sender<Stop>,
    task: JoinHandle<Result<Report, Error>>,
}

impl Following {
    fn start(sources: &[&RedisServer]) -> Self {
        let redis = RedisServer::start(RedisOptions::default()).unwrap();
        let mut config =
            EngineConfig::new(endpoint(Peer::Source, sources[0]), endpoint(Peer::Target, &redis));
        config.other_sources = sources[1..].iter().map(|server| endpoint(Peer::Source, server)).collect();
        config.rules = dfly_translate::Rules::from(dfly_translate::Policy::Skip).into();
        config.report_interval = Duration::from_millis(50);
        config.ping_interval = Duration::from_millis(500);
        config.reconnect.longest_delay = Duration::from_secs(1);
        let (engine, reports) = Engine::new(config);
        let control = engine.control();
        let (stop, stopped) = watch::channel(Stop::Running);
        Self { redis, reports, control, stop, task: tokio::spawn(engine.run(stopped)) }
    }

    /// Waits until everything that `master` has journaled is on the target.
    async fn caught_up(&mut self, master: &RedisServer) {
        let wanted = offsets(&mut master.client().unwrap());
        let arrived = |report: &Report| {
            let durable = report.flows.iter().map(|flow| flow.positions.map_or(0, |at| at.durable.0));
            report.phase == dfly_replica::Phase::StableSync
                && report.flows.len() == wanted.len()
                && report.flows.iter().all(|flow| flow.refetching == 0)
                && durable.zip(&wanted).all(|(durable, wanted)| durable >= *wanted)
        };
        let seen = timeout(LIMIT, self.reports.wait_for(arrived)).await.is_ok();
        assert!(seen, "wanted {wanted:?}: {:#?}", self.reports.borrow());
    }

    async fn question(&mut self) -> String {
        let is_asked = |report: &Report| report.question.is_some();
        let asked = tokio::select! {
            ended = &mut self.task => panic!("the run ended by itself: {ended:?}"),
            asked = timeout(LIMIT, self.reports.wait_for(is_asked)) => asked.is_ok(),
        };
        let report = self.reports.borrow();
        assert!(asked, "not asked: {report:?}");
        report.question.clone().unwrap()
    }

    /// Keys of the data.
    fn keys(&self) -> usize {
        self.redis.client().unwrap().expect(&[b"KEYS", b"b[ul]*"]).unwrap().array().unwrap().len()
    }

    async fn end(self) -> Report {
        self.stop.send_replace(Stop::Drain);
        timeout(LIMIT, self.task).await.unwrap().unwrap().unwrap()
    }
}

fn replicate(client: &mut RedisClient, master: Option<&RedisServer>) {
    let port = master.map(|master| master.address().port().to_string());
    let [host, port] = match &port {
        Some(port) => [&b"127.0.0.1"[..], port.as_bytes()],
        None => [&b"NO"[..], b"ONE"],
    };
    client.expect(&[b"REPLICAOF", host, port]).unwrap();
}

async fn is_replica(server: &RedisServer) {
    let mut client = server.client().unwrap();
    let linked = timeout(LIMIT, async {
        loop {
            let info = client.expect(&[b"INFO", b"replication"]).unwrap().text().unwrap();
            if info.contains("master_link_status:up") && info.contains("master_sync_in_progress:0") {
                return;
            }
            sleep(LOOK).await;
        }
    });
    linked.await.unwrap();
}

/// Waits until a replica holds everything that its master has journaled: what it lacks is lost with its promotion.
async fn has_all(replica: &RedisServer, master: &RedisServer) {
    let wanted: u64 = offsets(&mut master.client().unwrap()).iter().sum();
    let (mut client, mut last) = (replica.client().unwrap(), String::new());
    let caught_up = timeout(LIMIT, async {
        loop {
            let info = client.expect(&[b"INFO", b"replication"]).unwrap().text().unwrap();
            let at = info.lines().find_map(|line| line.strip_prefix("slave_repl_offset:"));
            last = at.unwrap_or_default().trim().to_owned();
            if last.parse::<u64>().is_ok_and(|at| at >= wanted) {
                return;
            }
            sleep(LOOK).await;
        }
    });
    assert!(caught_up.await.is_ok(), "{last} of {wanted}");
}

/// Starts a server again that was killed. The kernel may hold its port for a moment longer than its process.
async fn back(server: &mut RedisServer) {
    let restarted = timeout(LIMIT, async {
        while server.restart().is_err() {
            sleep(LOOK).await;
        }
    });
    restarted.await.unwrap();
}

/// Without the second flag a promoted replica keeps no journal to go on from.
const FLAGS: &[&str] = &["--proactor_threads=2", "--replicaof_no_one_start_journal=true"];

/// C1: a planned switchover, as operators do it. The run goes on with the promoted one, from the same positions.
#[tokio::test(flavor = "multi_thread")]
async fn a_planned_switchover_is_followed() {
    let Some(binary) = binary("a_planned_switchover_is_followed") else { return };
    let (one, two) = (start(&binary, FLAGS), start(&binary, FLAGS));
    fill(&one, 2000);
    replicate(&mut two.client().unwrap(), Some(&one));
    is_replica(&two).await;
    let mut run = Following::start(&[&one, &two]);
    write(&one, 7, 20);
    run.caught_up(&one).await;
    let before = run.keys();
    for (old, new, seed) in [(&one, &two, 8), (&two, &one, 9), (&one, &two, 10)] {
        has_all(new, old).await;
        replicate(&mut new.client().unwrap(), None);
        replicate(&mut old.client().unwrap(), Some(new));
        let mut client = new.client().unwrap();
        for n in 0..100 {
            client.expect(&[b"INCR", format!("bulk:n{}", n % seed).as_bytes()]).unwrap();
        }
        is_replica(old).await;
        run.caught_up(new).await;
        assert!(run.keys() > before / 2, "{} of {before} keys are left", run.keys());
    }
    let events: Vec<String> = run.reports.borrow().events.iter().map(|event| event.text.clone()).collect();
    assert!(!events.iter().any(|event| event.contains("synchronising fully")), "{events:#?}");
    assert!(assert_equal(&two, &run.redis) > 1000);
    run.end().await;
}

/// C1: only the old master is known. The run waits, the target keeps everything, and goes on when it is a master again.
#[tokio::test(flavor = "multi_thread")]
async fn a_demoted_source_takes_nothing_along() {
    let Some(binary) = binary("a_demoted_source_takes_nothing_along") else { return };
    let (one, two) = (start(&binary, FLAGS), start(&binary, FLAGS));
    fill(&one, 2000);
    let mut run = Following::start(&[&one]);
    run.caught_up(&one).await;
    let before = run.keys();
    // It becomes the replica of an empty server.
    replicate(&mut one.client().unwrap(), Some(&two));
    is_replica(&one).await;
    let waits = |report: &Report| report.retries.get("source").copied() > Some(1);
    assert!(timeout(LIMIT, run.reports.wait_for(waits)).await.is_ok(), "{:#?}", run.reports.borrow());
    assert_eq!(run.keys(), before);
    replicate(&mut one.client().unwrap(), None);
    let question = run.question().await;
    assert!(question.contains("0 keys instead of"), "{question}");
    assert_eq!(run.keys(), before);
    run.control.accept().await.unwrap();
    one.client().unwrap().expect(&[b"SET", b"new", b"v"]).unwrap();
    run.caught_up(&one).await;
    run.end().await;
}

/// C2: the source comes back without its data, and then with it.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_lost_its_data_takes_nothing_along() {
    let Some(binary) = binary("a_source_that_lost_its_data_takes_nothing_along") else { return };
    let mut one = start(&binary, FLAGS);
    fill(&one, 2000);
    let mut run = Following::start(&[&one]);
    run.caught_up(&one).await;
    let before = run.keys();
    one.kill().unwrap();
    back(&mut one).await;
    let question = run.question().await;
    assert!(question.contains("0 keys instead of"), "{question}");
    assert_eq!(run.keys(), before);
    fill(&one, 2000);
    run.caught_up(&one).await;
    assert!(run.reports.borrow().question.is_none());
    assert_equal(&one, &run.redis);
    run.end().await;
}

/// What happens to two servers, one of which is the master.
#[derive(Debug, Clone, Copy)]
enum Change {
    /// The replica is promoted, and the master becomes its replica.
    Switchover,
    /// The master is killed. Its replica is promoted, and it comes back without its data, as a replica.
    FailOver,
    /// The replica comes back without its data, and follows again.
    ReplicaLost,
    /// The replica is demoted to nothing, and follows again.
    ReplicaAlone,
}

const CHANGES: [Change; 4] =
    [Change::Switchover, Change::FailOver, Change::ReplicaLost, Change::ReplicaAlone];

/// Gives the server that is the master then.
async fn change(what: Change, servers: &mut [RedisServer; 2], master: usize) -> usize {
    let other = 1 - master;
    match what {
        Change::Switchover => {
            has_all(&servers[other], &servers[master]).await;
            replicate(&mut servers[other].client().unwrap(), None);
            replicate(&mut servers[master].client().unwrap(), Some(&servers[other]));
            is_replica(&servers[master]).await;
            other
        }
        Change::FailOver => {
            has_all(&servers[other], &servers[master]).await;
            servers[master].kill().unwrap();
            replicate(&mut servers[other].client().unwrap(), None);
            back(&mut servers[master]).await;
            replicate(&mut servers[master].client().unwrap(), Some(&servers[other]));
            is_replica(&servers[master]).await;
            other
        }
        Change::ReplicaLost => {
            servers[other].kill().unwrap();
            back(&mut servers[other]).await;
            replicate(&mut servers[other].client().unwrap(), Some(&servers[master]));
            is_replica(&servers[other]).await;
            master
        }
        Change::ReplicaAlone => {
            replicate(&mut servers[other].client().unwrap(), None);
            replicate(&mut servers[other].client().unwrap(), Some(&servers[master]));
            is_replica(&servers[other]).await;
            master
        }
    }
}

/// C1, C2: random changes of two masters with one run following. Behind each, the target is what the master is. `SEQUENCES=50`
/// for more.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_two_servers_do() {
    let Some(binary) = binary("whatever_two_servers_do") else { return };
    let sequences = std::env::var_os("SEQUENCES").map_or(2, |count| count.to_str().unwrap().parse().unwrap());
    for sequence in 0..sequences {
        let mut random = crate::writers::Random(0x9e37_79b9 + sequence);
        let mut servers = [start(&binary, FLAGS), start(&binary, FLAGS)];
        let mut master = 0;
        fill(&servers[0], 500);
        replicate(&mut servers[1].client().unwrap(), Some(&servers[0]));
        is_replica(&servers[1]).await;
        let mut run = Following::start(&[&servers[0], &servers[1]]);
        run.caught_up(&servers[0]).await;
        for _ in 0..6 {
            write(&servers[master], random.below(1 << 40) | 1, 5);
            let what = CHANGES[usize::try_from(random.below(4)).unwrap()];
            master = change(what, &mut servers, master).await;
            write(&servers[master], random.below(1 << 40) | 1, 5);
            run.caught_up(&servers[master]).await;
            assert!(assert_equal(&servers[master], &run.redis) > 100, "{sequence} {what:?}");
        }
        run.end().await;
    }
}
