//! The recorded master.

use std::time::Duration;

use dfly_testkit::{Cut, Hold, Mangle, MasterOptions, RecordedMaster, Recording, SessionRecording};
use tokio::time::timeout;

use crate::client::Session;

const PATIENCE: Duration = Duration::from_secs(20);

async fn master(name: &str, options: MasterOptions) -> RecordedMaster {
    RecordedMaster::start(Recording::bundled(name).unwrap(), options).await.unwrap()
}

fn sizes(session: &SessionRecording) -> (Vec<usize>, Vec<usize>) {
    session.flows.iter().map(|flow| (flow.first().len(), flow.second().len())).unzip()
}

/// Runs every session of the recording as its replica did and checks every byte.
async fn replay(name: &str, options: MasterOptions) {
    let master = master(name, options).await;
    let sessions = master.recording().sessions.clone();
    for (k, recorded) in sessions.iter().enumerate() {
        let mut session = replay_session(&master, recorded).await;
        if k + 1 < sessions.len() {
            assert!(session.control.read_to_end().await.is_empty(), "the cut that was recorded comes");
        } else {
            timeout(PATIENCE, master.finished()).await.expect("everything was sent and acknowledged");
            assert!(session.control.is_silent(), "the last session stays open");
            assert_eq!(session.control.ask("PING").await, "+PONG");
        }
        for flow in &recorded.flows {
            assert_eq!(master.acks(k, flow.flow), [flow.final_lsn]);
        }
    }
    assert_eq!(master.violations(), [""; 0], "{name}");
}

async fn replay_session(master: &RecordedMaster, recorded: &SessionRecording) -> Session {
    let auth = master.recording().password().map(|password| format!("AUTH {password}"));
    let lsns: Vec<u64> = recorded.flows.iter().filter_map(|flow| flow.lsn).collect();
    let mut session = Session::begin(master.address(), &lsns, auth.as_deref()).await;
    assert_eq!(session.repl_id, recorded.repl_id);
    let streams = if recorded.is_partial() {
        assert_eq!(session.start_stable().await, "+OK");
        session.read_flows(&recorded.flows.iter().map(|flow| flow.stream.len()).collect::<Vec<_>>()).await
    } else {
        let (firsts, seconds) = sizes(recorded);
        session.run_full(&firsts, &seconds).await
    };
    for (flow, stream) in recorded.flows.iter().zip(&streams) {
        assert_eq!(session.granted[flow.flow].1, flow.token);
        assert!(*stream == flow.stream, "{}: flow {} differs", recorded.repl_id, flow.flow);
        session.ack(flow.flow, flow.final_lsn).await;
    }
    session
}

#[tokio::test]
async fn every_recording_comes_byte_by_byte_as_it_was() {
    for name in Recording::bundled_names().unwrap() {
        replay(&name, MasterOptions::default()).await;
    }
}

#[tokio::test]
async fn pieces_of_any_size_are_the_same_bytes() {
    for split in [1, 7, 1460] {
        replay("flushall-in-stable", MasterOptions { split: Some(split), ..MasterOptions::default() }).await;
    }
}

#[tokio::test]
async fn a_cut_comes_after_exactly_that_many_bytes() {
    let recording = Recording::bundled("journal-4shards").unwrap();
    let flow = &recording.sessions[0].flows[2];
    let offsets = [0, 1, 100, flow.fullsync_end, flow.first_len, flow.token_end - 1, flow.stream.len() - 1];
    for offset in offsets {
        let cut = Some(Cut { session: 0, flow: 2, offset });
        let master = master("journal-4shards", MasterOptions { cut, ..MasterOptions::default() }).await;
        let mut session = Session::begin(master.address(), &[], None).await;
        assert_eq!(session.sync().await, "+OK");
        if offset > flow.first_len {
            session.read_flows(&sizes(&recording.sessions[0]).0).await;
            session.send_start_stable().await;
            let read = session.flows[2].read_to_end().await.len();
            assert_eq!(flow.first_len + read, offset);
        } else {
            assert_eq!(session.flows[2].read_to_end().await.len(), offset);
        }
        session.flows[0].read_to_end().await;
        session.control.read_to_end().await;
        assert_eq!(master.sent(0, 2), offset);
    }
}

