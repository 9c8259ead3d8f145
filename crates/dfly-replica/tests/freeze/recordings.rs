//! The sixteen recorded sessions.

use std::sync::Arc;

use dfly_replica::EngineConfig;
use dfly_testkit::{Dumps, MasterOptions, RecordedMaster, Recording};
use dfly_translate::Rules;
use redis_resp::connection::Credentials;

use crate::run::{Run, config, set_clock};
use crate::shown::{Look, Order, compare};
use crate::target::FakeTarget;

fn without_db_3(config: &mut EngineConfig) {
    let mut rules = Rules::clone(&config.rules);
    rules.selection.dbs = "3=skip".parse().unwrap();
    config.rules = Arc::new(rules);
}

/// Replicates a recording to a target, and compares what came.
async fn replicate(name: &str, target: FakeTarget) {
    let recording = Recording::bundled(name).unwrap();
    set_clock(recording.meta.recorded_at * 1000);
    // Values were not recorded: of keys that are read again none is there.
    let values = Some(Arc::new(Dumps::default()));
    let options = MasterOptions { paced: true, values, ..MasterOptions::default() };
    let master = RecordedMaster::start(recording, options).await.unwrap();
    let mut config = config(master.address(), &target);
    let password = master.recording().password();
    config.source.credentials =
        password.map(|password| Credentials { user: None, password: password.into() });
    if target.is_cluster() {
        without_db_3(&mut config);
    }
    let mut run = Run::start(config);
    run.goes_on_until(master.finished()).await;
    let lsns: Vec<u64> =
        master.recording().sessions.last().unwrap().flows.iter().map(|f| f.final_lsn).collect();
    run.quiet_at(&lsns, &target).await;
    run.stop().await;
    assert_eq!(master.violations(), [""; 0], "{name}");
    let (place, order) = match target.is_cluster() {
        true => ("cluster", Order::SlotBySlot),
        false => ("single", Order::AsSent),
    };
    compare(&format!("recorded-{name}-{place}"), target.take_logs(), Look { lines: 24, ..Look::full(order) });
}

#[tokio::test]
async fn to_a_single_server() {
    for name in Recording::bundled_names().unwrap() {
        replicate(&name, FakeTarget::start(1).await).await;
    }
}

/// All but the longest.
#[tokio::test]
async fn to_a_cluster() {
    let names = Recording::bundled_names().unwrap();
    for name in names.into_iter().filter(|name| name != "fullsync-under-writes") {
        replicate(&name, FakeTarget::start(3).await).await;
    }
}
