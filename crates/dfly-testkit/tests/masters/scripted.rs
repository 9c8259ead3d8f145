//! The scripted master.

use std::time::Duration;

use bytes::Bytes;
use dfly_testkit::{MasterOptions, Op, OpError, PartialForm, Script, ScriptError, ScriptedMaster, shard_of};
use tokio::time::timeout;

use crate::client::{Session, Wire};

const PATIENCE: Duration = Duration::from_secs(20);
const FULLSYNC_END: &[u8] = &[200, 0, 0, 0, 0, 0, 0, 0, 0];

async fn start(script: Script) -> ScriptedMaster {
    ScriptedMaster::start(script, MasterOptions::default()).await.unwrap()
}

/// A session in full sync: every flow read up to FULLSYNC_END.
async fn full_sync(master: &ScriptedMaster) -> (Session, Vec<Vec<u8>>) {
    let mut session = Session::begin(master.address(), &[], None).await;
    assert!(session.granted.iter().all(|(kind, _)| kind == "FULL"));
    assert_eq!(session.sync().await, "+OK");
    let mut firsts = Vec::new();
    for flow in &mut session.flows {
        firsts.push(flow.read_until(FULLSYNC_END).await);
    }
    (session, firsts)
}

/// Asks for STARTSTABLE and reads every flow up to its token; gives each JOURNAL_OFFSET.
async fn go_stable(session: &mut Session) -> Vec<u64> {
    session.send_start_stable().await;
    let mut offsets = Vec::new();
    for (flow, (_, token)) in session.flows.iter_mut().zip(&session.granted) {
        let tail = flow.read_until(token.as_bytes()).await;
        let offset = tail.len() - 40 - 9 - 9;
        assert_eq!(tail[offset], 211);
        offsets.push(u64::from_le_bytes(tail[offset + 1..offset + 9].try_into().unwrap()));
    }
    assert_eq!(session.control.line().await, "+OK");
    offsets
}

async fn stable(master: &ScriptedMaster) -> (Session, Vec<u64>) {
    let (mut session, _) = full_sync(master).await;
    let offsets = go_stable(&mut session).await;
    (session, offsets)
}

fn contains(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|window| window == part.as_bytes())
}

/// A key of the given shard.
fn key(shard: usize, shards: usize) -> String {
    (0..).map(|i| format!("key{i}")).find(|key| shard_of(key.as_bytes(), shards) == shard).unwrap()
}

#[tokio::test]
async fn a_script_runs_in_its_three_phases() {
    let script = Script::new(1)
        .before("SET before 1")
        .during("SET during 2")
        .tail("SET tail 3")
        .stable("SET stable 4")
        .stable("INCR stable");
    let master = start(script).await;
    let (mut session, firsts) = full_sync(&master).await;
    assert!(firsts[0].starts_with(b"REDIS0009"));
    assert!(
        contains(&firsts[0], "before") && contains(&firsts[0], "during") && !contains(&firsts[0], "tail")
    );
    session.send_start_stable().await;
    let token = session.granted[0].1.clone();
    let tail = session.flows[0].read_until(token.as_bytes()).await;
    assert!(contains(&tail, "tail") && !contains(&tail, "stable"));
    let walk = session.flows[0].read_journal(3, 5).await;
    assert_eq!(walk.commands, [vec!["SET", "stable", "4"], vec!["INCR", "stable"]]);
    assert_eq!(session.control.line().await, "+OK");
    session.ack(0, 5).await;
    timeout(PATIENCE, master.caught_up()).await.unwrap();
    assert_eq!(master.lsns(), [5]);
    assert_eq!(session.control.ask_array("DFLY REPLICAOFFSET").await, ["5"]);
    assert_eq!(master.keyspace().len(), 4);
    assert_eq!(master.rows().len(), 4);
    assert_eq!(master.violations(), [""; 0]);
}

