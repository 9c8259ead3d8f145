//! Error replies, other servers, and what a real master would not survive.

use std::time::Duration;

use dfly_testkit::{Capa, MasterOptions, RecordedMaster, Recording};
use tokio::time::timeout;

use crate::client::{Session, Wire};

const PATIENCE: Duration = Duration::from_secs(20);

async fn master(name: &str, options: MasterOptions) -> (RecordedMaster, Wire) {
    let master = RecordedMaster::start(Recording::bundled(name).unwrap(), options).await.unwrap();
    let wire = Wire::connect(master.address()).await;
    (master, wire)
}

#[tokio::test]
async fn replies_of_protocol_section_2() {
    let (master, mut wire) = master("journal-4shards", MasterOptions::default()).await;
    let capa = wire.ask_array("REPLCONF capa dragonfly").await;
    let id = &capa[0];
    let bad_id = "0".repeat(40);
    for (ask, reply) in [
        ("REPLCONF", "+OK".to_owned()),
        ("REPLCONF capa eof capa dragonfly", "+OK".to_owned()),
        ("REPLCONF listening-port", "-ERR syntax error".to_owned()),
        ("REPLCONF listening-port x", "-ERR value is not an integer or out of range".to_owned()),
        ("REPLCONF unheard of", "-ERR syntax error".to_owned()),
        ("REPLCONF CLIENT-ID x", "+OK".to_owned()),
        ("REPLCONF CLIENT-VERSION -1", "-ERR value is not an integer or out of range".to_owned()),
        ("REPLCONF CLIENT-VERSION 999", "+OK".to_owned()),
        ("DFLY", "-ERR wrong number of arguments for 'dfly' command".to_owned()),
        ("DFLY NOSUCH", "-ERR syntax error".to_owned()),
        (&format!("DFLY FLOW {id} SYNC1"), "-ERR syntax error".to_owned()),
        (&format!("DFLY FLOW {bad_id} SYNC1 0"), "-ERR bad master id".to_owned()),
        (&format!("DFLY FLOW {id} SYNC1 4"), "-ERR value is not an integer or out of range".to_owned()),
        (&format!("DFLY FLOW {id} SYNC1 0 x"), "-ERR value is not an integer or out of range".to_owned()),
        (&format!("DFLY FLOW {id} SYNC1 0 {id} 1-2"), "-ERR syntax error".to_owned()),
        (&format!("DFLY FLOW {id} NOSYNC 0"), "-ERR bad sync id".to_owned()),
        (&format!("DFLY FLOW {id} SYNC9 0"), "-ERR syncid not found".to_owned()),
        ("DFLY SYNC SYNC1", "-ERR invalid state".to_owned()),
        ("GET x", "-ERR unknown command `GET`".to_owned()),
    ] {
        assert_eq!(wire.ask(ask).await, reply, "{ask}");
    }
    assert_eq!(wire.ask_array("DFLY REPLICAOFFSET").await, ["74", "58", "27", "79"]);
    assert_eq!(master.violations(), [""; 0]);
    let commands = master.commands();
    assert_eq!(commands[0], ["REPLCONF", "capa", "dragonfly"]);
    assert_eq!(commands.len(), 21);
}

#[tokio::test]
async fn five_arguments_with_another_master_mean_full() {
    let (master, mut wire) = master("journal-4shards", MasterOptions::default()).await;
    let capa = wire.ask_array("REPLCONF capa dragonfly").await;
    let mut flow = Wire::connect(master.address()).await;
    let line = format!("DFLY FLOW {} SYNC1 2 {} 1-1-1-1", capa[0], "f".repeat(40));
    assert_eq!(flow.ask_array(&line).await[0], "FULL");
}

#[tokio::test]
async fn p28_client_version_without_a_session_is_a_crash() {
    let (master, mut wire) = master("journal-4shards", MasterOptions::default()).await;
    wire.send("REPLCONF CLIENT-VERSION 4").await;
    assert!(wire.read_to_end().await.is_empty());
    assert!(master.violations()[0].starts_with("P28"), "{:?}", master.violations());
}

#[tokio::test]
async fn start_stable_before_sync_is_a_crash() {
    let (master, _) = master("journal-4shards", MasterOptions::default()).await;
    let mut session = Session::begin(master.address(), &[], None).await;
    session.send_start_stable().await;
    assert!(session.control.read_to_end().await.is_empty());
    assert!(master.violations()[0].contains("before SYNC"));
}

#[tokio::test]
async fn an_ack_on_the_control_connection_gets_no_reply() {
    let (master, mut wire) = master("journal-4shards", MasterOptions::default()).await;
    wire.send("REPLCONF ACK 1").await;
    assert_eq!(wire.ask("PING").await, "+PONG");
    assert_eq!(master.violations().len(), 1);
}

#[tokio::test]
async fn passwords() {
    let (_master, mut wire) = master("requirepass", MasterOptions::default()).await;
    assert_eq!(wire.ask("PING").await, "-NOAUTH Authentication required.");
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
    assert_eq!(wire.ask("AUTH nonsense").await, wrong);
    assert_eq!(wire.ask("AUTH other s3cret").await, wrong);
    assert_eq!(wire.ask("REPLCONF capa dragonfly").await, "-NOAUTH Authentication required.");
    assert_eq!(wire.ask("AUTH default s3cret").await, "+OK");
    assert_eq!(wire.ask("PING").await, "+PONG");
    let options =
        MasterOptions { user: Some("df".into()), password: Some("p w".into()), ..Default::default() };
    let (_master, mut wire) = master("journal-4shards", options).await;
    assert_eq!(wire.ask("*3\r\n$4\r\nAUTH\r\n$2\r\ndf\r\n$3\r\np w").await, "+OK");
}

