//! Full sync and journal under load end equal.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use dfly_replica::{Engine, EngineConfig, Report, Stop};
use dfly_testkit::{CanonicalValue, RedisOptions, RedisServer, Value, keyspace};
use dfly_translate::{Policy, Rules};
use redis_resp::connection::Peer;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::source::{binary, endpoint, offsets, start};
use crate::writers::{fill, write};

const LIMIT: Duration = Duration::from_secs(180);

/// Replicates while four writers write; gives the last report when everything that was written has arrived.
async fn under_load(master: &RedisServer, redis: &RedisServer, rounds: usize) -> Report {
    let mut config = EngineConfig::new(endpoint(Peer::Source, master), endpoint(Peer::Target, redis));
    config.rules = Rules::from(Policy::Skip).into();
    config.report_interval = Duration::from_millis(50);
    let (engine, mut reports) = Engine::new(config);
    let (stop, stopped) = watch::channel(Stop::Running);
    let run = tokio::spawn(engine.run(stopped));
    thread::scope(|scope| {
        for seed in 1..=4 {
            scope.spawn(move || write(master, seed * 0x9e37_79b9, rounds));
        }
    });
    let wanted = offsets(&mut master.client().unwrap());
    let arrived = |report: &Report| {
        let durable = report.flows.iter().map(|flow| flow.positions.map_or(0, |at| at.durable.0));
        let quiet = report.flows.iter().all(|flow| flow.refetching == 0);
        quiet
            && report.flows.len() == wanted.len()
            && durable.zip(&wanted).all(|(durable, wanted)| durable >= *wanted)
    };
    let caught_up = timeout(LIMIT, reports.wait_for(arrived)).await;
    let seen = caught_up.map(|report| report.map(|report| report.clone()));
    stop.send_replace(Stop::Drain);
    let end = run.await.unwrap();
    assert!(seen.is_ok(), "not caught up in time: wanted {wanted:?}, ended {end:?}");
    end.unwrap()
}

/// Everything but when a consumer was last active, which a Redis 7.0 does not keep.
fn comparable(server: &RedisServer) -> BTreeMap<(u32, Bytes), CanonicalValue> {
    let mut keys = keyspace(&mut server.client().unwrap()).unwrap();
    keys.retain(|(_, key), _| !key.starts_with(b"df2redis:"));
    for value in keys.values_mut() {
        if let Value::Stream(stream) = &mut value.value {
            let consumers = stream.info.groups.values_mut().flat_map(|group| group.consumers.values_mut());
            consumers.for_each(|consumer| consumer.active_at_ms = None);
        }
    }
    keys
}

pub(crate) fn assert_equal(master: &RedisServer, redis: &RedisServer) -> usize {
    let held = comparable(master);
    let found = comparable(redis);
    let differs = |key: &&(u32, Bytes)| held.get(*key) != found.get(*key);
    let all: BTreeMap<&(u32, Bytes), ()> = held.keys().chain(found.keys()).map(|key| (key, ())).collect();
    let different: Vec<_> = all.into_keys().filter(differs).take(5).collect();
    let show = |side: &BTreeMap<(u32, Bytes), CanonicalValue>| {
        different.iter().map(|key| format!("{key:?} {:?}", side.get(*key))).collect::<Vec<_>>()
    };
    assert!(different.is_empty(), "master {:#?}\ntarget {:#?}", show(&held), show(&found));
    held.len()
}

async fn run(binary: &std::ffi::OsString, flags: &[&str]) {
    let (master, redis) = (start(binary, flags), RedisServer::start(RedisOptions::default()).unwrap());
    fill(&master, 20_000);
    let report = under_load(&master, &redis, 1500).await;
    let keys = assert_equal(&master, &redis);
    assert!(report.records() > 1000, "{flags:?}: {} records, {keys} keys", report.records());
}

#[tokio::test(flavor = "multi_thread")]
async fn several_shapes_of_master() {
    let Some(binary) = binary("several_shapes_of_master") else { return };
    for flags in [
        &["--proactor_threads=1"][..],
        &["--proactor_threads=3"],
        &["--proactor_threads=2", "--compression_mode=2", "--serialization_max_chunk_size=2048"],
        &["--proactor_threads=2", "--compression_mode=1", "--serialization_tagged_chunks=false"],
    ] {
        run(&binary, flags).await;
    }
}