#[tokio::test]
async fn p20_start_stable_before_every_fullsync_end_is_noticed() {
    let recorded = Recording::bundled("journal-4shards").unwrap().sessions[0].clone();
    for held in [true, false] {
        let hold = held.then_some(Hold { session: 0, flow: 1, bytes: 5 });
        let master = master("journal-4shards", MasterOptions { hold, ..MasterOptions::default() }).await;
        let mut session = Session::begin(master.address(), &[], None).await;
        assert_eq!(session.sync().await, "+OK");
        let (mut firsts, _) = sizes(&recorded);
        firsts[1] -= if held { 5 } else { 0 };
        session.read_flows(&firsts).await;
        session.send_start_stable().await;
        let noticed = if held {
            let noticed = timeout(PATIENCE, master.violated()).await.unwrap();
            assert!(session.control.is_silent(), "STARTSTABLE is answered when the first parts are written");
            noticed
        } else {
            assert_eq!(session.control.line().await, "+OK");
            master.violations()
        };
        assert_eq!(noticed.len(), usize::from(held), "{noticed:?}");
        assert!(noticed.iter().all(|what| what.starts_with("P20:")), "{noticed:?}");
        master.release();
        if held {
            assert_eq!(session.control.line().await, "+OK");
        }
    }
}

#[tokio::test]
async fn a_held_flow_that_is_waited_for_is_no_violation() {
    let recorded = Recording::bundled("journal-4shards").unwrap().sessions[0].clone();
    let hold = Some(Hold { session: 0, flow: 1, bytes: 5 });
    let master = master("journal-4shards", MasterOptions { hold, ..MasterOptions::default() }).await;
    let mut session = Session::begin(master.address(), &[], None).await;
    assert_eq!(session.sync().await, "+OK");
    let (mut firsts, seconds) = sizes(&recorded);
    firsts[1] -= 5;
    session.read_flows(&firsts).await;
    assert!(session.flows[1].is_silent());
    master.release();
    session.flows[1].read(5).await;
    session.send_start_stable().await;
    session.read_flows(&seconds).await;
    assert_eq!(session.control.line().await, "+OK");
    assert_eq!(master.violations(), [""; 0]);
}

/// Brings a session of journal-4shards into stable sync, every byte read.
async fn stable(master: &RecordedMaster) -> Session {
    let mut session = Session::begin(master.address(), &[], None).await;
    let (firsts, seconds) = sizes(&master.recording().sessions[0]);
    session.run_full(&firsts, &seconds).await;
    session
}

#[tokio::test]
async fn p19_acks_that_lie_are_noticed() {
    for (acks, what) in [
        (vec![80], "ACK 80, only 79 was sent"),
        (vec![79, 78], "ACK 78 after 79"),
        (vec![0], "ACK 0 after 1"),
    ] {
        let master = master("journal-4shards", MasterOptions::default()).await;
        let mut session = stable(&master).await;
        for ack in &acks {
            session.ack(3, *ack).await;
        }
        let noticed = timeout(PATIENCE, master.violated()).await.unwrap();
        assert!(noticed[0].contains(what) && noticed[0].starts_with("P19"), "{noticed:?}");
        assert_eq!(master.acks(0, 3), acks);
    }
}

#[tokio::test]
async fn an_ack_during_the_full_sync_is_noticed() {
    let master = master("journal-4shards", MasterOptions::default()).await;
    let mut session = Session::begin(master.address(), &[], None).await;
    assert_eq!(session.sync().await, "+OK");
    session.ack(0, 1).await;
    let noticed = timeout(PATIENCE, master.violated()).await.unwrap();
    assert!(noticed[0].contains("before stable sync"), "{noticed:?}");
}

