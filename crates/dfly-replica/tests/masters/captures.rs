//! All sixteen recorded sessions end equal, however their bytes arrive.

use dfly_replica::{EngineConfig, OnStart};
use dfly_testkit::{Capa, MasterOptions, RecordedMaster, Recording};
use dfly_translate::Loss;

use crate::run::{config, differences, redis, replicate, to_the_end};

async fn all(split: Option<usize>) {
    let names = Recording::bundled_names().unwrap();
    assert_eq!(names.len(), 16);
    for name in names {
        let options = MasterOptions { split, ..MasterOptions::default() };
        replicate(Recording::bundled(&name).unwrap(), options).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn as_recorded() {
    all(None).await;
}

/// As a user runs it: values up to the default size are written whole.
#[tokio::test(flavor = "multi_thread")]
async fn with_the_default_limits() {
    for name in ["types-chunked", "types-untagged", "fullsync-under-writes"] {
        let master =
            RecordedMaster::start(Recording::bundled(name).unwrap(), MasterOptions::default()).await.unwrap();
        let redis = redis();
        let mut config = config(&master, &redis);
        config.limits = EngineConfig::new(config.source.clone(), config.target.clone()).limits;
        to_the_end(config, &master).await.unwrap();
        let comparison = differences(&redis, master.recording());
        assert!(comparison.is_equal(), "{name}: {:#?}", comparison.differences);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_pieces_of_1460_bytes() {
    all(Some(1460)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_pieces_of_7_bytes() {
    all(Some(7)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_pieces_of_1_byte() {
    all(Some(1)).await;
}

/// P3: a second run over the same target, which holds other types, TTLs and members by then, changes nothing.
#[tokio::test(flavor = "multi_thread")]
async fn running_twice_changes_nothing() {
    let redis = redis();
    let mut client = redis.client().unwrap();
    for (key, other) in [
        ("list:small", "SADD list:small x y"),
        ("str:1", "RPUSH str:1 a"),
        ("hash:big", "SET hash:big v EX 1000"),
    ] {
        let words: Vec<&[u8]> = other.split(' ').map(str::as_bytes).collect();
        assert!(client.command(&words).unwrap().error().is_none(), "{key}");
    }
    for _ in 0..2 {
        let master =
            RecordedMaster::start(Recording::bundled("types-chunked").unwrap(), MasterOptions::default())
                .await
                .unwrap();
        let mut config = config(&master, &redis);
        config.force_resync = true;
        config.on_start = OnStart::Merge;
        to_the_end(config, &master).await.unwrap();
        let comparison = differences(&redis, master.recording());
        assert!(comparison.is_equal(), "{:#?}", comparison.differences);
    }
}

/// A master before v1.40 answers with four elements.
#[tokio::test(flavor = "multi_thread")]
async fn from_a_master_before_v1_40() {
    let options = MasterOptions { capa: Capa::FourElements, ..MasterOptions::default() };
    replicate(Recording::bundled("journal-4shards").unwrap(), options).await;
}

/// What a plain Redis cannot hold is read to its end and counted by kind.
#[tokio::test(flavor = "multi_thread")]
async fn losses_are_counted_by_kind() {
    let (_, report) =
        replicate(Recording::bundled("types-lz4-2shards").unwrap(), MasterOptions::default()).await;
    let losses: Vec<(Loss, u64)> = report.losses.iter().collect();
    let expected = [
        (Loss::Json, 3),
        (Loss::Bloom, 1),
        (Loss::Cuckoo, 1),
        (Loss::CountMinSketch, 1),
        (Loss::TopK, 1),
        (Loss::Sticky, 1),
    ];
    assert_eq!(losses, expected);
    assert_eq!(report.keys(), 99);
}