#[tokio::test]
async fn keys_live_in_their_shards_and_multi_key_commands_are_split() {
    let (a, b) = (key(0, 2), key(1, 2));
    let master = start(Script::new(2).before(Op::line(&format!("MSET {a} 1 {b} 2")))).await;
    let (mut session, firsts) = full_sync(&master).await;
    assert!(contains(&firsts[0], &a) && !contains(&firsts[0], &b));
    assert!(contains(&firsts[1], &b) && !contains(&firsts[1], &a));
    assert_eq!(go_stable(&mut session).await, [1, 1]);
    for line in [
        format!("MSET {a} 3 {b} 4"),
        format!("UNLINK {a} nobody {b}"),
        "FLUSHALL".to_owned(),
        format!("SET {a} 5"),
        format!("RENAME {a} {b}"),
        "DEL nobody".to_owned(),
    ] {
        master.apply(Op::line(&line).in_db(u32::from(line.starts_with("FLUSH")))).unwrap();
    }
    let first = session.flows[0].read_journal(1, 6).await.commands;
    let second = session.flows[1].read_journal(1, 5).await.commands;
    let words = |line: String| line.split(' ').map(|word| Bytes::from(word.to_owned())).collect::<Vec<_>>();
    let expected = [
        format!("MSET {a} 3"),
        format!("DEL {a}"),
        "FLUSHALL".to_owned(),
        format!("SET {a} 5"),
        format!("DEL {a}"),
    ];
    assert_eq!(first, expected.map(words));
    assert_eq!(second[..3], [format!("MSET {b} 4"), format!("DEL {b}"), "FLUSHALL".to_owned()].map(words));
    assert_eq!(second[3][..3], ["RESTORE".into(), Bytes::from(b.clone()), Bytes::from("0")]);
    assert_eq!(second[3][4..], ["REPLACE", "ABSTTL"]);
    assert_eq!(master.keyspace().keys().cloned().collect::<Vec<_>>(), [(0, Bytes::from(b))]);
}

#[tokio::test]
async fn operations_reach_a_session_wherever_it_is() {
    let master = start(Script::new(1).before("SET n 0")).await;
    master.apply("SET early 1").unwrap();
    assert_eq!(master.lsns(), [1], "the journal is off until the first FLOW");
    let (mut session, firsts) = full_sync(&master).await;
    assert!(contains(&firsts[0], "early"));
    master.apply("INCR n").unwrap();
    session.send_start_stable().await;
    let token = session.granted[0].1.clone();
    let tail = session.flows[0].read_until(token.as_bytes()).await;
    assert!(tail.starts_with(&[210, 1]) && contains(&tail, "INCR"), "a journal blob behind FULLSYNC_END");
    assert_eq!(session.control.line().await, "+OK");
    timeout(PATIENCE, master.stable()).await.unwrap();
    master.apply("INCR n").unwrap();
    master.ping();
    let walk = session.flows[0].read_journal(2, 4).await;
    assert_eq!(walk.commands, [["INCR", "n"]]);
    assert_eq!(walk.marks.len(), 2, "the PING counts");
    assert_eq!(master.apply("LPUSH n x"), Err(OpError::WrongType));
    assert_eq!(master.lsns(), [4]);
}

/// Cuts a stable session of one shard after five records and reconnects with this request.
async fn reconnect(script: Script, request: &[u64]) -> (ScriptedMaster, Session) {
    let master = start(script).await;
    let (mut session, offsets) = stable(&master).await;
    assert_eq!(offsets, [1]);
    for i in 1..=5 {
        master.apply(Op::line(&format!("SET k{i} v"))).unwrap();
    }
    session.flows[0].read_journal(1, 6).await;
    master.cut();
    session.flows[0].read_to_end().await;
    session.control.read_to_end().await;
    master.apply("SET while away").unwrap();
    let again = Session::begin(master.address(), request, None).await;
    (master, again)
}