#[tokio::test]
async fn other_servers() {
    let options = |capa| MasterOptions { capa, ..MasterOptions::default() };
    let (_old, mut wire) = master("journal-4shards", options(Capa::Old)).await;
    assert_eq!(wire.ask_array("REPLCONF capa dragonfly").await.len(), 3);
    assert_eq!(wire.ask("REPLCONF unheard of").await, "+OK");
    let (_four, mut wire) = master("journal-4shards", options(Capa::FourElements)).await;
    assert_eq!(wire.ask_array("REPLCONF capa dragonfly").await.len(), 4);
    let (_redis, mut wire) = master("journal-4shards", options(Capa::Redis)).await;
    assert_eq!(wire.ask("REPLCONF capa dragonfly").await, "+OK");
    assert_eq!(wire.ask("DFLY SYNC SYNC1").await, "-ERR unknown command `DFLY`");
    let (_replica, mut wire) = master("journal-4shards", options(Capa::Replica)).await;
    assert_eq!(wire.ask("REPLCONF capa dragonfly").await, "-ERR Replicating a replica is unsupported");
    let (_dragonfly, mut wire) = master("journal-4shards", MasterOptions::default()).await;
    assert!(wire.ask("INFO server").await.starts_with('$'));
    assert_eq!(wire.line().await, "# Server");
    assert_eq!(wire.line().await, "redis_version:7.4.0");
    assert_eq!(wire.line().await, "dragonfly_version:df-v1.40.1");
}

#[tokio::test]
async fn p28_an_old_master_answers_acks_into_the_stream() {
    let options = MasterOptions { capa: Capa::Old, ..MasterOptions::default() };
    let (master, mut wire) = master("journal-4shards", options).await;
    let capa = wire.ask_array("REPLCONF capa dragonfly").await;
    let mut flow = Wire::connect(master.address()).await;
    flow.ask_array(&format!("DFLY FLOW {} SYNC1 0", capa[0])).await;
    assert_eq!(flow.ask("REPLCONF ACK 1").await, "+OK");
    assert!(master.violations().iter().any(|what| what.starts_with("P28")));
}

#[tokio::test]
async fn a_loading_master_refuses_flows() {
    let (_master, mut wire) =
        master("journal-4shards", MasterOptions { loading: true, ..MasterOptions::default() }).await;
    let capa = wire.ask_array("REPLCONF capa dragonfly").await;
    let reply = wire.ask(&format!("DFLY FLOW {} SYNC1 0", capa[0])).await;
    assert_eq!(reply, "-LOADING Dragonfly is loading the dataset in memory");
}

#[tokio::test]
async fn a_partial_session_serves_only_what_was_recorded() {
    let options = MasterOptions { ack_timeout: Duration::ZERO, ..MasterOptions::default() };
    let (master, _) = master("partial-resync", options).await;
    let recorded = master.recording().sessions[0].clone();
    let mut session = Session::begin(master.address(), &[], None).await;
    let (firsts, seconds): (Vec<_>, Vec<_>) =
        recorded.flows.iter().map(|flow| (flow.first().len(), flow.second().len())).unzip();
    session.sync().await;
    session.read_flows(&firsts).await;
    session.send_start_stable().await;
    session.read_flows(&seconds).await;
    session.control.read_to_end().await;

    let mut wire = Wire::connect(master.address()).await;
    let capa = wire.ask_array("REPLCONF capa dragonfly").await;
    let mut flow = Wire::connect(master.address()).await;
    let reply = flow.ask(&format!("DFLY FLOW {} SYNC2 0 96", capa[0])).await;
    assert_eq!(reply, "-ERR only the recorded LSN can be served");
    let violations = timeout(PATIENCE, master.violated()).await.unwrap();
    assert!(violations[0].contains("recorded from LSN Some(97)"), "{violations:?}");
    assert_eq!(flow.ask_array(&format!("DFLY FLOW {} SYNC2 0 97", capa[0])).await[0], "PARTIAL");
    assert_eq!(wire.ask("DFLY SYNC SYNC2").await, "-ERR invalid state");
    let third = wire.ask("REPLCONF capa dragonfly").await;
    assert_eq!(third, "-ERR no more sessions are recorded");
}

/// Protocol section 2.1: FLOW twice is accepted, and the session dies with the connection that was replaced.
#[tokio::test]
async fn a_second_flow_replaces_the_first() {
    let (master, _) = master("journal-4shards", MasterOptions::default()).await;
    let mut session = Session::begin(master.address(), &[], None).await;
    let mut second = Wire::connect(master.address()).await;
    let line = format!("DFLY FLOW {} {} 2", session.repl_id, session.sync_id);
    assert_eq!(second.ask_array(&line).await[0], "FULL");
    assert_eq!(session.sync().await, "+OK");
    assert_eq!(second.read(9).await, b"REDIS0009");
    assert!(session.flows[2].is_silent());
    drop(session.flows.remove(2));
    timeout(PATIENCE, master.session_ended(0)).await.unwrap();
}
