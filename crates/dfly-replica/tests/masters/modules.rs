//! Every recording into servers with modules: documents are the same, and filters know what was added to them.
//!
//! Runs where `DF2REDIS_TARGETS` names a folder with a server that has the modules, as
//! `crates/dfly-testkit/targets/fetch.sh` leaves it (`make test-targets`).

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use bytes::Bytes;
use dfly_testkit::{MasterOptions, RecordedMaster, Recording, RedisOptions, RedisServer, Reply, Value};
use dfly_translate::Loss;

use crate::run::{config, differences, to_the_end};

fn program() -> Option<PathBuf> {
    let folder = std::env::var_os("DF2REDIS_TARGETS")?;
    Some(PathBuf::from(folder).join("redis-7.4-modules")).filter(|program| program.exists())
}

/// Documents, compared as documents: a text may be spaced otherwise.
fn check_documents(redis: &RedisServer, recording: &Recording) -> usize {
    let mut client = redis.client().unwrap();
    let mut checked = 0;
    for row in recording.expected() {
        if let Value::Json(text) = &row.value {
            client.select(row.db).unwrap();
            let found = client.expect(&[b"JSON.GET", &row.key]).unwrap().bytes().unwrap_or_default();
            let read = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
            assert_eq!(read(&found), read(text), "{} {:?}", recording.meta.scenario, row.key);
            checked += 1;
        }
    }
    checked
}

/// What the journal has put into filters that it has made.
fn added(recording: &Recording) -> BTreeMap<Bytes, BTreeSet<Bytes>> {
    let mut filters: BTreeMap<Bytes, BTreeSet<Bytes>> = BTreeMap::new();
    for words in recording.journal_commands() {
        match words.as_slice() {
            [name, key, items @ ..] if name == "BF.ADD" || name == "BF.MADD" => {
                filters.entry(key.clone()).or_default().extend(items.iter().cloned());
            }
            _ => {}
        }
    }
    filters
}

fn check_filters(redis: &RedisServer, recording: &Recording) -> usize {
    let mut client = redis.client().unwrap();
    let mut checked = 0;
    for (key, items) in added(recording) {
        // One of the snapshot was left out as a whole.
        if client.expect(&[b"EXISTS", &key]).unwrap() == Reply::Int(0) {
            continue;
        }
        for item in items {
            let there = client.expect(&[b"BF.EXISTS", &key, &item]).unwrap();
            assert_eq!(there, Reply::Int(1), "{} {key:?} {item:?}", recording.meta.scenario);
            checked += 1;
        }
    }
    checked
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_and_filters() {
    let Some(program) = program() else { return };
    let (mut documents, mut items) = (0, 0);
    for name in Recording::bundled_names().unwrap() {
        let recording = Recording::bundled(&name).unwrap();
        let options = RedisOptions { program: program.clone().into(), ..RedisOptions::default() };
        let redis = RedisServer::start(options).unwrap();
        let master = RecordedMaster::start(recording, MasterOptions::default()).await.unwrap();
        let report = to_the_end(config(&master, &redis), &master).await.unwrap();
        let recording = master.recording();
        let module = recording.expected().iter().filter(|row| !row.value.is_redis_type());
        let module: BTreeSet<_> = module.map(|row| (row.db, row.key.clone())).collect();
        let mut comparison = differences(&redis, recording);
        comparison.differences.retain(|at| !module.contains(&(at.db, at.key.clone())));
        assert!(comparison.is_equal(), "{name}: {:#?}", comparison.differences);
        documents += check_documents(&redis, recording);
        items += check_filters(&redis, recording);
        assert!(report.losses.iter().all(|(loss, _)| loss != Loss::Json), "{}", report.losses);
    }
    assert!(documents > 20 && items > 0, "{documents} documents, {items} items");
}