#[tokio::test]
async fn a_partial_session_goes_on_directly() {
    let (master, mut session) = reconnect(Script::new(1), &[4]).await;
    assert_eq!(session.granted[0].0, "PARTIAL");
    let asked = master.flow_commands();
    assert_eq!(asked.iter().map(Vec::len).collect::<Vec<_>>(), [5, 6]);
    assert_eq!(asked[1][5], "4");
    assert_eq!(session.sync().await, "-ERR invalid state");
    assert_eq!(session.start_stable().await, "+OK");
    let walk = session.flows[0].read_journal(4, 7).await;
    assert_eq!(walk.commands, [["SET", "k4", "v"], ["SET", "k5", "v"], ["SET", "while", "away"]]);
    master.apply("SET live 1").unwrap();
    assert_eq!(session.flows[0].read_journal(7, 8).await.commands, [["SET", "live", "1"]]);
    session.ack(0, 8).await;
    timeout(PATIENCE, master.caught_up()).await.unwrap();
    assert_eq!(master.violations(), [""; 0]);
}

#[tokio::test]
async fn an_older_master_syncs_a_partial_session_first() {
    let (master, mut session) = reconnect(Script::new(1).partial(PartialForm::Sync), &[4]).await;
    assert_eq!(session.granted[0].0, "PARTIAL");
    assert_eq!(session.start_stable().await, "-ERR invalid state");
    assert_eq!(session.sync().await, "+OK");
    let first = session.flows[0].read_until(FULLSYNC_END).await;
    assert!(first.starts_with(b"REDIS0009"));
    assert!(contains(&first, "k4") && contains(&first, "while") && !contains(&first, "k3"));
    assert_eq!(go_stable(&mut session).await, [7]);
    master.apply("SET live 1").unwrap();
    assert_eq!(session.flows[0].read_journal(7, 8).await.commands, [["SET", "live", "1"]]);
    assert_eq!(master.violations(), [""; 0]);
}

#[tokio::test]
async fn what_the_backlog_does_not_hold_is_full() {
    for (backlog, lsn, kind) in [
        (8192, 1, "PARTIAL"),
        (8192, 7, "PARTIAL"),
        (8192, 0, "FULL"),
        (8192, 8, "FULL"),
        (2, 5, "PARTIAL"),
        (2, 4, "FULL"),
    ] {
        let (_master, session) = reconnect(Script::new(1).backlog(backlog), &[lsn]).await;
        assert_eq!(session.granted[0].0, kind, "backlog {backlog}, LSN {lsn}");
    }
}

#[tokio::test]
async fn records_that_are_lost_after_the_promise_end_the_session() {
    let (master, mut session) = reconnect(Script::new(1).backlog(4), &[4]).await;
    assert_eq!(session.granted[0].0, "PARTIAL");
    for i in 0..4 {
        master.apply(Op::line(&format!("SET more{i} 1"))).unwrap();
    }
    assert_eq!(session.start_stable().await, "-ERR syncid not found");
    session.flows[0].read_to_end().await;
}

#[tokio::test]
async fn stable_operations_may_outnumber_the_backlog() {
    let script = (0..20).fold(Script::new(1).backlog(3), |script, _| script.stable("INCR n"));
    let master = start(script).await;
    let (mut session, _) = stable(&master).await;
    assert_eq!(session.flows[0].read_journal(1, 21).await.commands.len(), 20);
}

#[tokio::test]
async fn a_restarted_master_is_another_one() {
    let master = start(Script::new(1).before("SET k v")).await;
    let (mut session, _) = stable(&master).await;
    let old = master.repl_id();
    master.apply("SET l w").unwrap();
    master.restart();
    session.control.read_to_end().await;
    assert_ne!(master.repl_id(), old);
    assert_eq!(master.lsns(), [1]);
    let mut wire = Wire::connect(master.address()).await;
    let capa = wire.ask_array("REPLCONF capa dragonfly").await;
    assert_eq!(capa[0], master.repl_id());
    assert_eq!(wire.ask(&format!("DFLY FLOW {old} {} 0", capa[1])).await, "-ERR bad master id");
    let (_session, firsts) = full_sync(&master).await;
    assert!(contains(&firsts[0], "l"));
}

