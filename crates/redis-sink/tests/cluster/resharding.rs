use dfly_testkit::{ClusterOptions, RedisCluster};

use crate::load::{Load, errors};

/// P9, P18: slots move under load, each with the window of `ASK` held open until nodes have refused by `ASK` and by `TRYAGAIN`.
/// Nothing is missing and nothing is twice.
#[tokio::test]
async fn slots_move_under_load() {
    let cluster = RedisCluster::start(&ClusterOptions::default()).unwrap();
    let mut load = Load::start(&cluster, 24).await;
    for round in 0..16 {
        let slot = load.slots[round % load.slots.len()].slot.0;
        let from = cluster.owner(slot).unwrap();
        let migration = cluster.begin_migration(slot, (from + 1 + round % 2) % 3).unwrap();
        // Two of the four keys are at each end, so a transaction is at home at neither.
        assert_eq!(cluster.move_keys(migration, 2).unwrap(), 2);
        let counted = |code| errors(&cluster, migration.from, code) + errors(&cluster, migration.to, code);
        let before = ["ASK", "TRYAGAIN"].map(counted);
        while ["ASK", "TRYAGAIN"].map(counted).iter().zip(before).any(|(now, before)| *now == before) {
            load.write();
            load.progress().await;
        }
        cluster.finish_migration(migration).unwrap();
        let port = cluster.node(migration.to).unwrap().address().port();
        while load.owner(slot) != port {
            load.write();
            load.progress().await;
        }
    }
    load.finish().await;
    load.check(&cluster);
}

/// Somebody began to move slots and went away. A command of two keys is at home at neither end, if one of its keys is not, but
/// each of the keys is at one of them.
#[tokio::test]
async fn slots_stay_half_moved() {
    let cluster = RedisCluster::start(&ClusterOptions::default()).unwrap();
    let mut load = Load::start(&cluster, 12).await;
    (0..2).for_each(|_| load.write_plain());
    load.finish().await;
    let mut begin = |number: usize| {
        let slot = load.slots[number].slot.0;
        let migration = cluster.begin_migration(slot, (cluster.owner(slot).unwrap() + 1) % 3).unwrap();
        cluster.move_keys(migration, 1 + number % 4).unwrap();
        migration
    };
    let migrations: Vec<_> = (0..12).map(&mut begin).collect();
    for _ in 0..50 {
        load.write_plain();
        load.progress().await;
    }
    load.finish().await;
    let try_again: u64 = (0..3).map(|node| errors(&cluster, node, "TRYAGAIN")).sum();
    assert!(try_again > 0);
    migrations.into_iter().for_each(|migration| cluster.finish_migration(migration).unwrap());
    load.check(&cluster);
}

/// A slot goes to and fro while its units are on their way.
#[tokio::test]
async fn a_slot_goes_to_and_fro() {
    let cluster = RedisCluster::start(&ClusterOptions::default()).unwrap();
    let mut load = Load::start(&cluster, 6).await;
    for round in 0..24 {
        let slot = load.slots[round % 2].slot.0;
        let to = (cluster.owner(slot).unwrap() + 1) % 3;
        for _ in 0..3 {
            load.write();
            load.progress().await;
        }
        cluster.migrate_slot(slot, to).unwrap();
        load.write();
        load.progress().await;
    }
    load.finish().await;
    load.check(&cluster);
    let moved: u64 = (0..3).map(|node| errors(&cluster, node, "MOVED")).sum();
    assert!(moved > 0);
}
