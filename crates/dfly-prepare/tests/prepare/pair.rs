//! A scripted master and a real Redis, as they should be.

use std::net::SocketAddr;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dfly_prepare::{Check, Finding, Prepare, Report, Severity, Skipped, by_system};
use dfly_replica::{EngineConfig, Error};
use dfly_testkit::{MasterOptions, RedisOptions, RedisServer, Script, ScriptedMaster};
use redis_resp::connection::{Credentials, Endpoint, Peer};
use tempfile::TempDir;

/// A pair of servers and a folder for the state.
pub(crate) struct Pair {
    pub master: ScriptedMaster,
    pub redis: RedisServer,
    pub state: TempDir,
}

/// The system's time, as the master tells it.
pub(crate) fn time() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

/// A master that answers as a real one does.
pub(crate) fn options() -> MasterOptions {
    MasterOptions { clock: Some(time), ..MasterOptions::default() }
}

/// A few keys of core types.
pub(crate) fn script() -> Script {
    let script =
        (0..200).fold(Script::new(2), |script, n| script.before(format!("SET k{n} value-{n}").as_str()));
    script.before("RPUSH list a b c").before("HSET hash f v").before("SADD set a b").before("ZADD zset 1.5 a")
}

/// A server that keeps what it acknowledges.
pub(crate) fn redis(args: &[&str]) -> RedisServer {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    RedisServer::start(RedisOptions { append_only: true, args, ..RedisOptions::default() }).unwrap()
}

pub(crate) fn endpoint(peer: Peer, at: SocketAddr) -> Endpoint {
    Endpoint {
        connect_timeout: Duration::from_secs(3),
        ..Endpoint::new(peer, at.ip().to_string(), at.port())
    }
}

/// What is told instead of a hint.
fn advice(error: &Error) -> String {
    format!("see to it: {error}")
}

impl Pair {
    pub(crate) async fn new(script: Script, args: &[&str]) -> Self {
        Self::with(script, options(), args).await
    }

    pub(crate) async fn with(script: Script, options: MasterOptions, args: &[&str]) -> Self {
        let master = ScriptedMaster::start(script, options).await.unwrap();
        Self { master, redis: redis(args), state: tempfile::tempdir().unwrap() }
    }

    /// The settings of a run.
    pub(crate) fn config(&self) -> EngineConfig {
        let mut config = EngineConfig::new(
            endpoint(Peer::Source, self.master.address()),
            endpoint(Peer::Target, self.redis.address()),
        );
        config.state_dir = Some(self.state.path().to_owned());
        config
    }

    /// What is found with these changes of the settings.
    pub(crate) async fn found(&self, change: impl FnOnce(&mut EngineConfig)) -> Report {
        let mut config = self.config();
        change(&mut config);
        prepare(config).run().await
    }

    /// The settings of a user of the target with these rules behind `+@all`.
    pub(crate) fn limited(&self, rules: &str) -> EngineConfig {
        let user: String = rules.chars().filter(char::is_ascii_alphanumeric).collect();
        let words = ["ACL", "SETUSER", &user, "on", ">secret", "~*", "+@all"];
        let words: Vec<&[u8]> = words.into_iter().chain(rules.split(' ')).map(str::as_bytes).collect();
        self.redis.client().unwrap().expect(&words).unwrap();
        let mut config = self.config();
        config.target.credentials = Some(Credentials { user: Some(user), password: "secret".into() });
        config
    }
}

pub(crate) fn prepare(config: EngineConfig) -> Prepare {
    let (skipped, resolve, now) = (Skipped::default(), by_system, Instant::now);
    Prepare { config, skipped, measures: false, advice, resolve, now }
}

/// The first finding of a check.
pub(crate) fn of(report: &Report, check: Check) -> &Finding {
    let found = report.findings.iter().find(|finding| finding.check == check);
    found.unwrap_or_else(|| panic!("nothing was found of {check}: {report:#?}"))
}

/// It was found, is as bad as this, and says these words.
#[track_caller]
pub(crate) fn assert_found(report: &Report, check: Check, severity: Severity, words: &str) {
    let finding = of(report, check);
    assert_eq!(finding.severity, severity, "{finding:?}");
    let sentence = finding.sentence();
    assert!(sentence.contains(words), "{check}: \"{sentence}\" lacks \"{words}\"");
    assert!(finding.remedy.as_ref().is_some_and(|remedy| !remedy.is_empty()), "{finding:?}");
}

/// Nothing but these checks warns or blocks.
#[track_caller]
pub(crate) fn assert_only(report: &Report, checks: &[Check]) {
    let bad = report.findings.iter().filter(|finding| finding.severity != Severity::Ok);
    let other: Vec<&Finding> = bad.filter(|finding| !checks.contains(&finding.check)).collect();
    assert!(other.is_empty(), "{other:#?}");
}