#[tokio::test]
async fn a_promoted_replica_knows_whom_it_followed() {
    let master = start(Script::new(1)).await;
    let (_session, _) = stable(&master).await;
    for i in 0..3 {
        master.apply(Op::line(&format!("SET k{i} v"))).unwrap();
    }
    let old = master.repl_id();
    master.fail_over();
    for i in 3..5 {
        master.apply(Op::line(&format!("SET k{i} v"))).unwrap();
    }
    let (new, stranger) = (master.repl_id(), "0".repeat(40));
    let mut wire = Wire::connect(master.address()).await;
    let sync_id = wire.ask_array("REPLCONF capa dragonfly").await[1].clone();
    let mut flow = Wire::connect(master.address()).await;
    assert_eq!(flow.ask_array(&format!("DFLY FLOW {new} {sync_id} 0 {stranger} 4")).await[0], "FULL");
    let mut flow = Wire::connect(master.address()).await;
    let before = flow.ask_array(&format!("DFLY FLOW {new} {sync_id} 0 {old} 3")).await;
    assert_eq!(before[0], "FULL", "its backlog begins with its promotion");
    let mut flow = Wire::connect(master.address()).await;
    assert_eq!(flow.ask_array(&format!("DFLY FLOW {new} {sync_id} 0 {old} 4")).await[0], "PARTIAL");
    assert_eq!(wire.ask(&format!("DFLY STARTSTABLE {sync_id}")).await, "+OK");
    assert_eq!(flow.read_journal(4, 6).await.commands, [["SET", "k3", "v"], ["SET", "k4", "v"]]);
}

/// P19: an ACK is held against what was sent so far, not against what will be.
#[tokio::test]
async fn p19_acks_are_held_against_what_was_sent() {
    let master = start(Script::new(1)).await;
    let (mut session, _) = stable(&master).await;
    session.ack(0, 1).await;
    timeout(PATIENCE, master.acked(0, 0, 1)).await.unwrap();
    assert_eq!(master.violations(), [""; 0]);
    session.ack(0, 2).await;
    let violations = timeout(PATIENCE, master.violated()).await.unwrap();
    assert!(violations[0].contains("ACK 2, only 1 was sent"), "{violations:?}");
}

/// P10: a flush during the full sync stands in every flow, and entries of before may follow it.
#[tokio::test]
async fn p10_a_flush_during_the_full_sync_is_on_every_flow() {
    let script = (0..40).fold(Script::new(2), |script, i| script.before(Op::line(&format!("SET k{i} v"))));
    let master = start(script.during("FLUSHALL").during("SET after 1")).await;
    let (_session, firsts) = full_sync(&master).await;
    for first in &firsts {
        let flush = first.windows(8).position(|window| window == b"FLUSHALL").unwrap();
        assert!(first[flush..].windows(3).any(|window| window == [0, 3, b'k']), "an old entry follows");
    }
    assert_eq!(master.keyspace().len(), 1);
    master.cut();
    let (_session, firsts) = full_sync(&master).await;
    assert!(!contains(&firsts.concat(), "FLUSHALL"), "a second snapshot shows what is left");
}

#[tokio::test]
async fn operations_at_a_steady_rate() {
    let master = start(Script::new(1)).await;
    let (mut session, _) = stable(&master).await;
    let ops = (0..5).map(|i| Op::line(&format!("SET k{i} v")));
    let began = tokio::time::Instant::now();
    master.apply_paced(ops, 200).await.unwrap();
    assert!(tokio::time::Instant::now() - began >= Duration::from_millis(15), "four waits of 5 ms");
    assert_eq!(session.flows[0].read_journal(1, 6).await.commands.len(), 5);
    let failed = master.apply_paced([Op::line("INCR k1"), Op::line("SET never 1")], 1000).await;
    assert_eq!(failed, Err(OpError::NotANumber));
    assert_eq!(master.lsns(), [6]);
}

#[tokio::test]
async fn a_script_that_cannot_run_does_not_start() {
    for script in [
        Script::new(1).before("SET k x").before("INCR k"),
        Script::new(1).before("SET k x").during("INCR k"),
        Script::new(1).during("SET k x").stable("INCR k"),
    ] {
        let failed = ScriptedMaster::start(script, MasterOptions::default()).await.unwrap_err();
        assert!(matches!(failed, ScriptError::Refused { .. }));
        assert_eq!(failed.to_string(), "db 0: INCR k: refused");
    }
}
