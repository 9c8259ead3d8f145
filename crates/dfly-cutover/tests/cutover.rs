//! Cutovers between a scripted master and a real Redis.

#![expect(clippy::unwrap_used, reason = "a failed expectation must stop the test")]

use std::time::Duration;

use dfly_cutover::{Cutover, Doubt, Method, Plan, Stage, Verified, Verify, Withdrawal};
use dfly_replica::{Engine, EngineConfig, Error, Phase, RateLimits, Report, Stop};
use dfly_testkit::{MasterOptions, RedisOptions, RedisServer, Script, ScriptedMaster};
use redis_resp::connection::{Endpoint, Peer};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(30);

/// A replication that follows its source, and a cutover of it.
struct Run {
    master: ScriptedMaster,
    redis: RedisServer,
    config: EngineConfig,
    control: dfly_replica::Control,
    reports: watch::Receiver<Report>,
    stop: watch::Sender<Stop>,
    task: JoinHandle<Result<Report, Error>>,
}

impl Run {
    async fn start(options: MasterOptions) -> Self {
        let script = Script::new(2).before("SET a 1").before("SET b 2").before("RPUSH l x y");
        let master = ScriptedMaster::start(script, options).await.unwrap();
        let redis = RedisServer::start(RedisOptions::default()).unwrap();
        let at = |peer, address: std::net::SocketAddr| {
            Endpoint::new(peer, address.ip().to_string(), address.port())
        };
        let mut config =
            EngineConfig::new(at(Peer::Source, master.address()), at(Peer::Target, redis.address()));
        config.report_interval = Duration::from_millis(10);
        let (engine, mut reports) = Engine::new(config.clone());
        let control = engine.control();
        let (stop, stopped) = watch::channel(Stop::Running);
        let task = tokio::spawn(engine.run(stopped));
        let follows = |report: &Report| report.phase == Phase::StableSync && report.is_in_sync();
        assert!(timeout(LIMIT, reports.wait_for(follows)).await.is_ok(), "{:?}", reports.borrow());
        Self { master, redis, config, control, reports, stop, task }
    }

    fn cut_over(&self, plan: Plan) -> (watch::Receiver<Stage>, watch::Sender<bool>) {
        let (stage, shown) = watch::channel(Stage::default());
        let (release, released) = watch::channel(false);
        let (config, control, reports) = (self.config.clone(), self.control.clone(), self.reports.clone());
        tokio::spawn(Cutover { config, plan, control, reports, stage, released }.run());
        (shown, release)
    }

    /// How many times the source was told this.
    fn told(&self, what: &[&str]) -> usize {
        let is_it = |command: &Vec<bytes::Bytes>| {
            command
                .iter()
                .map(|word| word.to_ascii_uppercase())
                .take(what.len())
                .eq(what.iter().map(|word| word.as_bytes().to_vec()))
        };
        self.master.commands().iter().filter(|command| is_it(command)).count()
    }

    /// The target takes a few commands a second, and the source writes more. Gives how many keys it has written.
    async fn lag_behind(&self) -> u64 {
        let few = RateLimits { target_ops_per_second: Some(10), ..RateLimits::default() };
        self.control.limit(few).await.unwrap();
        let mut keys = 0;
        let lags =
            |report: &Report| report.flows.iter().any(|flow| flow.lag.is_some_and(|lag| lag.records > 100));
        while timeout(Duration::from_millis(20), self.reports.clone().wait_for(lags)).await.is_err() {
            assert!(keys < 100_000, "it does not lag: {:?}", self.reports.borrow());
            for _ in 0..20 {
                self.master.apply(format!("SET k{keys} v").as_str()).unwrap();
                keys += 1;
            }
        }
        keys
    }

    async fn end(self) {
        self.stop.send_replace(Stop::Drain);
        drop(timeout(LIMIT, self.task).await);
    }
}

async fn decided(stage: &mut watch::Receiver<Stage>) -> Stage {
    timeout(LIMIT, stage.wait_for(Stage::is_decided)).await.unwrap().unwrap().clone()
}

async fn ended(stage: &mut watch::Receiver<Stage>) -> Stage {
    timeout(LIMIT, stage.wait_for(|stage| !stage.is_running())).await.unwrap().unwrap().clone()
}

const PAUSE: [&str; 2] = ["CLIENT", "PAUSE"];
const UNPAUSE: [&str; 2] = ["CLIENT", "UNPAUSE"];

