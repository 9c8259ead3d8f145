//! P13: a stream that is cut anywhere leaves no wrong value, and the run ends with an error.

use bytes::Bytes;
use dfly_testkit::{Cut, MasterOptions, RecordedMaster, Recording, RedisServer, Value, What};

use crate::run::{config, differences, redis, to_the_end, until_it_ends, user_keys};
use crate::small;

/// Replicates into an empty target until the cut; the run must end with an error.
async fn cut_run(recording: &Recording, cut: Cut, redis: &RedisServer) {
    let mut client = redis.client().unwrap();
    // The target may still be busy with what the run before had sent.
    while !client.command(&[b"INFO", b"clients"]).unwrap().text().unwrap().contains("connected_clients:1\r") {
    }
    client.expect(&[b"FLUSHALL"]).unwrap();
    drop(client);
    let options = MasterOptions { cut: Some(cut), ..MasterOptions::default() };
    let master = RecordedMaster::start(recording.clone(), options).await.unwrap();
    let end = until_it_ends(config(&master, redis)).await;
    assert!(end.is_err(), "{} with {cut:?} ended well", recording.meta.scenario);
}

/// Keys may be missing behind the cut; none may be different.
async fn cut(recording: &Recording, cut: Cut, redis: &RedisServer) {
    cut_run(recording, cut, redis).await;
    let wrong = differences(redis, recording).differences;
    let wrong: Vec<_> = wrong.iter().filter(|d| d.what != What::Missing).collect();
    assert!(wrong.is_empty(), "{} with {cut:?}: {wrong:#?}", recording.meta.scenario);
}

/// Every byte of a whole flow of a real master, journal included: 600 bytes with every type of value.
#[tokio::test(flavor = "multi_thread")]
async fn a_small_flow_at_every_byte() {
    let recording = small::recording();
    let redis = redis();
    let master = RecordedMaster::start(recording.clone(), MasterOptions::default()).await.unwrap();
    to_the_end(config(&master, &redis), &master).await.unwrap();
    let whole = user_keys(&redis);
    let named = |key: &'static str, db| whole.contains_key(&(db, Bytes::from_static(key.as_bytes())));
    assert!(["k", "st", "h", "x", "i", "l", "z", "s", "after"].iter().all(|key| named(key, 0)), "{whole:?}");
    assert!(["d1", "ctr", "a", "b"].iter().all(|key| named(key, 1)), "{whole:?}");
    let length = recording.sessions[0].flows[0].stream.len();
    for offset in 0..length {
        cut_run(&recording, Cut { session: 0, flow: 0, offset }, &redis).await;
        for (key, value) in user_keys(&redis) {
            // The journal sets this key and deletes it again.
            let passing = key.1 == "during" && value.value == Value::String(Bytes::from_static(b"x"));
            assert!(passing || whole.get(&key) == Some(&value), "cut at {offset}: {key:?} is {value:?}");
        }
    }
}

/// The smallest flow of a recorded snapshot, at every byte with `CUT_STEP=1`.
#[tokio::test(flavor = "multi_thread")]
async fn a_recorded_flow_at_many_bytes() {
    let step = option_env!("CUT_STEP").map_or(499, |step| step.parse().unwrap());
    let redis = redis();
    let recording = Recording::bundled("types-none-3shards").unwrap();
    let (flow, length) = recording.sessions[0]
        .flows
        .iter()
        .map(|flow| flow.stream.len())
        .enumerate()
        .min_by_key(|flow| flow.1)
        .unwrap();
    for offset in (0..length).step_by(step) {
        cut(&recording, Cut { session: 0, flow, offset }, &redis).await;
    }
}

/// The snapshots of recorded sessions at offsets spread over all of them.
#[tokio::test(flavor = "multi_thread")]
async fn recorded_snapshots_at_many_bytes() {
    let step = 9973;
    let redis = redis();
    for name in ["types-chunked", "types-zstd-2shards", "types-lzf-1shard", "types-none-3shards"] {
        let recording = Recording::bundled(name).unwrap();
        for (flow, recorded) in recording.sessions[0].flows.iter().enumerate() {
            let length = recorded.first().len() + recorded.second().len();
            for offset in (flow * 131..length).step_by(step) {
                cut(&recording, Cut { session: 0, flow, offset }, &redis).await;
            }
        }
    }
}