#[tokio::test]
async fn finished_waits_for_the_last_ack_of_every_flow() {
    let master = master("journal-4shards", MasterOptions::default()).await;
    let mut session = stable(&master).await;
    let finals: Vec<u64> = master.recording().sessions[0].flows.iter().map(|flow| flow.final_lsn).collect();
    for (flow, lsn) in finals.iter().enumerate().take(3) {
        session.ack(flow, *lsn).await;
    }
    session.ack(3, finals[3] - 1).await;
    timeout(PATIENCE, master.acked(0, 3, finals[3] - 1)).await.unwrap();
    assert!(timeout(Duration::ZERO, master.finished()).await.is_err(), "one ACK is missing");
    session.ack(3, finals[3]).await;
    timeout(PATIENCE, master.finished()).await.unwrap();
}

#[tokio::test]
async fn planted_bytes_stand_where_they_were_asked_for() {
    let recorded = Recording::bundled("journal-4shards").unwrap().sessions[0].clone();
    let flow = &recorded.flows[0];
    for offset in [9, flow.token_end] {
        let mangle = Mangle { session: 0, flow: 0, offset, remove: 1, insert: vec![0xee, 0xef] };
        let master =
            master("journal-4shards", MasterOptions { mangle: Some(mangle), ..Default::default() }).await;
        let mut session = Session::begin(master.address(), &[], None).await;
        let (mut firsts, mut seconds) = sizes(&recorded);
        let grows = if offset < flow.first_len { &mut firsts } else { &mut seconds };
        grows[0] += 1;
        let streams = session.run_full(&firsts, &seconds).await;
        let expected = [&flow.stream[..offset], &[0xee, 0xef], &flow.stream[offset + 1..]].concat();
        assert!(streams[0] == expected, "offset {offset}");
        assert!(streams[1] == recorded.flows[1].stream);
        assert_eq!(master.violations(), [""; 0]);
    }
}

#[tokio::test]
async fn a_session_that_the_client_leaves_closes_its_flows() {
    let master = master("journal-4shards", MasterOptions::default()).await;
    let mut session = stable(&master).await;
    drop(session.flows.remove(0));
    session.flows[0].read_to_end().await;
    timeout(PATIENCE, master.session_ended(0)).await.unwrap();
    assert_eq!(session.control.ask("PING").await, "+PONG", "the control connection stays");
    assert_eq!(session.start_stable().await, "-ERR syncid not found");
}

#[tokio::test]
async fn a_repeated_session_begins_again() {
    let cut = Some(Cut { session: 0, flow: 0, offset: 20 });
    let options = MasterOptions { cut, repeat: true, ..MasterOptions::default() };
    let master = master("journal-4shards", options).await;
    let mut first = Session::begin(master.address(), &[], None).await;
    assert_eq!(first.sync().await, "+OK");
    first.control.read_to_end().await;
    let mut second = stable(&master).await;
    assert_eq!(second.sync_id, "SYNC2");
    for flow in 0..4 {
        second.ack(flow, master.recording().sessions[0].flows[flow].final_lsn).await;
    }
    timeout(PATIENCE, master.finished()).await.unwrap();
    assert_eq!(master.violations(), [""; 0]);
}

#[tokio::test]
async fn the_recorded_cut_comes_by_itself_when_acks_stay_away() {
    let options = MasterOptions { ack_timeout: Duration::from_millis(1), ..MasterOptions::default() };
    let master = master("partial-resync", options).await;
    let mut session = Session::begin(master.address(), &[], None).await;
    let (firsts, seconds) = sizes(&master.recording().sessions[0]);
    assert_eq!(session.sync().await, "+OK");
    session.read_flows(&firsts).await;
    session.send_start_stable().await;
    session.read_flows(&seconds).await;
    session.control.read_to_end().await;
    timeout(PATIENCE, master.session_ended(0)).await.unwrap();
}