#[tokio::test(flavor = "multi_thread")]
async fn writes_are_stopped_until_it_is_released() {
    let run = Run::start(MasterOptions::default()).await;
    run.master.apply("SET a 10").unwrap();
    let (mut stage, release) = run.cut_over(Plan::default());
    let Stage::Safe { evidence } = decided(&mut stage).await else { panic!("{}", *stage.borrow()) };
    assert_eq!(evidence.source, run.master.lsns());
    assert!(evidence.stopped_for.is_some());
    assert_eq!(run.told(&UNPAUSE), 0, "writes stay stopped");
    let told = run.told(&PAUSE);
    let renewed = async {
        while run.told(&PAUSE) < told + 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(timeout(LIMIT, renewed).await.is_ok(), "the pause is renewed");
    release.send_replace(true);
    let last = ended(&mut stage).await;
    assert!(matches!(&last, Stage::Released { withdrawn: None, evidence: Some(_) }), "{last}");
    assert_eq!(run.told(&UNPAUSE), 1);
    run.end().await;
}

/// The target gets what comes late, and it is told.
#[tokio::test(flavor = "multi_thread")]
async fn a_write_behind_it_withdraws_the_verdict() {
    let run = Run::start(MasterOptions::default()).await;
    let (mut stage, release) = run.cut_over(Plan { verify: Verify::None, ..Plan::default() });
    assert!(matches!(decided(&mut stage).await, Stage::Safe { .. }));
    run.master.apply("DEL b").unwrap();
    run.master.apply("SET late 1").unwrap();
    let withdrawn = |stage: &Stage| matches!(stage, Stage::Withdrawn { .. });
    let told = timeout(LIMIT, stage.wait_for(withdrawn)).await.unwrap().unwrap().clone();
    assert!(
        matches!(told, Stage::Withdrawn { because: Withdrawal::Written { records: 1 }, .. }),
        "a deletion may be an expiry: {told}"
    );
    release.send_replace(true);
    assert!(matches!(
        ended(&mut stage).await,
        Stage::Released { withdrawn: Some(Withdrawal::Written { records: 1 }), .. }
    ));
    let late = run.redis.client().unwrap().expect(&[b"GET", b"late"]).unwrap().text();
    assert_eq!(late.as_deref(), Some("1"));
    run.end().await;
}

/// A target without persistence is killed: what was safe is gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_has_lost_its_data_withdraws_the_verdict() {
    let mut run = Run::start(MasterOptions::default()).await;
    let (mut stage, release) = run.cut_over(Plan { verify: Verify::None, ..Plan::default() });
    assert!(matches!(decided(&mut stage).await, Stage::Safe { .. }));
    run.redis.restart().unwrap();
    let copied = |stage: &Stage| matches!(stage, Stage::Withdrawn { because: Withdrawal::CopiedAgain, .. });
    let told = timeout(LIMIT, stage.wait_for(copied)).await.unwrap().unwrap().clone();
    assert!(told.to_string().contains("NOT safe any more"), "{told}");
    release.send_replace(true);
    let last = ended(&mut stage).await;
    let copied = Some(Withdrawal::CopiedAgain);
    assert!(matches!(&last, Stage::Released { withdrawn, .. } if *withdrawn == copied), "{last}");
    run.end().await;
}

/// Whatever was known when the target died, it does not end as safe, and writes go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_dies_while_writes_are_stopped_is_not_safe() {
    for verify in [Verify::None, Verify::Recent] {
        let mut run = Run::start(MasterOptions::default()).await;
        let plan = Plan { verify, timeout: Duration::from_secs(2), ..Plan::default() };
        let (mut stage, release) = run.cut_over(plan);
        while run.told(&PAUSE) == 0 {
            tokio::task::yield_now().await;
        }
        run.redis.restart().unwrap();
        let is_unsafe = |stage: &Stage| matches!(stage, Stage::Undone { .. } | Stage::Withdrawn { .. });
        timeout(LIMIT, stage.wait_for(is_unsafe)).await.unwrap().unwrap();
        release.send_replace(true);
        let last = ended(&mut stage).await;
        let is_clean = matches!(last, Stage::Released { withdrawn: None, .. });
        assert!(!is_clean, "{last}");
        assert_eq!(run.told(&UNPAUSE), 1, "{last}");
        run.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_changed_last_is_compared_and_repaired() {
    let run = Run::start(MasterOptions::default()).await;
    run.control.remember_keys(true).await.unwrap();
    // Every flow has heard of it when it has heard of what came behind it.
    run.control.pause().await.unwrap();
    run.control.resume().await.unwrap();
    run.master.apply("SET a 10").unwrap();
    run.master.apply("RPUSH l z").unwrap();
    run.control.reach(run.master.lsns().into_iter().map(dfly_journal::Lsn).collect()).await.unwrap();
    run.redis.client().unwrap().expect(&[b"SET", b"a", b"damaged"]).unwrap();
    // The cutover remembers keys anew, so it is begun by hand where it goes on from those.
    let recent = run.control.recent_keys().await.unwrap();
    assert_eq!(recent.len(), 2);
    let (mut stage, release) = run.cut_over(Plan { verify: Verify::Full, ..Plan::default() });
    let Stage::Safe { evidence } = decided(&mut stage).await else { panic!("{}", *stage.borrow()) };
    assert!(evidence.verified.is_some());
    let a = run.redis.client().unwrap().expect(&[b"GET", b"a"]).unwrap().text();
    assert_eq!(a.as_deref(), Some("10"), "it was repaired");
    release.send_replace(true);
    ended(&mut stage).await;
    run.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_does_not_pause_is_left_as_it_is() {
    let refused = vec![("CLIENT PAUSE", "NOPERM no permission to run 'client'")];
    let run = Run::start(MasterOptions { refused, ..MasterOptions::default() }).await;
    let (mut stage, _release) = run.cut_over(Plan::default());
    let last = decided(&mut stage).await;
    assert!(
        matches!(&last, Stage::Undone { doubt: Doubt::NotStopped(why) } if why.contains("NOPERM")),
        "{last}"
    );
    run.end().await;
}

/// Whatever is in doubt lets writes go on.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_does_not_answer_lets_writes_go_on() {
    let run = Run::start(MasterOptions::default()).await;
    run.redis.pause().unwrap();
    run.master.apply("SET a 11").unwrap();
    let timeout = Duration::from_millis(700);
    let small_lag = Duration::from_secs(20);
    let plan = Plan { timeout, small_lag, verify: Verify::None, ..Plan::default() };
    let (mut stage, _release) = run.cut_over(plan);
    let last = decided(&mut stage).await;
    assert_eq!(last, Stage::Undone { doubt: Doubt::NotReached(700) }, "{last}");
    assert_eq!(run.told(&UNPAUSE), 1);
    run.redis.resume().unwrap();
    run.end().await;
}

/// What compares connects before writes are stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_compared_stops_nothing() {
    let run = Run::start(MasterOptions::default()).await;
    run.redis.pause().unwrap();
    let plan = Plan { timeout: Duration::from_millis(700), ..Plan::default() };
    let (mut stage, _release) = run.cut_over(plan);
    let last = ended(&mut stage).await;
    assert!(
        matches!(&last, Stage::Undone { doubt: Doubt::NotCompared(why) } if why.contains("within 700 ms")),
        "{last}"
    );
    assert_eq!(run.told(&["CLIENT"]), 0);
    run.redis.resume().unwrap();
    run.end().await;
}

