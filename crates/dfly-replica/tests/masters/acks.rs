//! What the master is told, and when.

use dfly_replica::{Engine, Stop};
use dfly_testkit::{Hold, MasterOptions, RecordedMaster, Recording};
use tokio::sync::watch;

use crate::run::{config, redis, replicate};

/// P19: at the end the ACKs are what the recorded replica's were, and never more at any time. The master itself counts
/// an ACK beyond what it has sent as a violation.
#[tokio::test(flavor = "multi_thread")]
async fn end_where_the_recorded_replica_ended() {
    for name in Recording::bundled_names().unwrap() {
        let recording = Recording::bundled(&name).unwrap();
        let (master, report) = replicate(recording, MasterOptions::default()).await;
        let sessions = &master.recording().sessions;
        for (s, session) in sessions.iter().enumerate() {
            for (f, flow) in session.flows.iter().enumerate() {
                let acks = master.acks(s, f);
                assert_eq!(acks.last(), Some(&flow.final_lsn), "{name} session {s} flow {f}");
                assert!(acks.is_sorted(), "{name}: {acks:?}");
                assert!(flow.acks.iter().all(|ack| *ack <= flow.final_lsn), "{name}");
            }
        }
        let finals: Vec<u64> = sessions.last().unwrap().flows.iter().map(|flow| flow.final_lsn).collect();
        let durable: Vec<u64> = report.flows.iter().map(|flow| flow.positions.unwrap().durable.0).collect();
        assert_eq!(durable, finals, "{name}");
    }
}

/// P20: STARTSTABLE waits for the slowest flow, and the others are read meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn startstable_waits_for_every_flow() {
    let recording = Recording::bundled("types-none-3shards").unwrap();
    let firsts: Vec<usize> = recording.sessions[0].flows.iter().map(|flow| flow.first().len()).collect();
    let hold = Hold { session: 0, flow: 1, bytes: 9 };
    let options = MasterOptions { hold: Some(hold), ..MasterOptions::default() };
    let redis = redis();
    let master = RecordedMaster::start(recording, options).await.unwrap();
    let (engine, _reports) = Engine::new(config(&master, &redis));
    let (stop, stopped) = watch::channel(Stop::Running);
    let run = tokio::spawn(engine.run(stopped));
    for (flow, first) in firsts.iter().enumerate() {
        master.sent_at_least(0, flow, first - if flow == 1 { 9 } else { 0 }).await;
    }
    let asked =
        |master: &RecordedMaster| master.commands().iter().any(|c| c.iter().any(|w| w == "STARTSTABLE"));
    assert!(!asked(&master), "{:?}", master.commands());
    master.release();
    master.finished().await;
    assert!(asked(&master));
    assert_eq!(master.violations(), [""; 0]);
    stop.send_replace(Stop::Drain);
    run.await.unwrap().unwrap();
}
