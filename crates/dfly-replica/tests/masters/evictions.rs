//! C11: targets that evict keys when their memory is full.

use std::time::Duration;

use dfly_replica::{Error, Report};
use dfly_testkit::{MasterOptions, RedisClient, RedisOptions, RedisServer, Script, ScriptedMaster};
use tokio::time::{interval, timeout};

use crate::run::{redis, user_keys};
use crate::workload::{LIMIT, Run, patient};

async fn master(script: Script) -> ScriptedMaster {
    ScriptedMaster::start(script, MasterOptions::default()).await.unwrap()
}

fn evicting() -> RedisServer {
    let args = ["--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"].map(str::to_owned).into();
    RedisServer::start(RedisOptions { args, ..RedisOptions::default() }).unwrap()
}

fn set(client: &mut RedisClient, name: &str, value: &str) {
    client.expect(&[b"CONFIG", b"SET", name.as_bytes(), value.as_bytes()]).unwrap();
}

/// Nothing is written, and the settings are named.
#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_evicts_is_refused() {
    let run = Run::go_on_with(master(Script::new(1).before("SET k v")).await, evicting(), patient);
    let (task, redis) = (run.task, run.redis);
    let error = timeout(LIMIT, task).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, Error::Unfit { .. }), "{error}");
    let text = error.to_string();
    assert!(text.contains("allkeys-lru") && text.contains("104857600 bytes"), "{text}");
    assert!(user_keys(&redis).is_empty());
}

/// Writes keys, for which others go, until the run tells of it. What goes before its first look is not counted.
async fn sees_evictions(run: &mut Run) -> Report {
    let evicts = |report: &Report| {
        let is_told = report.events.iter().any(|event| event.text.contains("has evicted"));
        report.evicted_keys > 0 && is_told
    };
    let (mut client, mut pace) = (run.redis.client().unwrap(), interval(Duration::from_millis(20)));
    let write = async {
        for n in 0_u64.. {
            pace.tick().await;
            client.command(&[b"SET", format!("other{n}").as_bytes(), b"v"]).unwrap();
        }
    };
    tokio::select! {
        ended = &mut run.task => panic!("the run ended by itself: {ended:?}"),
        seen = timeout(LIMIT, run.reports.wait_for(evicts)) => seen.unwrap().unwrap().clone(),
        () = write => unreachable!("it goes on for ever"),
    }
}

/// Where it is allowed, what is evicted is counted and told.
#[tokio::test(flavor = "multi_thread")]
async fn evicted_keys_are_counted() {
    let script = (0..500).fold(Script::new(1), |script, n| script.before(format!("SET k{n} v").as_str()));
    let mut run = Run::go_on_with(master(script).await, evicting(), |config| {
        patient(config);
        config.allows_evictions = true;
        config.eviction_interval = Duration::from_millis(20);
    });
    run.caught_up().await;
    let mut client = run.redis.client().unwrap();
    // Only keys with an expiry are evicted, so the positions stay.
    set(&mut client, "maxmemory-policy", "volatile-ttl");
    for n in 0..500 {
        run.master.apply(format!("PEXPIREAT k{n} 1990000000123").as_str()).unwrap();
    }
    run.caught_up().await;
    set(&mut client, "maxmemory", "1");
    let report = sees_evictions(&mut run).await;
    assert!(report.events.iter().all(|event| !event.text.contains("positions of this tool")), "{report:?}");
}

/// Keys of this tool may go too: that is told, and everything is synchronised again.
#[tokio::test(flavor = "multi_thread")]
async fn evicted_positions_are_named() {
    let mut run = Run::go_on_with(master(Script::new(1).before("SET k v")).await, redis(), |config| {
        patient(config);
        config.allows_evictions = true;
        config.eviction_interval = Duration::from_millis(20);
        // Only the watch is to notice.
        config.target_keepalive = Duration::from_secs(600);
    });
    run.caught_up().await;
    let mut client = run.redis.client().unwrap();
    set(&mut client, "maxmemory-policy", "allkeys-random");
    set(&mut client, "maxmemory", "1");
    let report = sees_evictions(&mut run).await;
    assert!(report.events.iter().any(|event| event.text.contains("positions of this tool")), "{report:?}");
}