/// A lag that does not end within the time that writes may be stopped: they go on, and come to the target like all others.
#[tokio::test(flavor = "multi_thread")]
async fn a_lag_that_does_not_end_lets_writes_go_on() {
    let run = Run::start(MasterOptions::default()).await;
    let keys = run.lag_behind().await;
    let (limit, small_lag) = (Duration::from_millis(700), Duration::from_secs(600));
    let plan = Plan { timeout: limit, small_lag, verify: Verify::None, ..Plan::default() };
    let (mut stage, _release) = run.cut_over(plan);
    let last = ended(&mut stage).await;
    assert_eq!(last, Stage::Undone { doubt: Doubt::NotReached(700) }, "{last}");
    assert!(run.told(&PAUSE) >= 1);
    assert_eq!(run.told(&UNPAUSE), 1, "writes go on");
    run.control.limit(RateLimits::default()).await.unwrap();
    let all = run.master.lsns().into_iter().map(dfly_journal::Lsn).collect();
    timeout(LIMIT, run.control.reach(all)).await.unwrap().unwrap();
    let last = format!("k{}", keys - 1);
    let last = run.redis.client().unwrap().expect(&[b"GET", last.as_bytes()]).unwrap().text();
    assert_eq!(last.as_deref(), Some("v"));
    run.end().await;
}

/// A lag that does not become small: nothing is stopped.
#[tokio::test(flavor = "multi_thread")]
async fn a_lag_that_stays_large_stops_nothing() {
    let run = Run::start(MasterOptions::default()).await;
    run.lag_behind().await;
    let (patience, small_lag) = (Duration::from_millis(700), Duration::ZERO);
    let (mut stage, _release) = run.cut_over(Plan { patience, small_lag, ..Plan::default() });
    let last = ended(&mut stage).await;
    assert!(
        matches!(&last, Stage::Undone { doubt: Doubt::NotNear(why) } if why.contains("records and")),
        "{last}"
    );
    assert_eq!(run.told(&["CLIENT"]), 0);
    run.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_stops_nothing() {
    let run = Run::start(MasterOptions::default()).await;
    let (mut stage, _release) = run.cut_over(Plan { is_dry: true, ..Plan::default() });
    assert!(matches!(decided(&mut stage).await, Stage::DryRun { .. }));
    assert_eq!(run.told(&["CLIENT"]), 0);
    run.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn somebody_else_may_have_stopped_writes() {
    let run = Run::start(MasterOptions::default()).await;
    let (mut stage, release) = run.cut_over(Plan { method: Method::None, ..Plan::default() });
    let Stage::Safe { evidence } = decided(&mut stage).await else { panic!("{}", *stage.borrow()) };
    assert_eq!((evidence.stopped_for, evidence.verified), (None, Some(Verified::default())));
    release.send_replace(true);
    assert!(matches!(ended(&mut stage).await, Stage::Released { withdrawn: None, .. }));
    assert_eq!(run.told(&["CLIENT"]), 0);
    run.end().await;
}
