//! A stream of a live master that is too large to be restored as a whole.

use std::time::Duration;

use dfly_replica::{Engine, EngineConfig, Phase, Report, Stop};
use dfly_testkit::{RedisClient, RedisOptions, RedisServer};
use dfly_translate::{Policy, Rules};
use redis_resp::connection::Peer;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::source::{binary, endpoint, start};
use crate::sync::assert_equal;

/// What is not deleted is above the size up to which a stream is restored as a whole.
const ENTRIES: usize = 1_200;
const ENTRY: usize = 64 << 10;

fn run(client: &mut RedisClient, line: &str) {
    client.expect(&line.split(' ').map(str::as_bytes).collect::<Vec<_>>()).unwrap();
}

/// 1,000 delivered entries that are not acknowledged, half of which are deleted.
fn fill(master: &RedisServer) {
    let mut client = master.client().unwrap();
    let mut state = 7u64;
    for ms in 1..=ENTRIES {
        let noise = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_le_bytes()
        });
        let value: Vec<u8> = noise.take(ENTRY / 8).flatten().collect();
        client.expect(&[b"XADD", b"s", format!("{ms}-1").as_bytes(), b"f", &value]).unwrap();
    }
    run(&mut client, "XGROUP CREATE s g 0");
    for _ in 0..10 {
        run(&mut client, "XREADGROUP GROUP g c COUNT 100 STREAMS s >");
    }
    for ms in (2..=1_000).step_by(2) {
        run(&mut client, &format!("XDEL s {ms}-1"));
    }
}

/// C24: all pending entries are on the target.
#[tokio::test(flavor = "multi_thread")]
async fn pending_entries_that_are_deleted() {
    let Some(binary) = binary("pending_entries_that_are_deleted") else { return };
    let master = start(&binary, &["--proactor_threads=2"]);
    let redis = RedisServer::start(RedisOptions::default()).unwrap();
    fill(&master);
    let mut config = EngineConfig::new(endpoint(Peer::Source, &master), endpoint(Peer::Target, &redis));
    config.rules = Rules::from(Policy::Fail).into();
    let (engine, mut reports) = Engine::new(config);
    let (stop, stopped) = watch::channel(Stop::Running);
    let task = tokio::spawn(engine.run(stopped));
    let is_stable = |report: &Report| report.phase == Phase::StableSync;
    let stable = timeout(Duration::from_secs(120), reports.wait_for(is_stable)).await.is_ok();
    stop.send_replace(Stop::Drain);
    let end = task.await.unwrap();
    assert!(stable, "{end:?}");
    assert_equal(&master, &redis);
    let pending = redis.client().unwrap().expect(&[b"XPENDING", b"s", b"g"]).unwrap();
    assert_eq!(pending.array().unwrap()[0].int(), Some(1_000));
}
